//! `ps`: the processes of a container.

use super::{print, print_line, Command, Outcome};
use crate::args::{valued, Grammar, Parsed};
use crate::session::Session;
use engine::{lifecycle, Error, Kind};
use std::collections::VecDeque;
use std::process::{Command as Program, Stdio};

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "ps",
    about: "display the processes of a container",
    arguments: "<container-id> [ps options]",
    flags: &[valued(&["format", "f"], "table|json", "the output's format")],
    ends_early: true,
};

fn run(parsed: Parsed, options: VecDeque<String>, session: &Session) -> Outcome {
    let pids = lifecycle::pids(&session.store, parsed.id()?)?;
    match parsed.value("format") {
        Some("json") => print_line(&pids),
        None | Some("table") => table(&pids, options),
        Some(other) => Err(parsed.error(format!("invalid format option {other:?}"))),
    }
}

/// The lines of the host's ps that are about the container, below ps's own header.
fn table(pids: &[i32], options: VecDeque<String>) -> Outcome {
    let options: Vec<String> = if options.is_empty() { vec!["-ef".into()] } else { options.into() };
    let done = Program::new("ps").args(&options).stdin(Stdio::null()).output();
    let done = done.map_err(|error| Error::new(Kind::Internal, format!("ps: {error}")))?;
    if !done.status.success() {
        let words = String::from_utf8_lossy(&done.stderr).trim().to_string();
        return Err(Error::new(Kind::Internal, format!("ps {}: {words}", options.join(" "))));
    }
    let text = String::from_utf8_lossy(&done.stdout);
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let column = header
        .split_whitespace()
        .position(|name| name == "PID")
        .ok_or_else(|| Error::new(Kind::Internal, "ps: the output has no column PID"))?;
    let ours = |line: &&str| {
        line.split_whitespace()
            .nth(column)
            .and_then(|word| word.parse::<i32>().ok())
            .is_some_and(|pid| pids.contains(&pid))
    };
    let chosen: String = lines.filter(ours).map(|line| format!("{line}\n")).collect();
    print(&format!("{header}\n{chosen}"))
}
