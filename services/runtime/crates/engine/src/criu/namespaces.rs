//! Namespaces that are not the container's own: CRIU leaves their content alone, and puts restored processes into them.

use super::Message;
use crate::error::{Context, Error, Result};
use spec::{Linux, Namespace, NamespaceKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// CRIU's name for a kind that it can leave out, and the key that stands for the namespace in the images.
fn external(kind: NamespaceKind) -> Option<(&'static str, &'static str)> {
    match kind {
        NamespaceKind::Network => Some(("net", "extRootNetNS")),
        NamespaceKind::Pid => Some(("pid", "extRootPidNS")),
        _ => None,
    }
}

fn joined(linux: &Linux) -> impl Iterator<Item = &Namespace> {
    linux.namespaces.iter().filter(|each| !each.path.is_empty())
}

/// Tell a dump what to leave out.
pub(crate) fn leave_out(linux: &Linux, message: &mut Message) -> Result<()> {
    for namespace in joined(linux) {
        if let Some((name, key)) = external(namespace.kind) {
            let inode = std::fs::metadata(&namespace.path).context(|| format!("stat {}", namespace.path))?.ino();
            message.text(37, format!("{name}[{inode}]:{key}"));
        }
    }
    Ok(())
}

/// Tell a restore what to join; the result must stay open until CRIU has started, which inherits it.
pub(crate) fn join(linux: &Linux, message: &mut Message) -> Result<Vec<OwnedFd>> {
    let mut opened = Vec::new();
    for namespace in joined(linux) {
        let path = &namespace.path;
        if let Some((_, key)) = external(namespace.kind) {
            let descriptor = sys::openat2::open(Path::new(path), libc::O_RDONLY, 0)
                .map_err(|error| Error::config(format!("linux.namespaces: path {path}: {error}")))?;
            sys::process::keep_on_exec(descriptor.as_raw_fd()).during("pass a namespace to criu")?;
            inherit(message, key, descriptor.as_raw_fd());
            opened.push(descriptor);
            continue;
        }
        let name = match namespace.kind {
            NamespaceKind::Ipc => "ipc",
            NamespaceKind::Uts => "uts",
            NamespaceKind::User => "user",
            NamespaceKind::Time => "time",
            other => {
                return Err(Error::config(format!(
                    "linux.namespaces: criu cannot join an existing {other:?} namespace"
                )))
            }
        };
        let mut join = Message::default();
        join.text(1, name).text(2, path);
        message.part(39, &join);
    }
    Ok(opened)
}

/// Tell a restore which descriptor of CRIU's stands for a key of the images.
pub(crate) fn inherit(message: &mut Message, key: &str, number: i32) {
    let mut part = Message::default();
    part.text(1, key).number(2, number);
    message.part(27, &part);
}
