//! io: weights and rates of block devices.

use crate::stats::{BlockEntry, BlockIo as Figures};
use crate::{convert, write, Error, Result};
use spec::resources::BlockIo;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

pub(crate) fn apply(path: &Path, limits: &BlockIo) -> Result<()> {
    if limits.leaf_weight.is_some_and(|value| value != 0)
        || limits.weight_device.iter().any(|each| each.leaf_weight.is_some_and(|value| value != 0))
    {
        return Err(Error::unsupported("linux.resources.blockIO.leafWeight: needs cgroup v1"));
    }
    if let Some(value) = limits.weight.filter(|value| *value != 0) {
        match write(&path.join("io.bfq.weight"), &value.to_string()) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => {
                write(&path.join("io.weight"), &convert::io_weight(value).to_string())?;
            }
            other => other?,
        }
    }
    for each in &limits.weight_device {
        if let Some(value) = each.weight {
            write(&path.join("io.bfq.weight"), &format!("{}:{} {value}", each.major, each.minor))?;
        }
    }
    for (key, devices) in [
        ("rbps", &limits.throttle_read_bps_device),
        ("wbps", &limits.throttle_write_bps_device),
        ("riops", &limits.throttle_read_iops_device),
        ("wiops", &limits.throttle_write_iops_device),
    ] {
        for each in devices {
            write(&path.join("io.max"), &format!("{}:{} {key}={}", each.major, each.minor, each.rate))?;
        }
    }
    Ok(())
}

/// io.stat in the lists of v1: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
pub(crate) fn stats(path: &Path) -> Figures {
    let mut found = Figures::default();
    let text = fs::read_to_string(path.join("io.stat")).unwrap_or_default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for word in words {
            let Some((key, value)) = word.split_once('=') else { continue };
            let (list, op) = match key {
                "rbytes" => ("ioServiceBytesRecursive", "Read"),
                "wbytes" => ("ioServiceBytesRecursive", "Write"),
                "dbytes" => ("ioServiceBytesRecursive", "Discard"),
                "rios" => ("ioServicedRecursive", "Read"),
                "wios" => ("ioServicedRecursive", "Write"),
                "dios" => ("ioServicedRecursive", "Discard"),
                _ => continue,
            };
            let Ok(value) = value.parse() else { continue };
            found.lists.entry(list).or_default().push(BlockEntry { major, minor, op: op.into(), value });
        }
    }
    found
}
