//! `dockyard-init`: process 1 of a container started with `--init`.
//!
//! Runs one command, forwards every signal to its process group, reaps orphans, and ends with the command's code (128
//! and the signal number if it was killed, 127 if it does not exist, 126 if it cannot be executed).

use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use sys::process;

fn main() {
    let mut args: Vec<Vec<u8>> = std::env::args_os().skip(1).map(|each| each.as_bytes().to_vec()).collect();
    if args.len() == 1 && args[0] == b"--version" {
        // Nobody to tell if standard output is closed.
        let _ = writeln!(std::io::stdout(), "dockyard-init version {}", env!("CARGO_PKG_VERSION"));
        return;
    }
    if args.first().is_some_and(|first| first == b"--") {
        args.remove(0);
    }
    if args.is_empty() {
        complain("usage: dockyard-init [--] command [argument...]");
        process::exit_now(1);
    }
    process::block_signals();
    match process::fork() {
        Ok(0) => run(&args),
        Ok(child) => process::exit_now(supervise(child)),
        Err(error) => {
            complain(&format!("fork: {error}"));
            process::exit_now(1);
        }
    }
}

fn complain(text: &str) {
    // Nowhere to report a failure of standard error.
    let _ = writeln!(std::io::stderr(), "[dockyard-init] {text}");
}

/// In the child: a process group of its own, which gets the terminal if there is one, then the command.
fn run(args: &[Vec<u8>]) -> ! {
    // The child is no session leader, so this cannot fail; without a terminal the second call does, harmlessly.
    let _ = process::set_process_group(0, 0);
    let _ = process::set_foreground(std::io::stdin(), process::own_pid());
    process::reset_signals();
    let error = exec_in_path(args);
    complain(&format!("exec {}: {error}", String::from_utf8_lossy(&args[0])));
    process::exit_now(if error.kind() == ErrorKind::NotFound { 127 } else { 126 });
}

fn exec_in_path(args: &[Vec<u8>]) -> std::io::Error {
    let environment = std::env::vars_os().map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat());
    let (Ok(words), Ok(environment)) = (process::cstrings(args), process::cstrings(environment)) else {
        return ErrorKind::InvalidInput.into();
    };
    if args[0].contains(&b'/') {
        return process::execute(&words[0], &words, &environment);
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut worst = std::io::Error::from(ErrorKind::NotFound);
    for directory in std::env::split_paths(&path) {
        let Ok(program) = sys::cstring([directory.as_os_str().as_bytes(), b"/", &args[0]].concat()) else { continue };
        let error = process::execute(&program, &words, &environment);
        if error.kind() != ErrorKind::NotFound {
            worst = error;
        }
    }
    worst
}

/// Forward signals and reap until the command has ended; its code.
fn supervise(child: i32) -> i32 {
    loop {
        match process::next_signal() {
            Ok(process::SIGCHLD) => {
                while let Ok(Some((pid, ended))) = process::wait(-1, false) {
                    if pid == child {
                        return ended.code();
                    }
                }
            }
            // The whole group: a shell's children get Ctrl-C, too. It may have just ended.
            Ok(signal) => drop(process::kill(-child, signal).or_else(|_| process::kill(child, signal))),
            Err(_) => {}
        }
    }
}
