//! `run`: create, start, and wait for the end.

use super::create::{options, BUNDLE, CONFIG, CONSOLE, NO_KEYRING, NO_PIVOT, PIDFD, PID_FILE, PRESERVE};
use super::{Command, Outcome};
use crate::args::{switch, Grammar, Parsed};
use crate::session::Session;
use crate::{sealed, terminal};
use engine::lifecycle::create::{self, Options};
use engine::{lifecycle, Result};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "run",
    about: "create and run a container",
    arguments: "<container-id>",
    flags: &[
        BUNDLE,
        CONFIG,
        CONSOLE,
        PIDFD,
        PID_FILE,
        NO_PIVOT,
        NO_KEYRING,
        PRESERVE,
        switch(&["detach", "d"], "do not wait for the process"),
        switch(&["keep"], "keep the container when its process has ended"),
        switch(&["no-subreaper"], "do not inherit the container's orphans"),
    ],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let mut options = options(&parsed, session)?;
    let (detach, keep) = (parsed.on("detach")?, parsed.on("keep")?);
    sealed::ensure()?;
    let relay = if detach { None } else { foreground(&parsed, &mut options)? };
    let id = options.id.clone();
    let container = create::create(&session.store, &options)?;
    options.terminal = None;
    let notice = match lifecycle::start(&session.store, &id) {
        Ok(notice) => notice,
        Err(error) => {
            lifecycle::delete(&session.store, &id, true)?;
            return Err(error);
        }
    };
    if detach {
        notice.map_or(Ok(()), |notice| notice.forward())?;
        return Ok(0);
    }
    let forwarding = notice.map(|notice| std::thread::spawn(move || notice.forward()));
    let code = terminal::attend(container.pid(), relay)?;
    if let Some(forwarding) = forwarding {
        // A manager that is gone must not change the container's exit code.
        let _ = forwarding.join();
    }
    if !keep {
        lifecycle::delete(&session.store, &id, true)?;
    }
    Ok(code)
}

/// Get ready to wait for the container's process; our end of the way that its terminal takes, unless the caller has a socket
/// for it.
pub(super) fn foreground(parsed: &Parsed, options: &mut Options) -> Result<Option<OwnedFd>> {
    if !parsed.on("no-subreaper")? {
        // A kernel that refuses leaves orphans to the host's init, which reaps them, too.
        let _ = sys::identity::become_subreaper();
    }
    sys::process::block_signals();
    if options.console_socket.is_some() {
        return Ok(None);
    }
    let (near, far) = terminal::pair()?;
    options.terminal = Some(far);
    Ok(Some(near))
}
