//! The verbs: each reads its flags, calls the engine, and prints.

use crate::args::{on, unknown, usage, Args, Word};
use crate::{sealed, specification};
use engine::{create, exec, lifecycle, Error, Kind, Result, Store};
use serde_json::{json, Value};
use spec::Process;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub(crate) type Outcome = Result<i32>;

pub(crate) fn dispatch(verb: &str, args: Args, store: &Store) -> Outcome {
    match verb {
        "create" => create(args, store),
        "run" => run(args, store),
        "start" => start(args, store),
        "kill" => kill(args, store),
        "delete" => delete(args, store),
        "exec" => exec(args, store),
        "state" => state(args, store),
        "list" => list(args, store),
        "ps" => ps(args, store),
        "pause" => lifecycle::pause(store, &only_id("pause", args)?, true).map(|()| 0),
        "resume" => lifecycle::pause(store, &only_id("resume", args)?, false).map(|()| 0),
        "update" => update(args, store),
        "features" => features(),
        "help" => help(),
        "spec" => specification::write(args),
        "checkpoint" | "restore" | "events" => {
            Err(Error::new(Kind::InvalidConfig, format!("{verb}: this command is not implemented yet")))
        }
        other => Err(usage(format!("no help topic for '{other}'"))),
    }
}

fn print(text: &str) -> Outcome {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map(|()| 0).map_err(|error| Error::new(Kind::Internal, format!("write to standard output: {error}")))
}

fn print_json(value: &Value) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    print(&format!("{text}\n"))
}

pub(crate) fn version() -> Outcome {
    print(&format!("dockyard-runtime version {}\nspec: 1.2.1\n", env!("CARGO_PKG_VERSION")))
}

pub(crate) fn help() -> Outcome {
    print(
        "NAME:\n   dockyard-runtime - Open Container Initiative runtime\n\nUSAGE:\n   \
         dockyard-runtime [global options] command [command options] [arguments...]\n\nCOMMANDS:\n   \
         create delete exec features kill list pause ps resume run spec start state update\n\nGLOBAL OPTIONS:\n   \
         --root --log --log-format --debug --version --help\n",
    )
}

/// The one plain argument of a verb without flags.
fn only_id(verb: &str, mut args: Args) -> Result<String> {
    match args.next() {
        Some(Word::Plain(id)) if args.next().is_none() => Ok(id),
        Some(Word::Flag(name, _)) => Err(unknown(verb, &name)),
        _ => Err(usage(format!("{verb}: exactly 1 argument is needed: the container's id"))),
    }
}

struct Creation {
    options: create::Options,
    detach: bool,
    keep: bool,
}

fn creation(verb: &str, mut args: Args) -> Result<Creation> {
    let mut options = create::Options {
        id: String::new(),
        bundle: PathBuf::from("."),
        pid_file: None,
        console_socket: None,
        no_pivot: false,
        no_new_keyring: false,
        preserved: 0,
    };
    let (mut detach, mut keep) = (false, false);
    while let Some(word) = args.next() {
        match word {
            Word::Plain(id) if options.id.is_empty() => options.id = id,
            Word::Plain(extra) => return Err(usage(format!("{verb}: unexpected argument {extra:?}"))),
            Word::Flag(name, value) => match (name.as_str(), verb) {
                ("bundle" | "b", _) => options.bundle = args.value(&name, value)?.into(),
                ("pid-file", _) => options.pid_file = Some(args.value(&name, value)?.into()),
                ("console-socket", _) => options.console_socket = Some(args.value(&name, value)?.into()),
                ("no-pivot", _) => options.no_pivot = on(&name, value.as_deref())?,
                ("no-new-keyring", _) => options.no_new_keyring = on(&name, value.as_deref())?,
                ("preserve-fds", _) => options.preserved = preserved(&args.value(&name, value)?)?,
                ("detach" | "d", "run") => detach = on(&name, value.as_deref())?,
                ("keep", "run") => keep = on(&name, value.as_deref())?,
                ("no-subreaper", "run") => drop(on(&name, value.as_deref())?),
                _ => return Err(unknown(verb, &name)),
            },
        }
    }
    if options.id.is_empty() {
        return Err(usage(format!("{verb}: exactly 1 argument is needed: the container's id")));
    }
    Ok(Creation { options, detach, keep })
}

