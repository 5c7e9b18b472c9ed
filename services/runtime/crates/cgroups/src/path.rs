//! Where a container's cgroup is.

use crate::detect::Hierarchy;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The path below a hierarchy's root: an absolute one begins there, a relative one at the caller's own cgroup.
///
/// # Errors
/// For a path with `..`.
pub(crate) fn relative(configured: &str, id: &str) -> Result<PathBuf> {
    let path = if configured.is_empty() { Path::new(id) } else { Path::new(configured) };
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(Error::invalid(format!("linux.cgroupsPath: {configured:?} contains ..")));
    }
    Ok(path.into())
}

/// In one hierarchy of v1.
pub(crate) fn in_hierarchy(hierarchy: &Hierarchy, path: &Path) -> PathBuf {
    let inside = path.strip_prefix("/").unwrap_or(path);
    if path.is_absolute() {
        return hierarchy.root.join(inside);
    }
    hierarchy.root.join(hierarchy.own.trim_start_matches('/')).join(inside)
}

/// In the one tree of v2. The caller's own cgroup has processes and thus cannot have controllers for others: a relative path
/// begins at its parent.
pub(crate) fn in_tree(root: &Path, own: &str, path: &Path) -> PathBuf {
    let inside = path.strip_prefix("/").unwrap_or(path);
    if path.is_absolute() {
        return root.join(inside);
    }
    let parent = Path::new(own).parent().unwrap_or(Path::new("/"));
    root.join(parent.strip_prefix("/").unwrap_or(parent)).join(inside)
}

#[cfg(test)]
mod tests {
    use super::{in_tree, relative};
    use std::path::Path;

    #[test]
    fn absolute_paths_begin_at_the_root_and_others_beside_us() {
        let root = Path::new("/sys/fs/cgroup");
        assert_eq!(in_tree(root, "/user/app", Path::new("/a/b")), root.join("a/b"));
        assert_eq!(in_tree(root, "/user/app", Path::new("box")), root.join("user/box"));
        assert_eq!(in_tree(root, "/", Path::new("box")), root.join("box"));
        assert!(relative("/a/../b", "id").is_err());
        assert!(relative("", "id").is_ok_and(|path| path == Path::new("id")));
    }
}
