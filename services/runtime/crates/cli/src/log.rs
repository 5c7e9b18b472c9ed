//! `--log`: one line for a failure, JSON or text; callers read the last one.

use engine::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Where failures are written besides standard error.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) path: Option<PathBuf>,
    pub(crate) json: bool,
}

impl Log {
    /// Write a failure; one that cannot be written is on standard error anyway.
    pub(crate) fn error(&self, error: &Error) {
        let Some(path) = &self.path else { return };
        let (seconds, _) = sys::process::now();
        let (year, month, day, hour, minute, second) = sys::process::utc(seconds);
        let time = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        let line = if self.json {
            serde_json::json!({
                "kind": error.kind.as_str(), "level": "error", "msg": error.message, "time": time,
            })
            .to_string()
        } else {
            format!("time={time:?} level=error kind={} msg={:?}", error.kind.as_str(), error.message)
        };
        let _ = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    }
}
