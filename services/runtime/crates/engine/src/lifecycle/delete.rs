//! `delete`: nothing of a container stays behind.

use crate::error::{Context, Error, Kind, Result};
use crate::hooks;
use crate::lock::lock;
use crate::state::{self, Container, Store};
use spec::Status;

/// Remove a stopped container, or one that was never started; with `force` a living one is killed, and one that does not exist is no error.
///
/// # Errors
/// `NotFound`, `NotRunning` for a living one without `force`.
pub fn delete(store: &Store, id: &str, force: bool) -> Result<()> {
    let container = match store.load(id) {
        Err(error) if error.kind == Kind::NotFound && force => return store.remove_remains(id),
        other => other?,
    };
    if force {
        // Also while it is being created, or started: that ends with the process, and gives up the lock.
        if let Ok(pidfd) = container.pidfd() {
            // It may have just ended.
            let _ = sys::process::signal(&pidfd, sys::process::SIGKILL);
        }
    }
    let lock = lock(&container)?;
    // As it is now that its creation has ended; one that failed is gone.
    let container = match store.load(id) {
        Err(error) if error.kind == Kind::NotFound && force => return Ok(()),
        other => other?,
    };
    let status = container.status();
    if status != Status::Stopped {
        if !force && status != Status::Created {
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
    container.record.rdt.as_ref().map_or(Ok(()), crate::rdt::Groups::remove)?;
    state::remove_directory(&container.directory)?;
    drop(lock);
    hooks::run_all(&container.record.poststop, &container.state_as(Status::Stopped), "poststop");
    Ok(())
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
    if sys::fs::wait_readable_for(&pidfd, 1_000).during("wait for the container's end")? {
        return Ok(());
    }
    // Somebody may have moved it into a frozen cgroup of theirs, where it cannot die: take it back. Or it waits for the end of
    // processes of its pid namespace that are held by others in its cgroup, such as a CRIU whose caller was killed while it
    // traced them. Where that fails, the second wait tells.
    let _ = container.cgroup().add(container.record.pid);
    let _ = container.cgroup().signal_all(sys::process::SIGKILL);
    if sys::fs::wait_readable_for(&pidfd, 10_000).during("wait for the container's end")? {
        Ok(())
    } else {
        Err(Error::internal("the container's process does not end after SIGKILL"))
    }
}
