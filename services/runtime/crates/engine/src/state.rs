//! What the runtime remembers of a container: one directory with `state.json`, the start FIFO and the compiled filter.

use crate::error::{describe, Context, Error, Kind, Result};
use serde::{Deserialize, Serialize};
use spec::{Hook, State, Status};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const STATE: &str = "state.json";
const FIFO: &str = "exec.fifo";
const FILTER: &str = "seccomp.bpf";
const CONFIGURATION: &str = "config.json";
/// Where readers of crun's record look for it.
const STATUS: &str = "status";
const LONGEST_ID: usize = 1024;

/// The content of `state.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) oci_version: String,
    pub(crate) id: String,
    pub(crate) pid: i32,
    /// The process's start in clock ticks since boot: the same pid with another value is another process.
    pub(crate) start_time: u64,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) created: String,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) cgroups: Vec<(String, PathBuf)>,
    pub(crate) poststart: Vec<Hook>,
    pub(crate) poststop: Vec<Hook>,
    /// Who gets the descriptors of a filter with notifications.
    #[serde(default)]
    pub(crate) listener: Option<Listener>,
    /// The systemd unit that owns its cgroup.
    #[serde(default)]
    pub(crate) unit: Option<String>,
    /// Its group of Intel RDT.
    #[serde(default)]
    pub(crate) rdt: Option<crate::rdt::Groups>,
    /// The user that created it.
    #[serde(default)]
    pub(crate) owner: u32,
    /// What its standard streams were at its creation (`pipe:[4242]`, a path): a JSON list as a string, as crun records it. A
    /// checkpoint takes it along, so that a restore knows which streams to put in their places.
    #[serde(default, rename = "external_descriptors")]
    pub(crate) external_descriptors: String,
}

/// `linux.seccomp.listenerPath` and `listenerMetadata`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Listener {
    pub(crate) path: PathBuf,
    pub(crate) metadata: String,
}

/// The directory of all containers (`--root`).
pub struct Store {
    root: PathBuf,
}

/// One container that exists.
pub struct Container {
    pub(crate) directory: PathBuf,
    pub(crate) record: Record,
}

impl Store {
    /// The store below a directory, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Make the directory of a new container.
    ///
    /// # Errors
    /// `InvalidConfig` for a bad id, `AlreadyExists` for a known one.
    pub(crate) fn claim(&self, id: &str) -> Result<PathBuf> {
        check_id(id)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&self.root)
            .context(|| format!("create {}", self.root.display()))?;
        let directory = self.root.join(id);
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => Ok(directory),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Error::new(Kind::AlreadyExists, "container with given ID already exists"))
            }
            Err(error) => Err(error).context(|| format!("create {}", directory.display())),
        }
    }

    /// A container by its id.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub fn load(&self, id: &str) -> Result<Container> {
        check_id(id)?;
        let directory = self.root.join(id);
        let bytes = match fs::read(directory.join(STATE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::new(Kind::NotFound, "container does not exist"));
            }
            Err(error) => return Err(error).context(|| format!("read the state of {id}")),
        };
        let record = serde_json::from_slice(&bytes)
            .map_err(|error| Error::internal(format!("state of container {id}: {error}")))?;
        Ok(Container { directory, record })
    }

    /// Remove what a creation that was cut short left behind; harmless for an id that does not exist.
    ///
    /// # Errors
    /// Those of removing.
    pub fn remove_remains(&self, id: &str) -> Result<()> {
        check_id(id)?;
        remove_directory(&self.root.join(id))
    }

    /// The ids of all containers, sorted.
    ///
    /// # Errors
    /// Those of reading the directory.
    pub fn ids(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context(|| format!("list {}", self.root.display())),
        };
        let mut ids: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().join(STATE).exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        Ok(ids)
    }
}

fn check_id(id: &str) -> Result<()> {
    let good = |each: char| each.is_ascii_alphanumeric() || "_+-.".contains(each);
    if id.is_empty() || id.len() > LONGEST_ID || id == "." || id == ".." || !id.chars().all(good) {
        return Err(Error::config(format!("invalid container ID format: {id}")));
    }
    Ok(())
}

