//! `checkpoint`: a container's processes become files, and can be restored from them.

use crate::criu::{explain, mounts, namespaces, Feature, Message, Notice, Options, Request, Service, DESCRIPTORS};
use crate::error::{describe, Context, Error, Result};
use crate::lifecycle::delete;
use crate::lock::lock;
use crate::state::{Container, Store};
use crate::Kind::NotRunning;
use spec::Status;
use std::cell::RefCell;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const LOG: &str = "dump.log";

/// What only a checkpoint has.
#[derive(Debug, Default)]
pub struct Extent {
    /// Images of an earlier pre-dump, relative to the image directory.
    pub parent: Option<PathBuf>,
    /// Let the container go on.
    pub leave_running: bool,
    /// Save memory alone, and let the container go on.
    pub pre_dump: bool,
    /// Leave out connections that are being made.
    pub tcp_skip_in_flight: bool,
    /// Where memory goes, as address and port.
    pub page_server: Option<(String, u16)>,
    /// Gets a NUL when memory can be fetched.
    pub status: Option<OwnedFd>,
}

/// Save a container; unless it is left running, it is deleted.
///
/// # Errors
/// `NotFound`; `NotRunning` for a container that is not running or paused; without CRIU, or with the first error in its
/// log. The container then goes on.
pub fn checkpoint(store: &Store, id: &str, options: &Options, extent: Extent) -> Result<()> {
    let stays = extent.leave_running || extent.pre_dump;
    let container = store.load(id)?;
    options.check().map_err(|error| named(&error))?;
    let lock = lock(&container)?;
    let container = store.load(id)?;
    match container.status() {
        Status::Running | Status::Paused => {}
        other => {
            return Err(Error::new(NotRunning, format!("container cannot be checkpointed in {} state", other.as_str())))
        }
    }
    save(&container, options, extent).map_err(|error| named(&error))?;
    drop(lock);
    if stays {
        return Ok(());
    }
    // Its processes have ended with the dump.
    delete(store, id, true)
}

fn named(error: &Error) -> Error {
    Error::new(error.kind, format!("checkpoint: {}", error.message))
}

fn save(container: &Container, options: &Options, extent: Extent) -> Result<()> {
    let spec = container.configuration()?;
    let linux = spec.linux.as_ref().ok_or_else(|| Error::config("linux: is required"))?;
    mounts::check(&spec)?;
    if container.directory.join("notify").exists() {
        return Err(Error::config("a container with a socket for notices (NOTIFY_SOCKET) cannot be restored"));
    }
    let service = options.start(false)?;
    let directories = options.directories(LOG, true)?;
    let cgroup = container.cgroup();
    let mut message = options.message(&directories, &spec.annotations)?;
    message
        .number(2, container.record.pid)
        .flag(3, extent.leave_running)
        .text(13, container.record.rootfs.as_os_str().as_encoded_bytes())
        .flag(46, extent.tcp_skip_in_flight);
    if let Some(path) = cgroup.freezer() {
        message.text(44, path.as_os_str().as_encoded_bytes());
    }
    namespaces::leave_out(linux, &mut message)?;
    follow(&extent, options, &service, &mut message)?;
    let kind = if extent.pre_dump {
        Request::PreDump
    } else {
        mounts::leave_out(&spec, container.record.pid, &cgroup, &mut message)?;
        write_descriptors(container, &options.images)?;
        Request::Dump
    };
    let status = RefCell::new(extent.status);
    let mut notify = |notice: Notice<'_>| {
        if notice.script != "status-ready" {
            return Ok(());
        }
        match status.take() {
            Some(status) => sys::fs::write(&status, &[0]).during("--status-fd: say that memory can be fetched"),
            None => Ok(()),
        }
    };
    service.ask(kind, &message, &mut notify).map_err(|error| explain(&error, directories.log()))
}

/// What makes one of several dumps, or sends memory elsewhere.
fn follow(extent: &Extent, options: &Options, service: &Service, message: &mut Message) -> Result<()> {
    if let Some((address, port)) = &extent.page_server {
        let mut part = Message::default();
        part.text(1, address).number(2, i32::from(*port));
        message.part(11, &part);
    }
    if let Some(parent) = &extent.parent {
        let real = options.images.join(parent);
        let problem = match fs::metadata(&real) {
            _ if parent.is_absolute() => Some("must be relative to the image path".into()),
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some("not a directory".into()),
            Err(error) => Some(describe(&error)),
        };
        if let Some(problem) = problem {
            return Err(Error::config(format!("--parent-path {}: {problem}", parent.display())));
        }
        message.text(14, parent.as_os_str().as_encoded_bytes());
    }
    if extent.parent.is_some() || extent.pre_dump {
        if !service.has(Feature::MemoryTracking)? {
            return Err(Error::internal("criu is missing features: this kernel does not track changes of memory"));
        }
        message.flag(15, true);
    }
    Ok(())
}

/// For a restore, maybe by another runtime, which gives pipes their new ends.
fn write_descriptors(container: &Container, images: &Path) -> Result<()> {
    use std::io::Write;
    let path = images.join(DESCRIPTORS);
    let recorded = Some(container.record.external_descriptors.as_str()).filter(|text| !text.is_empty());
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(recorded.unwrap_or("[]").as_bytes()))
        .context(|| format!("write {}", path.display()))
}
