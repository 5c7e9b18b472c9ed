//! Device rules: the list that v1 writes, and a BPF program for v2. The last matching rule decides.

use spec::resources::DeviceRule;
use sys::bpf::Instruction;

/// A rule with every field decided; -1 is any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) allow: bool,
    kind: u8,
    major: i64,
    minor: i64,
    access: String,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |value: i64| if value < 0 { "*".to_string() } else { value.to_string() };
        if self.kind == b'a' {
            return formatter.write_str("a");
        }
        write!(formatter, "{} {}:{} {}", char::from(self.kind), number(self.major), number(self.minor), self.access)
    }
}

impl Rule {
    /// Whether it is about all devices.
    pub(crate) fn everything(&self) -> bool {
        self.kind == b'a'
    }

    /// As an entry of systemd's DeviceAllow; None for what that cannot say.
    pub(crate) fn as_systemd(&self) -> Option<(String, String)> {
        let class = if self.kind == b'b' { "block" } else { "char" };
        let name = match (self.major, self.minor) {
            (-1, -1) => format!("{class}-*"),
            (_, -1) => format!("{class}-{}", driver(class, self.major)?),
            (-1, _) => return None,
            (major, minor) => format!("/dev/{class}/{major}:{minor}"),
        };
        Some((name, self.access.clone()))
    }
}

/// The name under which a driver has a major number.
fn driver(class: &str, major: i64) -> Option<String> {
    let text = std::fs::read_to_string("/proc/devices").ok()?;
    let section = text.split("\n\n").find(|section| section.to_lowercase().starts_with(class))?;
    section.lines().find_map(|line| {
        let (number, name) = line.trim().split_once(' ')?;
        (number.parse() == Ok(major)).then(|| name.to_string())
    })
}

/// What every container may use: mknod of anything, the devices of /dev and pseudo-terminals.
const ALWAYS: &[(u8, i64, i64, &str)] = &[
    (b'c', -1, -1, "m"),
    (b'b', -1, -1, "m"),
    (b'c', 1, 3, "rwm"),
    (b'c', 1, 8, "rwm"),
    (b'c', 1, 7, "rwm"),
    (b'c', 5, 0, "rwm"),
    (b'c', 1, 5, "rwm"),
    (b'c', 1, 9, "rwm"),
    (b'c', 136, -1, "rwm"),
    (b'c', 5, 2, "rwm"),
];

/// The rules of the configuration, with the devices that every container has allowed at the end.
pub(crate) fn effective(rules: &[DeviceRule]) -> Vec<Rule> {
    let mut found: Vec<Rule> = rules
        .iter()
        .map(|rule| Rule {
            allow: rule.allow,
            kind: rule.kind.bytes().next().unwrap_or(b'a'),
            major: rule.major.unwrap_or(-1),
            minor: rule.minor.unwrap_or(-1),
            access: if rule.access.is_empty() {
                "rwm".into()
            } else {
                // The kernel refuses any other letter.
                rule.access.chars().filter(|letter| "rwm".contains(*letter)).collect()
            },
        })
        .filter(|rule| !rule.access.is_empty())
        .collect();
    let everything = found.iter().rev().find(|rule| rule.kind == b'a').is_none_or(|rule| rule.allow);
    if !everything {
        found.extend(ALWAYS.iter().map(|(kind, major, minor, access)| Rule {
            allow: true,
            kind: *kind,
            major: *major,
            minor: *minor,
            access: (*access).into(),
        }));
    }
    found
}

const LOAD_WORD: u8 = 0x61; // dst = *(u32 *)(src + offset)
const AND_IMMEDIATE: u8 = 0x54;
const SHIFT_RIGHT_IMMEDIATE: u8 = 0x74;
const MOVE_REGISTER: u8 = 0xBC;
const MOVE_IMMEDIATE: u8 = 0xB4;
const JUMP_NOT_EQUAL: u8 = 0x56;
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5E;
const EXIT: u8 = 0x95;

/// The program for `BPF_PROG_TYPE_CGROUP_DEVICE`: r2 the type, r3 the access, r4 and r5 the numbers.
pub(crate) fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let op =
        |code, dst: u8, src: u8, offset, immediate| Instruction { code, registers: src << 4 | dst, offset, immediate };
    let mut code = vec![
        op(LOAD_WORD, 2, 1, 0, 0),
        op(AND_IMMEDIATE, 2, 0, 0, 0xFFFF),
        op(LOAD_WORD, 3, 1, 0, 0),
        op(SHIFT_RIGHT_IMMEDIATE, 3, 0, 0, 16),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let mut block = Vec::new();
        if rule.kind != b'a' {
            block.push(op(JUMP_NOT_EQUAL, 2, 0, 0, if rule.kind == b'b' { 1 } else { 2 }));
        }
        let mask = rule.access.bytes().fold(0, |mask, each| {
            mask | match each {
                b'm' => 1,
                b'r' => 2,
                b'w' => 4,
                _ => 0,
            }
        });
        if rule.kind != b'a' && mask != 7 {
            block.push(op(MOVE_REGISTER, 1, 3, 0, 0));
            block.push(op(AND_IMMEDIATE, 1, 0, 0, mask));
            block.push(op(JUMP_NOT_EQUAL_REGISTER, 1, 3, 0, 0));
        }
        for (register, number) in [(4, rule.major), (5, rule.minor)] {
            if rule.kind != b'a' && number >= 0 {
                block.push(op(JUMP_NOT_EQUAL, register, 0, 0, number as i32));
            }
        }
        block.push(op(MOVE_IMMEDIATE, 0, 0, 0, i32::from(rule.allow)));
        block.push(op(EXIT, 0, 0, 0, 0));
        let length = block.len();
        for (at, each) in block.iter_mut().enumerate() {
            if matches!(each.code, JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER) {
                each.offset = (length - at - 1) as i16;
            }
        }
        code.append(&mut block);
        if rule.kind == b'a' {
            // Nothing before a rule for everything can matter, and the verifier refuses dead code.
            return code;
        }
    }
    code.push(op(MOVE_IMMEDIATE, 0, 0, 0, 0));
    code.push(op(EXIT, 0, 0, 0, 0));
    code
}

#[cfg(test)]
mod tests {
    use super::{compile, effective};
    use spec::resources::DeviceRule;

    fn rule(allow: bool, kind: &str, major: Option<i64>, minor: Option<i64>, access: &str) -> DeviceRule {
        DeviceRule { allow, kind: kind.into(), major, minor, access: access.into() }
    }

    #[test]
    fn a_denying_profile_keeps_the_devices_of_every_container() {
        let rules = effective(&[rule(false, "", None, None, "rwm"), rule(true, "c", Some(10), Some(200), "rw")]);
        let lines: Vec<String> = rules.iter().map(ToString::to_string).collect();
        assert_eq!(lines[..2], ["a", "c 10:200 rw"]);
        assert!(lines.contains(&"c 136:* rwm".to_string()));
        assert!(!compile(&rules).is_empty());
    }

    #[test]
    fn a_privileged_profile_is_left_alone() {
        let rules = effective(&[rule(true, "a", None, None, "rwm")]);
        assert_eq!(rules.len(), 1);
        assert_eq!(compile(&rules).len(), 8);
    }
}
