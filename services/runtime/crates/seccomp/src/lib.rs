//! A compiler from the seccomp profiles of runtime-spec to classic BPF.
//!
//! Semantics are libseccomp's: a rule without arguments replaces those with arguments for the same call, names that
//! the kernel does not know are skipped, a foreign architecture kills. The code is a decision tree over ranges of
//! numbers, so a call costs about seven comparisons whatever the profile's length.

mod assemble;
mod syscalls;

use assemble::{Check, Node};
use std::collections::BTreeMap;
use sys::identity::SockFilter;

const X32_BIT: u32 = 0x4000_0000;
const ARCH_X86_64: u32 = 0xC000_003E;
const ARCH_I386: u32 = 0x4000_0003;

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIFICATION: u32 = 0x7FC0_0000;
const TRACE: u32 = 0x7FF0_0000;
const LOG: u32 = 0x7FFC_0000;
const ALLOW: u32 = 0x7FFF_0000;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

const FLAG_NEW_LISTENER: u32 = 8;

/// The actions that are understood.
pub const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
/// The operators that are understood.
pub const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];
/// The architectures that code is made for.
pub const ARCHITECTURES: [&str; 3] = ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"];
/// The flags that are understood.
pub const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// A compiled profile.
#[derive(Clone, Debug)]
pub struct Program {
    /// Classic BPF, in the order in which the kernel executes it.
    pub instructions: Vec<SockFilter>,
    /// `SECCOMP_FILTER_FLAG_…`
    pub flags: u32,
}

impl Program {
    /// Whether installing it gives a descriptor for notifications.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.flags & FLAG_NEW_LISTENER != 0
    }

    /// The program as bytes, for the container's state directory.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.flags.to_le_bytes().to_vec();
        for each in &self.instructions {
            bytes.extend_from_slice(&each.code.to_le_bytes());
            bytes.extend_from_slice(&[each.jt, each.jf]);
            bytes.extend_from_slice(&each.k.to_le_bytes());
        }
        bytes
    }

    /// The inverse of `to_bytes`; None for anything that it did not make.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (flags, rest) = bytes.split_first_chunk::<4>()?;
        if rest.is_empty() || rest.len() % 8 != 0 {
            return None;
        }
        let instructions = rest
            .chunks_exact(8)
            .map(|each| SockFilter {
                code: u16::from_le_bytes([each[0], each[1]]),
                jt: each[2],
                jf: each[3],
                k: u32::from_le_bytes([each[4], each[5], each[6], each[7]]),
            })
            .collect();
        Some(Self { instructions, flags: u32::from_le_bytes(*flags) })
    }
}

/// Compile a profile.
///
/// # Errors
/// A sentence that names the unknown action, operator, flag or architecture.
pub fn compile(profile: &spec::Seccomp) -> Result<Program, String> {
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let mut flags = 0;
    for flag in &profile.flags {
        flags |= match flag.as_str() {
            "SECCOMP_FILTER_FLAG_TSYNC" => 0, // the runtime has one thread
            "SECCOMP_FILTER_FLAG_LOG" => 2,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 4,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => 32,
            _ => return Err(format!("seccomp: flag {flag:?} is not supported")),
        };
    }
    let mut i386 = false;
    let mut x32 = false;
    for name in &profile.architectures {
        match name.as_str() {
            "SCMP_ARCH_X86_64" => {}
            "SCMP_ARCH_X86" => i386 = true,
            "SCMP_ARCH_X32" => x32 = true,
            // A profile may list the architectures of other machines.
            other if other.starts_with("SCMP_ARCH_") => {}
            other => return Err(format!("seccomp: architecture {other:?} is unknown")),
        }
    }
    if profile.default_action == "SCMP_ACT_NOTIFY" {
        return Err("seccomp: SCMP_ACT_NOTIFY cannot be used as default action".into());
    }
    let asks_about_write = |rule: &spec::seccomp::SyscallRule| {
        rule.action == "SCMP_ACT_NOTIFY" && rule.names.iter().any(|name| name == "write")
    };
    if profile.syscalls.iter().any(asks_about_write) {
        // The runtime itself writes the filter's descriptor number after the filter is in force.
        return Err("seccomp: SCMP_ACT_NOTIFY cannot be used for the write syscall".into());
    }
    let native = tree(profile, syscalls::X86_64, default)?;
    let compatible = if i386 { Some(tree(profile, syscalls::X86, default)?) } else { None };
    let narrow = if x32 { Some(tree(profile, syscalls::X32, default)?) } else { None };
    // A profile that names a listener gets one even if it never asks it, as with crun.
    if !profile.listener_path.is_empty() || profile.syscalls.iter().any(|rule| rule.action == "SCMP_ACT_NOTIFY") {
        flags |= FLAG_NEW_LISTENER;
    }
    let instructions = assemble::program(&native, compatible.as_ref(), narrow.as_ref())?;
    Ok(Program { instructions, flags })
}

