//! What `create` and `exec` have in common on the runtime's side.

use crate::error::{Context, Error, Result};
use crate::process::channel::{Go, Parent, Report};
use crate::process::listener;
use crate::state::Container;
use spec::Status;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Where the process's terminal goes, if it wants one: the caller's console socket, or the one that our own command
/// line holds for a process in the foreground.
pub(crate) fn console(
    process: &spec::Process,
    socket: Option<&Path>,
    foreground: Option<&OwnedFd>,
) -> Result<Option<OwnedFd>> {
    match (process.terminal, socket, foreground) {
        (true, Some(path), _) => {
            sys::socket::connect(path).context(|| format!("connect to the console socket {}", path.display())).map(Some)
        }
        (true, None, Some(socket)) => socket.try_clone().during("duplicate a descriptor").map(Some),
        (true, None, None) => Err(Error::config(
            "process.terminal: cannot allocate tty if the runtime will detach without setting --console-socket",
        )),
        (false, Some(_), _) => {
            Err(Error::config("--console-socket: cannot use console socket if process.terminal is false"))
        }
        (false, None, _) => Ok(None),
    }
}

/// Connect to the caller's socket for a pidfd.
pub(crate) fn pidfd_socket(path: Option<&Path>) -> Result<Option<OwnedFd>> {
    path.map(|path| sys::socket::connect(path).context(|| format!("connect to the pidfd socket {}", path.display())))
        .transpose()
}

/// Send a pidfd, as a descriptor with its name.
pub(crate) fn send_pidfd(socket: Option<&OwnedFd>, pid: i32) -> Result<()> {
    let Some(socket) = socket else { return Ok(()) };
    let pidfd = sys::process::open_pidfd(pid).during("open the process")?;
    sys::socket::send_descriptor(socket, &pidfd, b"pidfd").during("send the pidfd to the caller")
}

/// Wait for the child's last word; a failure is reported as the child's, after it was reaped. It does not outlive any other
/// failure, either.
pub(crate) fn await_ready(channel: &Parent, pid: i32, container: &Container, status: Status) -> Result<()> {
    match last_word(channel, pid, container, status) {
        Ok(None) => Ok(()),
        Ok(Some(report)) => Err(failure(report, pid)),
        Err(error) => {
            // It may have ended by itself; a sibling (CLONE_PARENT) is not ours to reap.
            let _ = sys::process::kill(pid, sys::process::SIGKILL);
            let _ = sys::process::wait(pid, true);
            Err(error)
        }
    }
}

/// What is not the word that it is ready.
fn last_word(channel: &Parent, pid: i32, container: &Container, status: Status) -> Result<Option<Report>> {
    loop {
        match (channel.receive()?, &container.record.listener) {
            (Report::Ready, _) => return Ok(None),
            (Report::Listening(number), Some(listener)) => {
                listener::pass(container, listener, pid, number, status)?;
                channel.send(Go::Attached)?;
            }
            (other, _) => return Ok(Some(other)),
        }
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
