//! The nodes and links of /dev.

use crate::error::{Context, Error, Result};
use crate::rootfs::resolve;
use spec::{IdMapping, Linux, LinuxDevice};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const DEFAULT: [(&str, i64, i64); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// The devices that every container has.
pub(crate) fn defaults() -> impl Iterator<Item = &'static str> {
    DEFAULT.iter().map(|(path, _, _)| *path)
}

/// Make the devices of the configuration and those that every container has.
pub(crate) fn make(
    root: impl AsFd,
    linux: &Linux,
    prepared: &[Option<OwnedFd>],
    in_user_namespace: bool,
) -> Result<()> {
    let root = root.as_fd();
    match resolve::open(root, Path::new("/dev")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        _ => {}
    }
    // Through a link the nodes would be made somewhere else, on a volume for instance (CVE-2026-41579).
    let dev = resolve::ensure_plain(root, Path::new("/dev"), "devices")?;
    // A /dev that is the host's own is complete, and not ours to change.
    let bound = sys::fs::stat(&dev).ok().zip(std::fs::metadata("/dev").ok()).is_some_and(|(inside, host)| {
        use std::os::unix::fs::MetadataExt;
        (inside.device, inside.inode) == (host.dev(), host.ino())
    });
    if bound {
        return Ok(());
    }
    for (path, major, minor) in DEFAULT {
        if !linux.devices.iter().any(|device| device.path == path) {
            let device = LinuxDevice { path: path.into(), kind: "c".into(), major, minor, ..LinuxDevice::default() };
            node(root, &device, in_user_namespace)?;
        }
    }
    for (at, device) in linux.devices.iter().enumerate() {
        match prepared.get(at).and_then(Option::as_ref) {
            Some(tree) => {
                let place = resolve::ensure_file(root, Path::new(&device.path))?;
                sys::mount::attach(tree, &place).context(|| format!("bind device {}", device.path))?;
            }
            None => node(root, device, in_user_namespace)?,
        }
    }
    for (target, name) in LINKS {
        link(&dev, target, name)?;
    }
    if Path::new("/proc/kcore").exists() {
        link(&dev, "/proc/kcore", "core")?;
    }
    Ok(())
}

fn link(dev: impl AsFd, target: &str, name: &str) -> Result<()> {
    match sys::fs::symlink_at(Path::new(target), dev.as_fd(), Path::new(name)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && name == "ptmx" => {
            // An image's own node would open the host's terminals.
            sys::fs::unlink_at(dev.as_fd(), Path::new(name)).context(|| format!("replace /dev/{name}"))?;
            sys::fs::symlink_at(Path::new(target), dev, Path::new(name)).context(|| format!("link /dev/{name}"))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.context(|| format!("link /dev/{name}")),
    }
}

/// The file type and numbers of a device.
fn numbers(device: &LinuxDevice) -> Result<(u32, u32, u32)> {
    let kind = match device.kind.as_str() {
        "b" => libc::S_IFBLK,
        "p" => libc::S_IFIFO,
        _ => libc::S_IFCHR,
    };
    let number = |value: i64| {
        u32::try_from(value).map_err(|_| Error::config(format!("linux.devices: number {value} of {}", device.path)))
    };
    if kind == libc::S_IFIFO {
        return Ok((kind, 0, 0));
    }
    Ok((kind, number(device.major)?, number(device.minor)?))
}

fn mode(device: &LinuxDevice) -> u32 {
    device.file_mode.unwrap_or(0o666) & 0o7777
}

/// The devices of a container in a user namespace, which may not make nodes: those that the host does not have just so are made
/// in a folder of the runtime, and bound from there. None for the others.
pub(crate) fn prepare(linux: &Linux, folder: &Path) -> Result<Vec<Option<OwnedFd>>> {
    linux
        .devices
        .iter()
        .enumerate()
        .map(|(at, device)| prepare_one(linux, device, &folder.join(at.to_string())))
        .collect()
}

fn prepare_one(linux: &Linux, device: &LinuxDevice, place: &Path) -> Result<Option<OwnedFd>> {
    let (kind, major, minor) = numbers(device)?;
    let host = sys::openat2::open(Path::new(&device.path), libc::O_PATH, 0).and_then(|file| sys::fs::stat(&file));
    let same = host.is_ok_and(|stat| stat.mode & libc::S_IFMT == kind && stat.rdev == libc::makedev(major, minor));
    if same && device.uid.is_none() && device.gid.is_none() && device.file_mode.is_none() {
        return Ok(None);
    }
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else { return Ok(None) };
    std::fs::create_dir_all(folder).context(|| format!("create {}", folder.display()))?;
    let directory = resolve::host_directory(folder)?;
    let made = sys::fs::mknod_at(&directory, Path::new(name), kind | mode(device), major, minor);
    if made.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) && same {
        // No CAP_MKNOD: the host's node will have to do.
        return Ok(None);
    }
    made.context(|| format!("create device {}", device.path))?;
    let outside = |mappings: &[IdMapping], id: u32| {
        let range = mappings.iter().find(|each| id >= each.container_id && id - each.container_id < each.size);
        range.map_or(id, |each| each.host_id + (id - each.container_id))
    };
    let uid = outside(&linux.uid_mappings, device.uid.unwrap_or(0));
    let gid = outside(&linux.gid_mappings, device.gid.unwrap_or(0));
    let bind = || {
        sys::fs::chown_at(&directory, Path::new(name), uid, gid)?;
        std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(mode(device)))?;
        let node = sys::openat2::open(place, libc::O_PATH, 0)?;
        let tree = sys::mount::clone_tree(&node, false)?;
        // The folder's file system may forbid devices.
        sys::mount::set_attributes(&tree, 0, sys::mount::ATTR_NODEV, 0, None, false)?;
        Ok(tree)
    };
    bind().context(|| format!("bind device {}", device.path)).map(Some)
}

