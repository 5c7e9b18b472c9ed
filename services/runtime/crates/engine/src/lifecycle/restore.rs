//! `restore`: a container from a checkpoint.

use crate::criu::{explain, mounts, namespaces, Directories, Message, Notice, Options, Request, DESCRIPTORS};
use crate::error::{Context, Error, Result};
use crate::lifecycle::create;
use crate::lifecycle::prepare::{missing, read, recorded, Made, Plans};
use crate::process::parent;
use crate::state::{self, Container, Record, Store};
use crate::{hooks, lock, rdt, rootfs};
use spec::{Spec, Status};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use sys::namespace as ns;

const LOG: &str = "restore.log";

/// What only a restore has.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    /// Restore TCP connections as closed.
    pub tcp_close: bool,
    /// Another security profile, as `TYPE:NAME`.
    pub lsm_profile: Option<String>,
    /// Another SELinux context of mounts.
    pub lsm_mount_context: Option<String>,
}

/// Restore a container under an id that nobody has.
///
/// # Errors
/// Those of `create`; without CRIU, or with the first error in its log. After any failure nothing is left.
pub fn restore(store: &Store, create: &create::Options, options: &Options, extent: &Extent) -> Result<Container> {
    let named = |error: Error| Error::new(error.kind, format!("restore: {}", error.message));
    options.check().map_err(named)?;
    let (bundle, spec, text) = read(create)?;
    mounts::check(&spec).map_err(named)?;
    // Before anything is made. They are opened again where CRIU will be.
    drop(options.directories(LOG, false).map_err(named)?);
    let directory = store.claim(&create.id)?;
    let made = Made::new(&directory);
    let _lock = lock::directory(&directory)?;
    // Undone while the lock is still held.
    let mut made = made;
    state::keep_configuration(&directory, &text)?;
    state::link_status(&directory)?;
    let plans = Plans::new(&spec, create, &bundle, &directory)?;
    let container = Restorer { spec: &spec, create, options, extent, bundle: &bundle }
        .run(&directory, plans, &mut made)
        .map_err(named)?;
    made.keep();
    Ok(container)
}

/// What one restore is about.
struct Restorer<'a> {
    spec: &'a Spec,
    create: &'a create::Options,
    options: &'a Options,
    extent: &'a Extent,
    bundle: &'a Path,
}

