//! `pause`: stop all processes of a container.

use super::{Command, Outcome};
use crate::args::{Grammar, Parsed};
use crate::session::Session;
use engine::lifecycle;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "pause",
    about: "stop all processes of a container",
    arguments: "<container-id>",
    flags: &[],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    lifecycle::pause(&session.store, parsed.id()?, true).map(|()| 0)
}
