//! `create`: everything up to a process that waits for `start`.

use crate::error::{Context, Error, Result};
use crate::init::create::Init;
use crate::init::session::set_oom_score;
use crate::init::settle::Settings;
use crate::lifecycle::prepare::{missing, read, recorded, Made, Plans};
use crate::namespaces::{map_ids, Plan};
use crate::notes::{debug, warn};
use crate::process::channel::{Child, Go, Parent, Report};
use crate::process::parent;
use crate::rootfs::Prepared;
use crate::state::{self, Container, Store};
use crate::{hooks, lock, netdevices, notify, rdt, rootfs};
use cgroups::Driver;
use spec::{Spec, Status};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use sys::clone::{clone3, Side};

/// What the command line says.
pub struct Options {
    /// The container's id.
    pub id: String,
    /// The folder with the configuration and what it names relatively.
    pub bundle: PathBuf,
    /// The configuration, if it is not the bundle's `config.json`.
    pub config: Option<PathBuf>,
    /// Where the pid of the process is written.
    pub pid_file: Option<PathBuf>,
    /// A socket for the terminal's master.
    pub console_socket: Option<PathBuf>,
    /// The same for a process in the foreground of the command line.
    pub terminal: Option<OwnedFd>,
    /// A socket for a pidfd of the process.
    pub pidfd_socket: Option<PathBuf>,
    /// Move the root and chroot, where pivot_root cannot work.
    pub no_pivot: bool,
    /// Give the container a session keyring of its own.
    pub new_keyring: bool,
    /// How many descriptors besides the standard streams go on to the process.
    pub preserved: u32,
    /// How many of those are sockets of a service manager.
    pub listening: u32,
    /// Who makes cgroups.
    pub driver: Driver,
    /// Go on without cgroups that may not be made.
    pub rootless: bool,
}

/// Create a container.
///
/// # Errors
/// `InvalidConfig` before anything is made; `AlreadyExists`; `CommandNotFound` and `CommandNotExecutable` for the
/// program; after any failure nothing is left.
pub fn create(store: &Store, options: &Options) -> Result<Container> {
    let (bundle, spec, text) = read(options)?;
    let directory = store.claim(&options.id)?;
    let made = Made::new(&directory);
    // Whoever wants to start or delete it waits until it is there. The child gives up its copy of the lock before it is ready.
    let _lock = lock::directory(&directory)?;
    // Undone while the lock is still held.
    let mut made = made;
    state::keep_configuration(&directory, &text)?;
    state::link_status(&directory)?;
    let container = build(&spec, options, &bundle, &directory, &mut made)?;
    made.keep();
    Ok(container)
}

