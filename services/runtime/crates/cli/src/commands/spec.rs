//! `spec`: a configuration to begin with.

use super::{Command, Outcome};
use crate::args::{switch, Grammar, Parsed};
use crate::session::Session;
use engine::{Error, Kind};
use serde_json::{json, Value};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "spec",
    about: "create a new configuration",
    arguments: "",
    flags: &[super::create::BUNDLE, switch(&["rootless"], "for a user without privileges")],
    ends_early: false,
};

const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// Write `config.json` into the bundle, which must not have one.
fn run(parsed: Parsed, _: VecDeque<String>, _: &Session) -> Outcome {
    if let Some(extra) = parsed.plain.first() {
        return Err(parsed.error(format!("unexpected argument {extra:?}")));
    }
    let path = parsed.path("bundle").unwrap_or_default().join("config.json");
    let failed = |error: std::io::Error| {
        let kind = if error.kind() == std::io::ErrorKind::AlreadyExists { Kind::AlreadyExists } else { Kind::Internal };
        Error::new(kind, format!("write {}: {error}", path.display()))
    };
    let mut document = document();
    // On v1 the namespace would change nothing that a container sees; the field leaves it out.
    if !engine::on_cgroup_v2() {
        if let Some(namespaces) = document["linux"]["namespaces"].as_array_mut() {
            namespaces.retain(|each| each["type"] != "cgroup");
        }
    }
    if parsed.on("rootless")? {
        make_rootless(&mut document);
    }
    let text =
        serde_json::to_string_pretty(&document).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(0)
}

/// The caller becomes root of a user namespace; what that root may not do is taken out: networks (no sysfs of its own),
/// groups of terminals, limits.
fn make_rootless(document: &mut Value) {
    let (uid, gid) = (sys::process::effective_uid(), sys::process::effective_gid());
    let linux = &mut document["linux"];
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
    linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
    linux["resources"] = Value::Null;
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.retain(|each| each["type"] != "network");
        namespaces.push(json!({"type": "user"}));
    }
    for mount in document["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            *mount = json!({
                "destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
            });
        }
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|each| each != "gid=5");
        }
    }
}

fn document() -> Value {
    let mount = |kind: &str, destination: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    json!({
        "ociVersion": ::spec::VERSION,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "dockyard",
        "mounts": [
            mount("proc", "/proc", &[]),
            mount("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
            mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
            mount("cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "cgroup"},
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
                "/sys/devices/virtual/powercap",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}
