//! `dockyard-runtime`: an OCI runtime with runc's command line.

mod args;
mod commands;
mod log;
mod sealed;
mod specification;

use args::{on, usage, Args, Word};
use engine::{Error, Result, Store};
use log::Log;
use std::io::Write;

const DEFAULT_ROOT: &str = "/run/dockyard/runtime";

fn main() {
    let mut log = Log::default();
    let code = match run(&mut log) {
        Ok(code) => code,
        Err(error) => {
            log.error(&error);
            // Nowhere to report a failure of standard error.
            let _ = writeln!(std::io::stderr(), "{error}");
            // As runc: a failed exec is told from a program's own code by 255.
            if std::env::args().any(|word| word == "exec") {
                255
            } else {
                1
            }
        }
    };
    sys::process::exit_now(code);
}

fn run(log: &mut Log) -> Result<i32> {
    let mut args = Args::from_env()?;
    let mut root = DEFAULT_ROOT.to_string();
    let verb = loop {
        match args.next() {
            None => return commands::help(),
            Some(Word::Plain(verb)) => break verb,
            Some(Word::Flag(name, value)) => match name.as_str() {
                "root" => root = args.value("root", value)?,
                "log" => log.path = Some(args.value("log", value)?.into()),
                "log-format" => match args.value("log-format", value)?.as_str() {
                    "json" => log.json = true,
                    "text" => log.json = false,
                    other => return Err(usage(format!("invalid log-format: {other}"))),
                },
                // Callers pass them; there is nothing more to say, no CRIU to find, and cgroups are probed.
                "debug" => drop(on("debug", value.as_deref())?),
                "criu" | "rootless" => drop(args.value(&name, value)?),
                "systemd-cgroup" if !on("systemd-cgroup", value.as_deref())? => {}
                "systemd-cgroup" => {
                    return Err(Error::new(
                        engine::Kind::InvalidConfig,
                        "--systemd-cgroup: the systemd cgroup driver is not supported yet",
                    ))
                }
                "cgroup-manager" => match args.value(&name, value)?.as_str() {
                    "cgroupfs" | "disabled" => {}
                    other => return Err(usage(format!("--cgroup-manager: {other:?} is not supported yet"))),
                },
                "version" | "v" => return commands::version(),
                "help" | "h" => return commands::help(),
                other => return Err(args::unknown("dockyard-runtime", other)),
            },
        }
    };
    commands::dispatch(&verb, args, &Store::new(root))
}
