//! The compiled code is run by a small interpreter and compared with what the profile says.

use super::{compile, ALLOW, ARCH_I386, ARCH_X86_64, ERRNO, KILL_THREAD, LOG, X32_BIT};
use spec::seccomp::{Argument, Seccomp, SyscallRule};
use sys::identity::SockFilter;

fn run(code: &[SockFilter], arch: u32, number: u32, args: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend_from_slice(&number.to_le_bytes());
    data.extend_from_slice(&arch.to_le_bytes());
    data.extend_from_slice(&[0; 8]);
    for arg in args {
        data.extend_from_slice(&arg.to_le_bytes());
    }
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let each = code[at];
        at += 1;
        let jump = |yes: bool| usize::from(if yes { each.jt } else { each.jf });
        match each.code {
            0x20 => {
                let k = each.k as usize;
                accumulator = u32::from_le_bytes([data[k], data[k + 1], data[k + 2], data[k + 3]]);
            }
            0x54 => accumulator &= each.k,
            0x05 => at += each.k as usize,
            0x15 => at += jump(accumulator == each.k),
            0x25 => at += jump(accumulator > each.k),
            0x35 => at += jump(accumulator >= each.k),
            0x06 => return each.k,
            other => unreachable!("code {other:#x}"),
        }
    }
}

fn rule(names: &[&str], action: &str, args: Vec<Argument>) -> SyscallRule {
    SyscallRule { names: names.iter().map(ToString::to_string).collect(), action: action.into(), errno_ret: None, args }
}

fn argument(index: u32, op: &str, value: u64, value_two: u64) -> Argument {
    Argument { index, value, value_two, op: op.into() }
}

fn profile(syscalls: Vec<SyscallRule>) -> Seccomp {
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".into(),
        architectures: vec!["SCMP_ARCH_X86_64".into(), "SCMP_ARCH_X86".into(), "SCMP_ARCH_X32".into()],
        syscalls,
        ..Seccomp::default()
    }
}

fn code(profile: &Seccomp) -> Vec<SockFilter> {
    match compile(profile) {
        Ok(program) => program.instructions,
        Err(error) => unreachable!("{error}"),
    }
}

#[test]
fn numbers_differ_between_architectures() {
    let code = code(&profile(vec![rule(&["write", "mseal"], "SCMP_ACT_ALLOW", vec![])]));
    let none = [0; 6];
    assert_eq!(run(&code, ARCH_X86_64, 1, none), ALLOW);
    assert_eq!(run(&code, ARCH_X86_64, 0, none), ERRNO | 1);
    assert_eq!(run(&code, ARCH_X86_64, 4, none), ERRNO | 1);
    assert_eq!(run(&code, ARCH_I386, 4, none), ALLOW);
    assert_eq!(run(&code, ARCH_I386, 1, none), ERRNO | 1);
    assert_eq!(run(&code, ARCH_X86_64, X32_BIT + 1, none), ALLOW);
    assert_eq!(run(&code, ARCH_X86_64, X32_BIT, none), ERRNO | 1);
    assert_eq!(run(&code, 0x1234, 1, none), KILL_THREAD);
}

#[test]
fn a_call_newer_than_the_profile_is_unknown() {
    let code = code(&profile(vec![rule(&["write", "mseal"], "SCMP_ACT_ALLOW", vec![])]));
    assert_eq!(run(&code, ARCH_X86_64, 462, [0; 6]), ALLOW);
    assert_eq!(run(&code, ARCH_X86_64, 463, [0; 6]), ERRNO | 38);
    assert_eq!(run(&code, ARCH_X86_64, 461, [0; 6]), ERRNO | 1);
}

#[test]
fn x32_kills_without_its_architecture() {
    let mut only = profile(vec![rule(&["write"], "SCMP_ACT_ALLOW", vec![])]);
    only.architectures.truncate(1);
    let code = code(&only);
    assert_eq!(run(&code, ARCH_X86_64, X32_BIT + 1, [0; 6]), KILL_THREAD);
    assert_eq!(run(&code, ARCH_I386, 4, [0; 6]), KILL_THREAD);
}

