//! Control groups of one container: v1, hybrid and v2, driven through the file system.

mod devices;
mod entrance;
mod layout;
mod v1;
mod v2;

pub use entrance::Entrance;
pub use layout::{detect, Layout};

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Why a cgroup operation failed: a sentence that names the file, and the cause.
#[derive(Debug)]
pub struct Error {
    pub what: String,
    pub source: io::Error,
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

type Result<T> = std::result::Result<T, Error>;

pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error { what: what(), source })
    }
}

/// One directory of the container: all of v2, or one hierarchy of v1.
#[derive(Clone, Debug)]
pub struct Group {
    /// The controllers of the hierarchy as the kernel joins them (`cpu,cpuacct`); empty on v2.
    pub controllers: String,
    pub path: PathBuf,
}

/// The cgroup of one container.
#[derive(Clone, Debug)]
pub struct Manager {
    unified: bool,
    groups: Vec<Group>,
}

impl Manager {
    /// The cgroup at `path` (absolute from the root of each hierarchy); nothing is made yet.
    #[must_use]
    pub fn new(layout: &Layout, path: &str) -> Self {
        let relative = path.trim_start_matches('/');
        match layout {
            Layout::Unified { root } => {
                Self { unified: true, groups: vec![Group { controllers: String::new(), path: root.join(relative) }] }
            }
            Layout::Split { hierarchies } => Self {
                unified: false,
                groups: hierarchies
                    .iter()
                    .map(|each| Group { controllers: each.controllers.clone(), path: each.root.join(relative) })
                    .collect(),
            },
        }
    }

    /// The cgroup whose directories were recorded, as controllers and path.
    #[must_use]
    pub fn from_groups(groups: Vec<(String, PathBuf)>) -> Self {
        Self {
            unified: matches!(groups.as_slice(), [(controllers, _)] if controllers.is_empty()),
            groups: groups.into_iter().map(|(controllers, path)| Group { controllers, path }).collect(),
        }
    }

    /// The directories.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether this is cgroup v2.
    #[must_use]
    pub fn unified(&self) -> bool {
        self.unified
    }

    /// Make the directories.
    ///
    /// # Errors
    /// Names the directory that cannot be made.
    pub fn create(&self) -> Result<()> {
        for group in &self.groups {
            if self.unified {
                v2::create(group)?;
            } else {
                v1::create(group)?;
            }
        }
        Ok(())
    }

    /// Write the limits. With `devices`, the device rules, too (they are set once, at creation).
    ///
    /// # Errors
    /// Names the file that refused a value, or the limit that this host cannot express.
    pub fn apply(&self, resources: &spec::Resources, devices: bool) -> Result<()> {
        if self.unified {
            v2::apply(&self.groups[0].path, resources, devices)
        } else {
            v1::apply(&self.groups, resources, devices)
        }
    }

    /// Put a process into every directory.
    ///
    /// # Errors
    /// Names the directory.
    pub fn add(&self, pid: i32) -> Result<()> {
        for group in &self.groups {
            write(&group.path.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    /// The way in for a child that goes in by itself; the directories must exist.
    ///
    /// # Errors
    /// Names what cannot be opened.
    pub fn entrance(&self) -> Result<Entrance> {
        Entrance::open(self)
    }

    /// All processes in the cgroup and below.
    ///
    /// # Errors
    /// Those of reading.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        if let Some(group) = self.group("devices").or_else(|| self.groups.first()) {
            collect_pids(&group.path, &mut pids)?;
        }
        Ok(pids)
    }

    /// Stop all processes and wait until they are stopped, or let them go on.
    ///
    /// # Errors
    /// Names the file; `NotFound` where the host has no freezer.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        if self.unified {
            return v2::freeze(&self.groups[0].path, frozen);
        }
        let group = self.group("freezer").ok_or_else(|| Error {
            what: "the freezer cgroup is not mounted".into(),
            source: ErrorKind::NotFound.into(),
        })?;
        v1::freeze(&group.path, frozen)
    }

    /// Whether the processes are stopped by `freeze`.
    #[must_use]
    pub fn frozen(&self) -> bool {
        let file = if self.unified {
            self.groups.first().map(|group| group.path.join("cgroup.freeze"))
        } else {
            self.group("freezer").map(|group| group.path.join("freezer.state"))
        };
        let state = file.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        matches!(state.trim(), "1" | "FROZEN" | "FREEZING")
    }

    /// Send a signal to every process in the cgroup; processes that end meanwhile are no error.
    ///
    /// # Errors
    /// Those of reading the list.
    pub fn signal_all(&self, signal: i32) -> Result<()> {
        if self.unified && signal == sys::process::SIGKILL {
            let file = self.groups[0].path.join("cgroup.kill");
            if file.exists() {
                return write(&file, "1");
            }
        }
        // Frozen, so that nobody forks away between the listing and the signal. A host without a freezer: best effort.
        let was_frozen = self.frozen();
        let froze = !was_frozen && self.freeze(true).is_ok();
        for pid in self.pids()? {
            // It may have ended since.
            let _ = sys::process::kill(pid, signal);
        }
        if froze || (was_frozen && signal == sys::process::SIGKILL) {
            self.freeze(false)?;
        }
        Ok(())
    }

    /// Remove the directories with everything below.
    ///
    /// # Errors
    /// Names the directory that stays busy.
    pub fn destroy(&self) -> Result<()> {
        for group in &self.groups {
            remove(&group.path)?;
        }
        Ok(())
    }

    fn group(&self, controller: &str) -> Option<&Group> {
        find(&self.groups, controller)
    }
}

pub(crate) fn find<'a>(groups: &'a [Group], controller: &str) -> Option<&'a Group> {
    groups.iter().find(|group| group.controllers.split(',').any(|each| each == controller))
}

pub(crate) fn write(path: &Path, value: &str) -> Result<()> {
    // One write(2): the kernel takes each write as one value.
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .context(|| format!("write {value:?} to {}", path.display()))
}

fn collect_pids(path: &Path, pids: &mut Vec<i32>) -> Result<()> {
    match fs::read_to_string(path.join("cgroup.procs")) {
        Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context(|| format!("read {}/cgroup.procs", path.display())),
    }
    for child in children(path)? {
        collect_pids(&child, pids)?;
    }
    Ok(())
}

fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error).context(|| format!("list {}", path.display())),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A cgroup stays busy until its last process has been reaped, and v1 tells nobody when that is: this is the one place
/// that tries again after a pause, a second in all.
fn remove(path: &Path) -> Result<()> {
    let mut pause = 1;
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(16) => {
                let inner = children(path)?;
                if !inner.is_empty() {
                    for child in inner {
                        remove(&child)?;
                    }
                } else if pause > 512 {
                    return Err(error).context(|| format!("remove cgroup {}", path.display()));
                } else {
                    std::thread::sleep(std::time::Duration::from_millis(pause));
                    pause *= 2;
                }
            }
            Err(error) => return Err(error).context(|| format!("remove cgroup {}", path.display())),
        }
    }
}
