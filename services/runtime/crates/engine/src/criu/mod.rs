//! Checkpoints by CRIU, which is asked by its RPC (`images/rpc.proto` of its source) as runc asks it, so that images made
//! through one can be restored through the other.

mod message;
pub(crate) mod mounts;
pub(crate) mod namespaces;
mod service;

pub(crate) use message::Message;
pub(crate) use service::{explain, Feature, Notice, Request, Service};

use crate::error::{describe, Context, Error, Result};
use crate::notes::warn;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use sys::namespace as ns;

/// The oldest version with all that is asked for.
const OLDEST: u64 = 31_500;
/// Settings for CRIU that a host's administrator makes for all containers, where runc looks for them.
const SETTINGS: &str = "/etc/criu/runc.conf";
/// The standard streams of the container, in the image directory.
pub(crate) const DESCRIPTORS: &str = "descriptors.json";

/// What `checkpoint` and `restore` have in common.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The program, as a path or as a name to be found in `PATH`.
    pub program: PathBuf,
    /// The directory of the images.
    pub images: PathBuf,
    /// Where CRIU keeps its log, if it is not there.
    pub work: Option<PathBuf>,
    /// Keep open TCP connections.
    pub tcp_established: bool,
    /// Allow Unix sockets that are connected to others outside.
    pub ext_unix_sk: bool,
    /// Allow a process in the caller's session.
    pub shell_job: bool,
    /// Keep file locks.
    pub file_locks: bool,
    /// Link files without a name back.
    pub link_remap: bool,
    /// Remove memory from the images when it is not needed there any more.
    pub auto_dedup: bool,
    /// Fetch memory when it is needed.
    pub lazy_pages: bool,
    /// soft, full, strict or ignore.
    pub cgroups_mode: Option<String>,
    /// iptables, nftables or skip: how connections are held meanwhile.
    pub network_lock: Option<String>,
    /// Kinds of namespaces whose content is left out; that of network namespaces always is, as with runc.
    pub empty_namespaces: Vec<String>,
}

/// The directories of the images and of the log, open for CRIU.
pub(crate) struct Directories {
    images: fs::File,
    work: Option<fs::File>,
    log: PathBuf,
}

impl Directories {
    /// The log that CRIU writes.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }
}

/// Whether the program can be found.
#[must_use]
pub fn present(program: &Path) -> bool {
    service::find(program).is_ok()
}

impl Options {
    /// Refuse what cannot work before anything is made: words that CRIU has no number for, and a host without it.
    pub(crate) fn check(&self) -> Result<()> {
        service::find(&self.program)?;
        self.cgroups_mode()?;
        self.network_lock()?;
        self.empty_namespaces().map(drop)
    }

    /// Open the directories; with `make`, those that are missing are made.
    pub(crate) fn directories(&self, log: &str, make: bool) -> Result<Directories> {
        if make {
            make_directory(&self.images)?;
        }
        let images = fs::File::open(&self.images)
            .map_err(|error| Error::config(format!("--image-path {}: {}", self.images.display(), describe(&error))))?;
        let work = match &self.work {
            Some(path) => {
                make_directory(path)?;
                Some(fs::File::open(path).context(|| format!("open {}", path.display()))?)
            }
            None => None,
        };
        let log = self.work.as_deref().unwrap_or(&self.images).join(log);
        Ok(Directories { images, work, log })
    }

    /// Start CRIU and make sure that it is recent enough.
    pub(crate) fn start(&self, streams: bool) -> Result<Service> {
        if sys::process::effective_uid() != 0 {
            return Err(Error::internal("criu needs to be run by root"));
        }
        if !sys::process::in_first_user_namespace() {
            warn("checkpoints in a user namespace are not tested");
        }
        let service = Service::start(&self.program, streams)?;
        let version = service.version()?;
        if version < OLDEST {
            return Err(Error::internal(format!("criu is too old: version {version} must be {OLDEST} or higher")));
        }
        if self.lazy_pages && !service.has(Feature::LazyPages)? {
            return Err(Error::internal("--lazy-pages: criu, or this kernel, cannot load memory on demand"));
        }
        Ok(service)
    }

    /// The part of the request (`criu_opts`) that both have.
    pub(crate) fn message(&self, directories: &Directories, annotations: &BTreeMap<String, String>) -> Result<Message> {
        let mut message = Message::default();
        message
            .number(1, directories.images.as_raw_fd())
            .flag(4, self.ext_unix_sk)
            .flag(5, self.tcp_established)
            .flag(7, self.shell_job)
            .flag(8, self.file_locks)
            .number(9, 4)
            .text(10, directories.log.file_name().unwrap_or_default().as_encoded_bytes())
            .flag(12, true)
            .flag(16, self.auto_dedup)
            .flag(18, self.link_remap)
            .number(34, self.cgroups_mode()?)
            .number(38, self.empty_namespaces()?)
            .flag(48, self.lazy_pages)
            .flag(50, true);
        if let Some(work) = &directories.work {
            message.number(17, work.as_raw_fd());
        }
        if let Some(method) = self.network_lock()? {
            message.number(64, method);
        }
        match annotations.get("org.criu.config").map(String::as_str) {
            Some("") => {}
            settings => drop(message.text(51, settings.unwrap_or(SETTINGS))),
        }
        Ok(message)
    }

    fn cgroups_mode(&self) -> Result<i32> {
        match self.cgroups_mode.as_deref() {
            None | Some("") => Ok(6),
            Some("ignore") => Ok(0),
            Some("soft") => Ok(3),
            Some("full") => Ok(4),
            Some("strict") => Ok(5),
            Some(other) => {
                Err(Error::config(format!("--manage-cgroups-mode: {other:?} is not soft, full, strict or ignore")))
            }
        }
    }

    fn network_lock(&self) -> Result<Option<i32>> {
        match self.network_lock.as_deref() {
            None => Ok(None),
            Some("iptables") => Ok(Some(1)),
            Some("nftables") => Ok(Some(2)),
            Some("skip") => Ok(Some(3)),
            Some(other) => Err(Error::config(format!("--network-lock: {other:?} is not iptables, nftables or skip"))),
        }
    }

    fn empty_namespaces(&self) -> Result<i32> {
        match self.empty_namespaces.iter().find(|kind| *kind != "network") {
            Some(other) => Err(Error::config(format!("--empty-ns: namespace {other:?} is not supported"))),
            None => Ok(ns::CLONE_NEWNET),
        }
    }
}

fn make_directory(path: &Path) -> Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).context(|| format!("create {}", path.display()))
        }
        _ => Ok(()),
    }
}
