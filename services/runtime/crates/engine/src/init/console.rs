//! The container's terminal: made from its own devpts, its master handed to the caller.

use crate::error::{Context, Error, Result};
use spec::config::ConsoleSize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const DEVPTS_MAGIC: i64 = 0x1CD1;

/// Both sides of a new terminal.
pub(crate) struct Console {
    master: OwnedFd,
    pub(crate) peer: OwnedFd,
}

impl Console {
    /// Open a terminal on the devpts of the root behind `root`.
    pub(crate) fn open(root: impl AsFd, size: Option<ConsoleSize>, uid: u32) -> Result<Self> {
        // Only what belongs to a devpts is opened: opening a device, or a FIFO, of the image may do harm by itself.
        let folder = sys::openat2::open_in_root(root, Path::new("dev/pts"), libc::O_PATH | libc::O_DIRECTORY, 0)
            .during("open /dev/pts of the container")?;
        if sys::fs::filesystem_magic(&folder).during("statfs /dev/pts")? != DEVPTS_MAGIC {
            return Err(Error::internal("the container's /dev/pts is not a devpts"));
        }
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        let master = sys::openat2::open_strict(&folder, Path::new("ptmx"), flags, 0)
            .during("open /dev/pts/ptmx of the container")?;
        let peer = sys::tty::open_peer(&master).during("open the terminal")?;
        if let Some(size) = size.filter(|size| size.height > 0 && size.width > 0) {
            sys::tty::set_size(&master, size.height, size.width).during("set the terminal's size")?;
        }
        if uid != 0 {
            sys::fs::chown(&peer, uid, u32::MAX).during("give the terminal to the user")?;
        }
        Ok(Self { master, peer })
    }

    /// Send the master to the caller and take the other side as controlling terminal and standard streams.
    pub(crate) fn take(self, socket: &OwnedFd) -> Result<()> {
        sys::socket::send_descriptor(socket, &self.master, b"/dev/ptmx").during("send the terminal to the caller")?;
        sys::tty::make_controlling(&self.peer).during("set the controlling terminal")?;
        for number in 0..3 {
            sys::process::duplicate_onto(&self.peer, number).during("set up standard streams")?;
        }
        Ok(())
    }
}
