//! `events`: OOM kills and statistics, one JSON document a line.

use super::{print_line, Command, Outcome};
use crate::args::{switch, valued, Grammar, Parsed};
use crate::session::Session;
use engine::lifecycle::events::{self, Event};
use engine::Result;
use std::collections::VecDeque;
use std::time::Duration;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "events",
    about: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
    arguments: "<container-id>",
    flags: &[
        valued(&["interval"], "DURATION", "time between statistics; the default is 5s"),
        switch(&["stats"], "display the statistics once"),
    ],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let id = parsed.id()?;
    if parsed.on("stats")? {
        return print_line(&events::stats(&session.store, id)?);
    }
    let interval = parsed.value("interval").map_or(Ok(Duration::from_secs(5)), |text| duration(&parsed, text))?;
    events::follow(&session.store, id, interval, &mut |event: &Event| print_line(event).map(drop))?;
    Ok(0)
}

/// A duration as Go writes it: `1h2m3.5s`, `100ms`.
fn duration(parsed: &Parsed, text: &str) -> Result<Duration> {
    const UNITS: [(&str, f64); 7] =
        [("h", 3600.0), ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("m", 60.0), ("s", 1.0)];
    let bad = || parsed.error(format!("--interval: {text:?} is not a duration above zero"));
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(bad)?;
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        let (unit, factor) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit)).ok_or_else(bad)?;
        seconds += number * factor;
        rest = &rest[end + unit.len()..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|found| !found.is_zero()).ok_or_else(bad)
}
