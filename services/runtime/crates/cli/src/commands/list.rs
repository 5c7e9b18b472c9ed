//! `list`: all containers of a root directory.

use super::{print, print_line, Command, Outcome};
use crate::args::{switch, valued, Grammar, Parsed};
use crate::session::Session;
use ::spec::State;
use engine::Kind;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "list",
    about: "list containers",
    arguments: "",
    flags: &[
        valued(&["format", "f"], "table|json", "the output's format"),
        switch(&["quiet", "q"], "print the ids alone"),
    ],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    if let Some(extra) = parsed.plain.first() {
        return Err(parsed.error(format!("unexpected argument {extra:?}")));
    }
    let mut states = Vec::new();
    for id in session.store.ids()? {
        match session.store.load(&id) {
            Ok(container) => states.push(container.state()),
            // Deleted since the listing.
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if parsed.on("quiet")? {
        return print(&states.iter().map(|state| format!("{}\n", state.id)).collect::<String>());
    }
    match parsed.value("format") {
        Some("json") => print_line(&states),
        None | Some("table") => print(&table(&states)),
        Some(other) => Err(parsed.error(format!("invalid format option {other:?}"))),
    }
}

/// Columns as wide as their longest entry and three spaces, at least twelve.
fn table(states: &[State]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from);
    let rows = states.iter().map(|state| {
        [
            state.id.clone(),
            state.pid.to_string(),
            state.status.as_str().into(),
            state.bundle.clone(),
            state.created.clone(),
            state.owner.clone(),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(rows).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].len() + 3).max().unwrap_or(0).max(12);
    let widths: Vec<usize> = (0..6).map(width).collect();
    rows.iter()
        .map(|row| {
            let line: String = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
            format!("{}\n", line.trim_end())
        })
        .collect()
}