/// The outcome for one call: rules with arguments in order, then the final action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) conditional: Vec<(Vec<Check>, u32)>,
    pub(crate) action: u32,
}

fn tree(profile: &spec::Seccomp, table: &[(&str, u32)], default: u32) -> Result<Node, String> {
    let mut outcomes: BTreeMap<u32, (Outcome, bool)> = BTreeMap::new();
    let mut newest = 0;
    for rule in &profile.syscalls {
        let wanted = action(&rule.action, rule.errno_ret)?;
        let alternatives = alternatives(&rule.args)?;
        for name in &rule.names {
            let Ok(found) = table.binary_search_by(|(known, _)| known.cmp(&name.as_str())) else { continue };
            let number = table[found].1;
            newest = newest.max(number);
            if wanted == default {
                continue;
            }
            let entry =
                outcomes.entry(number).or_insert_with(|| (Outcome { conditional: Vec::new(), action: default }, false));
            if alternatives.is_empty() {
                if !entry.1 {
                    *entry = (Outcome { conditional: Vec::new(), action: wanted }, true);
                }
            } else if !entry.1 {
                entry.0.conditional.extend(alternatives.iter().map(|checks| (checks.clone(), wanted)));
            }
        }
    }
    // A call that is newer than the whole profile was not denied but unknown: ENOSYS lets libraries fall back.
    let unknown = if default & 0xFFFF_0000 == ERRNO { ERRNO | ENOSYS } else { default };
    let plain = |action| Outcome { conditional: Vec::new(), action };
    let mut ranges: Vec<(u32, Outcome)> = Vec::new();
    let mut push = |from: u32, outcome: Outcome| {
        if ranges.last().map(|(_, last)| last) != Some(&outcome) {
            ranges.push((from, outcome));
        }
    };
    push(0, plain(default));
    for (number, (outcome, _)) in outcomes {
        push(number, outcome);
        push(number + 1, plain(default));
    }
    push(newest + 1, plain(unknown));
    // A range that begins where the next one does is empty.
    let mut kept: Vec<(u32, Outcome)> = Vec::new();
    for (from, outcome) in ranges {
        if kept.last().is_some_and(|(last, _)| *last == from) {
            kept.pop();
        }
        if kept.last().map(|(_, last)| last) != Some(&outcome) {
            kept.push((from, outcome));
        }
    }
    Ok(Node::balanced(&kept))
}

/// The sets of checks of which one must hold. An index that occurs twice means "or", as in runc.
fn alternatives(args: &[spec::seccomp::Argument]) -> Result<Vec<Vec<Check>>, String> {
    let checks = args.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    let mut seen = [false; 6];
    let repeated = checks.iter().any(|each| std::mem::replace(&mut seen[each.index as usize], true));
    Ok(match (checks.is_empty(), repeated) {
        (true, _) => Vec::new(),
        (false, true) => checks.into_iter().map(|each| vec![each]).collect(),
        (false, false) => vec![checks],
    })
}

fn check(argument: &spec::seccomp::Argument) -> Result<Check, String> {
    use assemble::Operator;
    if argument.index > 5 {
        return Err(format!("seccomp: argument index {} is not between 0 and 5", argument.index));
    }
    let (operator, value, mask) = match argument.op.as_str() {
        "SCMP_CMP_NE" => (Operator::NotEqual, argument.value, u64::MAX),
        "SCMP_CMP_LT" => (Operator::Less, argument.value, u64::MAX),
        "SCMP_CMP_LE" => (Operator::LessOrEqual, argument.value, u64::MAX),
        "SCMP_CMP_EQ" => (Operator::Equal, argument.value, u64::MAX),
        "SCMP_CMP_GE" => (Operator::GreaterOrEqual, argument.value, u64::MAX),
        "SCMP_CMP_GT" => (Operator::Greater, argument.value, u64::MAX),
        "SCMP_CMP_MASKED_EQ" => (Operator::Equal, argument.value_two, argument.value),
        other => return Err(format!("seccomp: operator {other:?} is unknown")),
    };
    Ok(Check { index: argument.index, operator, value, mask })
}

fn action(name: &str, errno: Option<u32>) -> Result<u32, String> {
    let data = |default: u32| errno.unwrap_or(default) & 0xFFFF;
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => TRAP,
        "SCMP_ACT_ERRNO" => ERRNO | data(EPERM),
        "SCMP_ACT_TRACE" => TRACE | data(EPERM),
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_LOG" => LOG,
        "SCMP_ACT_NOTIFY" => USER_NOTIFICATION,
        other => return Err(format!("seccomp: action {other:?} is unknown")),
    })
}

#[cfg(test)]
mod tests;
