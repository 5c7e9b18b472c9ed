//! `restore`: a container from a checkpoint. Its flags are read, and it is refused: see `engine::criu`.

use super::checkpoint::{IMAGES, WORK};
use super::create::{BUNDLE, CONFIG, CONSOLE, NO_PIVOT, PID_FILE};
use super::{Command, Outcome};
use crate::args::{switch, valued, Grammar, Parsed};
use crate::session::Session;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

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
        valued(&["network-lock"], "METHOD", "iptables, nftables or skip"),
    ],
    ends_early: false,
};

/// Refused, with the reason.
fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    parsed.id()?;
    Err(engine::criu::refusal("restore", &session.criu))
}
