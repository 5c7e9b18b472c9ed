//! `create`: everything up to a process that waits for `start`.

use super::{Command, Outcome};
use crate::args::{switch, usage, valued, Flag, Grammar, Parsed};
use crate::sealed;
use crate::session::Session;
use engine::lifecycle::create::{self, Options};
use engine::Result;
use std::collections::VecDeque;
use std::path::PathBuf;

pub(super) const BUNDLE: Flag = valued(&["bundle", "b"], "DIR", "the bundle; the default is the current directory");
pub(super) const CONFIG: Flag = valued(&["config", "f"], "FILE", "the configuration; the default is config.json");
pub(super) const CONSOLE: Flag = valued(&["console-socket"], "PATH", "socket that receives the terminal");
pub(super) const PIDFD: Flag = valued(&["pidfd-socket"], "PATH", "socket that receives a pidfd of the process");
pub(super) const PID_FILE: Flag = valued(&["pid-file"], "FILE", "file for the process's pid");
pub(super) const NO_PIVOT: Flag = switch(&["no-pivot"], "chroot instead of pivot_root, for a root that is a ramdisk");
pub(super) const NO_KEYRING: Flag = switch(&["no-new-keyring"], "keep the caller's session keyring");
pub(super) const PRESERVE: Flag = valued(&["preserve-fds"], "N", "number of descriptors passed besides the streams");

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "create",
    about: "create a container",
    arguments: "<container-id>",
    flags: &[BUNDLE, CONFIG, CONSOLE, PIDFD, PID_FILE, NO_PIVOT, NO_KEYRING, PRESERVE],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let options = options(&parsed, session)?;
    sealed::ensure()?;
    create::create(&session.store, &options)?;
    Ok(0)
}

/// The options that `create` and `run` share.
pub(super) fn options(parsed: &Parsed, session: &Session) -> Result<Options> {
    let listening = listening()?;
    Ok(Options {
        id: parsed.id()?.into(),
        bundle: parsed.path("bundle").unwrap_or_else(|| PathBuf::from(".")),
        config: parsed.path("config"),
        pid_file: parsed.path("pid-file"),
        console_socket: parsed.path("console-socket"),
        terminal: None,
        pidfd_socket: parsed.path("pidfd-socket"),
        no_pivot: parsed.on("no-pivot")?,
        new_keyring: !parsed.on("no-new-keyring")?,
        preserved: preserved(parsed, listening)?,
        listening,
        driver: session.driver,
        rootless: session.rootless,
    })
}

/// More than any process can have open (the kernel's own limit, fs.nr_open, is 1048576 by default).
const TOO_MANY: u32 = 1 << 24;

/// How many sockets a service manager passed; they go on to the container.
pub(super) fn listening() -> Result<u32> {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    if count < TOO_MANY {
        Ok(count)
    } else {
        Err(usage(format!("LISTEN_FDS: nobody has {count} descriptors")))
    }
}

/// How many descriptors behind the standard streams go on to the process.
pub(super) fn preserved(parsed: &Parsed, listening: u32) -> Result<u32> {
    match parsed.number("preserve-fds")?.unwrap_or(0) {
        count if count < TOO_MANY => Ok(count + listening),
        count => Err(parsed.error(format!("--preserve-fds: nobody has {count} descriptors"))),
    }
}
