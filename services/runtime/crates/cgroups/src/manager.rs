//! The cgroup of one container, whatever the host's set-up.

use crate::tree::{collect_pids, remove};
use crate::{find, path, systemd, v1, v2, write, Context, Entrance, Error, Layout, OomWatch, Result, Stats};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Who makes cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// The runtime itself, through the file system.
    #[default]
    Cgroupfs,
    /// systemd, as transient scopes.
    Systemd,
    /// Nobody: the container stays in the caller's cgroup.
    Disabled,
}

/// One directory of the container: all of v2, or one hierarchy of v1.
#[derive(Clone, Debug)]
pub struct Group {
    /// The controllers of the hierarchy as the kernel joins them (`cpu,cpuacct`); empty on v2.
    pub controllers: String,
    /// Its directory, absolute, in the hierarchy that the group belongs to.
    pub path: PathBuf,
}

/// The cgroup of one container.
#[derive(Clone, Debug)]
pub struct Manager {
    unified: bool,
    groups: Vec<Group>,
    scope: Option<systemd::Scope>,
    rootless: bool,
}

/// What a container asks for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Who makes it.
    pub driver: Driver,
    /// `linux.cgroupsPath`.
    pub path: &'a str,
    /// The container's id.
    pub id: &'a str,
    /// Go on without cgroups that may not be made.
    pub rootless: bool,
    /// `org.systemd.property.*` set properties of the scope.
    pub annotations: &'a std::collections::BTreeMap<String, String>,
}

/// Whether anything but device rules is limited.
fn limits_anything(resources: &spec::Resources) -> bool {
    let plain = spec::Resources { devices: resources.devices.clone(), ..spec::Resources::default() };
    serde_json::to_value(resources).ok() != serde_json::to_value(&plain).ok()
}

impl Manager {
    /// The cgroup that a container asks for; nothing is made yet.
    ///
    /// # Errors
    /// A path that is no path, a host without systemd, or a set-up that is unknown.
    pub fn new(layout: &Layout, request: &Request<'_>) -> Result<Self> {
        let mut scope = None;
        let path = match request.driver {
            Driver::Disabled => {
                return Ok(Self { unified: layout.unified(), groups: Vec::new(), scope, rootless: true })
            }
            Driver::Cgroupfs => {
                if request.path.contains(':') && !request.path.contains('/') {
                    return Err(Error::invalid(format!(
                        "linux.cgroupsPath: {:?} is for the systemd driver (--systemd-cgroup)",
                        request.path
                    )));
                }
                path::relative(request.path, request.id)?
            }
            Driver::Systemd => {
                let found = systemd::Scope::new(request)?;
                let path = found.path(layout)?;
                scope = Some(found);
                path
            }
        };
        let groups = match layout {
            Layout::Unified { root, own } => {
                vec![Group { controllers: String::new(), path: path::in_tree(root, own, &path) }]
            }
            Layout::Split { hierarchies } => hierarchies
                .iter()
                .map(|each| Group { controllers: each.controllers.clone(), path: path::in_hierarchy(each, &path) })
                .collect(),
        };
        Ok(Self { unified: layout.unified(), groups, scope, rootless: request.rootless })
    }

    /// The cgroup whose directories were recorded, as controllers and path, with the systemd unit if there is one.
    #[must_use]
    pub fn from_groups(groups: Vec<(String, PathBuf)>, unit: Option<&str>) -> Self {
        Self {
            unified: matches!(groups.as_slice(), [(controllers, _)] if controllers.is_empty()),
            groups: groups.into_iter().map(|(controllers, path)| Group { controllers, path }).collect(),
            scope: unit.map(systemd::Scope::existing),
            rootless: false,
        }
    }

    /// The systemd unit that owns the cgroup.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.scope.as_ref().map(systemd::Scope::unit)
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

