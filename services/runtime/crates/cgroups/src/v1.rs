//! cgroup v1: one directory in each hierarchy.

use crate::{devices, find, write, Context, Error, Group};
use spec::resources::{BlockIo, Cpu, Memory, Resources};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Error>;

pub(crate) fn create(group: &Group) -> Result<()> {
    fs::create_dir_all(&group.path).context(|| format!("create cgroup {}", group.path.display()))?;
    if group.controllers.split(',').any(|each| each == "cpuset") {
        inherit_cpuset(&group.path)?;
    }
    Ok(())
}

/// A new cpuset is empty and accepts no process: copy from the nearest ancestor that has a value, downwards.
fn inherit_cpuset(path: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let mut empty: Vec<PathBuf> = Vec::new();
        let mut at = path;
        let value = loop {
            let file = at.join(name);
            let text = fs::read_to_string(&file).context(|| format!("read {}", file.display()))?;
            if !text.trim().is_empty() {
                break text;
            }
            empty.push(file);
            match at.parent() {
                Some(parent) if parent.join(name).exists() => at = parent,
                _ => break text,
            }
        };
        for file in empty.iter().rev() {
            write(file, value.trim())?;
        }
    }
    Ok(())
}

pub(crate) fn apply(groups: &[Group], resources: &Resources, with_devices: bool) -> Result<()> {
    if let Some((name, _)) = resources.unified.first_key_value() {
        return Err(unsupported(format!("unified resource {name} needs cgroup v2")));
    }
    if with_devices {
        if let Some(group) = find(groups, "devices") {
            device_rules(&group.path, resources)?;
        }
    }
    if let Some(limits) = &resources.memory {
        memory(groups, limits)?;
    }
    if let Some(limits) = &resources.cpu {
        cpu(groups, limits)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        let value = if limit > 0 { limit.to_string() } else { "max".into() };
        set(groups, "pids", "pids.max", &value)?;
    }
    if let Some(limits) = &resources.block_io {
        block_io(groups, limits)?;
    }
    for each in &resources.hugepage_limits {
        set(groups, "hugetlb", &format!("hugetlb.{}.limit_in_bytes", each.page_size), &each.limit.to_string())?;
    }
    if let Some(network) = &resources.network {
        if let Some(class) = network.class_id {
            set(groups, "net_cls", "net_cls.classid", &class.to_string())?;
        }
        for each in &network.priorities {
            set(groups, "net_prio", "net_prio.ifpriomap", &format!("{} {}", each.name, each.priority))?;
        }
    }
    Ok(())
}

fn unsupported(what: String) -> Error {
    Error { what, source: ErrorKind::Unsupported.into() }
}

fn set(groups: &[Group], controller: &str, file: &str, value: &str) -> Result<()> {
    let group = find(groups, controller)
        .ok_or_else(|| unsupported(format!("{file} cannot be set: the {controller} cgroup is not mounted")))?;
    write(&group.path.join(file), value)
}

fn device_rules(path: &Path, resources: &Resources) -> Result<()> {
    for rule in devices::effective(&resources.devices) {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        write(&path.join(file), &rule.to_string())?;
    }
    Ok(())
}

fn memory(groups: &[Group], limits: &Memory) -> Result<()> {
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
            return Err(Error {
                what: format!("memory swappiness {value} is not between 0 and 100"),
                source: ErrorKind::InvalidInput.into(),
            });
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

fn cpu(groups: &[Group], limits: &Cpu) -> Result<()> {
    if let Some(shares) = limits.shares.filter(|shares| *shares != 0) {
        set(groups, "cpu", "cpu.shares", &shares.to_string())?;
    }
    if let Some(period) = limits.period.filter(|period| *period != 0) {
        set(groups, "cpu", "cpu.cfs_period_us", &period.to_string())?;
    }
    if let Some(quota) = limits.quota.filter(|quota| *quota != 0) {
        set(groups, "cpu", "cpu.cfs_quota_us", &quota.to_string())?;
    }
    if let Some(burst) = limits.burst {
        set(groups, "cpu", "cpu.cfs_burst_us", &burst.to_string())?;
    }
    if let Some(period) = limits.realtime_period.filter(|period| *period != 0) {
        set(groups, "cpu", "cpu.rt_period_us", &period.to_string())?;
    }
    if let Some(runtime) = limits.realtime_runtime.filter(|runtime| *runtime != 0) {
        set(groups, "cpu", "cpu.rt_runtime_us", &runtime.to_string())?;
    }
    if let Some(idle) = limits.idle {
        set(groups, "cpu", "cpu.idle", &idle.to_string())?;
    }
    if !limits.cpus.is_empty() {
        set(groups, "cpuset", "cpuset.cpus", &limits.cpus)?;
    }
    if !limits.mems.is_empty() {
        set(groups, "cpuset", "cpuset.mems", &limits.mems)?;
    }
    Ok(())
}

fn block_io(groups: &[Group], limits: &BlockIo) -> Result<()> {
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
