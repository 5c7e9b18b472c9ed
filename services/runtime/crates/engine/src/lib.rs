//! The life of a container: create, start, exec, kill, delete, and what lies between.
//!
//! A parent (`create`, `exec`) prepares everything that needs the host, clones once, and settles cgroups while the child
//! builds the root file system. The child (`init`) never sees a path of the host after it has pivoted; every path of
//! the container is resolved by descriptor, inside its root.

mod channel;
mod config;
mod console;
mod error;
mod hooks;
mod identity;
mod init;
mod labels;
mod namespaces;
mod parent;
mod procfs;
mod record;
mod rootfs;
mod scheduling;

pub mod create;
pub mod exec;
pub mod lifecycle;

pub use config::{load as load_config, load_process};
pub use error::{Error, Kind, Result};
pub use identity::capability_names;
pub use record::{Container, Store};
pub use rootfs::options::names as mount_option_names;
