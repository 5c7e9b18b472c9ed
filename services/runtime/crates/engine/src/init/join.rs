//! An additional process: it joins the namespaces of a container.

use crate::error::{Context, Result};
use crate::init::console::Console;
use crate::init::program::{complain, Ready};
use crate::init::scheduling;
use crate::init::session::{become_root, enter, set_oom_score};
use crate::init::settle::{become_process, Settings};
use crate::lsm::Label;
use crate::notes::debug;
use crate::process::channel::{Child, Go};
use crate::rootfs::resolve;
use spec::Process;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use sys::clone::{clone3, Side, CLONE_PARENT};
use sys::{identity as id, namespace as ns, process};

/// Additional processes join instead of building.
pub(crate) struct Joiner<'a> {
    pub(crate) process: &'a Process,
    pub(crate) init: &'a OwnedFd,
    pub(crate) entrance: Option<cgroups::Entrance>,
    pub(crate) kinds: i32,
    /// Join the user and pid namespaces first, and go on in a child.
    pub(crate) reborn: bool,
    pub(crate) channel: Child,
    pub(crate) console: Option<OwnedFd>,
    pub(crate) settings: Settings<'a>,
}

impl Joiner<'_> {
    /// Run; the error, if any, goes to the runtime. Never returns.
    pub(crate) fn run(mut self) -> ! {
        let error = match self.build() {
            Ok(mut ready) => {
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
        debug("child process in init()");
        id::set_dumpable(false).during("protect the process")?;
        id::set_umask(0);
        enter(self.entrance.take())?;
        if self.reborn {
            let first = ns::CLONE_NEWUSER | ns::CLONE_NEWPID;
            ns::setns(self.init, first).during("join the container's user and pid namespaces")?;
            self.kinds &= !first;
            match clone3(CLONE_PARENT, None).during("clone a process in the container's namespaces")? {
                Side::Child => become_root()?,
                Side::Parent { pid, .. } => {
                    self.channel.born(pid)?;
                    process::exit_now(0)
                }
            }
        }
        set_oom_score(self.process, "self")?;
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
        debug("setns_init: about to exec");
        let ready = become_process(self.process, self.settings, label, &self.channel, &[self.channel.0.as_raw_fd()])?;
        self.channel.ready()?;
        Ok(ready)
    }
}
