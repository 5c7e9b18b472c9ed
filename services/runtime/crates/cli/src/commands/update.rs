//! `update`: other limits for a container.

use super::{Command, Outcome};
use crate::args::{usage, valued, Grammar, Parsed};
use crate::session::Session;
use ::spec::resources::{BlockIo, Cpu, Memory, Pids};
use ::spec::Resources;
use engine::lifecycle::{self, update::Rdt};
use engine::Result;
use std::collections::VecDeque;
use std::io::Read;

pub(super) static COMMAND: Command = Command { grammar: &GRAMMAR, run };

static GRAMMAR: Grammar = Grammar {
    verb: "update",
    about: "update the limits of a container",
    arguments: "<container-id>",
    flags: &[
        valued(
            &["resources", "r"],
            "FILE",
            "a LinuxResources document, - for standard input; limits by flags are ignored",
        ),
        valued(&["blkio-weight"], "N", "block I/O weight, 10 to 1000"),
        valued(&["cpu-period"], "USEC", "CFS period"),
        valued(&["cpu-quota"], "USEC", "CFS quota in a period"),
        valued(&["cpu-burst"], "USEC", "CFS burst in a period"),
        valued(&["cpu-share", "cpu-shares"], "N", "relative weight"),
        valued(&["cpu-rt-period"], "USEC", "real-time period"),
        valued(&["cpu-rt-runtime"], "USEC", "real-time runtime in a period"),
        valued(&["cpu-idle"], "0|1", "run only when nothing else does"),
        valued(&["cpuset-cpus"], "LIST", "CPUs to use"),
        valued(&["cpuset-mems"], "LIST", "memory nodes to use"),
        valued(&["memory"], "SIZE", "memory limit"),
        valued(&["memory-reservation"], "SIZE", "soft memory limit"),
        valued(&["memory-swap"], "SIZE", "memory and swap together, -1 for no limit"),
        valued(&["kernel-memory"], "SIZE", "accepted and ignored: the kernel has no such limit any more"),
        valued(&["kernel-memory-tcp"], "SIZE", "accepted and ignored"),
        valued(&["pids-limit"], "N", "number of tasks, -1 for no limit"),
        valued(&["l3-cache-schema"], "LINE", "Intel RDT cache bit mask"),
        valued(&["mem-bw-schema"], "LINE", "Intel RDT memory bandwidth"),
    ],
    ends_early: false,
};

fn run(parsed: Parsed, _: VecDeque<String>, session: &Session) -> Outcome {
    let id = parsed.id()?;
    let resources = match parsed.value("resources") {
        Some(source) => read(source)?,
        None => from_flags(&parsed)?,
    };
    let rdt = Rdt {
        l3_cache: parsed.value("l3-cache-schema").map(String::from),
        bandwidth: parsed.value("mem-bw-schema").map(String::from),
    };
    lifecycle::update(&session.store, id, &resources, &rdt).map(|()| 0)
}

fn read(source: &str) -> Result<Resources> {
    let mut text = Vec::new();
    let read = if source == "-" {
        std::io::stdin().read_to_end(&mut text).map(drop)
    } else {
        std::fs::read(source).map(|bytes| text = bytes)
    };
    read.map_err(|error| usage(format!("update: --resources {source}: {error}")))?;
    ::spec::read(&text).map_err(|error| usage(format!("update: --resources {source}: {error}")))
}

fn from_flags(parsed: &Parsed) -> Result<Resources> {
    let text = |name: &str| parsed.value(name).unwrap_or_default().to_string();
    let size = |name: &str| parsed.value(name).map(|text| bytes(name, text)).transpose();
    Ok(Resources {
        memory: Some(Memory {
            limit: size("memory")?,
            reservation: size("memory-reservation")?,
            swap: size("memory-swap")?,
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: parsed.number("cpu-share")?,
            quota: parsed.number("cpu-quota")?,
            burst: parsed.number("cpu-burst")?,
            period: parsed.number("cpu-period")?,
            realtime_runtime: parsed.number("cpu-rt-runtime")?,
            realtime_period: parsed.number("cpu-rt-period")?,
            cpus: text("cpuset-cpus"),
            mems: text("cpuset-mems"),
            idle: parsed.number("cpu-idle")?,
        }),
        pids: Some(Pids { limit: parsed.number("pids-limit")? }),
        block_io: Some(BlockIo { weight: parsed.number("blkio-weight")?, ..BlockIo::default() }),
        ..Resources::default()
    })
}

/// A size in bytes, or with a suffix of powers of 1024: `64m`, `1.5GiB`.
fn bytes(name: &str, text: &str) -> Result<i64> {
    let bad = || usage(format!("update: --{name}: {text:?} is not a size"));
    let lower = text.trim().to_lowercase();
    if lower == "-1" {
        return Ok(-1);
    }
    let end = lower.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let number: f64 = number.parse().map_err(|_| bad())?;
    let power = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(bad()),
    };
    Ok((number * 1024_f64.powi(power)) as i64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_may_have_suffixes() {
        for (text, expected) in
            [("-1", -1), ("0", 0), ("4096", 4096), ("64m", 64 << 20), ("1.5GiB", 3 << 29), ("2KB", 2048), ("7b", 7)]
        {
            assert!(bytes("memory", text).is_ok_and(|found| found == expected), "{text}");
        }
        for text in ["", "x", "1x", "-2", "1 2"] {
            assert!(bytes("memory", text).is_err(), "{text}");
        }
    }
}
