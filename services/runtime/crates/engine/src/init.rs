//! The child: from its birth in new namespaces to the execution of the container's program.

use crate::channel::{Child, Go};
use crate::console::Console;
use crate::error::{describe, Context, Error, Kind, Result};
use crate::labels::Label;
use crate::procfs::Procfs;
use crate::rootfs::resolve::{self, Want};
use crate::rootfs::{Builder, Prepared};
use crate::{hooks, identity, namespaces::Plan, scheduling};
use seccomp::Program;
use spec::{Process, Spec, State, Status};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::clone::{clone3, Side, CLONE_PARENT};
use sys::{identity as id, namespace as ns, process};

/// Everything that the init process needs, prepared by `create`.
pub(crate) struct Init<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) process: &'a Process,
    pub(crate) plan: &'a Plan,
    pub(crate) bundle: &'a Path,
    pub(crate) rootfs: &'a Path,
    pub(crate) prepared: &'a Prepared,
    pub(crate) cgroups: &'a cgroups::Manager,
    pub(crate) state: State,
    pub(crate) channel: Child,
    pub(crate) console: Option<OwnedFd>,
    /// None where the runtime puts the process into its cgroup.
    pub(crate) entrance: Option<cgroups::Entrance>,
    /// Readable once `start` was called.
    pub(crate) start: OwnedFd,
    pub(crate) filter: Option<&'a Program>,
    pub(crate) preserved: u32,
    pub(crate) no_pivot: bool,
    pub(crate) new_keyring: bool,
}

/// Additional processes join instead of building.
pub(crate) struct Joiner<'a> {
    pub(crate) process: &'a Process,
    pub(crate) init: &'a OwnedFd,
    pub(crate) entrance: Option<cgroups::Entrance>,
    pub(crate) kinds: i32,
    pub(crate) channel: Child,
    pub(crate) console: Option<OwnedFd>,
    pub(crate) filter: Option<&'a Program>,
    pub(crate) preserved: u32,
}

