//! cpu: weights, quotas, times.

use crate::convert::weight_of_shares;
use crate::files::pairs;
use crate::stats::Cpu as Figures;
use crate::{write, Context, Error, Result};
use spec::resources::Cpu;
use std::fs;
use std::path::Path;

pub(crate) fn apply(path: &Path, limits: &Cpu) -> Result<()> {
    if limits.realtime_period.is_some_and(|value| value != 0) || limits.realtime_runtime.is_some_and(|value| value != 0)
    {
        return Err(Error::unsupported("linux.resources.cpu.realtimeRuntime: needs cgroup v1"));
    }
    if let Some(idle) = limits.idle {
        write(&path.join("cpu.idle"), &idle.to_string())?;
    }
    // An idle cgroup has no weight.
    if let Some(shares) = limits.shares.filter(|shares| *shares != 0 && limits.idle != Some(1)) {
        write(&path.join("cpu.weight"), &weight_of_shares(shares).to_string())?;
    }
    // The burst must not exceed the quota at any time: a smaller one goes first, a larger one last.
    let put_burst = |burst: u64| write(&path.join("cpu.max.burst"), &burst.to_string());
    let early = limits.burst.is_some_and(|burst| put_burst(burst).is_ok());
    let period = limits.period.filter(|period| *period != 0);
    let quota = limits.quota.filter(|quota| *quota != 0);
    if quota.is_some() || period.is_some() {
        let file = path.join("cpu.max");
        // The file holds both; the one that is not given stays as it is.
        let now = fs::read_to_string(&file).context(|| format!("read {}", file.display()))?;
        let (old_quota, old_period) = now.trim().split_once(' ').unwrap_or(("max", "100000"));
        let quota = match quota {
            Some(quota) if quota > 0 => quota.to_string(),
            Some(_) => "max".into(),
            None => old_quota.into(),
        };
        let period = period.map_or_else(|| old_period.to_string(), |period| period.to_string());
        write(&file, &format!("{quota} {period}"))?;
    }
    match limits.burst {
        Some(burst) if !early => put_burst(burst),
        _ => Ok(()),
    }
}

pub(crate) fn stats(path: &Path) -> Figures {
    let mut found = Figures::default();
    for (key, value) in pairs(&path.join("cpu.stat")) {
        match key.as_str() {
            "usage_usec" => found.usage.total = value * 1000,
            "user_usec" => found.usage.user = value * 1000,
            "system_usec" => found.usage.kernel = value * 1000,
            "nr_periods" => found.throttling.periods = value,
            "nr_throttled" => found.throttling.throttled_periods = value,
            "throttled_usec" => found.throttling.throttled_time = value * 1000,
            _ => {}
        }
    }
    found
}
