//! pids: the number of tasks.

use super::set;
use crate::files::number;
use crate::stats::Pids;
use crate::{convert, find, Group, Result};

pub(crate) fn apply(groups: &[Group], limit: i64) -> Result<()> {
    set(groups, "pids", "pids.max", &convert::tasks(limit))
}

pub(crate) fn stats(groups: &[Group]) -> Pids {
    let Some(group) = find(groups, "pids") else { return Pids::default() };
    let limit = number(&group.path.join("pids.max")).unwrap_or(0);
    Pids {
        current: number(&group.path.join("pids.current")).unwrap_or(0),
        // As runc: no limit is 0.
        limit: if limit == u64::MAX { 0 } else { limit },
    }
}