impl Restorer<'_> {
    fn run(&self, directory: &Path, plans: Plans, made: &mut Made) -> Result<Container> {
        let linux = self.spec.linux.as_ref().ok_or_else(|| missing("linux"))?;
        let process = self.spec.process.as_ref().ok_or_else(|| missing("process"))?;
        let Plans { mut cgroup, mut record, .. } = plans;
        let console = parent::console(process, self.create.console_socket.as_deref(), self.create.terminal.as_ref())?;
        let devices = directory.join("devices");
        if linux.namespaces.iter().any(|each| each.kind == spec::NamespaceKind::User) {
            rootfs::prepare_devices(linux, &devices)?;
        }
        state::save(directory, &record)?;
        let created = cgroup.create();
        made.cgroup = Some(cgroup.clone());
        created?;
        // What is mounted for CRIU is seen by nobody else, and goes with this process at the latest.
        let home = PrivateMounts::enter()?;
        let directories = self.options.directories(LOG, false)?;
        let mut message = self.message(&directories, &record.rootfs)?;
        let inherited = namespaces::join(linux, &mut message)?;
        self.give_streams(&mut message)?;
        mounts::prepare(self.spec, self.bundle, &record.rootfs, &cgroup, &devices, &mut message)?;
        let service = self.options.start(true)?;
        drop(inherited);
        // What it restores begins where it is itself.
        let resources = linux.resources.clone().unwrap_or_default();
        let received = cgroup.receive(service.pid(), &resources);
        made.cgroup = Some(cgroup.clone());
        received?;
        cgroup.apply(&resources, true)?;
        record.cgroups = recorded(&cgroup);
        if let Some(wanted) = &linux.intel_rdt {
            let groups = rdt::create(wanted, &self.create.id, service.pid())?;
            made.rdt = Some(groups.clone());
            record.rdt = Some(groups);
        }
        move_roots(service.pid(), &mut message)?;
        let mut answer = |notice: Notice<'_>| self.answer(notice, directory, &mut record, console.as_ref(), made);
        service.ask(Request::Restore, &message, &mut answer).map_err(|error| explain(&error, directories.log()))?;
        home.leave()?;
        if record.pid == 0 {
            return Err(Error::internal("criu has restored no process"));
        }
        Ok(Container { directory: directory.into(), record })
    }

    fn message(&self, directories: &Directories, rootfs: &Path) -> Result<Message> {
        let mut message = self.options.message(directories, &self.spec.annotations)?;
        message
            .flag(6, true)
            .text(13, rootfs.as_os_str().as_encoded_bytes())
            // The process becomes our child, not CRIU's.
            .flag(26, true)
            .flag(52, self.extent.tcp_close);
        if let Some(profile) = &self.extent.lsm_profile {
            message.text(53, profile);
        }
        if let Some(context) = &self.extent.lsm_mount_context {
            message.text(63, context);
        }
        Ok(message)
    }

    /// Pipes that were the container's standard streams become ours.
    fn give_streams(&self, message: &mut Message) -> Result<()> {
        let path = self.options.images.join(DESCRIPTORS);
        let text = fs::read(&path).context(|| format!("read {}", path.display()))?;
        let streams: Vec<String> =
            serde_json::from_slice(&text).map_err(|error| Error::config(format!("{}: {error}", path.display())))?;
        for (number, stream) in (0..3).zip(&streams).filter(|(_, stream)| stream.starts_with("pipe:")) {
            namespaces::inherit(message, stream, number);
        }
        Ok(())
    }

    fn answer(
        &self,
        notice: Notice<'_>,
        directory: &Path,
        record: &mut Record,
        console: Option<&OwnedFd>,
        made: &mut Made,
    ) -> Result<()> {
        match notice.script {
            "setup-namespaces" => {
                made.pid = Some(process_of(&notice)?);
                let hooks = self.spec.hooks.clone().unwrap_or_default();
                let container = Container { directory: directory.into(), record: record.clone() };
                let mut state = container.state_as(Status::Creating);
                state.pid = notice.pid;
                hooks::run(&hooks.prestart, &state, "prestart")?;
                hooks::run(&hooks.create_runtime, &state, "createRuntime")
            }
            "orphan-pts-master" => match (console, notice.descriptor) {
                (Some(socket), Some(master)) => sys::socket::send_descriptor(socket, &master, b"/dev/ptmx")
                    .during("send the terminal to the caller"),
                // A terminal that is not the one of the configuration.
                _ => Ok(()),
            },
            "post-restore" => {
                made.pid = Some(process_of(&notice)?);
                record.pid = notice.pid;
                record.start_time = state::process_start(notice.pid).unwrap_or_default();
                record.created = state::timestamp();
                state::save(directory, record)?;
                match &self.create.pid_file {
                    Some(path) => state::write_pid_file(path, notice.pid),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// The process that a notice is about. Zero and negative numbers would mean groups of processes to whoever kills it.
fn process_of(notice: &Notice<'_>) -> Result<i32> {
    if notice.pid > 0 {
        Ok(notice.pid)
    } else {
        Err(Error::internal(format!("criu has named no process: {} of pid {}", notice.script, notice.pid)))
    }
}

/// The container's cgroups need not be those of the checkpoint: tell where each hierarchy's root of them is now.
fn move_roots(pid: i32, message: &mut Message) -> Result<()> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).during("read criu's cgroups")?;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        for controller in controllers.split(',') {
            let mut root = Message::default();
            root.text(1, controller).text(2, path);
            message.part(25, &root);
        }
    }
    Ok(())
}

/// A mount namespace of this process's own, until it leaves it.
struct PrivateMounts {
    home: Option<OwnedFd>,
}

impl PrivateMounts {
    fn enter() -> Result<Self> {
        let path = Path::new("/proc/self/ns/mnt");
        let home = sys::openat2::open(path, libc::O_RDONLY, 0).during("open /proc/self/ns/mnt")?;
        ns::unshare(ns::CLONE_NEWNS).during("create a mount namespace")?;
        let flags = sys::mount::MS_SLAVE | sys::mount::MS_REC;
        sys::mount::set_propagation(Path::new("/"), flags).during("set the propagation of /")?;
        Ok(Self { home: Some(home) })
    }

    /// Back to the caller's: otherwise a command in the foreground would keep file systems mounted that others unmount.
    fn leave(mut self) -> Result<()> {
        match self.home.take() {
            Some(home) => ns::setns(&home, ns::CLONE_NEWNS).during("return to the host's mount namespace"),
            None => Ok(()),
        }
    }
}

impl Drop for PrivateMounts {
    fn drop(&mut self) {
        // After a failure: what is undone next is the host's.
        if let Some(home) = self.home.take() {
            let _ = ns::setns(&home, ns::CLONE_NEWNS);
        }
    }
}
