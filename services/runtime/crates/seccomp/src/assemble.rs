//! From decisions to instructions.

use crate::{Outcome, ARCH_I386, ARCH_X86_64, KILL_THREAD, X32_BIT};
use sys::identity::SockFilter;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;
const LONGEST: usize = 4096;

/// A comparison of one argument, `(argument & mask) operator value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) index: u32,
    pub(crate) operator: Operator,
    pub(crate) value: u64,
    pub(crate) mask: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Checks that must all hold, and what is done then.
pub(crate) type Rule = (Vec<Check>, u32);

/// A decision tree over the number of the call.
#[derive(Debug)]
pub(crate) enum Node {
    Leaf(Outcome),
    /// Numbers from `from` on are on the right.
    Branch {
        from: u32,
        left: Box<Node>,
        right: Box<Node>,
    },
}

impl Node {
    /// The tree over ranges that begin at the given numbers, the first at 0.
    pub(crate) fn balanced(ranges: &[(u32, Outcome)]) -> Self {
        match ranges {
            [] => Self::Leaf(Outcome { conditional: Vec::new(), action: KILL_THREAD }),
            [(_, outcome)] => Self::Leaf(outcome.clone()),
            _ => {
                let (left, right) = ranges.split_at(ranges.len() / 2);
                Self::Branch {
                    from: right[0].0,
                    left: Box::new(Self::balanced(left)),
                    right: Box::new(Self::balanced(right)),
                }
            }
        }
    }

    fn assemble(&self, into: &mut Vec<SockFilter>, offset: u32) {
        match self {
            Self::Leaf(outcome) => leaf(outcome, into),
            Self::Branch { from, left, right } => {
                let at = into.len();
                into.push(instruction(JUMP_GREATER_OR_EQUAL, 0, 0, from + offset));
                left.assemble(into, offset);
                let distance = into.len() - at - 1;
                if let Ok(short) = u8::try_from(distance) {
                    into[at].jt = short;
                } else {
                    into[at].jf = 1;
                    into.insert(at + 1, instruction(JUMP, 0, 0, distance as u32));
                }
                right.assemble(into, offset);
            }
        }
    }
}

/// The whole filter: the architecture decides which tree applies; one that has none kills.
pub(crate) fn program(
    native: &Node,
    compatible: Option<&Node>,
    narrow: Option<&Node>,
) -> Result<Vec<SockFilter>, String> {
    let mut code = vec![instruction(LOAD, 0, 0, OFFSET_ARCH)];
    let mut blocks: Vec<(u32, Vec<SockFilter>)> = Vec::new();
    let mut body = vec![instruction(LOAD, 0, 0, OFFSET_NUMBER)];
    let mut plain = Vec::new();
    native.assemble(&mut plain, 0);
    // x32 calls come with the native architecture and a bit in the number.
    body.push(instruction(JUMP_GREATER_OR_EQUAL, 0, 1, X32_BIT));
    body.push(instruction(JUMP, 0, 0, plain.len() as u32));
    body.append(&mut plain);
    match narrow {
        Some(narrow) => narrow.assemble(&mut body, X32_BIT),
        None => body.push(instruction(RETURN, 0, 0, KILL_THREAD)),
    }
    blocks.push((ARCH_X86_64, body));
    if let Some(compatible) = compatible {
        let mut body = vec![instruction(LOAD, 0, 0, OFFSET_NUMBER)];
        compatible.assemble(&mut body, 0);
        blocks.push((ARCH_I386, body));
    }
    for (arch, mut body) in blocks {
        code.push(instruction(JUMP_EQUAL, 1, 0, arch));
        code.push(instruction(JUMP, 0, 0, body.len() as u32));
        code.append(&mut body);
    }
    code.push(instruction(RETURN, 0, 0, KILL_THREAD));
    if code.len() > LONGEST {
        return Err(format!("seccomp: the profile compiles to {} instructions, more than {LONGEST}", code.len()));
    }
    Ok(code)
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

fn leaf(outcome: &Outcome, into: &mut Vec<SockFilter>) {
    let mut rest = outcome.conditional.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let alike = rest.iter().take_while(|each| plain_value(each, first).is_some()).count();
        if alike > 1 {
            one_of(&rest[..alike], into);
            rest = &rest[alike..];
        } else {
            one(first, into);
            rest = others;
        }
    }
    into.push(instruction(RETURN, 0, 0, outcome.action));
}

/// The value of a rule that compares one whole argument with a value of 32 bits, the same argument as `like` and with its
/// action.
fn plain_value((checks, action): &Rule, (like, wanted): &Rule) -> Option<u32> {
    let ([check], [other]) = (checks.as_slice(), like.as_slice()) else { return None };
    let whole = check.operator == Operator::Equal && check.mask == u64::MAX;
    (whole && check.index == other.index && action == wanted).then(|| u32::try_from(check.value).ok()).flatten()
}

