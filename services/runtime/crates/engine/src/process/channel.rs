//! The packets between the runtime and the child that becomes the container's process.

use crate::error::{Context, Error, Kind, Result};
use std::os::fd::OwnedFd;

/// From the child to the runtime.
pub(crate) enum Report {
    /// The container's process is another one than the runtime cloned.
    Born(i32),
    /// A filter with notifications is installed; its descriptor in the child.
    Listening(i32),
    /// The root file system stands; hooks of the runtime's namespaces may run.
    Mounted,
    /// Everything is done; the program will be executed when the container is started.
    Ready,
    /// It failed.
    Failed(Error),
    /// It ended without a word.
    Gone,
}

/// From the runtime to the child.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Go {
    /// The ids of the user namespace are mapped, or the process is known.
    Mapped = b'U',
    /// The process is in its cgroup, which is limited.
    Limited = b'G',
    /// The hooks have run.
    Hooked = b'H',
    /// The listener has the filter's descriptor.
    Attached = b'A',
}

pub(crate) struct Parent(pub(crate) OwnedFd);

impl Parent {
    /// Tell the child to go on. A child that died is no error: it reports by `receive`.
    pub(crate) fn send(&self, go: Go) -> Result<()> {
        match sys::socket::send(&self.0, &[go as u8]) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => Ok(()),
            // Without this word it would wait for ever.
            other => other.during("tell the container's process to go on"),
        }
    }

    pub(crate) fn receive(&self) -> Result<Report> {
        let mut buffer = vec![0; 64 << 10];
        let length = sys::socket::receive(&self.0, &mut buffer).during("receive from the container's process")?;
        Ok(match buffer[..length].split_first() {
            None => Report::Gone,
            Some((b'P', number)) => match number.try_into().map_or(0, i32::from_le_bytes) {
                pid if pid > 0 => Report::Born(pid),
                // To kill it would be to kill many.
                pid => Report::Failed(Error::internal(format!("{pid} is not a process"))),
            },
            Some((b'S', number)) => Report::Listening(number.try_into().map_or(-1, i32::from_le_bytes)),
            Some((b'M', _)) => Report::Mounted,
            Some((b'R', _)) => Report::Ready,
            Some((_, text)) => {
                let text = String::from_utf8_lossy(text);
                let (kind, message) = text.split_once('\n').unwrap_or(("internal", &text));
                Report::Failed(Error::new(Kind::parse(kind), message))
            }
        })
    }
}

pub(crate) struct Child(pub(crate) OwnedFd);

impl Child {
    pub(crate) fn born(&self, pid: i32) -> Result<()> {
        sys::socket::send(&self.0, &[&b"P"[..], &pid.to_le_bytes()].concat()).during("report to the runtime")
    }

    pub(crate) fn mounted(&self) -> Result<()> {
        sys::socket::send(&self.0, b"M").during("report to the runtime")
    }

    /// Hand over a filter's descriptor. The filter is in force: only write(2) and read(2) are used, as runc's users
    /// know, and a filter that asks about write is refused.
    pub(crate) fn listening(&self, descriptor: &OwnedFd) -> Result<()> {
        use std::os::fd::AsRawFd;
        let message = [&b"S"[..], &descriptor.as_raw_fd().to_le_bytes()].concat();
        sys::fs::write(&self.0, &message).during("report to the runtime")?;
        let mut buffer = [0];
        let length = sys::fs::read(&self.0, &mut buffer).during("wait for the runtime")?;
        if length == 1 && buffer[0] == Go::Attached as u8 {
            Ok(())
        } else {
            Err(Error::internal("the runtime ended before the container was created"))
        }
    }

    pub(crate) fn ready(&self) -> Result<()> {
        sys::socket::send(&self.0, b"R").during("report to the runtime")
    }

    pub(crate) fn failed(&self, error: &Error) {
        let mut text = format!("E{}\n{}", error.kind.as_str(), error.message);
        let mut end = text.len().min(60 << 10);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        // A runtime that has gone reads nothing.
        let _ = sys::socket::send(&self.0, text.as_bytes());
    }

    /// Wait for a word of the runtime; its end is an error.
    pub(crate) fn wait(&self, go: Go) -> Result<()> {
        let mut buffer = [0];
        let length = sys::socket::receive(&self.0, &mut buffer).during("wait for the runtime")?;
        if length == 1 && buffer[0] == go as u8 {
            Ok(())
        } else {
            Err(Error::internal("the runtime ended before the container was created"))
        }
    }
}