    /// Make the directories, before there is a process; with systemd, nothing yet. A caller without rights to a hierarchy goes
    /// on without it, if it may (`rootless`).
    ///
    /// # Errors
    /// Names the directory that cannot be made, or that is frozen.
    pub fn create(&mut self) -> Result<()> {
        if self.scope.is_some() {
            return Ok(());
        }
        let mut kept = Vec::new();
        let mut result = Ok(());
        for group in std::mem::take(&mut self.groups) {
            let existed = group.path.exists();
            match self.make(&group) {
                Err(error) if self.rootless && error.denied() => {
                    // Made, but not enterable: nothing of it may stay.
                    let _ = fs::remove_dir(&group.path);
                    continue;
                }
                Err(error) => {
                    result = result.and(Err(error));
                    // What others made stays when this creation is undone.
                    if existed || !group.path.exists() {
                        continue;
                    }
                }
                Ok(()) => {}
            }
            kept.push(group);
        }
        self.groups = kept;
        result
    }

    fn make(&self, group: &Group) -> Result<()> {
        let existed = group.path.exists();
        if self.unified {
            v2::create(group)?;
        } else {
            v1::create(group)?;
        }
        let entrance = group.path.join("cgroup.procs");
        if self.rootless {
            let opened = fs::OpenOptions::new().write(true).open(&entrance);
            opened.context(|| format!("open {}", entrance.display()))?;
        }
        if existed {
            let state = ["freezer.state", "cgroup.freeze"].map(|file| fs::read_to_string(group.path.join(file)));
            if state.iter().flatten().any(|text| matches!(text.trim(), "1" | "FROZEN" | "FREEZING")) {
                return Err(Error::invalid(format!(
                    "container's cgroup unexpectedly frozen: {}",
                    group.path.display()
                )));
            }
        }
        Ok(())
    }

    /// Whether processes of others are in the cgroup.
    #[must_use]
    pub fn occupied(&self) -> bool {
        self.pids().is_ok_and(|pids| !pids.is_empty())
    }

    /// Put a container's first process into its cgroup; with systemd, this makes it.
    ///
    /// # Errors
    /// Names the directory, or systemd's refusal.
    pub fn receive(&mut self, pid: i32, resources: &spec::Resources) -> Result<()> {
        if let Some(scope) = &mut self.scope {
            scope.start(pid, resources, self.unified)?;
            for group in &self.groups {
                self.make(group)?;
            }
        }
        self.add(pid)
    }

    /// Whether a process can go in by itself before anybody knows its pid.
    #[must_use]
    pub fn open_to_unborn(&self) -> bool {
        self.scope.is_none()
    }

    /// The way in for a child that goes in by itself; the directories must exist.
    ///
    /// # Errors
    /// Names what cannot be opened.
    pub fn entrance(&self) -> Result<Entrance> {
        Entrance::open(self)
    }

