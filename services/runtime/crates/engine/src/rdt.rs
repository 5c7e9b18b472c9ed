//! Intel RDT: a group of the resctrl file system for a container's share of caches and memory bandwidth.

use crate::error::{Context, Error, Result};
use crate::lifecycle::update::Rdt;
use crate::state::Container;
use serde::{Deserialize, Serialize};
use spec::linux::IntelRdt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/resctrl";

/// What was made for a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Groups {
    /// The class of service.
    class: PathBuf,
    /// Whether it is the container's own, and goes with it.
    owned: bool,
    monitoring: Option<PathBuf>,
}

/// Refuse what cannot work.
pub(crate) fn check(wanted: &IntelRdt) -> Result<()> {
    let name = &wanted.clos_id;
    if name.contains('/') || name == "." || name == ".." || name.contains('\n') {
        return Err(Error::config(format!("linux.intelRdt.closID: {name:?} is not the name of a group")));
    }
    if !Path::new(ROOT).join("schemata").exists() {
        return Err(Error::config(format!("linux.intelRdt: this host has no Intel RDT ({ROOT} is not mounted)")));
    }
    Ok(())
}

/// Make, or join, the group of a container with its process.
pub(crate) fn create(wanted: &IntelRdt, id: &str, pid: i32) -> Result<Groups> {
    let named = !wanted.clos_id.is_empty();
    let class = Path::new(ROOT).join(if named { &wanted.clos_id } else { id });
    let existed = make(&class)?;
    let lines = lines(wanted);
    if named && existed && !lines.is_empty() {
        // A shared group must already be as this container wants it.
        let current = fs::read_to_string(class.join("schemata")).context(|| format!("read {}", class.display()))?;
        let has = |line: &&String| current.lines().any(|each| each.trim() == line.trim());
        if let Some(line) = lines.iter().find(|line| !has(line)) {
            return Err(Error::config(format!("linux.intelRdt: group {} exists without {line:?}", wanted.clos_id)));
        }
    } else {
        for line in &lines {
            write(&class.join("schemata"), &format!("{line}\n"))?;
        }
    }
    write(&class.join("tasks"), &pid.to_string())?;
    let monitoring = wanted.enable_monitoring.then(|| class.join("mon_groups").join(id));
    if let Some(group) = &monitoring {
        make(group)?;
        write(&group.join("tasks"), &pid.to_string())?;
    }
    Ok(Groups { class, owned: !named, monitoring })
}

fn make(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(true),
        other => other.context(|| format!("create {}", path.display())).map(|()| false),
    }
}

fn lines(wanted: &IntelRdt) -> Vec<String> {
    let old = [&wanted.l3_cache_schema, &wanted.mem_bw_schema];
    let old = old.into_iter().flat_map(|text| text.lines().map(String::from));
    wanted.schemata.iter().cloned().chain(old).filter(|line| !line.is_empty()).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(|| format!("write {text:?} to {}", path.display()))
}

/// Other limits for a container that has a group.
pub(crate) fn update(container: &Container, wanted: &Rdt) -> Result<()> {
    let groups = container.record.rdt.as_ref();
    let groups =
        groups.ok_or_else(|| Error::config("update: the container has no Intel RDT group (linux.intelRdt)"))?;
    for line in [&wanted.l3_cache, &wanted.bandwidth].into_iter().flatten() {
        write(&groups.class.join("schemata"), &format!("{line}\n"))?;
    }
    Ok(())
}

impl Groups {
    /// Remove what is the container's own.
    pub(crate) fn remove(&self) -> Result<()> {
        let owned = self.owned.then_some(&self.class);
        for path in self.monitoring.iter().chain(owned) {
            match fs::remove_dir(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).context(|| format!("remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
