//! `restore`: a container from a checkpoint.

use super::checkpoint::{self, IMAGES, LOCK, WORK};
use super::create::{self, BUNDLE, CONFIG, CONSOLE, NO_PIVOT, PID_FILE};
use super::{run, Command, Outcome};
use crate::args::{switch, valued, Grammar, Parsed};
use crate::session::Session;
use crate::terminal;
use engine::lifecycle::{
    self,
    restore::{self, Extent},
};
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run: run_restore };

static GRAMMAR: Grammar = Grammar {
    verb: "restore",
    about: "restore a container from a checkpoint",
    arguments: "<container-id>",
    flags: &[
        BUNDLE,
        CONFIG,
        IMAGES,
        WORK,
        PID_FILE,
        CONSOLE,
        NO_PIVOT,
        switch(&["detach", "d"], "do not wait for the process"),
        switch(&["no-subreaper"], "do not inherit the container's orphans"),
        switch(&["tcp-established"], "allow open TCP connections"),
        switch(&["tcp-close"], "restore TCP connections as closed"),
        switch(&["ext-unix-sk"], "allow connected unix sockets"),
        switch(&["shell-job"], "allow a process in the caller's session"),
        switch(&["file-locks"], "allow file locks"),
        switch(&["link-remap"], "allow files without a name"),
        switch(&["auto-dedup"], "free memory images as they are used"),
        switch(&["lazy-pages"], "load memory on demand"),
        valued(&["manage-cgroups-mode"], "MODE", "soft, full, strict or ignore"),
        valued(&["empty-ns"], "KIND", "a namespace whose content is not restored"),
        valued(&["lsm-profile"], "TYPE:NAME", "another security profile"),
        valued(&["lsm-mount-context"], "CONTEXT", "another SELinux mount context"),
        LOCK,
    ],
    ends_early: false,
};

fn run_restore(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    if parsed.on("no-pivot")? {
        return Err(parsed.error("--no-pivot: criu changes the root by pivot_root alone".into()));
    }
    let extent = Extent {
        tcp_close: parsed.on("tcp-close")?,
        lsm_profile: parsed.value("lsm-profile").map(String::from),
        lsm_mount_context: parsed.value("lsm-mount-context").map(String::from),
    };
    let images = checkpoint::options(&parsed, session)?;
    let mut options = create::options(&parsed, session)?;
    let detach = parsed.on("detach")?;
    let relay = if detach { None } else { run::foreground(&parsed, &mut options)? };
    let container = restore::restore(&session.store, &options, &images, &extent)?;
    options.terminal = None;
    if detach {
        return Ok(0);
    }
    let code = terminal::attend(container.pid(), relay)?;
    lifecycle::delete(&session.store, container.id(), true)?;
    Ok(code)
}
