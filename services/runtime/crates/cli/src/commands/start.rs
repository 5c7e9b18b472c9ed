//! `start`: let the container's program run.

use super::{Command, Outcome};
use crate::args::{Grammar, Parsed};
use crate::session::Session;
use engine::lifecycle;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "start",
    about: "execute the program of a created container",
    arguments: "<container-id>",
    flags: &[],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    if let Some(notice) = lifecycle::start(&session.store, parsed.id()?)? {
        notice.forward()?;
    }
    Ok(0)
}
