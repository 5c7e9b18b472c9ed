//! Which hierarchies this host has.

use crate::{Context, Error};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// One hierarchy of v1.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    /// As the kernel joins them: `cpu,cpuacct`, or `name=systemd`; empty for the tree of v2 on a hybrid host.
    pub controllers: String,
    /// Where it is mounted.
    pub root: PathBuf,
    /// The cgroup of the calling process in it.
    pub own: String,
}

/// The host's cgroup set-up. A hybrid host is `Split`: its v2 tree has no controllers.
#[derive(Clone, Debug)]
pub enum Layout {
    /// One tree (v2).
    Unified {
        /// Where it is mounted.
        root: PathBuf,
        /// The cgroup of the calling process in it.
        own: String,
    },
    /// A tree for each controller (v1, hybrid).
    Split {
        /// Those that are mounted.
        hierarchies: Vec<Hierarchy>,
    },
}

impl Layout {
    /// Whether this is cgroup v2.
    #[must_use]
    pub fn unified(&self) -> bool {
        matches!(self, Self::Unified { .. })
    }
}

/// Look at the host.
///
/// # Errors
/// If no cgroup file system is mounted at /sys/fs/cgroup.
pub fn detect() -> Result<Layout, Error> {
    let root = Path::new(ROOT);
    let descriptor = sys::openat2::open(root, libc_directory(), 0).context(|| format!("open {ROOT}"))?;
    if sys::fs::filesystem_magic(&descriptor).context(|| format!("statfs {ROOT}"))? == CGROUP2_MAGIC {
        let text = fs::read_to_string("/proc/self/cgroup").context(|| "read /proc/self/cgroup".into())?;
        let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").to_string();
        return Ok(Layout::Unified { root: root.into(), own });
    }
    let text = fs::read_to_string("/proc/self/cgroup").context(|| "read /proc/self/cgroup".into())?;
    let mut hierarchies: Vec<Hierarchy> = text.lines().filter_map(hierarchy).collect();
    hierarchies.extend(text.lines().find_map(|line| line.strip_prefix("0::")).and_then(hybrid));
    if hierarchies.is_empty() {
        return Err(Error { what: format!("no cgroup hierarchy below {ROOT}"), source: ErrorKind::NotFound.into() });
    }
    Ok(Layout::Split { hierarchies })
}

fn libc_directory() -> i32 {
    const O_PATH: i32 = 0o10_000_000;
    const O_DIRECTORY: i32 = 0o200_000;
    O_PATH | O_DIRECTORY
}

/// The tree of v2 on a hybrid host, which has no controllers but follows processes.
fn hybrid(own: &str) -> Option<Hierarchy> {
    let root = Path::new(ROOT).join("unified");
    let descriptor = sys::openat2::open(&root, libc_directory(), 0).ok()?;
    let is_tree = sys::fs::filesystem_magic(&descriptor).is_ok_and(|magic| magic == CGROUP2_MAGIC);
    is_tree.then(|| Hierarchy { controllers: String::new(), root, own: own.into() })
}

/// One line of /proc/self/cgroup, `4:memory:/path`; None for the v2 tree and for hierarchies that are not mounted.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, own) = (fields.next()?, fields.next()?, fields.next()?);
    if controllers.is_empty() {
        return None;
    }
    let name = controllers.strip_prefix("name=").unwrap_or(controllers);
    // Distributions differ in the order of a joint hierarchy's names, and link the single ones to it.
    let root = std::iter::once(name)
        .chain(name.split(','))
        .map(|each| Path::new(ROOT).join(each))
        .find(|path| path.join("cgroup.procs").exists())?;
    Some(Hierarchy { controllers: controllers.into(), root, own: own.into() })
}