/// Rules for many values of one argument: the argument is loaded once, and neighbours become ranges.
fn one_of(rules: &[Rule], into: &mut Vec<SockFilter>) {
    let Some(first) = rules.first() else { return };
    let mut values: Vec<u32> = rules.iter().filter_map(|each| plain_value(each, first)).collect();
    values.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for value in values {
        match ranges.last_mut() {
            Some((_, last)) if value <= last.saturating_add(1) => *last = value,
            _ => ranges.push((value, value)),
        }
    }
    let (address, action) = (OFFSET_ARGUMENTS + 8 * first.0[0].index, first.1);
    let mut body = vec![instruction(LOAD, 0, 0, address)];
    for (low, high) in ranges {
        if low == high {
            body.push(instruction(JUMP_EQUAL, 0, 1, low));
        } else {
            body.push(instruction(JUMP_GREATER_OR_EQUAL, 0, 2, low));
            body.push(instruction(JUMP_GREATER, 1, 0, high));
        }
        body.push(instruction(RETURN, 0, 0, action));
    }
    into.push(instruction(LOAD, 0, 0, address + 4));
    into.push(instruction(JUMP_EQUAL, 1, 0, 0));
    into.push(instruction(JUMP, 0, 0, body.len() as u32));
    into.append(&mut body);
}

fn one((checks, action): &Rule, into: &mut Vec<SockFilter>) {
    let mut rule = Vec::new();
    for check in checks {
        compare(check, &mut rule);
    }
    // `FAIL` stands for "to the instruction behind the rule's return".
    let length = rule.len();
    for (at, each) in rule.iter().enumerate() {
        let resolve = |target: Target| match target {
            Target::Skip(distance) => distance,
            Target::Fail => (length - at) as u8,
        };
        into.push(instruction(each.code, resolve(each.yes), resolve(each.no), each.k));
    }
    into.push(instruction(RETURN, 0, 0, *action));
}

#[derive(Clone, Copy)]
enum Target {
    Skip(u8),
    Fail,
}

struct Step {
    code: u16,
    yes: Target,
    no: Target,
    k: u32,
}

fn compare(check: &Check, rule: &mut Vec<Step>) {
    use Target::{Fail, Skip};
    let (high, low) = ((check.value >> 32) as u32, check.value as u32);
    let (mask_high, mask_low) = ((check.mask >> 32) as u32, check.mask as u32);
    let step = |code, yes, no, k| Step { code, yes, no, k };
    let load = |k| step(LOAD, Skip(0), Skip(0), k);
    let address = OFFSET_ARGUMENTS + 8 * check.index;
    rule.push(load(address + 4));
    if mask_high != u32::MAX {
        rule.push(step(AND, Skip(0), Skip(0), mask_high));
    }
    let masked_low = mask_low != u32::MAX;
    // How many steps follow for the low half: the load, the mask, the comparison.
    let tail = 2 + u8::from(masked_low);
    match check.operator {
        Operator::Equal => rule.push(step(JUMP_EQUAL, Skip(0), Fail, high)),
        Operator::NotEqual => rule.push(step(JUMP_EQUAL, Skip(0), Skip(tail), high)),
        Operator::Greater | Operator::GreaterOrEqual => {
            rule.push(step(JUMP_GREATER, Skip(tail + 1), Skip(0), high));
            rule.push(step(JUMP_EQUAL, Skip(0), Fail, high));
        }
        Operator::Less | Operator::LessOrEqual => {
            rule.push(step(JUMP_GREATER_OR_EQUAL, Skip(0), Skip(tail + 1), high));
            rule.push(step(JUMP_EQUAL, Skip(0), Fail, high));
        }
    }
    rule.push(load(address));
    if masked_low {
        rule.push(step(AND, Skip(0), Skip(0), mask_low));
    }
    rule.push(match check.operator {
        Operator::Equal => step(JUMP_EQUAL, Skip(0), Fail, low),
        Operator::NotEqual => step(JUMP_EQUAL, Fail, Skip(0), low),
        Operator::Greater => step(JUMP_GREATER, Skip(0), Fail, low),
        Operator::GreaterOrEqual => step(JUMP_GREATER_OR_EQUAL, Skip(0), Fail, low),
        Operator::Less => step(JUMP_GREATER_OR_EQUAL, Fail, Skip(0), low),
        Operator::LessOrEqual => step(JUMP_GREATER, Fail, Skip(0), low),
    });
}
