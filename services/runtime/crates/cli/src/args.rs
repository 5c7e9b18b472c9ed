//! The command line, in runc's grammar: global flags, a verb, its flags, its arguments.

use engine::{Error, Kind, Result};

/// Words being read from left to right.
pub(crate) struct Args {
    words: std::collections::VecDeque<String>,
}

/// One step of reading.
pub(crate) enum Word {
    /// `--name` or `-n`, with the value of `--name=value`.
    Flag(String, Option<String>),
    Plain(String),
}

impl Args {
    pub(crate) fn from_env() -> Result<Self> {
        let words = std::env::args_os()
            .skip(1)
            .map(|word| word.into_string().map_err(|word| usage(format!("argument {word:?} is not UTF-8"))))
            .collect::<Result<_>>()?;
        Ok(Self { words })
    }

    /// The next flag, or the first plain word; `--` ends the flags.
    pub(crate) fn next(&mut self) -> Option<Word> {
        let word = self.words.pop_front()?;
        if word == "--" {
            return self.words.pop_front().map(Word::Plain);
        }
        if word.len() < 2 || !word.starts_with('-') {
            return Some(Word::Plain(word));
        }
        let name = word.trim_start_matches('-');
        Some(match name.split_once('=') {
            Some((name, value)) => Word::Flag(name.into(), Some(value.into())),
            None => Word::Flag(name.into(), None),
        })
    }

    /// The value of a flag, attached or in the next word.
    pub(crate) fn value(&mut self, name: &str, attached: Option<String>) -> Result<String> {
        attached.or_else(|| self.words.pop_front()).ok_or_else(|| usage(format!("flag needs an argument: --{name}")))
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> Vec<String> {
        self.words.into()
    }
}

/// Whether a flag without, or with a Boolean, value is on.
pub(crate) fn on(name: &str, attached: Option<&str>) -> Result<bool> {
    match attached {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(usage(format!("invalid value {other:?} for flag --{name}"))),
    }
}

pub(crate) fn usage(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidConfig, message)
}

pub(crate) fn unknown(verb: &str, name: &str) -> Error {
    usage(format!("{verb}: flag provided but not defined: -{name}"))
}
