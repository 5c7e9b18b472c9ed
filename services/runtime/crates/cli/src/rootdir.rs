//! Where the state of containers is, unless `--root` says it.

use std::path::PathBuf;

const SYSTEM: &str = "/run/dockyard/runtime";

/// The system's directory for root; the user's runtime directory for everybody else.
pub(crate) fn default(rootless: bool) -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if rootless && !directory.is_empty() => PathBuf::from(directory).join("dockyard-runtime"),
        _ => SYSTEM.into(),
    }
}
