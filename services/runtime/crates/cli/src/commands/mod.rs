//! The verbs: each reads its flags, calls the engine, and prints.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod restore;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;

use crate::args::{usage, Grammar, Parsed};
use crate::session::{set_verb, Session};
use engine::{Error, Kind, Result};
use serde::Serialize;
use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

/// The exit code of a verb that did its work.
pub(crate) type Outcome = Result<i32>;

/// A verb.
struct Command {
    grammar: &'static Grammar,
    run: fn(Parsed, VecDeque<String>, &Session) -> Outcome,
}

static COMMANDS: [&Command; 17] = [
    &checkpoint::COMMAND,
    &create::COMMAND,
    &delete::COMMAND,
    &events::COMMAND,
    &exec::COMMAND,
    &features::COMMAND,
    &kill::COMMAND,
    &list::COMMAND,
    &pause::COMMAND,
    &ps::COMMAND,
    &restore::COMMAND,
    &resume::COMMAND,
    &run::COMMAND,
    &spec::COMMAND,
    &start::COMMAND,
    &state::COMMAND,
    &update::COMMAND,
];

/// Run a verb.
pub(crate) fn dispatch(verb: &str, mut words: VecDeque<String>, session: &Session) -> Outcome {
    set_verb(verb);
    if verb == "help" || verb == "h" {
        return help();
    }
    let command = COMMANDS.iter().find(|command| command.grammar.verb == verb);
    let command = command.ok_or_else(|| usage(format!("No help topic for '{verb}'")))?;
    let parsed = command.grammar.parse(&mut words)?;
    if parsed.help {
        return print(&command.grammar.help(&crate::program()));
    }
    (command.run)(parsed, words, session)
}

fn print(text: &str) -> Outcome {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map(|()| 0).map_err(|error| Error::new(Kind::Internal, format!("write to standard output: {error}")))
}

fn print_json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    print(&format!("{text}\n"))
}

fn print_line(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string(value).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    print(&format!("{text}\n"))
}

/// `--version`, in the lines that dockerd and podman read.
pub(crate) fn version(criu: &Path) -> Outcome {
    // The last line is crun's, where callers look for what there is; CRIU is a program that may be there.
    print(&format!(
        "{} version {}\ncommit: {}\nspec: {}\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF{}\n",
        crate::program(),
        env!("CARGO_PKG_VERSION"),
        option_env!("DOCKYARD_COMMIT").unwrap_or("unknown"),
        ::spec::VERSION,
        if engine::criu::present(criu) { " +CRIU" } else { "" },
    ))
}

/// `--help`.
pub(crate) fn help() -> Outcome {
    let program = crate::program();
    let mut text = format!(
        "NAME:\n   {program} - Open Container Initiative runtime\n\nUSAGE:\n   \
         {program} [global options] command [command options] [arguments...]\n\nCOMMANDS:\n"
    );
    for command in COMMANDS {
        text += &format!("   {:<12} {}\n", command.grammar.verb, command.grammar.about);
    }
    text += "\nGLOBAL OPTIONS:\n";
    for flag in crate::GLOBAL.flags {
        text += &format!("   {:<32} {}\n", format!("--{} {}", flag.names[0], flag.value), flag.about);
    }
    print(&text)
}
