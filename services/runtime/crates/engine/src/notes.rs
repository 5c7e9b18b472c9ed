//! What happens on the way, for whoever listens: the command line writes it to its log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

/// How much a note matters, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A step, for `--debug`.
    Debug,
    /// Something was asked for that this host cannot give, and that is not worth failing for.
    Warning,
    /// A failure that must not end what is being done.
    Error,
}

impl Level {
    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

static LISTENER: OnceLock<fn(Level, &str)> = OnceLock::new();

/// Hear every note from now on; the first listener stays.
pub fn listen(listener: fn(Level, &str)) {
    let _ = LISTENER.set(listener);
}

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Say nothing any more: the listener's file is about to be closed.
pub(crate) fn stop() {
    STOPPED.store(true, Ordering::Relaxed);
}

fn note(level: Level, message: &str) {
    if let Some(listener) = LISTENER.get().filter(|_| !STOPPED.load(Ordering::Relaxed)) {
        listener(level, message);
    }
}

pub(crate) fn debug(message: &str) {
    note(Level::Debug, message);
}

pub(crate) fn warn(message: &str) {
    note(Level::Warning, message);
}
