//! `dockyard-runtime`: an OCI runtime with runc's command line.

mod args;
mod commands;
mod log;
mod rootdir;
mod sealed;
mod session;
mod terminal;

use args::{switch, usage, valued, Grammar};
use engine::{notes::Level, Driver, Result, Store};
use log::Log;
use session::Session;
use std::io::Write;
use std::path::Path;

static GLOBAL: Grammar = Grammar {
    verb: "",
    about: "Open Container Initiative runtime",
    arguments: "",
    flags: &[
        valued(&["root"], "DIR", "root directory for the state of containers"),
        valued(&["log"], "FILE", "file to which failures are appended"),
        valued(&["log-format"], "text|json", "format of the log"),
        valued(&["log-level"], "LEVEL", "error, warning or debug"),
        switch(&["debug"], "log every step"),
        switch(&["systemd-cgroup"], "make cgroups through systemd; linux.cgroupsPath is slice:prefix:name"),
        valued(&["cgroup-manager"], "NAME", "cgroupfs, systemd or disabled"),
        valued(&["rootless"], "true|false|auto", "whether missing rights to cgroups are ignored"),
        valued(&["criu"], "FILE", "the criu program"),
        switch(&["version", "v"], "print the version"),
    ],
    ends_early: true,
};

fn main() {
    let code = match run() {
        Ok(code) => code,
        Err(error) => {
            log::error(&error);
            // Nowhere to report a failure of standard error.
            let _ = writeln!(std::io::stderr(), "{error}");
            // As runc: a failed exec is told from a program's own code by 255.
            if session::verb().as_deref() == Some("exec") {
                255
            } else {
                1
            }
        }
    };
    sys::process::exit_now(code);
}

fn run() -> Result<i32> {
    let mut words = args::words()?;
    let global = GLOBAL.parse(&mut words)?;
    let level = match global.value("log-level") {
        Some("debug") => Level::Debug,
        // There is nothing in between.
        None | Some("warning" | "info") => Level::Warning,
        Some("error") => Level::Error,
        Some(other) => return Err(usage(format!("invalid log-level: {other}"))),
    };
    let level = if global.on("debug")? { Level::Debug } else { level };
    let json = match global.value("log-format") {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => return Err(usage(format!("invalid log-format: {other}"))),
    };
    let path = global.path("log");
    Log::begin(path.as_deref(), json, level)
        .map_err(|error| usage(format!("--log {}: {error}", path.unwrap_or_default().display())))?;
    let criu = global.path("criu").unwrap_or_else(|| "criu".into());
    if global.on("version")? {
        return commands::version(&criu);
    }
    let Some(verb) = global.plain.first() else { return commands::help() };
    let rootless = match global.value("rootless") {
        Some("true") => true,
        Some("false") => false,
        None | Some("auto") => sys::process::effective_uid() != 0 || !sys::process::in_first_user_namespace(),
        Some(other) => return Err(usage(format!("--rootless: {other:?} is not true, false or auto"))),
    };
    let driver = match (global.on("systemd-cgroup")?, global.value("cgroup-manager")) {
        (true, _) | (false, Some("systemd")) => Driver::Systemd,
        (false, None | Some("cgroupfs")) => Driver::Cgroupfs,
        (false, Some("disabled")) => Driver::Disabled,
        (false, Some(other)) => return Err(usage(format!("--cgroup-manager: {other:?} is unknown"))),
    };
    let root = global.path("root").unwrap_or_else(|| rootdir::default(rootless));
    let root = std::path::absolute(&root).map_err(|error| usage(format!("--root {}: {error}", root.display())))?;
    let session = Session { store: Store::new(root), driver, rootless, criu };
    commands::dispatch(verb, words, &session)
}

/// The name under which this program was called.
fn program() -> String {
    // As it is: a program's path need not be UTF-8.
    let called = std::env::args_os().next().unwrap_or_default();
    Path::new(&called).file_name().map_or_else(|| "dockyard-runtime".into(), |name| name.to_string_lossy().into_owned())
}
