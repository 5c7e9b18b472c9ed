//! `state`: the state document of a container.

use super::{print_json, Command, Outcome};
use crate::args::{Grammar, Parsed};
use crate::session::Session;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "state",
    about: "output the state of a container",
    arguments: "<container-id>",
    flags: &[],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    print_json(&session.store.load(parsed.id()?)?.state())
}
