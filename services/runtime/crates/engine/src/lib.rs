//! The life of a container: create, start, exec, kill, delete, and what lies between.
//!
//! A parent (`create`, `exec`) prepares everything that needs the host, clones once, and settles cgroups while the child
//! builds the root file system. The child (`init`) never sees a path of the host after it has pivoted; every path of
//! the container is resolved by descriptor, inside its root.

mod config;
pub mod criu;
mod error;
mod features;
mod hooks;
mod init;
mod lock;
mod lsm;
mod namespaces;
mod netdevices;
pub mod notes;
pub mod notify;
mod process;
mod procfs;
mod rdt;
mod rootfs;
mod state;

pub mod lifecycle;

pub use cgroups::Driver;
pub use config::{check_process, load_config, load_process};
/// Whether this host has cgroup v2 alone.
#[must_use]
pub fn on_cgroup_v2() -> bool {
    cgroups::detect().is_ok_and(|layout| layout.unified())
}

pub use error::{Error, Kind, Result};
pub use features::features;
pub use init::credentials::capability_names;
pub use rootfs::options::names as mount_option_names;
pub use state::{Container, Store};
