//! Limits as properties of a unit.

use super::dbus::Value;
use super::gvariant;
use crate::convert::{io_weight, swap_of, weight_of_shares};
use crate::devices::{effective, Rule};
use crate::stats::numbers;
use crate::{Error, Result};
use spec::resources::DeviceRule;
use spec::Resources;
use std::collections::BTreeMap;

const PREFIX: &str = "org.systemd.property.";
/// systemd's resolution of quotas: 10 ms of a second.
const QUOTA_STEP: u64 = 10_000;

pub(super) type Properties = Vec<(String, Value)>;

fn word(value: i64) -> Value {
    Value::U64(if value < 0 { u64::MAX } else { value as u64 })
}

/// The properties that limit what `resources` limits.
///
/// # Errors
/// A swap limit that makes no sense.
pub(super) fn limits(resources: &Resources, unified: bool) -> Result<Properties> {
    let mut found = Properties::new();
    let mut add = |name: &str, value: Value| found.push((name.into(), value));
    if let Some(memory) = &resources.memory {
        if let Some(limit) = memory.limit.filter(|value| *value != 0) {
            add(if unified { "MemoryMax" } else { "MemoryLimit" }, word(limit));
        }
        if unified {
            if let Some(low) = memory.reservation.filter(|value| *value != 0) {
                add("MemoryLow", word(low));
            }
            if let Some(swap) = swap_of(memory)? {
                add("MemorySwapMax", Value::U64(swap.parse().unwrap_or(u64::MAX)));
            }
        }
    }
    if let Some(cpu) = &resources.cpu {
        if let Some(shares) = cpu.shares.filter(|value| *value != 0) {
            if unified {
                add("CPUWeight", Value::U64(weight_of_shares(shares)));
            } else {
                add("CPUShares", Value::U64(shares));
            }
        }
        if let Some(period) = cpu.period.filter(|value| *value != 0) {
            add("CPUQuotaPeriodUSec", Value::U64(period));
        }
        if let Some(quota) = cpu.quota.filter(|value| *value != 0) {
            add("CPUQuotaPerSecUSec", Value::U64(quota_per_second(quota, cpu.period)));
        }
        if unified && !cpu.cpus.is_empty() {
            add("AllowedCPUs", Value::Bytes(mask(&cpu.cpus)));
        }
        if unified && !cpu.mems.is_empty() {
            add("AllowedMemoryNodes", Value::Bytes(mask(&cpu.mems)));
        }
    }
    if let Some(weight) = resources.block_io.as_ref().and_then(|limits| limits.weight).filter(|value| *value != 0) {
        if unified {
            add("IOWeight", Value::U64(io_weight(weight)));
        } else {
            add("BlockIOWeight", Value::U64(u64::from(weight)));
        }
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        add("TasksMax", word(if limit > 0 { limit } else { -1 }));
    }
    found.extend(devices(&resources.devices));
    Ok(found)
}

/// The device rules, without which systemd would allow everything again when it reloads. What it cannot express (wildcards over
/// numbers) is left to the runtime's own rules.
fn devices(rules: &[DeviceRule]) -> Properties {
    let rules = effective(rules);
    if rules.first().is_none_or(|rule| rule.allow || !rule.everything()) {
        return Properties::new();
    }
    let allowed = rules.iter().filter(|rule| rule.allow).filter_map(Rule::as_systemd).collect();
    vec![("DevicePolicy".into(), Value::Text("strict".into())), ("DeviceAllow".into(), Value::Pairs(allowed))]
}

/// Rounded up to what systemd can express, so that the runtime's own write is never above it.
fn quota_per_second(quota: i64, period: Option<u64>) -> u64 {
    if quota < 0 {
        return u64::MAX;
    }
    let period = period.filter(|period| *period != 0).unwrap_or(100_000);
    (quota as u64).saturating_mul(1_000_000).div_euclid(period).div_ceil(QUOTA_STEP) * QUOTA_STEP
}

/// A list of CPUs or nodes as bits, the lowest first.
fn mask(list: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers(list) {
        let at = usize::from(number / 8);
        if bytes.len() <= at {
            bytes.resize(at + 1, 0);
        }
        bytes[at] |= 1 << (number % 8);
    }
    bytes
}

/// The properties that annotations set.
///
/// # Errors
/// Names an annotation that cannot be read.
pub(super) fn annotated(annotations: &BTreeMap<String, String>) -> Result<Properties> {
    let mut found = Properties::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let bad = || Error::invalid(format!("annotation {key}: cannot read value {text:?}"));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(Error::invalid(format!("annotation {key}: is not the name of a property")));
        }
        let value = gvariant::parse(text).ok_or_else(bad)?;
        match name.strip_suffix("Sec").filter(|_| !name.ends_with("USec")) {
            Some(stem) => {
                found.push((format!("{stem}USec"), Value::U64(gvariant::microseconds(&value).ok_or_else(bad)?)));
            }
            None => found.push((name.into(), value)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{annotated, limits, mask, quota_per_second, Value};
    use spec::resources::{Cpu, Memory, Pids};
    use spec::Resources;
    use std::collections::BTreeMap;

    #[test]
    fn limits_have_the_names_of_each_version() {
        let resources = Resources {
            memory: Some(Memory { limit: Some(1 << 20), swap: Some(3 << 20), ..Memory::default() }),
            cpu: Some(Cpu { shares: Some(1024), ..Cpu::default() }),
            pids: Some(Pids { limit: Some(-1) }),
            ..Resources::default()
        };
        let names = |unified| limits(&resources, unified).map(|found| found.into_iter().map(|each| each.0).collect());
        let v1: Vec<String> = names(false).unwrap_or_default();
        let v2: Vec<String> = names(true).unwrap_or_default();
        assert_eq!(v1, ["MemoryLimit", "CPUShares", "TasksMax"]);
        assert_eq!(v2, ["MemoryMax", "MemorySwapMax", "CPUWeight", "TasksMax"]);
    }

    #[test]
    fn quotas_are_rounded_up() {
        assert_eq!(quota_per_second(50_000, None), 500_000);
        assert_eq!(quota_per_second(1_001, Some(100_000)), 20_000);
        assert_eq!(quota_per_second(-1, None), u64::MAX);
    }

    #[test]
    fn lists_become_masks() {
        assert_eq!(mask("0-1,9"), [0b11, 0b10]);
    }

    #[test]
    fn seconds_become_microseconds() {
        let one = |key: &str, value: &str| {
            annotated(&BTreeMap::from([(format!("org.systemd.property.{key}"), value.to_string())]))
        };
        assert!(
            one("TimeoutStopSec", "2").is_ok_and(|found| found == [("TimeoutStopUSec".into(), Value::U64(2_000_000))])
        );
        assert!(one("CollectMode", "'inactive'").is_ok_and(|found| found[0].1 == Value::Text("inactive".into())));
        assert!(one("X", "nonsense").is_err() && one("A/B", "1").is_err());
    }
}
