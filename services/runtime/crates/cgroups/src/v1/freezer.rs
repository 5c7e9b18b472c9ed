//! freezer: stopping all processes.

use crate::{write, Context, Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The freezer has no event: the state is read until it is reached. A fork during FREEZING can keep it from settling,
/// so it is thawed and frozen again, as the kernel's documentation of the v1 freezer asks.
pub(crate) fn freeze(path: &Path, frozen: bool) -> Result<()> {
    let file = path.join("freezer.state");
    if !frozen {
        return write(&file, "THAWED");
    }
    for attempt in 1..=1000_u32 {
        write(&file, "FROZEN")?;
        let state = fs::read_to_string(&file).context(|| format!("read {}", file.display()))?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if attempt % 50 == 0 {
            write(&file, "THAWED")?;
        }
        std::thread::sleep(std::time::Duration::from_micros(10 * u64::from(attempt.min(100))));
    }
    write(&file, "THAWED")?;
    Err(Error { what: format!("freeze {}", path.display()), source: ErrorKind::TimedOut.into() })
}
