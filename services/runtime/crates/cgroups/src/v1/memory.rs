//! memory: limits for memory and swap.

use super::set;
use crate::files::{number, pairs};
use crate::stats::{Memory as Figures, MemoryEntry};
use crate::{find, Error, Group, Result};
use spec::resources::Memory;
use std::fs;
use std::io::ErrorKind;

pub(crate) fn apply(groups: &[Group], limits: &Memory) -> Result<()> {
    if limits.check_before_update == Some(true) {
        refuse_below_usage(groups, limits)?;
    }
    let put = |file: &str, value: i64| set(groups, "memory", file, &value.to_string());
    let swap = match (limits.limit, limits.swap) {
        // Unlimited memory with a limited swap total makes no sense to the kernel.
        (Some(-1), None) => Some(-1),
        (_, swap) => swap.filter(|total| *total != 0),
    };
    match (limits.limit.filter(|limit| *limit != 0), swap) {
        (Some(limit), Some(total)) => {
            // memory <= memory+swap must hold after each write: begin with the one that has room.
            let group = find(groups, "memory");
            let current = group
                .and_then(|each| fs::read_to_string(each.path.join("memory.memsw.limit_in_bytes")).ok())
                .and_then(|text| text.trim().parse::<u64>().ok());
            let first_swap = total == -1 || current.is_some_and(|now| now < limit.max(0) as u64);
            if first_swap {
                put("memory.memsw.limit_in_bytes", total)?;
                put("memory.limit_in_bytes", limit)?;
            } else {
                put("memory.limit_in_bytes", limit)?;
                put_swap(groups, total, limit)?;
            }
        }
        (Some(limit), None) => put("memory.limit_in_bytes", limit)?,
        (None, Some(total)) => put("memory.memsw.limit_in_bytes", total)?,
        (None, None) => {}
    }
    if let Some(value) = limits.reservation.filter(|value| *value != 0) {
        put("memory.soft_limit_in_bytes", value)?;
    }
    if let Some(value) = limits.kernel_tcp.filter(|value| *value != 0) {
        put("memory.kmem.tcp.limit_in_bytes", value)?;
    }
    if limits.disable_oom_killer == Some(true) {
        put("memory.oom_control", 1)?;
    }
    if let Some(value) = limits.swappiness {
        if value > 100 {
            return Err(Error::invalid(format!("memory swappiness {value} is not between 0 and 100")));
        }
        set(groups, "memory", "memory.swappiness", &value.to_string())?;
    }
    Ok(())
}

/// A kernel without swap accounting has no such file; a total equal to the memory limit then holds anyway.
fn put_swap(groups: &[Group], total: i64, limit: i64) -> Result<()> {
    let result = set(groups, "memory", "memory.memsw.limit_in_bytes", &total.to_string());
    match result {
        Err(error) if error.source.kind() == ErrorKind::NotFound && (total == limit || total == 2 * limit) => Ok(()),
        other => other,
    }
}

fn refuse_below_usage(groups: &[Group], limits: &Memory) -> Result<()> {
    let usage = find(groups, "memory").and_then(|group| number(&group.path.join("memory.usage_in_bytes")));
    match (limits.limit, usage) {
        (Some(limit), Some(usage)) if limit > 0 && usage > limit as u64 => {
            Err(Error::invalid(format!("rejecting memory limit {limit} < usage {usage} (checkBeforeUpdate)")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn stats(groups: &[Group]) -> Figures {
    let Some(group) = find(groups, "memory") else { return Figures::default() };
    let read = |name: &str, file: &str| number(&group.path.join(format!("{name}.{file}"))).unwrap_or(0);
    let entry = |name: &str| MemoryEntry {
        limit: read(name, "limit_in_bytes"),
        usage: read(name, "usage_in_bytes"),
        max: read(name, "max_usage_in_bytes"),
        failcnt: read(name, "failcnt"),
    };
    let raw: std::collections::BTreeMap<String, u64> = pairs(&group.path.join("memory.stat")).collect();
    Figures {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: entry("memory"),
        swap: entry("memory.memsw"),
        kernel: entry("memory.kmem"),
        kernel_tcp: entry("memory.kmem.tcp"),
        raw,
    }
}
