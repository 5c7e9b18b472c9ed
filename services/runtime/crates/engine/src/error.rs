//! One error type: a kind that callers branch on, and a sentence.

use std::io;

/// What kind of failure it is; the words appear in the `--log` JSON as `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program is not in the container; callers look for `executable file not found`.
    CommandNotFound,
    /// The program is there and cannot be executed.
    CommandNotExecutable,
    /// There is no container of that id.
    NotFound,
    /// There is a container of that id already.
    AlreadyExists,
    /// The configuration is wrong, or asks for what this runtime refuses.
    InvalidConfig,
    /// The container is in no state for the command.
    NotRunning,
    /// Everything else: a system call that failed, a file that is damaged.
    Internal,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::CommandNotFound,
        Self::CommandNotExecutable,
        Self::NotFound,
        Self::AlreadyExists,
        Self::InvalidConfig,
        Self::NotRunning,
        Self::Internal,
    ];

    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommandNotFound => "command_not_found",
            Self::CommandNotExecutable => "command_not_executable",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::InvalidConfig => "invalid_config",
            Self::NotRunning => "not_running",
            Self::Internal => "internal",
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::Internal)
    }
}

/// A failure that a user reads.
#[derive(Clone, Debug)]
pub struct Error {
    /// By which the exit code and the wording of callers are chosen.
    pub kind: Kind,
    /// One sentence that names the field or the path.
    pub message: String,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidConfig, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<cgroups::Error> for Error {
    fn from(error: cgroups::Error) -> Self {
        Self::internal(error.to_string())
    }
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was being done when a system call failed.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
    fn during(self, what: &str) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::internal(format!("{}: {}", what(), describe(&error))))
    }

    fn during(self, what: &str) -> Result<T> {
        self.context(|| what.into())
    }
}

/// The kernel's words without the number: "no such file or directory".
pub(crate) fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}
