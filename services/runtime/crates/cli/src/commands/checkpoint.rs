//! `checkpoint`: freeze a container into files. Its flags are read, and it is refused: see `engine::criu`.

use super::{Command, Outcome};
use crate::args::{switch, valued, Flag, Grammar, Parsed};
use crate::session::Session;
use std::collections::VecDeque;

pub(super) const IMAGES: Flag = valued(&["image-path"], "DIR", "where the images are; the default is ./checkpoint");
pub(super) const WORK: Flag = valued(&["work-path"], "DIR", "where CRIU keeps its log");

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "checkpoint",
    about: "checkpoint a running container",
    arguments: "<container-id>",
    flags: &[
        IMAGES,
        WORK,
        valued(&["parent-path"], "DIR", "images of an earlier pre-dump, relative to the image path"),
        switch(&["leave-running"], "let the container go on"),
        switch(&["tcp-established"], "allow open TCP connections"),
        switch(&["tcp-skip-in-flight"], "skip TCP connections that are being made"),
        switch(&["link-remap"], "allow files without a name"),
        switch(&["ext-unix-sk"], "allow connected unix sockets"),
        switch(&["shell-job"], "allow a process in the caller's session"),
        switch(&["lazy-pages"], "serve memory on demand"),
        valued(&["status-fd"], "FD", "descriptor for CRIU's readiness with --lazy-pages"),
        valued(&["page-server"], "HOST:PORT", "send memory to a page server"),
        switch(&["file-locks"], "allow file locks"),
        switch(&["pre-dump"], "dump memory alone and let the container go on"),
        valued(&["manage-cgroups-mode"], "MODE", "soft, full, strict or ignore"),
        valued(&["empty-ns"], "KIND", "a namespace whose content is not dumped"),
        switch(&["auto-dedup"], "remove memory that a later dump has again"),
    ],
    ends_early: false,
};

/// Refused, with the reason; a container that does not exist comes first.
fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    session.store.load(parsed.id()?)?;
    Err(engine::criu::refusal("checkpoint", &session.criu))
}