#[test]
fn operators_compare_64_bits() {
    let big = 0x1_0000_0005;
    let holds = |op: &str, value: u64| match op {
        "SCMP_CMP_EQ" => value == big,
        "SCMP_CMP_NE" => value != big,
        "SCMP_CMP_LT" => value < big,
        "SCMP_CMP_LE" => value <= big,
        "SCMP_CMP_GT" => value > big,
        _ => value >= big,
    };
    for op in ["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE"] {
        let code = code(&profile(vec![rule(&["personality"], "SCMP_ACT_ALLOW", vec![argument(0, op, big, 0)])]));
        for value in [0, 4, 5, 6, big - 1, big, big + 1, 0x2_0000_0000, 0x2_0000_0005, u64::MAX] {
            let expected = if holds(op, value) { ALLOW } else { ERRNO | 1 };
            assert_eq!(run(&code, ARCH_X86_64, 135, [value, 0, 0, 0, 0, 0]), expected, "{op} {value:#x}");
        }
    }
}

#[test]
fn masks_and_several_rules() {
    let code = code(&profile(vec![
        rule(&["clone"], "SCMP_ACT_ALLOW", vec![argument(0, "SCMP_CMP_MASKED_EQ", 0x7E02_0000, 0)]),
        rule(&["personality"], "SCMP_ACT_ALLOW", vec![argument(0, "SCMP_CMP_EQ", 0, 0)]),
        rule(&["personality"], "SCMP_ACT_LOG", vec![argument(0, "SCMP_CMP_EQ", 8, 0)]),
    ]));
    assert_eq!(run(&code, ARCH_X86_64, 56, [0x11, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(run(&code, ARCH_X86_64, 56, [0x1002_0000, 0, 0, 0, 0, 0]), ERRNO | 1);
    assert_eq!(run(&code, ARCH_X86_64, 135, [0; 6]), ALLOW);
    assert_eq!(run(&code, ARCH_X86_64, 135, [8, 0, 0, 0, 0, 0]), LOG);
    assert_eq!(run(&code, ARCH_X86_64, 135, [9, 0, 0, 0, 0, 0]), ERRNO | 1);
}

#[test]
fn many_values_of_one_argument_become_ranges() {
    let equal = |value: u64| argument(0, "SCMP_CMP_EQ", value, 0);
    let allowed: Vec<u64> = (0..46).filter(|value| ![38, 40].contains(value)).rev().chain([0x1_0000_0007]).collect();
    let mut rules: Vec<SyscallRule> =
        allowed.iter().map(|value| rule(&["socket"], "SCMP_ACT_ALLOW", vec![equal(*value)])).collect();
    rules.push(rule(&["socket"], "SCMP_ACT_LOG", vec![equal(40)]));
    rules.push(rule(&["socket"], "SCMP_ACT_LOG", vec![equal(41)]));
    let code = code(&profile(rules));
    assert!(code.len() < 120, "{}", code.len());
    for value in (0..64).chain([0x1_0000_0007, 0x1_0000_0008, 0x1_0000_0028, u64::MAX]) {
        let expected = match value {
            40 => LOG,
            _ if allowed.contains(&value) => ALLOW,
            _ => ERRNO | 1,
        };
        assert_eq!(run(&code, ARCH_X86_64, 41, [value, 0, 0, 0, 0, 0]), expected, "{value:#x}");
    }
}

#[test]
fn every_call_of_a_long_profile() {
    let names: Vec<&str> = super::syscalls::X86_64.iter().map(|(name, _)| *name).step_by(2).collect();
    let code = code(&profile(vec![rule(&names, "SCMP_ACT_ALLOW", vec![])]));
    for (name, number) in super::syscalls::X86_64 {
        let newest = names.iter().filter_map(|each| find(each)).max().unwrap_or(0);
        let expected = if names.contains(name) {
            ALLOW
        } else if *number > newest {
            ERRNO | 38
        } else {
            ERRNO | 1
        };
        assert_eq!(run(&code, ARCH_X86_64, *number, [0; 6]), expected, "{name}");
    }
}

fn find(name: &str) -> Option<u32> {
    super::syscalls::X86_64.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[test]
fn bytes_round_trip_and_reject_garbage() {
    let Ok(program) = compile(&profile(vec![rule(&["write"], "SCMP_ACT_ALLOW", vec![])])) else { unreachable!() };
    let Some(again) = super::Program::from_bytes(&program.to_bytes()) else { unreachable!() };
    assert_eq!(again.instructions, program.instructions);
    assert!(super::Program::from_bytes(b"abc").is_none());
}

#[test]
fn unknown_words_are_named() {
    let mut wrong = profile(vec![]);
    wrong.default_action = "SCMP_ACT_SING".into();
    assert_eq!(compile(&wrong).err().as_deref(), Some("seccomp: action \"SCMP_ACT_SING\" is unknown"));
}