fn node(root: impl AsFd, device: &LinuxDevice, in_user_namespace: bool) -> Result<()> {
    let root = root.as_fd();
    let path = Path::new(&device.path);
    if in_user_namespace {
        return bind(root, path);
    }
    let (directory, name) = resolve::parent(root, path)?;
    let (kind, major, minor) = numbers(device)?;
    let mode = mode(device);
    // The umask is 0, so the mode needs no chmod(2), which would follow a link put in the node's place.
    match sys::fs::mknod_at(&directory, &name, kind | mode, major, minor) {
        Ok(()) if device.uid.unwrap_or(0) == 0 && device.gid.unwrap_or(0) == 0 => Ok(()),
        Ok(()) => sys::fs::chown_at(&directory, &name, device.uid.unwrap_or(0), device.gid.unwrap_or(0))
            .context(|| format!("set the owner of {}", device.path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => existing(root, path, kind, major, minor),
        // No CAP_MKNOD: a nested runtime.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bind(root, path),
        other => other.context(|| format!("create device {}", device.path)),
    }
}

/// The image, a volume or an earlier container brought a file of that name: the device itself will do, an ordinary file is
/// covered, anything else is refused.
fn existing(root: BorrowedFd<'_>, path: &Path, kind: u32, major: u32, minor: u32) -> Result<()> {
    let place = resolve::ensure_file(root, path)?;
    let stat = sys::fs::stat(&place).context(|| format!("stat {}", path.display()))?;
    if stat.mode & libc::S_IFMT == kind && (kind == libc::S_IFIFO || stat.rdev == libc::makedev(major, minor)) {
        return Ok(());
    }
    if stat.is_file() {
        return bind(root, path);
    }
    Err(Error::internal(format!("{} exists in the container and is another device", path.display())))
}

fn bind(root: impl AsFd, path: &Path) -> Result<()> {
    let source = sys::openat2::open(path, libc::O_PATH, 0).context(|| format!("open device {}", path.display()))?;
    let tree = sys::mount::clone_tree(&source, false).context(|| format!("bind device {}", path.display()))?;
    let place = resolve::ensure_file(root, path)?;
    sys::mount::attach(&tree, &place).context(|| format!("bind device {}", path.display()))
}
