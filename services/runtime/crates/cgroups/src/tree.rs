//! A cgroup with all that is below it. A container that may write to its part of a hierarchy decides how deep that goes and how
//! long the names are: beyond what a path can hold, and beyond what a process can have open. So the way is by one descriptor,
//! down by a name and up by `..`, which leads nowhere else: directories of cgroups are not moved.

use crate::{Context, Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

const BUSY: i32 = 16;
const NOT_EMPTY: i32 = 39;
const O_DIRECTORY: i32 = 0o200_000;

/// The processes of a cgroup and those below.
pub(crate) fn collect_pids(path: &Path, pids: &mut Vec<i32>) -> Result<()> {
    let mut read = |at: &OwnedFd| match read_pids(at) {
        Ok(found) => {
            pids.extend(found);
            Ok(())
        }
        // Removed meanwhile.
        Err(error) if gone(&error) => Ok(()),
        Err(error) => Err(error),
    };
    walk(path, &mut read, &mut |_, _| Ok(())).context(|| format!("read {}/cgroup.procs", path.display()))
}

/// Remove a cgroup and what is below.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let named = |error: io::Error| Error { what: format!("remove cgroup {}", path.display()), source: error };
    match fs::remove_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if matches!(error.raw_os_error(), Some(BUSY | NOT_EMPTY)) => {}
        Err(error) => return Err(named(error)),
    }
    let below = |at: &OwnedFd, name: &Path| patiently(&|| sys::fs::remove_directory_at(at, name));
    walk(path, &mut |_| Ok(()), &mut |at, name| below(at, name)).map_err(named)?;
    patiently(&|| fs::remove_dir(path)).map_err(named)
}

/// A cgroup stays busy until its last process has been reaped, and v1 tells nobody when that is: this is the one place
/// that tries again after a pause, a second in all.
fn patiently(remove: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
    let mut pause = 1;
    loop {
        match remove() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(BUSY) && pause <= 512 => {
                std::thread::sleep(std::time::Duration::from_millis(pause));
                pause *= 2;
            }
            other => return other,
        }
    }
}

/// Visit a directory and all below: `enter` before what is in it, `leave` after that, with the parent and the name; not for
/// the first one. One that does not exist has nothing in it.
fn walk(
    path: &Path,
    enter: &mut dyn FnMut(&OwnedFd) -> io::Result<()>,
    leave: &mut dyn FnMut(&OwnedFd, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = match sys::openat2::open(path, O_DIRECTORY, 0) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    enter(&at)?;
    let mut way: Vec<OsString> = Vec::new();
    let mut todo = vec![children(&at)?];
    while let Some(level) = todo.last_mut() {
        if let Some(name) = level.pop() {
            match sys::openat2::open_strict(&at, Path::new(&name), O_DIRECTORY, 0) {
                Err(error) if gone(&error) => {}
                Err(error) => return Err(error),
                Ok(next) => {
                    enter(&next)?;
                    todo.push(children(&next)?);
                    way.push(name);
                    at = next;
                }
            }
        } else {
            todo.pop();
            if let Some(name) = way.pop() {
                at = sys::openat2::open_strict(&at, Path::new(".."), O_DIRECTORY, 0)?;
                leave(&at, Path::new(&name))?;
            }
        }
    }
    Ok(())
}

fn children(at: &OwnedFd) -> io::Result<Vec<OsString>> {
    match sys::fs::directories_in(at) {
        Err(error) if gone(&error) => Ok(Vec::new()),
        other => other,
    }
}

fn read_pids(at: &OwnedFd) -> io::Result<Vec<i32>> {
    let mut text = String::new();
    File::from(sys::openat2::open_strict(at, Path::new("cgroup.procs"), 0, 0)?).read_to_string(&mut text)?;
    Ok(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0).collect())
}

/// A cgroup that is removed while it is open has no files any more, or `ENODEV` for them.
fn gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(19)
}

#[cfg(test)]
mod tests {
    use super::walk;
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_tree_deeper_than_any_path_is_walked_and_removed() {
        let top = std::env::temp_dir().join(format!("dockyard-tree-{}", std::process::id()));
        let (name, depth) = ("x".repeat(200), 1100);
        assert!(fs::create_dir(&top).is_ok());
        let Ok(mut at) = sys::openat2::open(&top, 0, 0) else { unreachable!() };
        for _ in 0..depth {
            assert!(sys::fs::mkdir_at(&at, Path::new(&name), 0o700).is_ok());
            let Ok(next) = sys::openat2::open_strict(&at, Path::new(&name), 0, 0) else { unreachable!() };
            at = next;
        }
        let (mut entered, mut left) = (0, 0);
        let done = walk(
            &top,
            &mut |_| {
                entered += 1;
                Ok(())
            },
            &mut |parent, name| {
                left += 1;
                sys::fs::remove_directory_at(parent, name)
            },
        );
        assert!(done.is_ok(), "{done:?}");
        assert_eq!((entered, left), (depth + 1, depth));
        assert!(fs::remove_dir(&top).is_ok());
    }
}