pub(crate) fn remove_directory(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

pub(crate) fn fifo_in(directory: &Path) -> PathBuf {
    directory.join(FIFO)
}

pub(crate) fn filter_in(directory: &Path) -> PathBuf {
    directory.join(FILTER)
}

/// Keep the configuration: `exec` needs it, whatever becomes of the bundle.
pub(crate) fn keep_configuration(directory: &Path, text: &[u8]) -> Result<()> {
    fs::write(directory.join(CONFIGURATION), text).during("keep the configuration")
}

/// The caller's standard streams, which become the container's, for `Record::external_descriptors`.
pub(crate) fn standard_streams() -> String {
    let name = |number: u8| match fs::read_link(format!("/proc/self/fd/{number}")) {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => String::new(),
    };
    serde_json::json!([name(0), name(1), name(2)]).to_string()
}

/// Let those who look for crun's record find ours, which has its fields as far as they mean the same.
pub(crate) fn link_status(directory: &Path) -> Result<()> {
    std::os::unix::fs::symlink(STATE, directory.join(STATUS)).during("link the container's state")
}

pub(crate) fn save(directory: &Path, record: &Record) -> Result<()> {
    let text = serde_json::to_vec(record).map_err(|error| Error::internal(format!("state: {error}")))?;
    let path = directory.join(STATE);
    let fresh = directory.join("state.json.new");
    fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path)).context(|| format!("write {}", path.display()))
}

impl Container {
    /// The container's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The pid of its process, which may have ended.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.record.pid
    }

    /// The configuration with which it was created.
    ///
    /// # Errors
    /// Those of reading.
    pub fn configuration(&self) -> Result<spec::Spec> {
        let path = self.directory.join(CONFIGURATION);
        let text = fs::read(&path).context(|| format!("read {}", path.display()))?;
        spec::read(&text).map_err(|error| Error::internal(format!("{}: {error}", path.display())))
    }

    /// Whether its process lives (a zombie does not).
    #[must_use]
    pub fn alive(&self) -> bool {
        process_start(self.record.pid).is_some_and(|start| start == self.record.start_time)
    }

    /// Where it is in its life.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.record.pid == 0 {
            return Status::Creating;
        }
        if !self.alive() {
            return Status::Stopped;
        }
        if self.fifo().exists() {
            return Status::Created;
        }
        if self.cgroup().frozen() {
            Status::Paused
        } else {
            Status::Running
        }
    }

    /// The document that `state` prints and hooks read.
    #[must_use]
    pub fn state(&self) -> State {
        self.state_as(self.status())
    }

    pub(crate) fn state_as(&self, status: Status) -> State {
        let record = &self.record;
        State {
            oci_version: record.oci_version.clone(),
            id: record.id.clone(),
            pid: if status == Status::Stopped { 0 } else { record.pid },
            status,
            bundle: record.bundle.display().to_string(),
            rootfs: record.rootfs.display().to_string(),
            created: record.created.clone(),
            annotations: record.annotations.clone(),
            owner: if record.owner == 0 { "root".into() } else { record.owner.to_string() },
        }
    }

    pub(crate) fn cgroup(&self) -> cgroups::Manager {
        cgroups::Manager::from_groups(self.record.cgroups.clone(), self.record.unit.as_deref())
    }

    pub(crate) fn fifo(&self) -> PathBuf {
        fifo_in(&self.directory)
    }

    /// A pidfd of the process, or `NotRunning`.
    pub(crate) fn pidfd(&self) -> Result<std::os::fd::OwnedFd> {
        let gone = || Error::new(Kind::NotRunning, "container not running");
        let pidfd = sys::process::open_pidfd(self.record.pid).map_err(|_| gone())?;
        // Checked after opening: now it is this process or none.
        if self.alive() {
            Ok(pidfd)
        } else {
            Err(gone())
        }
    }
}

/// When a process started, in ticks since boot; None if it does not live.
pub(crate) fn process_start(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses too.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// The current time as RFC 3339 with nanoseconds.
pub(crate) fn timestamp() -> String {
    let (seconds, nanoseconds) = sys::process::now();
    let (year, month, day, hour, minute, second) = sys::process::utc(seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

pub(crate) fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, pid.to_string())
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| Error::internal(format!("write pid file {}: {}", path.display(), describe(&error))))
}
