//! blkio: weights and rates of block devices.

use super::set;
use crate::stats::{BlockEntry, BlockIo as Figures};
use crate::{find, Group, Result};
use spec::resources::BlockIo;
use std::fs;
use std::io::ErrorKind;

pub(crate) fn apply(groups: &[Group], limits: &BlockIo) -> Result<()> {
    let put = |file: &str, value: &str| set(groups, "blkio", file, value);
    // The BFQ scheduler has its own names, and the CFQ ones are gone from current kernels.
    let weight = |plain: &str, bfq: &str, value: &str| match put(plain, value) {
        Err(error) if error.source.kind() == ErrorKind::NotFound => put(bfq, value),
        other => other,
    };
    if let Some(value) = limits.weight.filter(|value| *value != 0) {
        weight("blkio.weight", "blkio.bfq.weight", &value.to_string())?;
    }
    if let Some(value) = limits.leaf_weight.filter(|value| *value != 0) {
        put("blkio.leaf_weight", &value.to_string())?;
    }
    for each in &limits.weight_device {
        if let Some(value) = each.weight {
            let line = format!("{}:{} {value}", each.major, each.minor);
            weight("blkio.weight_device", "blkio.bfq.weight_device", &line)?;
        }
        if let Some(value) = each.leaf_weight {
            put("blkio.leaf_weight_device", &format!("{}:{} {value}", each.major, each.minor))?;
        }
    }
    for (file, devices) in [
        ("blkio.throttle.read_bps_device", &limits.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", &limits.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", &limits.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", &limits.throttle_write_iops_device),
    ] {
        for each in devices {
            put(file, &format!("{}:{} {}", each.major, each.minor, each.rate))?;
        }
    }
    Ok(())
}

const LISTS: [(&str, &str); 8] = [
    ("ioServiceBytesRecursive", "io_service_bytes_recursive"),
    ("ioServicedRecursive", "io_serviced_recursive"),
    ("ioQueueRecursive", "io_queued_recursive"),
    ("ioServiceTimeRecursive", "io_service_time_recursive"),
    ("ioWaitTimeRecursive", "io_wait_time_recursive"),
    ("ioMergedRecursive", "io_merged_recursive"),
    ("ioTimeRecursive", "time_recursive"),
    ("sectorsRecursive", "sectors_recursive"),
];

pub(crate) fn stats(groups: &[Group]) -> Figures {
    let mut found = Figures::default();
    let Some(group) = find(groups, "blkio") else { return found };
    for (key, file) in LISTS {
        // BFQ counts under its own names; without a scheduler that counts, the throttling layer does.
        let candidates = ["blkio.bfq.", "blkio.", "blkio.throttle."].map(|prefix| format!("{prefix}{file}"));
        let entries = candidates
            .iter()
            .filter_map(|name| fs::read_to_string(group.path.join(name)).ok())
            .map(|text| text.lines().filter_map(entry).collect::<Vec<_>>())
            .find(|entries| !entries.is_empty());
        if let Some(entries) = entries {
            found.lists.insert(key, entries);
        }
    }
    found
}

/// `8:0 Read 123`, or `8:0 123` without an operation.
fn entry(line: &str) -> Option<BlockEntry> {
    let mut words = line.split_whitespace();
    let (major, minor) = words.next()?.split_once(':')?;
    let mut op = words.next()?.to_string();
    let value = match words.next() {
        Some(value) => value.parse().ok()?,
        None => std::mem::take(&mut op).parse().ok()?,
    };
    Some(BlockEntry { major: major.parse().ok()?, minor: minor.parse().ok()?, op, value })
}