fn preserved(text: &str) -> Result<u32> {
    text.parse().map_err(|_| usage(format!("--preserve-fds: {text:?} is not a number")))
}

fn create(args: Args, store: &Store) -> Outcome {
    sealed::ensure()?;
    create::create(store, &creation("create", args)?.options)?;
    Ok(0)
}

fn run(args: Args, store: &Store) -> Outcome {
    sealed::ensure()?;
    let creation = creation("run", args)?;
    let id = creation.options.id.clone();
    let container = create::create(store, &creation.options)?;
    let pid = container.state().pid;
    if !creation.detach {
        sys::process::block_signals();
    }
    if let Err(error) = lifecycle::start(store, &id) {
        lifecycle::delete(store, &id, true)?;
        return Err(error);
    }
    if creation.detach {
        return Ok(0);
    }
    let code = attend(pid)?;
    if !creation.keep {
        lifecycle::delete(store, &id, true)?;
    }
    Ok(code)
}

/// Forward signals to a child and wait for its end.
fn attend(pid: i32) -> Outcome {
    let failed = |error: std::io::Error| Error::new(Kind::Internal, format!("wait for the process: {error}"));
    loop {
        match sys::process::next_signal().map_err(failed)? {
            sys::process::SIGCHLD => {
                if let Some((_, ended)) = sys::process::wait(pid, false).map_err(failed)? {
                    return Ok(ended.code());
                }
            }
            // It may have just ended; SIGCHLD then follows.
            signal => drop(sys::process::kill(pid, signal)),
        }
    }
}

fn start(args: Args, store: &Store) -> Outcome {
    lifecycle::start(store, &only_id("start", args)?).map(|()| 0)
}

fn kill(mut args: Args, store: &Store) -> Outcome {
    let (mut all, mut plain) = (false, Vec::new());
    while let Some(word) = args.next() {
        match word {
            Word::Flag(name, value) if name == "all" || name == "a" => all = on(&name, value.as_deref())?,
            Word::Flag(name, _) => return Err(unknown("kill", &name)),
            Word::Plain(word) => plain.push(word),
        }
    }
    let (id, signal) = match plain.as_slice() {
        [id] => (id, "SIGTERM"),
        [id, signal] => (id, signal.as_str()),
        _ => return Err(usage("kill: the container's id and at most a signal are needed")),
    };
    lifecycle::kill(store, id, signal_number(signal)?, all).map(|()| 0)
}

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

fn signal_number(text: &str) -> Result<i32> {
    let unknown = || usage(format!("unknown signal {text:?}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = SIGNALS.iter().position(|each| *each == name) {
        return Ok(at as i32 + 1);
    }
    let offset = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.parse::<i32>().ok());
    match name {
        "RTMIN" => Ok(34),
        "RTMAX" => Ok(64),
        _ => offset("RTMIN+")
            .map(|more| 34 + more)
            .or_else(|| offset("RTMAX-").map(|less| 64 - less))
            .filter(|number| (34..=64).contains(number))
            .ok_or_else(unknown),
    }
}

fn delete(mut args: Args, store: &Store) -> Outcome {
    let (mut force, mut ids) = (false, Vec::new());
    while let Some(word) = args.next() {
        match word {
            Word::Flag(name, value) if name == "force" || name == "f" => force = on(&name, value.as_deref())?,
            Word::Flag(name, _) => return Err(unknown("delete", &name)),
            Word::Plain(id) => ids.push(id),
        }
    }
    if ids.is_empty() {
        return Err(usage("delete: at least 1 argument is needed: the container's id"));
    }
    for id in ids {
        lifecycle::delete(store, &id, force)?;
    }
    Ok(0)
}

#[derive(Default)]
struct ExecFlags {
    process: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    console_socket: Option<PathBuf>,
    detach: bool,
    terminal: bool,
    cwd: Option<String>,
    env: Vec<String>,
    user: Option<String>,
    groups: Vec<u32>,
    capabilities: Vec<String>,
    no_new_privileges: bool,
    preserved: u32,
    id: String,
}

