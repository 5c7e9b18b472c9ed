//! The command line, in runc's grammar: global flags, a verb, its flags, its arguments.

use engine::{Error, Kind, Result};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::str::FromStr;

/// One flag: its names without dashes, the first being the one for messages.
pub(crate) struct Flag {
    pub(crate) names: &'static [&'static str],
    /// What the help calls the value; empty for a switch.
    pub(crate) value: &'static str,
    pub(crate) about: &'static str,
}

/// A flag without a value.
pub(crate) const fn switch(names: &'static [&'static str], about: &'static str) -> Flag {
    Flag { names, value: "", about }
}

/// A flag with a value, attached by `=` or in the next word.
pub(crate) const fn valued(names: &'static [&'static str], value: &'static str, about: &'static str) -> Flag {
    Flag { names, value, about }
}

/// What a verb takes.
pub(crate) struct Grammar {
    pub(crate) verb: &'static str,
    pub(crate) about: &'static str,
    /// The plain arguments, for the help.
    pub(crate) arguments: &'static str,
    pub(crate) flags: &'static [Flag],
    /// Whether flags end at the first plain word, because what follows belongs to another program.
    pub(crate) ends_early: bool,
}

/// The words of a command line, read.
pub(crate) struct Parsed {
    grammar: &'static Grammar,
    values: Vec<(&'static str, String)>,
    /// The plain words.
    pub(crate) plain: Vec<String>,
    pub(crate) help: bool,
}

impl Grammar {
    /// Read words; for a grammar that ends early, the rest is left behind the first plain word.
    pub(crate) fn parse(&'static self, words: &mut VecDeque<String>) -> Result<Parsed> {
        let mut parsed = Parsed { grammar: self, values: Vec::new(), plain: Vec::new(), help: false };
        while let Some(word) = words.pop_front() {
            if word == "--" {
                parsed.plain.extend(words.drain(..));
            } else if word.len() < 2 || !word.starts_with('-') {
                parsed.plain.push(word);
                if self.ends_early {
                    break;
                }
            } else {
                self.flag(&word, words, &mut parsed)?;
            }
        }
        Ok(parsed)
    }

    fn flag(&self, word: &str, words: &mut VecDeque<String>, parsed: &mut Parsed) -> Result<()> {
        let bare = word.trim_start_matches('-');
        let (name, attached) = bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
        if matches!(name, "h" | "help") {
            parsed.help = true;
            return Ok(());
        }
        let flag = self.flags.iter().find(|flag| flag.names.contains(&name));
        let flag = flag.ok_or_else(|| self.error(format!("flag provided but not defined: -{name}")))?;
        let value = match attached {
            Some(value) => value.into(),
            None if flag.value.is_empty() => "true".into(),
            None => words.pop_front().ok_or_else(|| self.error(format!("flag needs an argument: --{name}")))?,
        };
        parsed.values.push((flag.names[0], value));
        Ok(())
    }

    fn error(&self, message: String) -> Error {
        usage(if self.verb.is_empty() { message } else { format!("{}: {message}", self.verb) })
    }

    /// The help of a verb, in the field's layout.
    pub(crate) fn help(&self, program: &str) -> String {
        let mut text = format!(
            "NAME:\n   {program} {} - {}\n\nUSAGE:\n   {program} {} [command options] {}\n\nOPTIONS:\n",
            self.verb, self.about, self.verb, self.arguments
        );
        for flag in self.flags {
            let names: Vec<String> = flag
                .names
                .iter()
                .map(|name| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") })
                .collect();
            text += &format!("   {:<36} {}\n", format!("{} {}", names.join(", "), flag.value), flag.about);
        }
        text
    }
}

impl Parsed {
    /// Whether a switch is on.
    pub(crate) fn on(&self, name: &str) -> Result<bool> {
        match self.value(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(self.error(format!("invalid value {other:?} for flag --{name}"))),
        }
    }

    /// The last value of a flag.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(each, _)| *each == name).map(|(_, value)| value.as_str())
    }

    /// All values of a flag, in order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = name.to_string();
        self.values.iter().filter(move |(each, _)| *each == name).map(|(_, value)| value.as_str())
    }

    /// A value that is a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// A value that is a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.value(name)
            .map(|text| {
                text.trim().parse().map_err(|_| self.error(format!("--{name}: {text:?} is not a valid number")))
            })
            .transpose()
    }

    /// The one plain word: a container's id.
    pub(crate) fn id(&self) -> Result<&str> {
        match self.plain.as_slice() {
            [id] => Ok(id),
            _ => Err(self.error("exactly 1 argument is needed: the container's id".into())),
        }
    }

    /// An error of this verb's use.
    pub(crate) fn error(&self, message: String) -> Error {
        self.grammar.error(message)
    }
}

/// The words of this process, without the program's name.
pub(crate) fn words() -> Result<VecDeque<String>> {
    std::env::args_os()
        .skip(1)
        .map(|word| word.into_string().map_err(|word| usage(format!("argument {word:?} is not UTF-8"))))
        .collect()
}

/// An error of use.
pub(crate) fn usage(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::{switch, valued, Grammar};

    static GRAMMAR: Grammar = Grammar {
        verb: "try",
        about: "",
        arguments: "",
        flags: &[switch(&["force", "f"], ""), valued(&["env", "e"], "K=V", "")],
        ends_early: false,
    };

    fn words(text: &str) -> std::collections::VecDeque<String> {
        text.split(' ').map(String::from).collect()
    }

    #[test]
    fn flags_may_stand_behind_plain_words() {
        let Ok(parsed) = GRAMMAR.parse(&mut words("one --env A=1 -e=B=2 two -f -- -x")) else { unreachable!() };
        assert_eq!(parsed.plain, ["one", "two", "-x"]);
        assert_eq!(parsed.values("env").collect::<Vec<_>>(), ["A=1", "B=2"]);
        assert!(parsed.on("force").is_ok_and(|on| on));
    }

    #[test]
    fn what_is_unknown_or_incomplete_is_refused_by_name() {
        let message = |text: &str| GRAMMAR.parse(&mut words(text)).err().map(|error| error.message).unwrap_or_default();
        assert_eq!(message("--odd"), "try: flag provided but not defined: -odd");
        assert_eq!(message("-e"), "try: flag needs an argument: --e");
    }
}
