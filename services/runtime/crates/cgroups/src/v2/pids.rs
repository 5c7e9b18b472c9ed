//! pids: the number of tasks.

use crate::files::number;
use crate::stats::Pids;
use crate::{convert, write, Result};
use std::path::Path;

pub(crate) fn apply(path: &Path, limit: i64) -> Result<()> {
    write(&path.join("pids.max"), &convert::tasks(limit))
}

pub(crate) fn stats(path: &Path) -> Pids {
    let limit = number(&path.join("pids.max")).unwrap_or(0);
    Pids {
        current: number(&path.join("pids.current")).unwrap_or(0),
        // As runc: no limit is 0.
        limit: if limit == u64::MAX { 0 } else { limit },
    }
}
