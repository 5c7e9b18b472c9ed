//! In the container's root: everything between the mounts and the execution.

use crate::error::{Context, Error, Result};
use crate::init::environment::environment;
use crate::init::program::{find_program, Ready};
use crate::init::{credentials, scheduling};
use crate::lsm::Label;
use crate::notes;
use crate::process::channel::Child;
use crate::rootfs::resolve::{self, Want};
use seccomp::Program;
use spec::Process;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::{identity as id, process};

/// What the runtime decides about a process besides its document.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) filter: Option<&'a Program>,
    /// Descriptors passed on besides the standard streams.
    pub(crate) preserved: u32,
    /// How many of them are sockets of a service manager.
    pub(crate) listening: u32,
    /// Make the working directory if it is missing: a container's first process gets it, an exec does not.
    pub(crate) makes_directory: bool,
    /// Keep the caller's supplementary groups.
    pub(crate) keep_groups: bool,
    /// The variable that names the socket for a notice of readiness.
    pub(crate) notify: Option<&'a str>,
}

/// Everything between the mounts and the execution. `kept` are descriptors besides the preserved ones that stay open until the
/// execution.
pub(crate) fn become_process(
    process: &Process,
    settings: Settings<'_>,
    label: Option<Label>,
    channel: &Child,
    kept: &[RawFd],
) -> Result<Ready> {
    give_streams(process.user.uid);
    let root = resolve::host_directory(Path::new("/"))?;
    let directory = if settings.makes_directory {
        resolve::ensure(&root, Path::new(&process.cwd), Want::Directory)
            .map_err(|error| Error::new(error.kind, format!("process.cwd: {}", error.message)))?
    } else {
        // Docker derives the exit status from these words.
        resolve::open(&root, Path::new(&process.cwd))
            .context(|| format!("chdir to cwd ({:?}) set in config.json failed", process.cwd))?
    };
    drop(root);
    credentials::set_limits(process)?;
    scheduling::set(process)?;
    if process.no_new_privileges {
        id::set_no_new_privileges().during("set no_new_privs")?;
    }
    let late = match settings.filter {
        // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go.
        Some(filter) if !process.no_new_privileges => {
            install(filter, channel)?;
            None
        }
        other => other.cloned(),
    };
    credentials::warn_about(process)?;
    // From here on the log is closed, too.
    notes::stop();
    // Closed, not only marked: the working directory and the program's path are looked up after this, and must not lead
    // to the host through one that we, or our caller, left open (CVE-2024-21626).
    let labels = label.iter().flat_map(Label::descriptors);
    let kept: Vec<RawFd> = kept.iter().copied().chain([directory.as_raw_fd()]).chain(labels).collect();
    process::close_from(3 + settings.preserved, &kept).during("close descriptors")?;
    for number in 3..3 + settings.preserved {
        // What the runtime itself has opened is close-on-exec, and is not the caller's to pass on.
        let number = number as RawFd;
        if process::inherited(number) {
            process::keep_on_exec(number).context(|| format!("keep descriptor {number}"))?;
        } else if !kept.contains(&number) {
            process::close(number);
        }
    }
    // A directory may be open to the runtime alone, or to the user alone.
    let early = sys::fs::change_directory(&directory).is_ok();
    credentials::assume(process, settings.keep_groups)?;
    if !early {
        sys::fs::change_directory(&directory).context(|| format!("change to directory {}", process.cwd))?;
    }
    if !std::env::current_dir().is_ok_and(|found| found.is_absolute() && !found.starts_with("(unreachable)")) {
        return Err(Error::internal(format!("process.cwd: {} is outside of the container", process.cwd)));
    }
    let path = find_program(process, &directory)?;
    drop(directory);
    let strings = |list: &[String]| process::cstrings(list).during("process strings");
    let late = match late {
        // Who answers must know it before the runtime ends.
        Some(filter) if filter.notifies() => {
            install(&filter, channel)?;
            None
        }
        other => other,
    };
    Ok(Ready {
        path: sys::cstring(path.as_os_str().as_bytes()).during("program path")?,
        args: strings(&process.args)?,
        env: strings(&environment(process, settings))?,
        filter: late,
        label,
    })
}

fn install(filter: &Program, channel: &Child) -> Result<()> {
    let number = id::install_filter(&filter.instructions, filter.flags).during("install the seccomp filter")?;
    if filter.notifies() {
        channel.listening(&process::adopt(number).during("the filter's descriptor")?)?;
    }
    Ok(())
}

/// Standard streams that are files or pipes of the caller belong to the container's user, as with runc; a device, or a
/// file on a read-only mount, stays as it is.
fn give_streams(uid: u32) {
    if uid == 0 {
        return;
    }
    for number in 0..3 {
        if let Ok(stream) = process::adopt(number) {
            if !process::is_null_device(number) {
                let _ = sys::fs::chown(&stream, uid, u32::MAX);
            }
            // Only borrowed: it is the stream itself.
            std::mem::forget(stream);
        }
    }
}