fn build(spec: &Spec, options: &Options, bundle: &Path, directory: &Path, made: &mut Made) -> Result<Container> {
    let linux = spec.linux.as_ref().ok_or_else(|| missing("linux"))?;
    let process = spec.process.as_ref().ok_or_else(|| missing("process"))?;
    let Plans { filter, mut cgroup, mut record } = Plans::new(spec, options, bundle, directory)?;
    let rootfs = record.rootfs.clone();
    let plan = Plan::new(linux)?;
    let console = parent::console(process, options.console_socket.as_deref(), options.terminal.as_ref())?;
    let pidfd_socket = parent::pidfd_socket(options.pidfd_socket.as_deref())?;
    let fifo = state::fifo_in(directory);
    sys::fs::mkfifo(&fifo, 0o600).context(|| format!("create {}", fifo.display()))?;
    // It becomes readable when `start` writes: no path is needed inside. Open for writing, too, it does not become so when a
    // `start` that failed closes it.
    let start =
        sys::openat2::open(&fifo, libc::O_RDWR | libc::O_NONBLOCK, 0).context(|| format!("open {}", fifo.display()))?;
    let (ours, theirs) = sys::socket::pair().during("create a socket pair")?;
    let channel = Parent(ours);
    let hooks = spec.hooks.clone().unwrap_or_default();
    // Who has no rights here has them in the new namespaces.
    let for_others = plan.in_user_namespace() && privileged()?;
    let mut prepared = Prepared::new(spec, bundle, &rootfs, for_others)?;
    if for_others {
        prepared.devices = rootfs::prepare_devices(linux, &directory.join("devices"))?;
    }
    if let Some(folder) = notify::prepare(directory)? {
        prepared.bind_notices(&folder)?;
    }
    let notice = notify::variable();
    // Without a pid yet: if we are killed from here on, `delete --force` finds the cgroup by it.
    state::save(directory, &record)?;
    let created = cgroup.create();
    made.cgroup = Some(cgroup.clone());
    created?;
    if cgroup.occupied() {
        warn("container's cgroup is not empty: processes of others are in it");
    }
    // From inside a new user namespace older kernels (before 5.16) refuse: there the runtime does it.
    let itself = !plan.in_user_namespace() && cgroup.open_to_unborn();
    let entrance = if itself { Some(cgroup.entrance()?) } else { None };
    let outside = entrance.is_none();
    // runc's words for its steps: whoever reads debug logs looks for them.
    debug("nsexec container setup");
    // Before there is a child: a process of another container that sees it, and has power over its user namespace, would find the
    // host behind /proc/PID/root (CVE-2016-9962). The maps of an ordinary user's namespace could not be written any more.
    if sys::process::effective_uid() == 0 || plan.in_foreign_user_namespace() {
        sys::identity::set_dumpable(false).during("protect the process")?;
    }
    let home = plan.enter()?;
    let side = clone3(plan.clone_flags(), entrance.as_ref().and_then(cgroups::Entrance::directory));
    let pid = match side.during("clone the container's process")? {
        Side::Parent { pid, pidfd: _ } => pid,
        Side::Child => {
            drop(channel);
            // Nothing of ours is needed there any more; it is covered in the child's own mount namespace alone.
            sys::mount::prepare_stage(directory);
            let container = Container { directory: directory.into(), record };
            Init {
                spec,
                process,
                plan: &plan,
                bundle,
                rootfs: &rootfs,
                prepared: &prepared,
                cgroups: &cgroup,
                state: container.state_as(Status::Creating),
                channel: Child(theirs),
                console,
                entrance,
                start,
                settings: Settings {
                    filter: filter.as_ref(),
                    preserved: options.preserved,
                    listening: options.listening,
                    makes_directory: true,
                    keep_groups: keeps_groups(&spec.annotations),
                    notify: notice.as_deref(),
                },
                no_pivot: options.no_pivot,
                new_keyring: options.new_keyring,
            }
            .run()
        }
    };
    made.pid = Some(pid);
    drop(theirs);
    drop(console);
    drop(prepared);
    Plan::leave(home)?;
    let pid = if plan.in_foreign_user_namespace() {
        let pid = second_child(&channel, pid, made)?;
        channel.send(Go::Mapped)?;
        pid
    } else {
        pid
    };
    record.pid = pid;
    record.start_time = state::process_start(pid).unwrap_or_default();
    state::save(directory, &record)?;
    if plan.in_user_namespace() {
        // Its own file is not its own any more when it is a user of the namespace.
        set_oom_score(process, &pid.to_string())?;
    }
    if plan.new_user() {
        map_ids(pid, &linux.uid_mappings, &linux.gid_mappings)?;
        channel.send(Go::Mapped)?;
    }
    let resources = linux.resources.clone().unwrap_or_default();
    if outside {
        let received = cgroup.receive(pid, &resources);
        made.cgroup = Some(cgroup.clone());
        received.map_err(|error| explain_add(error, pid, &channel))?;
    }
    // The child builds its mounts meanwhile.
    cgroup.apply(&resources, true)?;
    if let Some(wanted) = &linux.intel_rdt {
        let groups = rdt::create(wanted, &options.id, pid)?;
        made.rdt = Some(groups.clone());
        record.rdt = Some(groups);
    }
    if recorded(&cgroup) != record.cgroups || record.rdt.is_some() {
        record.cgroups = recorded(&cgroup);
        state::save(directory, &record)?;
    }
    netdevices::move_all(&linux.net_devices.clone().unwrap_or_default(), pid)?;
    channel.send(Go::Limited)?;
    let container = Container { directory: directory.into(), record };
    if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
        match channel.receive()? {
            Report::Mounted => {
                let mut state = container.state_as(Status::Creating);
                state.pid = pid;
                hooks::run(&hooks.prestart, &state, "prestart")?;
                hooks::run(&hooks.create_runtime, &state, "createRuntime")?;
                channel.send(Go::Hooked)?;
            }
            other => {
                made.pid = None;
                return Err(parent::failure(other, pid));
            }
        }
    }
    if let Err(error) = parent::await_ready(&channel, pid, &container, Status::Creating) {
        made.pid = None;
        return Err(error);
    }
    parent::send_pidfd(pidfd_socket.as_ref(), pid)?;
    if let Some(path) = &options.pid_file {
        state::write_pid_file(path, pid)?;
    }
    Ok(container)
}

/// The container's process where the first child only led into a user namespace; the first one is reaped.
fn second_child(channel: &Parent, first: i32, made: &mut Made) -> Result<i32> {
    match channel.receive()? {
        Report::Born(pid) => {
            made.pid = Some(pid);
            sys::process::wait(first, true).during("wait for a child")?;
            Ok(pid)
        }
        other => {
            made.pid = None;
            Err(parent::failure(other, first))
        }
    }
}

/// A child that failed early is a zombie, which no cgroup takes: its own words say more.
fn explain_add(error: cgroups::Error, pid: i32, channel: &Parent) -> Error {
    if state::process_start(pid).is_none() {
        if let Ok(Report::Failed(cause)) = channel.receive() {
            return Error::new(cause.kind, format!("unable to start container process: {}", cause.message));
        }
    }
    error.into()
}

/// Whether this process may mount for processes in other user namespaces.
pub(crate) fn privileged() -> Result<bool> {
    const SYS_ADMIN: u32 = 21;
    Ok(sys::identity::permitted_capabilities().during("read capabilities")? >> SYS_ADMIN & 1 == 1)
}

/// Whether the process keeps the caller's supplementary groups (an annotation that podman sets).
pub(crate) fn keeps_groups(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get("run.oci.keep_original_groups").is_some_and(|value| value == "1")
}
