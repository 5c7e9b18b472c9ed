//! `features`: what this runtime can do, as the features document of runtime-spec.

use super::{print_json, Command, Outcome};
use crate::args::{Grammar, Parsed};
use crate::session::Session;
use std::collections::VecDeque;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar =
    Grammar { verb: "features", about: "show what the runtime supports", arguments: "", flags: &[], ends_early: false };

fn run(parsed: Parsed, _: VecDeque<String>, _: &Session) -> Outcome {
    if let Some(extra) = parsed.plain.first() {
        return Err(parsed.error(format!("unexpected argument {extra:?}")));
    }
    print_json(&engine::features())
}
