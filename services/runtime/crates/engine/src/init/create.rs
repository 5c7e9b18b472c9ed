//! The init process of a new container: it builds the root file system and waits for `start`.

use crate::error::{Context, Error, Result};
use crate::init::console::Console;
use crate::init::program::{complain, Ready};
use crate::init::scheduling;
use crate::init::session::{become_root, enter, join_keyring, set_names, set_oom_score};
use crate::init::settle::{become_process, Settings};
use crate::lsm::Label;
use crate::notes::debug;
use crate::process::channel::{Child, Go};
use crate::rootfs::resolve;
use crate::rootfs::{own_null_streams, Builder, Prepared};
use crate::{hooks, namespaces::Plan};
use spec::{Process, Spec, State, Status};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
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
    pub(crate) settings: Settings<'a>,
    pub(crate) no_pivot: bool,
    pub(crate) new_keyring: bool,
}

impl Init<'_> {
    /// Run; the error, if any, goes to the runtime. Never returns.
    pub(crate) fn run(mut self) -> ! {
        let error = match self.build() {
            Ok(mut program) => {
                // `create` has succeeded: from here on, the container's standard error is the only place to complain.
                let error = self.execute(&mut program);
                complain(&error);
                process::exit_now(255);
            }
            Err(error) => error,
        };
        self.channel.failed(&error);
        process::exit_now(1)
    }

    fn build(&mut self) -> Result<Ready> {
        debug("child process in init()");
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
        if !self.plan.in_user_namespace() {
            set_oom_score(self.process, "self")?;
        }
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
        if !hooks.create_container.is_empty() {
            sys::fs::change_directory(&root).during("enter the root file system")?;
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
        own_null_streams(&root)?;
        builder.enter(root, self.no_pivot)?;
        if let Some((console, socket)) = console {
            console.take(&socket)?;
        }
        if let Some(personality) = self.spec.linux.as_ref().and_then(|linux| linux.personality.as_ref()) {
            id::set_personality(scheduling::persona(personality)?).during("set the personality")?;
        }
        if let Some(policy) = self.spec.linux.as_ref().and_then(|linux| linux.memory_policy.as_ref()) {
            scheduling::place_memory(policy)?;
        }
        debug("init: closing the pipe to signal completion");
        let kept = [self.channel.0.as_raw_fd(), self.start.as_raw_fd()];
        let ready = become_process(self.process, self.settings, label, &self.channel, &kept)?;
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

    fn execute(&mut self, ready: &mut Ready) -> Error {
        let mut run = || -> Result<()> {
            sys::fs::wait_readable(&self.start).during("wait for the start")?;
            let hooks = self.spec.hooks.as_ref().map_or(&[][..], |hooks| &hooks.start_container);
            if !hooks.is_empty() {
                // They run as the program will.
                ready.install_filter()?;
            }
            let state = State { status: Status::Created, ..self.state.clone() };
            hooks::run(hooks, &state, "startContainer")
        };
        match run() {
            Ok(()) => ready.execute(),
            Err(error) => error,
        }
    }
}
