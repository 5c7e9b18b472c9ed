//! `--log`: one line for a failure, JSON or text; callers read the last one. With `--debug`, what happens on the way, too.

use engine::{notes::Level, Error};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

/// Where lines go. Opened once: the container's process still writes to it when it no longer sees the host's files.
pub(crate) struct Log {
    file: Option<File>,
    json: bool,
    lowest: Level,
}

static LOG: OnceLock<Log> = OnceLock::new();

impl Log {
    /// Begin to log what matters as much as `lowest`, or more.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn begin(path: Option<&Path>, json: bool, lowest: Level) -> std::io::Result<()> {
        let file = path.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        if LOG.set(Self { file, json, lowest }).is_ok() {
            engine::notes::listen(|level, message| write(level, None, message));
        }
        Ok(())
    }
}

/// Write a failure to the log; it is on standard error anyway.
pub(crate) fn error(error: &Error) {
    if LOG.get().is_some_and(|log| log.file.is_some()) {
        write(Level::Error, Some(error.kind.as_str()), &error.message);
    }
}

fn write(level: Level, kind: Option<&str>, message: &str) {
    let Some(log) = LOG.get() else { return };
    if level < log.lowest {
        return;
    }
    let (seconds, _) = sys::process::now();
    let (year, month, day, hour, minute, second) = sys::process::utc(seconds);
    let time = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    let word = level.as_str();
    let line = if log.json {
        let mut line = serde_json::json!({"level": word, "msg": message, "time": time});
        if let Some(kind) = kind {
            line["kind"] = kind.into();
        }
        line.to_string()
    } else {
        let kind = kind.map(|kind| format!(" kind={kind}")).unwrap_or_default();
        format!("time={time:?} level={word}{kind} msg={message:?}")
    };
    let line = format!("{line}\n");
    // A log that cannot be written must not stop the container.
    let _ = match &log.file {
        Some(file) => (&*file).write_all(line.as_bytes()),
        None => std::io::stderr().write_all(line.as_bytes()),
    };
}
