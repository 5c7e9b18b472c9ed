//! `create`: everything up to a process that waits for `start`.

use crate::channel::{Child, Go, Parent, Report};
use crate::error::{describe, Context, Error, Kind, Result};
use crate::init::Init;
use crate::namespaces::{map_ids, Plan};
use crate::record::{self, Container, Record, Store};
use crate::rootfs::Prepared;
use crate::{config, hooks, parent};
use spec::{Spec, Status};
use std::fs;
use std::path::{Path, PathBuf};
use sys::clone::{clone3, Side};

/// What the command line says.
pub struct Options {
    pub id: String,
    pub bundle: PathBuf,
    pub pid_file: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    pub preserved: u32,
}

/// Create a container.
///
/// # Errors
/// `InvalidConfig` before anything is made; `AlreadyExists`; `CommandNotFound` and `CommandNotExecutable` for the
/// program; after any failure nothing is left.
pub fn create(store: &Store, options: &Options) -> Result<Container> {
    let bundle = fs::canonicalize(&options.bundle)
        .map_err(|error| Error::config(format!("bundle {}: {}", options.bundle.display(), describe(&error))))?;
    let spec = config::load(&bundle)?;
    let directory = store.claim(&options.id)?;
    let mut made = Made { directory: Some(directory.clone()), cgroup: None, pid: None };
    let container = build(&spec, options, &bundle, &directory, &mut made)?;
    made.keep();
    Ok(container)
}

/// What has been made so far; dropped, it is undone.
struct Made {
    directory: Option<PathBuf>,
    cgroup: Option<cgroups::Manager>,
    pid: Option<i32>,
}

impl Made {
    fn keep(mut self) {
        self.directory = None;
        self.cgroup = None;
        self.pid = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The first error is the one to report; what cannot be undone now, `delete --force` finds by the record.
        if let Some(pid) = self.pid.take() {
            let _ = sys::process::kill(pid, sys::process::SIGKILL);
            let _ = sys::process::wait(pid, true);
        }
        let mut clean = true;
        if let Some(cgroup) = self.cgroup.take() {
            clean = cgroup.destroy().is_ok();
        }
        if let Some(directory) = self.directory.take().filter(|_| clean) {
            let _ = record::remove_directory(&directory);
        }
    }
}

fn build(spec: &Spec, options: &Options, bundle: &Path, directory: &Path, made: &mut Made) -> Result<Container> {
    let missing = |field: &str| Error::config(format!("{field}: is required"));
    let linux = spec.linux.as_ref().ok_or_else(|| missing("linux"))?;
    let process = spec.process.as_ref().ok_or_else(|| missing("process"))?;
    let root = spec.root.as_ref().ok_or_else(|| missing("root"))?;
    let rootfs = fs::canonicalize(bundle.join(&root.path))
        .map_err(|error| Error::config(format!("root.path {}: {}", root.path, describe(&error))))?;
    let filter = linux.seccomp.as_ref().map(seccomp::compile).transpose().map_err(Error::config)?;
    if let Some(filter) = &filter {
        if filter.notifies() {
            return Err(Error::config("linux.seccomp: SCMP_ACT_NOTIFY is not supported yet"));
        }
        // `exec` installs the same filter without the profile.
        fs::write(record::filter_in(directory), filter.to_bytes()).during("keep the compiled seccomp filter")?;
    }
    let plan = Plan::new(linux)?;
    let console = parent::console(process, options.console_socket.as_deref())?;
    let fifo = record::fifo_in(directory);
    sys::fs::mkfifo(&fifo, 0o600).context(|| format!("create {}", fifo.display()))?;
    // Opened for reading without a writer, it becomes readable when `start` writes: no path is needed inside.
    let start = sys::openat2::open(&fifo, libc::O_RDONLY | libc::O_NONBLOCK, 0)
        .context(|| format!("open {}", fifo.display()))?;
    let cgroup = cgroups::Manager::new(&cgroups::detect()?, &cgroup_path(&linux.cgroups_path, &options.id)?);
    let (ours, theirs) = sys::socket::pair().during("create a socket pair")?;
    let channel = Parent(ours);
    let hooks = spec.hooks.clone().unwrap_or_default();
    let mut record = Record {
        oci_version: spec.oci_version.clone(),
        id: options.id.clone(),
        pid: 0,
        start_time: 0,
        bundle: bundle.into(),
        rootfs: rootfs.clone(),
        created: record::timestamp(),
        annotations: spec.annotations.clone(),
        cgroups: cgroup.groups().iter().map(|each| (each.controllers.clone(), each.path.clone())).collect(),
        poststart: hooks.poststart.clone(),
        poststop: hooks.poststop.clone(),
    };

    let prepared = Prepared::new(spec, bundle, &rootfs, plan.in_user_namespace())?;
    // Without a pid yet: if we are killed from here on, `delete --force` finds the cgroup by it.
    record::save(directory, &record)?;
    made.cgroup = Some(cgroup.clone());
    cgroup.create()?;
    // From inside a new user namespace older kernels (before 5.16) refuse: there the runtime does it.
    let entrance = if plan.in_user_namespace() { None } else { Some(cgroup.entrance()?) };
    let outside = entrance.is_none();
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
                filter: filter.as_ref(),
                preserved: options.preserved,
                no_pivot: options.no_pivot,
                new_keyring: !options.no_new_keyring,
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
        channel.send(Go::Mapped);
        pid
    } else {
        pid
    };
    record.pid = pid;
    record.start_time = record::process_start(pid).unwrap_or_default();
    record::save(directory, &record)?;
    if plan.new_user() {
        map_ids(pid, &linux.uid_mappings, &linux.gid_mappings)?;
        channel.send(Go::Mapped);
    }
    if outside {
        cgroup.add(pid).map_err(|error| explain_add(error, pid, &channel))?;
    }
    // The child builds its mounts meanwhile.
    cgroup.apply(&linux.resources.clone().unwrap_or_default(), true)?;
    channel.send(Go::Limited);
    let container = Container { directory: directory.into(), record };
    if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
        match channel.receive()? {
            Report::Mounted => {
                let mut state = container.state_as(Status::Creating);
                state.pid = pid;
                hooks::run(&hooks.prestart, &state, "prestart")?;
                hooks::run(&hooks.create_runtime, &state, "createRuntime")?;
                channel.send(Go::Hooked);
            }
            other => {
                made.pid = None;
                return Err(parent::failure(other, pid));
            }
        }
    }
    if let Err(error) = parent::await_ready(&channel, pid) {
        made.pid = None;
        return Err(error);
    }
    if let Some(path) = &options.pid_file {
        record::write_pid_file(path, pid)?;
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
    if record::process_start(pid).is_none() {
        if let Ok(Report::Failed(cause)) = channel.receive() {
            return Error::new(cause.kind, format!("unable to start container process: {}", cause.message));
        }
    }
    error.into()
}

fn cgroup_path(configured: &str, id: &str) -> Result<String> {
    let path = if configured.is_empty() { format!("/{id}") } else { configured.to_string() };
    if path.contains(':') {
        return Err(Error::config(format!(
            "linux.cgroupsPath: {path:?} is for the systemd driver, which is not supported yet"
        )));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(Error::new(Kind::InvalidConfig, format!("linux.cgroupsPath: {path:?} contains ..")));
    }
    Ok(path)
}
