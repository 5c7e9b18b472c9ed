//! Which namespaces are new and which are joined, and the order that makes both work.

use crate::error::{Context, Error, Result};
use spec::{IdMapping, Linux, NamespaceKind};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use sys::clone::{clone3, Side};
use sys::namespace as ns;

const O_RDONLY: i32 = libc::O_RDONLY;

/// The namespaces of one container.
pub(crate) struct Plan {
    new: i32,
    joined: Vec<(NamespaceKind, OwnedFd)>,
    time_offsets: Option<String>,
}

fn flag(kind: NamespaceKind) -> i32 {
    match kind {
        NamespaceKind::Pid => ns::CLONE_NEWPID,
        NamespaceKind::Network => ns::CLONE_NEWNET,
        NamespaceKind::Mount => ns::CLONE_NEWNS,
        NamespaceKind::Ipc => ns::CLONE_NEWIPC,
        NamespaceKind::Uts => ns::CLONE_NEWUTS,
        NamespaceKind::User => ns::CLONE_NEWUSER,
        NamespaceKind::Cgroup => ns::CLONE_NEWCGROUP,
        NamespaceKind::Time => ns::CLONE_NEWTIME,
    }
}

impl Plan {
    /// Open the paths of the namespaces to join.
    pub(crate) fn new(linux: &Linux) -> Result<Self> {
        let mut plan = Self { new: 0, joined: Vec::new(), time_offsets: None };
        for namespace in &linux.namespaces {
            if namespace.path.is_empty() {
                plan.new |= flag(namespace.kind);
            } else {
                let opened = sys::openat2::open(Path::new(&namespace.path), O_RDONLY, 0).map_err(|error| {
                    Error::config(format!(
                        "linux.namespaces: path {}: {}",
                        namespace.path,
                        crate::error::describe(&error)
                    ))
                })?;
                plan.joined.push((namespace.kind, opened));
            }
        }
        if let Some(offsets) = &linux.time_offsets {
            let lines: Vec<String> =
                offsets.iter().map(|(clock, each)| format!("{clock} {} {}", each.secs, each.nanosecs)).collect();
            plan.time_offsets = Some(lines.join("\n"));
        }
        Ok(plan)
    }

    /// The flags for the clone: all that are new but cgroup (entered after joining the cgroup) and time.
    pub(crate) fn clone_flags(&self) -> u64 {
        if self.in_foreign_user_namespace() {
            return 0;
        }
        (self.new & !(ns::CLONE_NEWCGROUP | ns::CLONE_NEWTIME)) as u64
    }

    pub(crate) fn new_user(&self) -> bool {
        self.new & ns::CLONE_NEWUSER != 0
    }

    pub(crate) fn new_cgroup(&self) -> bool {
        self.new & ns::CLONE_NEWCGROUP != 0
    }

    /// Whether the child will live in a user namespace that is not the runtime's.
    pub(crate) fn in_user_namespace(&self) -> bool {
        self.new_user() || self.joins(NamespaceKind::User)
    }

    /// Whether the child must first enter a user namespace that exists, and only then create the others in it.
    pub(crate) fn in_foreign_user_namespace(&self) -> bool {
        self.joins(NamespaceKind::User)
    }

    fn joins(&self, kind: NamespaceKind) -> bool {
        self.joined.iter().any(|(each, _)| *each == kind)
    }

    /// In the runtime, before the clone. What is joined with the host's privileges is joined here, because the child
    /// may be born in a user namespace without them; the returned descriptors lead home again.
    pub(crate) fn enter(&self) -> Result<Vec<(i32, OwnedFd)>> {
        let mut home = Vec::new();
        let mut remember = |kind: i32, name: &str| -> Result<()> {
            let path = format!("/proc/self/ns/{name}");
            let opened = sys::openat2::open(Path::new(&path), O_RDONLY, 0).context(|| format!("open {path}"))?;
            home.push((kind, opened));
            Ok(())
        };
        for (kind, descriptor) in &self.joined {
            let own = match kind {
                NamespaceKind::Network => "net",
                NamespaceKind::Ipc => "ipc",
                NamespaceKind::Uts => "uts",
                NamespaceKind::Cgroup => "cgroup",
                // The first child joins it, see below.
                NamespaceKind::Pid if self.in_foreign_user_namespace() => continue,
                // It takes effect for children alone: for the container, and for hooks unless it is undone.
                NamespaceKind::Pid => "pid",
                NamespaceKind::Time => "time",
                NamespaceKind::User | NamespaceKind::Mount => continue,
            };
            remember(flag(*kind), own)?;
            ns::setns(descriptor, flag(*kind)).context(|| format!("join the {kind:?} namespace"))?;
        }
        if self.new & ns::CLONE_NEWTIME != 0 {
            remember(ns::CLONE_NEWTIME, "time")?;
            ns::unshare(ns::CLONE_NEWTIME).during("create a time namespace")?;
            if let Some(offsets) = &self.time_offsets {
                fs::write("/proc/self/timens_offsets", offsets).during("write time offsets")?;
            }
        }
        Ok(home)
    }