fn exec_flags(mut args: Args) -> Result<(ExecFlags, Vec<String>)> {
    let mut flags = ExecFlags::default();
    while let Some(word) = args.next() {
        match word {
            Word::Plain(id) => {
                flags.id = id;
                return Ok((flags, args.rest()));
            }
            Word::Flag(name, value) => match name.as_str() {
                "process" | "p" => flags.process = Some(args.value(&name, value)?.into()),
                "pid-file" => flags.pid_file = Some(args.value(&name, value)?.into()),
                "console-socket" => flags.console_socket = Some(args.value(&name, value)?.into()),
                "detach" | "d" => flags.detach = on(&name, value.as_deref())?,
                "tty" | "t" => flags.terminal = on(&name, value.as_deref())?,
                "cwd" => flags.cwd = Some(args.value(&name, value)?),
                "env" | "e" => flags.env.push(args.value(&name, value)?),
                "user" | "u" => flags.user = Some(args.value(&name, value)?),
                "additional-gids" | "g" => {
                    let text = args.value(&name, value)?;
                    flags
                        .groups
                        .push(text.parse().map_err(|_| usage(format!("--{name}: {text:?} is not a group id")))?);
                }
                "cap" | "c" => flags.capabilities.push(args.value(&name, value)?),
                "no-new-privs" => flags.no_new_privileges = on(&name, value.as_deref())?,
                "preserve-fds" => flags.preserved = preserved(&args.value(&name, value)?)?,
                "ignore-paused" | "no-subreaper" => drop(on(&name, value.as_deref())?),
                _ => return Err(unknown("exec", &name)),
            },
        }
    }
    Err(usage("exec: the container's id is needed"))
}

fn exec(args: Args, store: &Store) -> Outcome {
    sealed::ensure()?;
    let (flags, words) = exec_flags(args)?;
    let process = match &flags.process {
        Some(path) => engine::load_process(path)?,
        None => process_from(&flags, words, store)?,
    };
    let options = exec::Options {
        id: flags.id,
        process,
        pid_file: flags.pid_file,
        console_socket: flags.console_socket,
        preserved: flags.preserved,
        detach: flags.detach,
    };
    if !options.detach {
        sys::process::block_signals();
    }
    let (pid, _pidfd) = exec::exec(store, &options)?;
    if options.detach {
        return Ok(0);
    }
    attend(pid)
}

/// A user or group as a plain decimal number: names are the caller's to look up, and signs, blanks and -1, which means "leave
/// it" to the kernel, are refused (CVE-2026-30892).
fn id_number(text: &str, whole: &str) -> Result<u32> {
    let plain = !text.is_empty() && text.bytes().all(|each| each.is_ascii_digit());
    match text.parse() {
        Ok(number) if plain && number != u32::MAX => Ok(number),
        _ => Err(usage(format!("--user: {whole:?} is not a number, or two with a colon between"))),
    }
}

/// The container's own process document, changed by the flags.
fn process_from(flags: &ExecFlags, words: Vec<String>, store: &Store) -> Result<Process> {
    if words.is_empty() {
        return Err(usage("exec: a command or --process is needed"));
    }
    let state = store.load(&flags.id)?.state();
    let mut process = engine::load_config(Path::new(&state.bundle))?.process.unwrap_or_default();
    process.args = words;
    process.terminal = flags.terminal;
    process.env.extend(flags.env.iter().cloned());
    process.no_new_privileges |= flags.no_new_privileges;
    if let Some(cwd) = &flags.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(user) = &flags.user {
        let (uid, gid) = user.split_once(':').map_or((user.as_str(), None), |(uid, gid)| (uid, Some(gid)));
        process.user.uid = id_number(uid, user)?;
        if let Some(gid) = gid {
            process.user.gid = id_number(gid, user)?;
        }
    }
    process.user.additional_gids.extend(&flags.groups);
    if let (Some(sets), false) = (process.capabilities.as_mut(), flags.capabilities.is_empty()) {
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.extend(flags.capabilities.iter().cloned());
        }
    }
    Ok(process)
}

fn state(args: Args, store: &Store) -> Outcome {
    print_json(&json!(store.load(&only_id("state", args)?)?.state()))
}

