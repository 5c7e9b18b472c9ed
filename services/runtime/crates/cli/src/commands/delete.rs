//! `delete`: remove what a container left.

use super::{Command, Outcome};
use crate::args::{switch, Grammar, Parsed};
use crate::session::Session;
use engine::lifecycle;
use regex_lite::Regex;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "delete",
    about: "delete a container and what it holds",
    arguments: "<container-id>",
    flags: &[
        switch(&["force", "f"], "kill a living container; one that does not exist is no error"),
        switch(&["regex", "r"], "delete all whose id matches the argument"),
    ],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let force = parsed.on("force")?;
    if parsed.plain.is_empty() {
        return Err(parsed.error("at least 1 argument is needed: the container's id".into()));
    }
    let ids = if parsed.on("regex")? {
        let pattern = parsed.id()?;
        let pattern = Regex::new(pattern).map_err(|error| parsed.error(format!("{pattern:?}: {error}")))?;
        session.store.ids()?.into_iter().filter(|id| pattern.is_match(id)).collect()
    } else {
        parsed.plain
    };
    for id in ids {
        lifecycle::delete(&session.store, &id, force)?;
    }
    Ok(0)
}
