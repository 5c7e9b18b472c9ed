//! cpu and cpuacct: shares, quotas, times.

use super::set;
use crate::files::{number, pairs};
use crate::stats::{Cpu as Figures, CpuUsage};
use crate::{find, Group, Result};
use spec::resources::Cpu;
use std::fs;

const EINVAL: i32 = 22;
/// What cpuacct.stat counts in, on every architecture that Linux still has.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

pub(crate) fn apply(groups: &[Group], limits: &Cpu) -> Result<()> {
    let put = |file: &str, value: String| set(groups, "cpu", file, &value);
    if let Some(shares) = limits.shares.filter(|shares| *shares != 0) {
        put("cpu.shares", shares.to_string())?;
    }
    let period = limits.period.filter(|period| *period != 0).map(|period| period.to_string());
    let quota = limits.quota.filter(|quota| *quota != 0).map(|quota| quota.to_string());
    // The burst must not exceed the quota at any time: a smaller one goes first, a larger one last.
    let burst = limits.burst.map(|burst| burst.to_string());
    let early = burst.clone().is_some_and(|burst| put("cpu.cfs_burst_us", burst).is_ok());
    in_working_order(&put, ("cpu.cfs_period_us", period), ("cpu.cfs_quota_us", quota))?;
    if let (Some(burst), false) = (burst, early) {
        put("cpu.cfs_burst_us", burst)?;
    }
    let period = limits.realtime_period.filter(|period| *period != 0).map(|period| period.to_string());
    let runtime = limits.realtime_runtime.filter(|runtime| *runtime != 0).map(|runtime| runtime.to_string());
    in_working_order(&put, ("cpu.rt_period_us", period), ("cpu.rt_runtime_us", runtime))?;
    if let Some(idle) = limits.idle {
        put("cpu.idle", idle.to_string())?;
    }
    Ok(())
}

/// The kernel checks each pair after each write: where the first order does not pass, the other one does.
fn in_working_order(
    put: &dyn Fn(&str, String) -> Result<()>,
    (first, value): (&str, Option<String>),
    (second, other): (&str, Option<String>),
) -> Result<()> {
    let mut later = None;
    if let Some(value) = value {
        match put(first, value.clone()) {
            Err(error) if error.source.raw_os_error() == Some(EINVAL) && other.is_some() => later = Some(value),
            done => done?,
        }
    }
    if let Some(other) = other {
        put(second, other)?;
    }
    later.map_or(Ok(()), |value| put(first, value))
}

pub(crate) fn stats(groups: &[Group]) -> Figures {
    let mut found = Figures::default();
    if let Some(group) = find(groups, "cpuacct") {
        let times: Vec<(String, u64)> = pairs(&group.path.join("cpuacct.stat")).collect();
        let ticks = |name: &str| times.iter().find(|(key, _)| key == name).map_or(0, |(_, value)| *value);
        let percpu = fs::read_to_string(group.path.join("cpuacct.usage_percpu")).unwrap_or_default();
        found.usage = CpuUsage {
            total: number(&group.path.join("cpuacct.usage")).unwrap_or(0),
            percpu: percpu.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
            kernel: ticks("system") * NANOSECONDS_PER_TICK,
            user: ticks("user") * NANOSECONDS_PER_TICK,
        };
    }
    if let Some(group) = find(groups, "cpu") {
        for (key, value) in pairs(&group.path.join("cpu.stat")) {
            match key.as_str() {
                "nr_periods" => found.throttling.periods = value,
                "nr_throttled" => found.throttling.throttled_periods = value,
                "throttled_time" => found.throttling.throttled_time = value,
                _ => {}
            }
        }
    }
    found
}