impl Init<'_> {
    /// Run; the error, if any, goes to the runtime. Never returns.
    pub(crate) fn run(mut self) -> ! {
        let error = match self.build() {
            Ok(program) => {
                // `create` has succeeded: from here on, the container's standard error is the only place to complain.
                let error = self.execute(&program);
                complain(&error);
                process::exit_now(255);
            }
            Err(error) => error,
        };
        self.channel.failed(&error);
        process::exit_now(1)
    }

    fn build(&mut self) -> Result<Ready> {
        // Modes of what is made here are meant exactly.
        id::set_umask(0);
        enter(self.entrance.take())?;
        if self.plan.in_foreign_user_namespace() {
            self.be_born_again()?;
        }
        if self.plan.in_user_namespace() {
            self.channel.wait(Go::Mapped)?;
        }
        if self.plan.in_user_namespace() {
            become_root()?;
        }
        process::new_session().during("create a session")?;
        if self.new_keyring {
            join_keyring(&self.state.id)?;
        }
        set_oom_score(self.process)?;
        let label = Label::prepare(self.process)?;
        let mut limited = false;
        let builder = Builder {
            spec: self.spec,
            rootfs: self.rootfs,
            prepared: self.prepared,
            bundle: self.bundle,
            cgroups: self.cgroups,
            own_cgroup_namespace: self.plan.new_cgroup(),
            in_user_namespace: self.plan.in_user_namespace(),
        };
        let mut wait_limited = || -> Result<()> {
            if !limited {
                self.channel.wait(Go::Limited)?;
                if self.plan.new_cgroup() {
                    ns::unshare(ns::CLONE_NEWCGROUP).during("create a cgroup namespace")?;
                }
                limited = true;
            }
            Ok(())
        };
        let root = builder.build(&mut wait_limited)?;
        wait_limited()?;
        set_names(self.spec)?;
        let hooks = self.spec.hooks.clone().unwrap_or_default();
        if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
            self.channel.mounted()?;
            self.channel.wait(Go::Hooked)?;
        }
        hooks::run(&hooks.create_container, &self.state, "createContainer")?;
        let console = match self.console.take() {
            Some(socket) => {
                let console = Console::open(&root, self.process.console_size, self.process.user.uid)?;
                let tree = sys::mount::clone_tree(&console.peer, false).during("bind the terminal")?;
                let place = resolve::ensure_file(&root, Path::new("/dev/console"))?;
                sys::mount::attach(&tree, &place).during("mount the terminal on /dev/console")?;
                Some((console, socket))
            }
            None => None,
        };
        builder.enter(root, self.no_pivot)?;
        if let Some((console, socket)) = console {
            console.take(&socket)?;
        }
        if let Some(personality) = self.spec.linux.as_ref().and_then(|linux| linux.personality.as_ref()) {
            id::set_personality(scheduling::persona(personality)?).during("set the personality")?;
        }
        let kept = [self.channel.0.as_raw_fd(), self.start.as_raw_fd()];
        let ready = become_process(self.process, self.filter, self.preserved, label, &kept)?;
        self.channel.ready()?;
        Ok(ready)
    }

    /// Enter the user namespace to join and go on in a child of the runtime that lives in the new namespaces.
    fn be_born_again(&mut self) -> Result<()> {
        self.plan.enter_user_namespace()?;
        match clone3(CLONE_PARENT, None).during("clone the container's process")? {
            Side::Child => Ok(()),
            Side::Parent { pid, .. } => {
                self.channel.born(pid)?;
                process::exit_now(0)
            }
        }
    }

    fn execute(&mut self, ready: &Ready) -> Error {
        let run = || -> Result<()> {
            sys::fs::wait_readable(&self.start).during("wait for the start")?;
            let hooks = self.spec.hooks.as_ref().map_or(&[][..], |hooks| &hooks.start_container);
            let state = State { status: Status::Created, ..self.state.clone() };
            hooks::run(hooks, &state, "startContainer")
        };
        match run() {
            Ok(()) => ready.execute(),
            Err(error) => error,
        }
    }
}

impl Joiner<'_> {
    /// Run; the error, if any, goes to the runtime. Never returns.
    pub(crate) fn run(mut self) -> ! {
        let error = match self.build() {
            Ok(ready) => {
                let error = ready.execute();
                complain(&error);
                process::exit_now(255);
            }
            Err(error) => error,
        };
        self.channel.failed(&error);
        process::exit_now(1)
    }

    fn build(&mut self) -> Result<Ready> {
        // Nobody inside may look into us, and through us at the host, before the program is executed.
        id::set_dumpable(false).during("protect the process")?;
        id::set_umask(0);
        enter(self.entrance.take())?;
        set_oom_score(self.process)?;
        let label = Label::prepare(self.process)?;
        let affinity = self.process.exec_cpu_affinity.clone().unwrap_or_default();
        scheduling::pin(&affinity.initial)?;
        self.channel.wait(Go::Limited)?;
        scheduling::pin(&affinity.last)?;
        ns::setns(self.init, self.kinds).during("join the container's namespaces")?;
        if self.kinds & ns::CLONE_NEWUSER != 0 {
            become_root()?;
        }
        process::new_session().during("create a session")?;
        if let Some(socket) = self.console.take() {
            let root = resolve::host_directory(Path::new("/"))?;
            Console::open(&root, self.process.console_size, self.process.user.uid)?.take(&socket)?;
        }
        let ready = become_process(self.process, self.filter, self.preserved, label, &[self.channel.0.as_raw_fd()])?;
        self.channel.ready()?;
        Ok(ready)
    }
}

/// A program that is found, with the filter that is installed at the very end.
struct Ready {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    filter: Option<Program>,
    label: Option<Label>,
}

