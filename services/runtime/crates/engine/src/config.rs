//! Reading `config.json` and refusing what cannot work before anything is made.

use crate::error::{describe, Error, Kind, Result};
use crate::init::scheduling;
use crate::{lsm, netdevices, rdt};
use spec::{NamespaceKind, Spec};
use std::fs;
use std::path::Path;

/// Read and check a bundle's configuration.
///
/// # Errors
/// `NotFound` without a config.json, `InvalidConfig` with the field's name.
pub fn load_config(bundle: &Path) -> Result<Spec> {
    load(&bundle.join("config.json")).map(|(spec, _)| spec)
}

/// Read and check a configuration; its text, too.
///
/// # Errors
/// `NotFound` without a config.json, `InvalidConfig` with the field's name.
pub(crate) fn load(path: &Path) -> Result<(Spec, Vec<u8>)> {
    let bytes = fs::read(path).map_err(|error| {
        let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Internal };
        Error::new(kind, format!("JSON specification file {} cannot be read: {}", path.display(), describe(&error)))
    })?;
    let spec: Spec = spec::read(&bytes).map_err(|error| Error::config(format!("{}: {error}", path.display())))?;
    validate(&spec)?;
    Ok((spec, bytes))
}

/// Read and check a process document for `exec`.
///
/// # Errors
/// `InvalidConfig` with the field's name.
pub fn load_process(path: &Path) -> Result<spec::Process> {
    let bytes = fs::read(path).map_err(|error| Error::config(format!("{}: {}", path.display(), describe(&error))))?;
    let process: spec::Process =
        spec::read(&bytes).map_err(|error| Error::config(format!("{}: {error}", path.display())))?;
    check_process(&process)?;
    Ok(process)
}

fn validate(spec: &Spec) -> Result<()> {
    let major = spec.oci_version.split('.').next().unwrap_or_default();
    if major != "1" {
        return Err(Error::config(format!("ociVersion: {:?} is not a version that is understood", spec.oci_version)));
    }
    let root = spec.root.as_ref().ok_or_else(|| Error::config("root: is required"))?;
    if root.path.is_empty() {
        return Err(Error::config("root.path: must not be empty"));
    }
    let process = spec.process.as_ref().ok_or_else(|| Error::config("process: is required"))?;
    check_process(process)?;
    for mount in &spec.mounts {
        if mount.destination.is_empty() || mount.destination.contains('\0') {
            return Err(Error::config("mounts: destination must not be empty"));
        }
    }
    validate_linux(spec)
}

fn validate_linux(spec: &Spec) -> Result<()> {
    let linux = spec.linux.as_ref().ok_or_else(|| Error::config("linux: is required"))?;
    for (at, namespace) in linux.namespaces.iter().enumerate() {
        if linux.namespaces[..at].iter().any(|other| other.kind == namespace.kind) {
            return Err(Error::config(format!("linux.namespaces: {:?} is listed twice", namespace.kind)));
        }
        if !namespace.path.is_empty() && !namespace.path.starts_with('/') {
            return Err(Error::config(format!("linux.namespaces: path {:?} is not absolute", namespace.path)));
        }
    }
    let own = |kind| linux.namespaces.iter().any(|each| each.kind == kind && each.path.is_empty());
    if !own(NamespaceKind::Mount) {
        return Err(Error::config("linux.namespaces: a new mount namespace is required"));
    }
    let has = |kind| linux.namespaces.iter().any(|each| each.kind == kind);
    if !spec.hostname.is_empty() && !has(NamespaceKind::Uts) {
        return Err(Error::config("hostname: cannot be set without a uts namespace"));
    }
    if !spec.domainname.is_empty() && !has(NamespaceKind::Uts) {
        return Err(Error::config("domainname: cannot be set without a uts namespace"));
    }
    if own(NamespaceKind::User) && (linux.uid_mappings.is_empty() || linux.gid_mappings.is_empty()) {
        return Err(Error::config("linux.uidMappings: a new user namespace needs id mappings"));
    }
    if let Some(wanted) = &linux.intel_rdt {
        rdt::check(wanted)?;
    }
    if let Some(policy) = &linux.memory_policy {
        scheduling::memory_policy(policy)?;
    }
    if let Some(devices) = linux.net_devices.as_ref().filter(|devices| !devices.is_empty()) {
        if !has(NamespaceKind::Network) {
            return Err(Error::config("linux.netDevices: a network namespace is needed"));
        }
        netdevices::check(devices)?;
    }
    if let Some(personality) = &linux.personality {
        scheduling::persona(personality)?;
    }
    if linux.time_offsets.as_ref().is_some_and(|offsets| !offsets.is_empty()) && !own(NamespaceKind::Time) {
        return Err(Error::config("linux.timeOffsets: a new time namespace is needed"));
    }
    if !linux.mount_label.is_empty() && !lsm::has_selinux() {
        return Err(Error::config("linux.mountLabel: this host has no SELinux"));
    }
    let context = spec.annotations.get("run.oci.mount_context_type").map(String::as_str);
    if let Some(other) = context.filter(|word| !matches!(*word, "context" | "fscontext" | "defcontext" | "rootcontext"))
    {
        return Err(Error::config(format!("annotation run.oci.mount_context_type: {other:?} is unknown")));
    }
    if spec.annotations.get("run.oci.handler").is_some_and(|handler| !handler.is_empty()) {
        return Err(Error::config("annotation run.oci.handler: other handlers than the kernel are not supported"));
    }
    for key in linux.sysctl.keys() {
        validate_sysctl(key, has(NamespaceKind::Ipc), has(NamespaceKind::Network), has(NamespaceKind::Uts))?;
    }
    for device in &linux.devices {
        if !matches!(device.kind.as_str(), "b" | "c" | "u" | "p") {
            return Err(Error::config(format!("linux.devices: type {:?} of {} is unknown", device.kind, device.path)));
        }
    }
    Ok(())
}

