//! What the global flags say.

use engine::{Driver, Store};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The settings of one call.
pub(crate) struct Session {
    pub(crate) store: Store,
    pub(crate) driver: Driver,
    pub(crate) rootless: bool,
    pub(crate) criu: PathBuf,
}

static VERB: OnceLock<String> = OnceLock::new();

/// Remember the verb, for the exit code of a failure.
pub(crate) fn set_verb(verb: &str) {
    let _ = VERB.set(verb.into());
}

/// The verb, once it is known.
pub(crate) fn verb() -> Option<String> {
    VERB.get().cloned()
}