impl Ready {
    fn execute(&self) -> Error {
        if let Some(Err(error)) = self.label.as_ref().map(Label::apply) {
            return error;
        }
        // Before the filter, which need not allow what this calls.
        process::reset_signals();
        if let Some(filter) = &self.filter {
            if let Err(error) = id::install_filter(&filter.instructions, filter.flags) {
                return Error::internal(format!("install the seccomp filter: {}", describe(&error)));
            }
        }
        let error = process::execute(&self.path, &self.args, &self.env);
        let name = self.args.first().map(|each| each.to_string_lossy().into_owned()).unwrap_or_default();
        Error::internal(format!("exec {name}: {}", describe(&error)))
    }
}

fn complain(error: &Error) {
    use std::io::Write;
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "{}", error.message);
}

fn enter(entrance: Option<cgroups::Entrance>) -> Result<()> {
    entrance.map_or(Ok(()), |each| each.enter().map_err(Error::from))
}

fn become_root() -> Result<()> {
    id::set_gid(0).during("become group 0 of the user namespace")?;
    id::set_uid(0).during("become user 0 of the user namespace")
}

fn join_keyring(name: &str) -> Result<()> {
    match id::join_session_keyring(&format!("_ses.{name}")) {
        // No keys in this kernel, or a quota or filter around us: the container then has none of its own.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EDQUOT | libc::EPERM)) => Ok(()),
        other => other.during("join a session keyring"),
    }
}

/// A score below our own needs CAP_SYS_RESOURCE; without it the container keeps ours.
fn set_oom_score(process: &Process) -> Result<()> {
    let Some(score) = process.oom_score_adj else { return Ok(()) };
    match Procfs::open()?.write("self/oom_score_adj", &score.to_string()) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        other => other.context(|| format!("set oom_score_adj to {score}")),
    }
}

fn set_names(spec: &Spec) -> Result<()> {
    if !spec.hostname.is_empty() {
        ns::set_hostname(&spec.hostname).context(|| format!("set hostname to {:?}", spec.hostname))?;
    }
    if !spec.domainname.is_empty() {
        ns::set_domain_name(&spec.domainname).context(|| format!("set domainname to {:?}", spec.domainname))?;
    }
    Ok(())
}

/// In the container's root: everything between the mounts and the execution.
///
/// `kept` are descriptors besides those of `preserved` that stay open until the execution.
fn become_process(
    process: &Process,
    filter: Option<&Program>,
    preserved: u32,
    label: Option<Label>,
    kept: &[RawFd],
) -> Result<Ready> {
    give_streams(process.user.uid);
    let root = resolve::host_directory(Path::new("/"))?;
    let directory = resolve::ensure(&root, Path::new(&process.cwd), Want::Directory)
        .map_err(|error| Error::new(error.kind, format!("process.cwd: {}", error.message)))?;
    drop(root);
    identity::set_limits(process)?;
    scheduling::set(process)?;
    if process.no_new_privileges {
        id::set_no_new_privileges().during("set no_new_privs")?;
    }
    let late = match filter {
        // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go.
        Some(filter) if !process.no_new_privileges => {
            id::install_filter(&filter.instructions, filter.flags).during("install the seccomp filter")?;
            None
        }
        other => other.cloned(),
    };
    // Closed, not only marked: the working directory and the program's path are looked up after this, and must not lead
    // to the host through one that we, or our caller, left open (CVE-2024-21626).
    let kept: Vec<RawFd> =
        kept.iter().copied().chain([directory.as_raw_fd()]).chain(label.as_ref().map(Label::descriptor)).collect();
    process::close_from(3 + preserved, &kept).during("close descriptors")?;
    for number in 3..3 + preserved {
        process::keep_on_exec(number as i32).context(|| format!("keep descriptor {number}"))?;
    }
    identity::assume(process)?;
    sys::fs::change_directory(&directory).context(|| format!("change to directory {}", process.cwd))?;
    drop(directory);
    if !std::env::current_dir().is_ok_and(|found| found.is_absolute() && !found.starts_with("(unreachable)")) {
        return Err(Error::internal(format!("process.cwd: {} is outside of the container", process.cwd)));
    }
    let path = find_program(process)?;
    let strings = |list: &[String]| process::cstrings(list).during("process strings");
    Ok(Ready {
        path: sys::cstring(path.as_os_str().as_bytes()).during("program path")?,
        args: strings(&process.args)?,
        env: strings(&environment(process))?,
        filter: late,
        label,
    })
}