fn list(mut args: Args, store: &Store) -> Outcome {
    let (mut quiet, mut format) = (false, "table".to_string());
    while let Some(word) = args.next() {
        match word {
            Word::Flag(name, value) if name == "quiet" || name == "q" => quiet = on(&name, value.as_deref())?,
            Word::Flag(name, value) if name == "format" || name == "f" => format = args.value(&name, value)?,
            Word::Flag(name, _) => return Err(unknown("list", &name)),
            Word::Plain(extra) => return Err(usage(format!("list: unexpected argument {extra:?}"))),
        }
    }
    let mut states = Vec::new();
    for id in store.ids()? {
        match store.load(&id) {
            Ok(container) => states.push(container.state()),
            // Deleted since the listing.
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if quiet {
        return print(&states.iter().map(|state| format!("{}\n", state.id)).collect::<String>());
    }
    match format.as_str() {
        "json" => print_json(&json!(states)),
        "table" => {
            let mut text = format!("{:<40}{:<12}{:<12}{:<40}{}\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
            for state in &states {
                text += &format!(
                    "{:<40}{:<12}{:<12}{:<40}{}\n",
                    state.id,
                    state.pid,
                    state.status.as_str(),
                    state.bundle,
                    state.created
                );
            }
            print(&text)
        }
        other => Err(usage(format!("list: invalid format option {other:?}"))),
    }
}

fn ps(mut args: Args, store: &Store) -> Outcome {
    let (mut format, mut id) = ("table".to_string(), None);
    while let Some(word) = args.next() {
        match word {
            Word::Flag(name, value) if name == "format" || name == "f" => format = args.value(&name, value)?,
            Word::Flag(name, _) => return Err(unknown("ps", &name)),
            Word::Plain(word) if id.is_none() => id = Some(word),
            Word::Plain(_) => return Err(usage("ps: options of the host's ps are not supported; use -f json")),
        }
    }
    let pids = lifecycle::pids(store, &id.ok_or_else(|| usage("ps: the container's id is needed"))?)?;
    match format.as_str() {
        "json" => print(&format!("{}\n", json!(pids))),
        "table" => {
            let mut text = "PID     CMD\n".to_string();
            for pid in pids {
                let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                text += &format!("{pid:<8}{}\n", command.trim());
            }
            print(&text)
        }
        other => Err(usage(format!("ps: invalid format option {other:?}"))),
    }
}

fn update(mut args: Args, store: &Store) -> Outcome {
    let (mut source, mut id) = (None, None);
    while let Some(word) = args.next() {
        match word {
            Word::Flag(name, value) if name == "resources" || name == "r" => source = Some(args.value(&name, value)?),
            Word::Flag(name, _) => return Err(unknown("update", &name)),
            Word::Plain(word) if id.is_none() => id = Some(word),
            Word::Plain(extra) => return Err(usage(format!("update: unexpected argument {extra:?}"))),
        }
    }
    let source = source.ok_or_else(|| usage("update: --resources is needed"))?;
    let id = id.ok_or_else(|| usage("update: the container's id is needed"))?;
    let mut text = Vec::new();
    let read = if source == "-" {
        std::io::stdin().read_to_end(&mut text).map(drop)
    } else {
        std::fs::read(&source).map(|bytes| text = bytes)
    };
    read.map_err(|error| usage(format!("--resources {source}: {error}")))?;
    let resources = serde_json::from_slice(&text).map_err(|error| usage(format!("--resources {source}: {error}")))?;
    lifecycle::update(store, &id, &resources).map(|()| 0)
}

fn features() -> Outcome {
    let apparmor = Path::new("/sys/module/apparmor").exists();
    print_json(&json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.1",
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": engine::mount_option_names(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": engine::capability_names(),
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
            "seccomp": {
                "enabled": true,
                "actions": [
                    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                    "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
                ],
                "operators": [
                    "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                    "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
                ],
                "archs": ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
                "knownFlags": [
                    "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
                ],
                "supportedFlags": [
                    "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                ],
            },
            "apparmor": {"enabled": apparmor},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": false}},
        },
    }))
}
