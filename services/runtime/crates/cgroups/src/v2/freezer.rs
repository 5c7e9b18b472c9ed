//! Stopping all processes.

use crate::{write, Context, Error, Result};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long processes in the kernel may take to come to a stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Write cgroup.freeze and wait for the event file to agree.
pub(crate) fn freeze(path: &Path, frozen: bool) -> Result<()> {
    let events = path.join("cgroup.events");
    let mut file = fs::File::open(&events).context(|| format!("open {}", events.display()))?;
    write(&path.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
    let wanted = format!("frozen {}", u8::from(frozen));
    let end = Instant::now() + PATIENCE;
    loop {
        file.rewind().context(|| format!("read {}", events.display()))?;
        if BufReader::new(&file).lines().map_while(std::result::Result::ok).any(|line| line == wanted) {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        // It raises POLLPRI when it has changed since it was read.
        sys::fs::wait_changed_for(file.as_fd(), left.as_millis() as i32 + 1)
            .context(|| format!("wait for {}", events.display()))?;
    }
    Err(Error { what: format!("freeze {}", path.display()), source: ErrorKind::TimedOut.into() })
}