/// Standard streams that are files or pipes of the caller belong to the container's user, as with runc; a device, or a
/// file on a read-only mount, stays as it is.
fn give_streams(uid: u32) {
    if uid == 0 {
        return;
    }
    for number in 0..3 {
        if let Ok(stream) = process::adopt(number) {
            let null = sys::fs::stat(&stream).is_ok_and(|stat| stat.is_character_device(1, 3));
            if !null {
                let _ = sys::fs::chown(&stream, uid, u32::MAX);
            }
            // Only borrowed: it is the stream itself.
            std::mem::forget(stream);
        }
    }
}

/// The environment; HOME is added from the container's /etc/passwd where it is missing.
fn environment(process: &Process) -> Vec<String> {
    let mut variables = process.env.clone();
    if !variables.iter().any(|each| each.starts_with("HOME=")) {
        variables.push(format!("HOME={}", home_of(process.user.uid)));
    }
    variables
}

fn home_of(uid: u32) -> String {
    let known = || -> Option<String> {
        let root = resolve::host_directory(Path::new("/")).ok()?;
        let file =
            sys::openat2::open_in_root(&root, Path::new("etc/passwd"), libc::O_RDONLY | libc::O_NONBLOCK, 0).ok()?;
        // An image may name a device or an endless file here.
        if sys::fs::stat(&file).ok()?.mode & libc::S_IFMT != libc::S_IFREG {
            return None;
        }
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(fs::File::from(file), 1 << 20), &mut text).ok()?;
        String::from_utf8_lossy(&text).lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.len() >= 6 && fields[2].parse() == Ok(uid)).then(|| fields[5].to_string())
        })
    };
    known().filter(|home| !home.is_empty()).unwrap_or_else(|| "/".into())
}

/// Find the program as the container's user sees it; the words are those that Docker's users know.
fn find_program(process: &Process) -> Result<PathBuf> {
    let name = &process.args[0];
    let here = resolve::host_directory(Path::new("."))?;
    let executable = |path: &Path| -> std::result::Result<(), (Kind, String)> {
        let meta = fs::metadata(path).map_err(|error| {
            let kind = if error.kind() == std::io::ErrorKind::PermissionDenied {
                Kind::CommandNotExecutable
            } else {
                Kind::CommandNotFound
            };
            (kind, format!("stat {}: {}", path.display(), describe(&error)))
        })?;
        if meta.is_dir() {
            return Err((Kind::CommandNotExecutable, "is a directory".into()));
        }
        if sys::fs::may_execute(&here, path) {
            Ok(())
        } else {
            Err((Kind::CommandNotExecutable, "permission denied".into()))
        }
    };
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err((kind, cause)) => Err(Error::new(kind, format!("exec: {name:?}: {cause}"))),
        };
    }
    let path = process.env.iter().rev().find_map(|each| each.strip_prefix("PATH=")).unwrap_or_default();
    let mut denied = false;
    for directory in path.split(':').filter(|_| !name.is_empty()) {
        let candidate = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err((Kind::CommandNotExecutable, cause)) => denied |= cause == "permission denied",
            Err(_) => {}
        }
    }
    if denied {
        return Err(Error::new(Kind::CommandNotExecutable, format!("exec: {name:?}: permission denied")));
    }
    Err(Error::new(Kind::CommandNotFound, format!("exec: {name:?}: executable file not found in $PATH")))
}
