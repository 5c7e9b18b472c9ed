//! What `create` and `exec` have in common on the runtime's side.

use crate::channel::{Parent, Report};
use crate::error::{Context, Error, Result};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Connect to the caller's console socket, if the process wants a terminal.
pub(crate) fn console(process: &spec::Process, socket: Option<&Path>) -> Result<Option<OwnedFd>> {
    match (process.terminal, socket) {
        (true, Some(path)) => {
            sys::socket::connect(path).context(|| format!("connect to the console socket {}", path.display())).map(Some)
        }
        (true, None) => Err(Error::config("process.terminal: cannot allocate a terminal without --console-socket")),
        (false, Some(_)) => Err(Error::config("--console-socket: cannot be used if process.terminal is false")),
        (false, None) => Ok(None),
    }
}

/// Wait for the child's last word; a failure is reported as the child's, after it was reaped.
pub(crate) fn await_ready(channel: &Parent, pid: i32) -> Result<()> {
    match channel.receive()? {
        Report::Ready => Ok(()),
        other => Err(failure(other, pid)),
    }
}

pub(crate) fn failure(report: Report, pid: i32) -> Error {
    let error = match report {
        Report::Failed(error) => {
            Error::new(error.kind, format!("unable to start container process: {}", error.message))
        }
        _ => Error::internal("the container's process ended while it was created (was it killed?)"),
    };
    // A sibling (CLONE_PARENT) is not ours to reap.
    let _ = sys::process::wait(pid, true);
    error
}
