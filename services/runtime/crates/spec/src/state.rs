//! The state document of runtime-spec, which `state` prints and hooks read.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being created.
    Creating,
    /// Created, the program not yet executed.
    Created,
    /// The program runs.
    Running,
    /// Frozen.
    Paused,
    /// The program has ended.
    Stopped,
}

impl Status {
    /// The word of the specification.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The state document; `rootfs`, `created` and `owner` are runc's additions that callers read.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// `ociVersion` of the document.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The init process on the host; 0 if there is none.
    pub pid: i32,
    /// Where it is in its lifecycle.
    pub status: Status,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// Absolute path of the root file system.
    pub rootfs: String,
    /// When it was created, RFC 3339.
    pub created: String,
    /// The configuration's annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the user who created it.
    pub owner: String,
}
