//! `exec`: another process in a running container.

use super::create::{listening, preserved, CONSOLE, PIDFD, PID_FILE, PRESERVE};
use super::{Command, Outcome};
use crate::args::{switch, usage, valued, Grammar, Parsed};
use crate::session::Session;
use crate::{sealed, terminal};
use ::spec::Process;
use engine::lifecycle::exec::{self, Options};
use engine::Result;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "exec",
    about: "execute another process in a container",
    arguments: "<container-id> <command> [command options] || -p process.json <container-id>",
    flags: &[
        valued(&["process", "p"], "FILE", "the process document; without it, the container's own is changed by flags"),
        CONSOLE,
        PIDFD,
        PID_FILE,
        PRESERVE,
        switch(&["detach", "d"], "do not wait for the process"),
        switch(&["tty", "t"], "allocate a terminal"),
        valued(&["cwd"], "DIR", "working directory"),
        valued(&["env", "e"], "K=V", "add to the environment"),
        valued(&["user", "u"], "UID[:GID]", "numeric user"),
        valued(&["additional-gids", "g"], "GID", "add a supplementary group"),
        valued(&["cap", "c"], "CAP", "add a capability"),
        switch(&["no-new-privs"], "set no_new_privs; by default it is as the container has it"),
        valued(&["process-label"], "LABEL", "SELinux label"),
        valued(&["apparmor"], "PROFILE", "AppArmor profile"),
        valued(&["cgroup"], "[CONTROLLER:]PATH", "run it in a cgroup below the container's"),
        switch(&["ignore-paused"], "allow a paused container"),
        switch(&["no-subreaper"], "taken for the sake of callers: orphans are never inherited"),
    ],
    ends_early: true,
};

fn run(parsed: Parsed, words: VecDeque<String>, session: &Session) -> Outcome {
    let id = parsed.id()?.to_string();
    let listening = listening()?;
    let preserved = preserved(&parsed, listening)?;
    sealed::ensure()?;
    let process = match parsed.path("process") {
        Some(path) => engine::load_process(&path)?,
        None => process_from(&parsed, words, session, &id)?,
    };
    let detach = parsed.on("detach")?;
    let mut options = Options {
        id,
        process,
        pid_file: parsed.path("pid-file"),
        console_socket: parsed.path("console-socket"),
        terminal: None,
        pidfd_socket: parsed.path("pidfd-socket"),
        preserved,
        listening,
        cgroups: parsed.values("cgroup").map(String::from).collect(),
        ignore_paused: parsed.on("ignore-paused")?,
    };
    let mut relay = None;
    if !detach {
        sys::process::block_signals();
        if options.console_socket.is_none() {
            let (near, far) = terminal::pair()?;
            options.terminal = Some(far);
            relay = Some(near);
        }
    }
    let (pid, _pidfd) = exec::exec(&session.store, &options)?;
    options.terminal = None;
    if detach {
        return Ok(0);
    }
    terminal::attend(pid, relay)
}

/// A user or group as a plain decimal number: names are the caller's to look up, and signs, blanks and -1, which means "leave
/// it" to the kernel, are refused (CVE-2026-30892).
fn id_number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|each| each.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number != u32::MAX)
}

/// The container's own process document, changed by the flags.
fn process_from(parsed: &Parsed, words: VecDeque<String>, session: &Session, id: &str) -> Result<Process> {
    if words.is_empty() {
        return Err(parsed.error("a command or --process is needed".into()));
    }
    let mut process = session.store.load(id)?.configuration()?.process.unwrap_or_default();
    process.args = words.into();
    process.terminal = parsed.on("tty")?;
    process.console_size = None;
    process.env.extend(parsed.values("env").map(String::from));
    match parsed.value("no-new-privs") {
        Some(_) => process.no_new_privileges = parsed.on("no-new-privs")?,
        // The one flag whose absence means different things to the originals: crun's users get what crun does.
        None if crate::program() == "crun" => process.no_new_privileges = false,
        None => {}
    }
    if let Some(cwd) = parsed.value("cwd") {
        process.cwd = cwd.into();
    }
    if let Some(label) = parsed.value("process-label") {
        process.selinux_label = label.into();
    }
    if let Some(profile) = parsed.value("apparmor") {
        process.apparmor_profile = profile.into();
    }
    if let Some(user) = parsed.value("user") {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        let bad = || usage(format!("--user: {user:?} is not a number, or two with a colon between"));
        process.user.uid = id_number(uid).ok_or_else(bad)?;
        if let Some(gid) = gid {
            process.user.gid = id_number(gid).ok_or_else(bad)?;
        }
    }
    for text in parsed.values("additional-gids") {
        let gid =
            id_number(text).ok_or_else(|| parsed.error(format!("--additional-gids: {text:?} is not a group id")))?;
        process.user.additional_gids.push(gid);
    }
    add_capabilities(parsed, &mut process);
    engine::check_process(&process)?;
    Ok(process)
}

/// Into the bounding, effective and permitted sets. Unknown names are warned about later, as those of a configuration.
fn add_capabilities(parsed: &Parsed, process: &mut Process) {
    for name in parsed.values("cap") {
        let sets = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            if !set.iter().any(|each| each == name) {
                set.push(name.into());
            }
        }
    }
}
