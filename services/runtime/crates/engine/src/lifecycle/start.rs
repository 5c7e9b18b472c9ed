//! `start`: the waiting process executes its program.

use crate::error::{Context, Error, Result};
use crate::lock::lock;
use crate::notify::Notice;
use crate::state::Store;
use crate::{hooks, Kind::NotRunning};
use spec::Status;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// Let the container's program run. The result is there if a service manager waits for its notice.
///
/// # Errors
/// `NotRunning` unless the container is created and waits.
pub fn start(store: &Store, id: &str) -> Result<Option<Notice>> {
    let container = store.load(id)?;
    let _lock = lock(&container)?;
    // As it is now that its creation has ended.
    let container = store.load(id)?;
    match container.status() {
        Status::Created => {}
        Status::Stopped => return Err(Error::new(NotRunning, "cannot start a container that has stopped")),
        _ => return Err(Error::new(NotRunning, "cannot start an already running container")),
    }
    let fifo = container.fifo();
    // ENXIO: the process that should read has ended since.
    let mut file = fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo).map_err(|error| {
        if error.raw_os_error() == Some(libc::ENXIO) {
            Error::new(NotRunning, "cannot start a container that has stopped")
        } else {
            Error::internal(format!("open {}: {error}", fifo.display()))
        }
    })?;
    let notice = Notice::listen(&container.directory, container.record.pid)?;
    // Removed first: from now on the container counts as running, and nobody can start it twice.
    fs::remove_file(&fifo).context(|| format!("remove {}", fifo.display()))?;
    let written = file.write_all(b"0").context(|| format!("write {}", fifo.display()));
    let state = container.state_as(Status::Running);
    if let Err(error) = written.and_then(|()| hooks::run(&container.record.poststart, &state, "poststart")) {
        // It may have ended by itself.
        let _ = sys::process::signal(&container.pidfd()?, sys::process::SIGKILL);
        return Err(error);
    }
    Ok(notice)
}
