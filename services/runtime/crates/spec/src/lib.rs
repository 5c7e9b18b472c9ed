//! The documents of the OCI runtime-spec 1.3: `config.json`, the state and the features, as far as they concern Linux.
//!
//! Unknown fields are ignored, as the specification asks. Values stay as they were written; what they mean, and
//! which are refused, is decided in `engine` and `cgroups`.

pub mod config;
mod document;
pub mod features;
pub mod linux;
pub mod resources;
pub mod seccomp;
pub mod state;

pub use config::{Hook, Hooks, Mount, Process, Rlimit, Root, Spec, User};
pub use document::read;
pub use features::Features;
pub use linux::{IdMapping, Linux, LinuxDevice, Namespace, NamespaceKind};
pub use resources::Resources;
pub use seccomp::Seccomp;
pub use state::{State, Status};

/// The version of the specification that is implemented.
pub const VERSION: &str = "1.3.0";
