//! `checkpoint`: save a container in files.

use super::{Command, Outcome};
use crate::args::{switch, valued, Flag, Grammar, Parsed};
use crate::session::Session;
use engine::criu::Options;
use engine::lifecycle::checkpoint::{self, Extent};
use engine::Result;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub(super) const IMAGES: Flag = valued(&["image-path"], "DIR", "where the images are; the default is ./checkpoint");
pub(super) const WORK: Flag = valued(&["work-path"], "DIR", "where CRIU keeps its log");

pub(super) const LOCK: Flag =
    valued(&["network-lock"], "METHOD", "how connections are held meanwhile: iptables, nftables or skip");

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
        valued(&["status-fd"], "FD", "descriptor that gets a NUL when memory can be fetched, with --lazy-pages"),
        valued(&["page-server"], "HOST:PORT", "send memory to a page server"),
        switch(&["file-locks"], "allow file locks"),
        switch(&["pre-dump"], "dump memory alone and let the container go on"),
        valued(&["manage-cgroups-mode"], "MODE", "soft, full, strict or ignore"),
        valued(&["empty-ns"], "KIND", "a namespace whose content is not dumped"),
        LOCK,
        switch(&["auto-dedup"], "remove memory that a later dump has again"),
    ],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let extent = Extent {
        parent: parsed.path("parent-path"),
        leave_running: parsed.on("leave-running")?,
        pre_dump: parsed.on("pre-dump")?,
        tcp_skip_in_flight: parsed.on("tcp-skip-in-flight")?,
        page_server: parsed.value("page-server").map(|text| server(&parsed, text)).transpose()?,
        status: parsed.number("status-fd")?.map(|number| status(&parsed, number)).transpose()?,
    };
    checkpoint::checkpoint(&session.store, parsed.id()?, &options(&parsed, session)?, extent)?;
    Ok(0)
}

/// The options that `checkpoint` and `restore` share.
pub(super) fn options(parsed: &Parsed, session: &Session) -> Result<Options> {
    let whole = |path: PathBuf| {
        std::path::absolute(&path).map_err(|error| parsed.error(format!("{}: {error}", path.display())))
    };
    Ok(Options {
        program: session.criu.clone(),
        images: whole(parsed.path("image-path").unwrap_or_else(|| "checkpoint".into()))?,
        work: parsed.path("work-path").map(whole).transpose()?,
        tcp_established: parsed.on("tcp-established")?,
        ext_unix_sk: parsed.on("ext-unix-sk")?,
        shell_job: parsed.on("shell-job")?,
        file_locks: parsed.on("file-locks")?,
        link_remap: parsed.on("link-remap")?,
        auto_dedup: parsed.on("auto-dedup")?,
        lazy_pages: parsed.on("lazy-pages")?,
        cgroups_mode: parsed.value("manage-cgroups-mode").map(String::from),
        network_lock: parsed.value("network-lock").map(String::from),
        empty_namespaces: parsed.values("empty-ns").map(String::from).collect(),
    })
}

fn server(parsed: &Parsed, text: &str) -> Result<(String, u16)> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok().filter(|port| *port != 0)?)));
    let (host, port) = parts.ok_or_else(|| parsed.error(format!("--page-server: {text:?} is not ADDRESS:PORT")))?;
    Ok((host.trim_matches(['[', ']']).into(), port))
}

fn status(parsed: &Parsed, number: i32) -> Result<OwnedFd> {
    let bad = |what: &str| parsed.error(format!("invalid --status-fd argument {number}: {what}"));
    // Ours are not the caller's to name.
    if number < 3 || !sys::process::inherited(number) {
        return Err(bad("bad file descriptor"));
    }
    let status = sys::process::adopt(number).map_err(|_| bad("bad file descriptor"))?;
    if sys::process::writable(&status) {
        Ok(status)
    } else {
        Err(bad("not writable"))
    }
}
