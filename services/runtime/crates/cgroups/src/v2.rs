//! cgroup v2: one directory, with the limits of v1 translated as runc does.

use crate::{devices, write, Context, Error, Group};
use spec::resources::{BlockIo, Cpu, Memory, Resources};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Error>;

/// How long processes in the kernel may take to come to a stop.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);
const ROOT: &str = "/sys/fs/cgroup";

/// Make the directory and enable every controller for it, from the root down.
pub(crate) fn create(group: &Group) -> Result<()> {
    let relative = group.path.strip_prefix(ROOT).unwrap_or(&group.path);
    let mut at = Path::new(ROOT).to_path_buf();
    for part in relative.components() {
        enable_controllers(&at);
        at.push(part);
        match fs::create_dir(&at) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).context(|| format!("create cgroup {}", at.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What cannot be enabled shows when a limit that needs it is written: that error names the file.
fn enable_controllers(path: &Path) {
    let available = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    let control = path.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&control).unwrap_or_default();
    for name in available.split_whitespace() {
        if !enabled.split_whitespace().any(|each| each == name) {
            let _ = write(&control, &format!("+{name}"));
        }
    }
}

pub(crate) fn apply(path: &Path, resources: &Resources, with_devices: bool) -> Result<()> {
    if with_devices {
        attach_devices(path, resources)?;
    }
    if let Some(limits) = &resources.memory {
        memory(path, limits)?;
    }
    if let Some(limits) = &resources.cpu {
        cpu(path, limits)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        write(&path.join("pids.max"), &if limit > 0 { limit.to_string() } else { "max".into() })?;
    }
    if let Some(limits) = &resources.block_io {
        block_io(path, limits)?;
    }
    for each in &resources.hugepage_limits {
        write(&path.join(format!("hugetlb.{}.max", each.page_size)), &each.limit.to_string())?;
    }
    if resources.network.is_some() {
        return Err(Error {
            what: "network class and priorities need cgroup v1".into(),
            source: ErrorKind::Unsupported.into(),
        });
    }
    for (name, value) in &resources.unified {
        if name.contains('/') || name.starts_with("cgroup.") {
            return Err(Error {
                what: format!("unified resource {name:?} is not a controller's file"),
                source: ErrorKind::InvalidInput.into(),
            });
        }
        for line in value.lines() {
            write(&path.join(name), line)?;
        }
    }
    Ok(())
}

fn attach_devices(path: &Path, resources: &Resources) -> Result<()> {
    let code = devices::compile(&devices::effective(&resources.devices));
    let program = sys::bpf::load_device_filter(&code).context(|| "load the device filter".into())?;
    let directory = fs::File::open(path).context(|| format!("open {}", path.display()))?;
    sys::bpf::attach_device_filter(&program, directory.as_fd())
        .context(|| format!("attach the device filter to {}", path.display()))
}

fn limit(value: i64) -> String {
    if value < 0 {
        "max".into()
    } else {
        value.to_string()
    }
}

fn memory(path: &Path, limits: &Memory) -> Result<()> {
    let memory = limits.limit.filter(|value| *value != 0);
    let swap = match (memory, limits.swap.filter(|value| *value != 0)) {
        (Some(-1), None) => Some("max".to_string()),
        (_, Some(-1)) => Some("max".to_string()),
        // The total of v1 becomes the part beyond the memory.
        (Some(memory), Some(total)) if total >= memory => Some((total - memory).to_string()),
        (_, Some(total)) => {
            return Err(Error {
                what: format!("memory+swap limit {total} is smaller than the memory limit"),
                source: ErrorKind::InvalidInput.into(),
            });
        }
        (_, None) => None,
    };
    if let Some(value) = swap {
        match write(&path.join("memory.swap.max"), &value) {
            // A kernel without swap has no such file.
            Err(error) if error.source.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    if let Some(value) = memory {
        write(&path.join("memory.max"), &limit(value))?;
    }
    if let Some(value) = limits.reservation.filter(|value| *value != 0) {
        write(&path.join("memory.low"), &limit(value))?;
    }
    Ok(())
}

/// `cpu.shares` (2–262144, default 1024) as `cpu.weight` (1–10000, default 100), by the formula of runc 1.3 and later.
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    10_f64.powf(exponent).ceil() as u64
}

fn cpu(path: &Path, limits: &Cpu) -> Result<()> {
    if let Some(shares) = limits.shares.filter(|shares| *shares != 0) {
        write(&path.join("cpu.weight"), &weight_of_shares(shares).to_string())?;
    }
    let period = limits.period.filter(|period| *period != 0);
    let quota = limits.quota.filter(|quota| *quota != 0);
    if quota.is_some() || period.is_some() {
        let value = match quota {
            Some(quota) if quota > 0 => quota.to_string(),
            _ => "max".into(),
        };
        write(&path.join("cpu.max"), &format!("{value} {}", period.unwrap_or(100_000)))?;
    }
    if let Some(burst) = limits.burst {
        write(&path.join("cpu.max.burst"), &burst.to_string())?;
    }
    if let Some(idle) = limits.idle {
        write(&path.join("cpu.idle"), &idle.to_string())?;
    }
    if !limits.cpus.is_empty() {
        write(&path.join("cpuset.cpus"), &limits.cpus)?;
    }
    if !limits.mems.is_empty() {
        write(&path.join("cpuset.mems"), &limits.mems)?;
    }
    Ok(())
}

fn block_io(path: &Path, limits: &BlockIo) -> Result<()> {
    if let Some(value) = limits.weight.filter(|value| *value != 0) {
        match write(&path.join("io.bfq.weight"), &value.to_string()) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => {
                // 10–1000 of blkio onto 1–10000 of io.weight.
                let scaled = 1 + (u64::from(value).max(10) - 10) * 9999 / 990;
                write(&path.join("io.weight"), &scaled.to_string())?;
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

/// Write cgroup.freeze and wait for the event file to agree.
pub(crate) fn freeze(path: &Path, frozen: bool) -> Result<()> {
    let events = path.join("cgroup.events");
    let mut file = fs::File::open(&events).context(|| format!("open {}", events.display()))?;
    write(&path.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
    let wanted = format!("frozen {}", u8::from(frozen));
    let end = Instant::now() + FREEZE_PATIENCE;
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

#[cfg(test)]
mod tests {
    use super::weight_of_shares;

    #[test]
    fn shares_become_weights_as_in_runc() {
        for (shares, weight) in [(0, 1), (2, 1), (1024, 100), (262_144, 10_000), (500_000, 10_000)] {
            assert_eq!(weight_of_shares(shares), weight);
        }
        assert!(weight_of_shares(512) < 100 && weight_of_shares(2048) > 100);
    }
}
