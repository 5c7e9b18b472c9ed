//! `exec`: another process in a running container.

use crate::channel::{Child, Go, Parent};
use crate::error::{Context, Error, Kind, Result};
use crate::init::Joiner;
use crate::{parent, record, Store};
use seccomp::Program;
use spec::{Process, Status};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use sys::clone::{clone3, Side};
use sys::namespace as ns;

/// What the command line says.
pub struct Options {
    pub id: String,
    pub process: Process,
    pub pid_file: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    pub preserved: u32,
    /// The process becomes a child of our caller, which reaps it.
    pub detach: bool,
}

/// Start a process; its pid and pidfd.
///
/// # Errors
/// `NotFound`, `NotRunning`, and those of the program.
pub fn exec(store: &Store, options: &Options) -> Result<(i32, OwnedFd)> {
    let container = store.load(&options.id)?;
    let status = container.status();
    let init = container.pidfd()?;
    if status == Status::Paused {
        return Err(Error::new(Kind::NotRunning, "cannot exec in a paused container"));
    }
    let filter = match fs::read(record::filter_in(&container.directory)) {
        Ok(bytes) => Some(
            Program::from_bytes(&bytes).ok_or_else(|| Error::internal("the container's seccomp filter is damaged"))?,
        ),
        Err(_) => None,
    };
    let console = parent::console(&options.process, options.console_socket.as_deref())?;
    let (ours, theirs) = sys::socket::pair().during("create a socket pair")?;
    let channel = Parent(ours);
    let kinds = different_namespaces(container.record.pid)?;
    if kinds & ns::CLONE_NEWPID != 0 {
        ns::setns(&init, ns::CLONE_NEWPID).during("join the pid namespace")?;
    }
    let entrance = container.cgroup().entrance()?;
    match clone3(0, entrance.directory()).during("clone a process in the container's cgroup")? {
        Side::Child => {
            drop(channel);
            Joiner {
                process: &options.process,
                init: &init,
                entrance: Some(entrance),
                kinds: kinds & !ns::CLONE_NEWPID,
                channel: Child(theirs),
                console,
                filter: filter.as_ref(),
                preserved: options.preserved,
            }
            .run()
        }
        Side::Parent { pid, pidfd } => {
            drop(theirs);
            let settle = || -> Result<()> {
                channel.send(Go::Limited);
                parent::await_ready(&channel, pid)?;
                if let Some(path) = &options.pid_file {
                    record::write_pid_file(path, pid)?;
                }
                Ok(())
            };
            if let Err(error) = settle() {
                // It may have ended by itself.
                let _ = sys::process::signal(&pidfd, sys::process::SIGKILL);
                let _ = sys::process::wait(pid, true);
                return Err(error);
            }
            Ok((pid, pidfd))
        }
    }
}

/// Which namespaces of the container are not ours: joining one's own user namespace is an error.
fn different_namespaces(pid: i32) -> Result<i32> {
    let mut kinds = 0;
    for (name, flag) in [
        ("pid", ns::CLONE_NEWPID),
        ("mnt", ns::CLONE_NEWNS),
        ("net", ns::CLONE_NEWNET),
        ("ipc", ns::CLONE_NEWIPC),
        ("uts", ns::CLONE_NEWUTS),
        ("user", ns::CLONE_NEWUSER),
        ("cgroup", ns::CLONE_NEWCGROUP),
        ("time", ns::CLONE_NEWTIME),
    ] {
        let inode = |path: String| fs::metadata(path).map(|meta| meta.ino());
        match (inode(format!("/proc/{pid}/ns/{name}")), inode(format!("/proc/self/ns/{name}"))) {
            (Ok(theirs), Ok(ours)) => kinds |= if theirs == ours { 0 } else { flag },
            // A kernel without this kind of namespace.
            (_, Err(_)) => {}
            (Err(_), Ok(_)) => return Err(Error::new(Kind::NotRunning, "container not running")),
        }
    }
    Ok(kinds)
}
