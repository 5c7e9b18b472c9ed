//! `checkpoint`: freeze a container into files, through CRIU.

use super::{Command, Outcome};
use crate::args::{switch, valued, Flag, Grammar, Parsed};
use crate::session::Session;
use engine::criu::{self, Images};
use engine::Result;
use std::collections::VecDeque;

pub(super) const IMAGES: Flag = valued(&["image-path"], "DIR", "where the images are; the default is ./checkpoint");
pub(super) const WORK: Flag = valued(&["work-path"], "DIR", "where CRIU keeps its log");
/// Options that CRIU knows by the same name.
pub(super) const SHARED: [&str; 6] =
    ["tcp-established", "ext-unix-sk", "shell-job", "file-locks", "link-remap", "auto-dedup"];

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

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let id = parsed.id()?;
    let mut words = passed(&parsed, &["tcp-skip-in-flight", "lazy-pages"], &["parent-path", "status-fd"])?;
    if let Some(server) = parsed.value("page-server") {
        let (host, port) = server
            .rsplit_once(':')
            .ok_or_else(|| parsed.error(format!("--page-server: {server:?} is not HOST:PORT")))?;
        words.extend(["--page-server", "--address", host, "--port", port].map(String::from));
    }
    let pre_dump = parsed.on("pre-dump")?;
    let leave_running = parsed.on("leave-running")?;
    criu::checkpoint(&session.store, id, &session.criu, &images(&parsed), &words, pre_dump, leave_running)?;
    Ok(0)
}

/// The folders of the images.
pub(super) fn images(parsed: &Parsed) -> Images {
    Images { path: parsed.path("image-path").unwrap_or_else(|| "checkpoint".into()), work: parsed.path("work-path") }
}

/// The flags that go to CRIU as they are.
pub(super) fn passed(parsed: &Parsed, switches: &[&str], values: &[&str]) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for name in SHARED.iter().chain(switches) {
        if parsed.on(name)? {
            words.push(format!("--{name}"));
        }
    }
    for name in values {
        if let Some(value) = parsed.value(name) {
            words
                .extend([format!("--{}", if *name == "parent-path" { "prev-images-dir" } else { name }), value.into()]);
        }
    }
    match parsed.value("manage-cgroups-mode") {
        None => words.push("--manage-cgroups=soft".into()),
        Some(mode @ ("soft" | "full" | "strict" | "ignore")) => words.push(format!("--manage-cgroups={mode}")),
        Some(other) => return Err(parsed.error(format!("--manage-cgroups-mode: {other:?} is unknown"))),
    }
    for kind in parsed.values("empty-ns") {
        if kind != "network" {
            return Err(parsed.error(format!("--empty-ns: namespace {kind:?} is not supported")));
        }
        words.extend(["--empty-ns", "net"].map(String::from));
    }
    Ok(words)
}
