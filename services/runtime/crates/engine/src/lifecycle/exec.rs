//! `exec`: another process in a running container.

use crate::error::{Context, Error, Kind, Result};
use crate::init::join::Joiner;
use crate::init::settle::Settings;
use crate::lifecycle::create::{keeps_groups, privileged};
use crate::notes::debug;
use crate::process::channel::{Child, Go, Parent, Report};
use crate::process::parent;
use crate::{state, Store};
use seccomp::Program;
use spec::{Process, Status};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use sys::clone::{clone3, Side};
use sys::namespace as ns;

/// What the command line says.
pub struct Options {
    /// The container's id.
    pub id: String,
    /// What to run.
    pub process: Process,
    /// Where the pid of the process is written.
    pub pid_file: Option<PathBuf>,
    /// A socket for the terminal's master.
    pub console_socket: Option<PathBuf>,
    /// The same for a process in the foreground of the command line.
    pub terminal: Option<OwnedFd>,
    /// A socket for a pidfd of the process.
    pub pidfd_socket: Option<PathBuf>,
    /// How many descriptors besides the standard streams go on to the process.
    pub preserved: u32,
    /// How many of those are sockets of a service manager.
    pub listening: u32,
    /// Cgroups below the container's, as `path` or `controller[,controller]:path`.
    pub cgroups: Vec<String>,
    /// Start it in a paused container, too; it stops at once.
    pub ignore_paused: bool,
}

/// Start a process; its pid and pidfd.
///
/// # Errors
/// `NotFound`, `NotRunning`, and those of the program.
pub fn exec(store: &Store, options: &Options) -> Result<(i32, OwnedFd)> {
    let container = store.load(&options.id)?;
    let status = container.status();
    let init = container.pidfd()?;
    if status == Status::Paused && !options.ignore_paused {
        return Err(Error::new(Kind::NotRunning, "cannot exec in a paused container"));
    }
    let filter = match fs::read(state::filter_in(&container.directory)) {
        Ok(bytes) => Some(
            Program::from_bytes(&bytes).ok_or_else(|| Error::internal("the container's seccomp filter is damaged"))?,
        ),
        // A container without a profile. Any other failure must not become a process without a filter.
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).during("read the container's seccomp filter"),
    };
    let console = parent::console(&options.process, options.console_socket.as_deref(), options.terminal.as_ref())?;
    let pidfd_socket = parent::pidfd_socket(options.pidfd_socket.as_deref())?;
    let cgroup =
        container.cgroup().below(&options.cgroups).map_err(|error| Error::config(format!("--cgroup: {error}")))?;
    let (ours, theirs) = sys::socket::pair().during("create a socket pair")?;
    let channel = Parent(ours);
    let kinds = different_namespaces(container.record.pid)?;
    // Who has no rights here has them in the container's user namespace: its pid namespace is joined from there, by a child
    // whose own child then is in it.
    let reborn = kinds & ns::CLONE_NEWUSER != 0 && kinds & ns::CLONE_NEWPID != 0 && !privileged()?;
    if kinds & ns::CLONE_NEWPID != 0 && !reborn {
        ns::setns(&init, ns::CLONE_NEWPID).during("join the pid namespace")?;
    }
    debug("nsexec container setup");
    let entrance = cgroup.entrance()?;
    match clone3(0, entrance.directory()).during("clone a process in the container's cgroup")? {
        Side::Child => {
            drop(channel);
            Joiner {
                process: &options.process,
                init: &init,
                entrance: Some(entrance),
                kinds: if reborn { kinds } else { kinds & !ns::CLONE_NEWPID },
                reborn,
                channel: Child(theirs),
                console,
                settings: Settings {
                    filter: filter.as_ref(),
                    preserved: options.preserved,
                    listening: options.listening,
                    makes_directory: false,
                    keep_groups: keeps_groups(&container.record.annotations),
                    notify: None,
                },
            }
            .run()
        }
        Side::Parent { pid, pidfd } => {
            drop(theirs);
            let (pid, pidfd) = if reborn { second_child(&channel, pid)? } else { (pid, pidfd) };
            let settle = || -> Result<()> {
                channel.send(Go::Limited)?;
                parent::await_ready(&channel, pid, &container, status)?;
                parent::send_pidfd(pidfd_socket.as_ref(), pid)?;
                if let Some(path) = &options.pid_file {
                    state::write_pid_file(path, pid)?;
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

/// The process whose parent only led into the namespaces; that one is reaped.
fn second_child(channel: &Parent, first: i32) -> Result<(i32, OwnedFd)> {
    match channel.receive()? {
        Report::Born(pid) => {
            sys::process::wait(first, true).during("wait for a child")?;
            Ok((pid, sys::process::open_pidfd(pid).during("open the process")?))
        }
        other => Err(parent::failure(other, first)),
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
