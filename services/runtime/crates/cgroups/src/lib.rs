//! Control groups of one container: v1, hybrid and v2, driven through the file system or by systemd.

mod convert;
mod detect;
mod devices;
mod entrance;
mod error;
mod files;
mod manager;
mod oom;
mod path;
mod stats;
mod systemd;
mod tree;
mod v1;
mod v2;

pub use detect::{detect, Layout};
pub use entrance::Entrance;
pub use error::Error;
pub use manager::{Driver, Group, Manager, Request};
pub use oom::OomWatch;
pub use stats::Stats;

pub(crate) use error::{Context, Result};
pub(crate) use files::{find, write};
