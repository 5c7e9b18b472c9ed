//! One error type for the crate.

use std::io::{self, ErrorKind};

/// Why a cgroup operation failed: a sentence that names the file, and the cause.
#[derive(Debug)]
pub struct Error {
    /// What was being done.
    pub what: String,
    /// The cause; for what was refused without trying, only its kind matters.
    pub source: io::Error,
}

impl Error {
    /// A value that cannot be right.
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: ErrorKind::InvalidInput.into() }
    }

    /// Something that this host cannot do.
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: ErrorKind::Unsupported.into() }
    }

    /// Whether the caller's rights are what is missing.
    #[must_use]
    pub fn denied(&self) -> bool {
        const EROFS: i32 = 30;
        self.source.kind() == ErrorKind::PermissionDenied || self.source.raw_os_error() == Some(EROFS)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let refused = matches!(self.source.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported);
        if refused && self.source.raw_os_error().is_none() && self.source.get_ref().is_none() {
            return formatter.write_str(&self.what);
        }
        write!(formatter, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error { what: what(), source })
    }
}