    /// Write the limits. With `devices`, the device rules, too (they are set once, at creation).
    ///
    /// # Errors
    /// Names the file that refused a value, or the limit that this host cannot express.
    pub fn apply(&self, resources: &spec::Resources, devices: bool) -> Result<()> {
        if self.groups.is_empty() {
            return if self.rootless && !limits_anything(resources) {
                Ok(())
            } else {
                Err(Error::unsupported("cannot set limits: the container has no cgroup (missing rights, or disabled)"))
            };
        }
        if let (Some(scope), false) = (&self.scope, devices) {
            scope.update(resources, self.unified)?;
        }
        let devices = devices && !(self.rootless && sys::process::effective_uid() != 0);
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

    /// The cgroups below the container's for an additional process: `path`, or `controller[,controller]:path`.
    ///
    /// # Errors
    /// Names a controller that is unknown, or a path that does not exist.
    pub fn below(&self, places: &[String]) -> Result<Self> {
        let mut found = self.clone();
        for place in places {
            let (controllers, path) = place.split_once(':').unwrap_or(("", place));
            let bad = |what: String| Error { what, source: ErrorKind::InvalidInput.into() };
            if path.split('/').any(|part| part == "..") {
                return Err(bad(format!("{path} is not a sub cgroup path")));
            }
            for controller in controllers.split(',') {
                let mut known = false;
                for group in &mut found.groups {
                    if controller.is_empty() || group.controllers.split(',').any(|each| each == controller) {
                        known = true;
                        group.path = group.path.join(path.trim_matches('/'));
                    }
                }
                if !known {
                    return Err(bad(format!("unknown controller {controller} in {place}")));
                }
            }
        }
        for group in found.groups.iter().filter(|_| !places.is_empty()) {
            let file = group.path.join("cgroup.procs");
            if !file.exists() {
                return Err(Error::invalid(format!(
                    "error adding pid to cgroups: open {}: no such file or directory",
                    file.display()
                )));
            }
        }
        Ok(found)
    }

    /// Stop all processes and wait until they are stopped, or let them go on.
    ///
    /// # Errors
    /// Names the file; `NotFound` where the host has no freezer.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let path = self.freezer().ok_or_else(|| Error {
            what: "the freezer cgroup is not mounted".into(),
            source: ErrorKind::NotFound.into(),
        })?;
        let freeze = if self.unified { v2::freeze } else { v1::freeze };
        let result = freeze(path, frozen);
        if frozen && result.is_err() {
            // Half a pause is none; the first failure is the one to tell.
            let _ = freeze(path, false);
        }
        result
    }

    /// The directory that can be frozen.
    #[must_use]
    pub fn freezer(&self) -> Option<&Path> {
        let group = if self.unified { self.groups.first() } else { self.group("freezer") };
        group.map(|group| group.path.as_path())
    }

    /// Whether the processes are stopped by `freeze`.
    #[must_use]
    pub fn frozen(&self) -> bool {
        let name = if self.unified { "cgroup.freeze" } else { "freezer.state" };
        let state = self
            .freezer()
            .map(|path| path.join(name))
            .and_then(|path| fs::read_to_string(path).ok())
            .unwrap_or_default();
        matches!(state.trim(), "1" | "FROZEN" | "FREEZING")
    }

    /// Send a signal to every process in the cgroup; processes that end meanwhile are no error.
    ///
    /// # Errors
    /// Those of reading the list.
    pub fn signal_all(&self, signal: i32) -> Result<()> {
        if self.unified && signal == sys::process::SIGKILL {
            let file = self.groups.first().map(|group| group.path.join("cgroup.kill"));
            if let Some(file) = file.filter(|file| file.exists()) {
                return write(&file, "1");
            }
        }
        // Frozen, so that nobody forks away between the listing and the signal. A host without a freezer: best effort.
        let was_frozen = self.frozen();
        let froze = !was_frozen && self.freeze(true).is_ok();
        let pids = self.pids();
        for pid in pids.iter().flatten() {
            // It may have ended since.
            let _ = sys::process::kill(*pid, signal);
        }
        // Also if the list could not be read: nobody else would let them go on.
        if froze || (was_frozen && signal == sys::process::SIGKILL) {
            self.freeze(false)?;
        }
        pids.map(drop)
    }

    /// Remove the directories with everything below.
    ///
    /// # Errors
    /// Names the directory that stays busy.
    pub fn destroy(&self) -> Result<()> {
        if let Some(scope) = &self.scope {
            scope.stop()?;
        }
        for group in &self.groups {
            // The scope is made with a group below it, and goes with it.
            let scope = self.unit().and_then(|unit| group.path.ancestors().find(|each| each.ends_with(unit)));
            remove(scope.unwrap_or(&group.path))?;
        }
        Ok(())
    }

    /// What the processes use.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match self.groups.first() {
            Some(group) if self.unified => v2::stats(&group.path),
            _ => v1::stats(&self.groups),
        }
    }

    /// Watch for processes killed for want of memory.
    ///
    /// # Errors
    /// A host without the memory controller.
    pub fn watch_oom(&self) -> Result<OomWatch> {
        let group = if self.unified { self.groups.first() } else { self.group("memory") };
        let group = group.ok_or_else(|| Error::unsupported("the memory cgroup is not mounted"))?;
        OomWatch::new(&group.path, self.unified)
    }

    fn group(&self, controller: &str) -> Option<&Group> {
        find(&self.groups, controller)
    }
}
