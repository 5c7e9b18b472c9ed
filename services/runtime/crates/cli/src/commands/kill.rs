//! `kill`: send a signal.

use super::{Command, Outcome};
use crate::args::{switch, usage, Grammar, Parsed};
use crate::session::Session;
use engine::{lifecycle, Result};
use regex_lite::Regex;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "kill",
    about: "send a signal (default: SIGTERM) to a container's process",
    arguments: "<container-id> [signal]",
    flags: &[
        switch(&["all", "a"], "send it to every process in the container"),
        switch(&["regex", "r"], "send it to all containers whose id matches"),
    ],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let all = parsed.on("all")?;
    let (id, signal) = match parsed.plain.as_slice() {
        [id] => (id, "SIGTERM"),
        [id, signal] => (id, signal.as_str()),
        _ => return Err(parsed.error("the container's id and at most a signal are needed".into())),
    };
    let signal = signal_number(signal)?;
    if !parsed.on("regex")? {
        return lifecycle::kill(&session.store, id, signal, all).map(|()| 0);
    }
    let pattern = Regex::new(id).map_err(|error| parsed.error(format!("{id:?}: {error}")))?;
    for id in session.store.ids()?.iter().filter(|id| pattern.is_match(id)) {
        lifecycle::kill(&session.store, id, signal, all)?;
    }
    Ok(0)
}

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// A signal by number, or by name with or without SIG.
fn signal_number(text: &str) -> Result<i32> {
    let unknown = || usage(format!("kill: unknown signal {text:?}"));
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
