//! `start`, `kill`, `delete`, `pause`, `resume`, `update`: what happens to a container that exists.

use crate::error::{Context, Error, Kind, Result};
use crate::record::{self, Container, Store};
use crate::{hooks, Kind::NotRunning};
use spec::{Resources, Status};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Let the container's program run.
///
/// # Errors
/// `NotRunning` unless the container is created and waits.
pub fn start(store: &Store, id: &str) -> Result<()> {
    let container = store.load(id)?;
    let _lock = lock(&container)?;
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
    // Removed first: from now on the container counts as running, and nobody can start it twice.
    fs::remove_file(&fifo).context(|| format!("remove {}", fifo.display()))?;
    file.write_all(b"0").context(|| format!("write {}", fifo.display()))?;
    hooks::run(&container.record.poststart, &container.state_as(Status::Running), "poststart")
}

/// Send a signal to the container's process, or with `all` to every process in it.
///
/// # Errors
/// `NotRunning` without `all` for a stopped container.
pub fn kill(store: &Store, id: &str, signal: i32, all: bool) -> Result<()> {
    let container = store.load(id)?;
    if all {
        return Ok(container.cgroup().signal_all(signal)?);
    }
    let pidfd = container.pidfd()?;
    match sys::process::signal(&pidfd, signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(Error::new(NotRunning, "container not running")),
        other => other.context(|| format!("send signal {signal}")),
    }?;
    // A frozen process does not die.
    if signal == sys::process::SIGKILL && container.cgroup().frozen() {
        container.cgroup().freeze(false)?;
    }
    Ok(())
}

/// Remove a stopped container; with `force` a living one is killed, and one that does not exist is no error.
///
/// # Errors
/// `NotFound`, `NotRunning` for a living one without `force`.
pub fn delete(store: &Store, id: &str, force: bool) -> Result<()> {
    let container = match store.load(id) {
        Err(error) if error.kind == Kind::NotFound && force => return store.remove_remains(id),
        other => other?,
    };
    let lock = lock(&container)?;
    let status = container.status();
    if status != Status::Stopped {
        if !force {
            return Err(Error::new(
                Kind::Internal,
                format!("cannot delete container {id} that is not stopped: {}", status.as_str()),
            ));
        }
        kill_and_wait(&container)?;
    }
    let cgroup = container.cgroup();
    // Processes that outlived a pid namespace shared with others.
    cgroup.signal_all(sys::process::SIGKILL)?;
    cgroup.destroy()?;
    record::remove_directory(&container.directory)?;
    drop(lock);
    hooks::run(&container.record.poststop, &container.state_as(Status::Stopped), "poststop")
}

fn kill_and_wait(container: &Container) -> Result<()> {
    let Ok(pidfd) = container.pidfd() else { return Ok(()) };
    if container.cgroup().frozen() {
        container.cgroup().freeze(false)?;
    }
    match sys::process::signal(&pidfd, sys::process::SIGKILL) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
        other => other.during("kill the container")?,
    }
    // Readable when the process has ended; whoever is its parent reaps it.
    if sys::fs::wait_readable_for(&pidfd, 10_000).during("wait for the container's end")? {
        Ok(())
    } else {
        Err(Error::internal("the container's process does not end after SIGKILL"))
    }
}

/// Freeze or thaw all processes.
///
/// # Errors
/// `NotRunning` for a container in the wrong state.
pub fn pause(store: &Store, id: &str, paused: bool) -> Result<()> {
    let container = store.load(id)?;
    match (container.status(), paused) {
        (Status::Running | Status::Created, true) | (Status::Paused, false) => Ok(container.cgroup().freeze(paused)?),
        (_, true) => Err(Error::new(NotRunning, "container not running")),
        (_, false) => Err(Error::new(NotRunning, "container not paused")),
    }
}

/// Change limits.
///
/// # Errors
/// `NotRunning`, and the file that refused a value.
pub fn update(store: &Store, id: &str, resources: &Resources) -> Result<()> {
    let container = store.load(id)?;
    if container.status() == Status::Stopped {
        return Err(Error::new(NotRunning, "container not running"));
    }
    Ok(container.cgroup().apply(resources, false)?)
}

/// The pids of all processes in the container.
///
/// # Errors
/// `NotFound`.
pub fn pids(store: &Store, id: &str) -> Result<Vec<i32>> {
    Ok(store.load(id)?.cgroup().pids()?)
}

fn lock(container: &Container) -> Result<fs::File> {
    let directory = match fs::File::open(&container.directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::new(Kind::NotFound, "container does not exist"));
        }
        other => other.during("open the container's state")?,
    };
    sys::fs::lock(&directory).during("lock the container's state")?;
    Ok(directory)
}