    /// In the runtime, after the clone.
    pub(crate) fn leave(home: Vec<(i32, OwnedFd)>) -> Result<()> {
        for (kind, descriptor) in home {
            ns::setns(&descriptor, kind).during("return to the host's namespace")?;
        }
        Ok(())
    }

    /// In the first child of a container that joins a user namespace: enter it and create the others there, so that it
    /// owns them. The pid namespace takes effect for the next child, whose pid is the one that the runtime knows it by because
    /// this child is not in it.
    pub(crate) fn enter_user_namespace(&self) -> Result<()> {
        let joined = |wanted: NamespaceKind| self.joined.iter().find(|(kind, _)| *kind == wanted).map(|(_, each)| each);
        // A pid namespace may belong to the host's users, or only to those that are joined.
        let pid = |each: &OwnedFd| ns::setns(each, ns::CLONE_NEWPID);
        let late = joined(NamespaceKind::Pid).filter(|each| pid(each).is_err());
        if let Some(users) = joined(NamespaceKind::User) {
            ns::setns(users, ns::CLONE_NEWUSER).during("join the user namespace")?;
        }
        late.map_or(Ok(()), pid).during("join the Pid namespace")?;
        ns::unshare(self.new & !(ns::CLONE_NEWCGROUP | ns::CLONE_NEWTIME)).during("create namespaces")
    }
}

/// A user namespace that has no process, for an id-mapped mount.
pub(crate) fn user_namespace(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd> {
    let (ours, theirs) = sys::socket::pair().during("create a socket pair")?;
    match clone3(ns::CLONE_NEWUSER as u64, None).during("clone for a user namespace")? {
        Side::Child => {
            drop(ours);
            // Ends when the runtime closes its side.
            let _ = sys::socket::receive(&theirs, &mut [0]);
            sys::process::exit_now(0)
        }
        Side::Parent { pid, .. } => {
            drop(theirs);
            let opened = map_ids(pid, uids, gids).and_then(|()| {
                let path = format!("/proc/{pid}/ns/user");
                sys::openat2::open(Path::new(&path), O_RDONLY, 0).context(|| format!("open {path}"))
            });
            drop(ours);
            sys::process::wait(pid, true).during("wait for a child")?;
            opened
        }
    }
}

/// Ranges of an ordinary user (/etc/subuid) are mapped by a program with the right to do so.
fn map_by_helper(program: &str, pid: i32, mappings: &[IdMapping]) -> Result<()> {
    let numbers =
        mappings.iter().flat_map(|each| [each.container_id, each.host_id, each.size]).map(|each| each.to_string());
    let done = std::process::Command::new(program)
        .arg(pid.to_string())
        .args(numbers)
        .output()
        .context(|| format!("run {program}, which maps ids for an ordinary user"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(Error::internal(format!("{program}: {}", String::from_utf8_lossy(&done.stderr).trim())))
}

/// Write the id maps of a child's user namespace.
pub(crate) fn map_ids(pid: i32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<()> {
    let lines = |mappings: &[IdMapping]| {
        mappings
            .iter()
            .map(|each| format!("{} {} {}\n", each.container_id, each.host_id, each.size))
            .collect::<String>()
    };
    let alone = |mappings: &[IdMapping], id: u32| matches!(mappings, [each] if each.host_id == id && each.size == 1);
    if sys::process::effective_uid() != 0 {
        let own = alone(uids, sys::process::effective_uid()) && alone(gids, sys::process::effective_gid());
        if !own {
            map_by_helper("newgidmap", pid, gids)?;
            return map_by_helper("newuidmap", pid, uids);
        }
        fs::write(format!("/proc/{pid}/setgroups"), "deny").during("deny setgroups in the user namespace")?;
    }
    for (file, mappings) in [("gid_map", gids), ("uid_map", uids)] {
        fs::write(format!("/proc/{pid}/{file}"), lines(mappings))
            .context(|| format!("write the {file} of the user namespace"))?;
    }
    Ok(())
}