/// Only what belongs to a namespace of the container may be changed.
fn validate_sysctl(key: &str, ipc: bool, network: bool, uts: bool) -> Result<()> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let name = key.replace('/', ".");
    let allowed = (ipc && (IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.")))
        || (network && name.starts_with("net."))
        || (uts && name == "kernel.domainname");
    if allowed && !name.contains("..") {
        return Ok(());
    }
    Err(Error::config(format!("linux.sysctl: {key:?} is not in a separate kernel namespace of the container")))
}

/// Refuse what cannot work in a process document.
///
/// # Errors
/// `InvalidConfig` with the field's name.
pub fn check_process(process: &spec::Process) -> Result<()> {
    if process.args.is_empty() {
        return Err(Error::config("process.args: must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(Error::config(format!("process.cwd: {:?} is not an absolute path", process.cwd)));
    }
    let user = &process.user;
    for (field, id) in [("uid", user.uid), ("gid", user.gid)] {
        // To the kernel it means "leave it as it is": the process would stay root.
        if id == u32::MAX {
            return Err(Error::config(format!("process.user.{field}: {id} is no id")));
        }
    }
    if user.additional_gids.contains(&u32::MAX) {
        return Err(Error::config(format!("process.user.additionalGids: {} is no id", u32::MAX)));
    }
    for (field, strings) in [("args", &process.args), ("env", &process.env)] {
        if strings.iter().any(|each| each.contains('\0')) {
            return Err(Error::config(format!("process.{field}: a string contains a NUL byte")));
        }
    }
    if let Some(scheduler) = &process.scheduler {
        scheduling::parse(scheduler)?;
    }
    if let Some(priority) = &process.io_priority {
        scheduling::io_class(priority)?;
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        for list in [&affinity.initial, &affinity.last].into_iter().filter(|list| !list.is_empty()) {
            scheduling::cpus(list)?;
        }
    }
    if !process.selinux_label.is_empty() && !lsm::has_selinux() {
        return Err(Error::config("process.selinuxLabel: this host has no SELinux"));
    }
    if !process.apparmor_profile.is_empty() && !Path::new("/sys/module/apparmor").exists() {
        return Err(Error::config("process.apparmorProfile: this host has no AppArmor"));
    }
    for (at, limit) in process.rlimits.iter().enumerate() {
        if process.rlimits[..at].iter().any(|other| other.kind == limit.kind) {
            return Err(Error::config(format!("process.rlimits: {} is listed twice", limit.kind)));
        }
    }
    Ok(())
}
