//! Hooks: programs that read the state document and must succeed in time.

use crate::error::{describe, Error, Result};
use crate::notes::warn;
use spec::{Hook, State};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Run hooks in order; the first that fails ends it.
pub(crate) fn run(hooks: &[Hook], state: &State, stage: &str) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let document = serde_json::to_vec(state).map_err(|error| Error::internal(format!("state: {error}")))?;
    for (at, hook) in hooks.iter().enumerate() {
        run_one(hook, state, &document).map_err(|cause| {
            Error::internal(format!("error running hook #{at} of {stage} ({}): {cause}", hook.path))
        })?;
    }
    Ok(())
}

/// Run hooks in order, all of them; failures are logged.
pub(crate) fn run_all(hooks: &[Hook], state: &State, stage: &str) {
    for (at, hook) in hooks.iter().enumerate() {
        if let Err(error) = run(std::slice::from_ref(hook), state, stage) {
            warn(&error.message.replacen("#0", &format!("#{at}"), 1));
        }
    }
}

fn run_one(hook: &Hook, state: &State, document: &[u8]) -> std::result::Result<(), String> {
    if !hook.path.starts_with('/') {
        return Err("path is not absolute".into());
    }
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    if let Some(variables) = &hook.env {
        command.env_clear();
        command.envs(variables.iter().filter_map(|variable| variable.split_once('=')));
    }
    let output = |key: &str| -> std::result::Result<Stdio, String> {
        let Some(path) = state.annotations.get(key) else { return Ok(Stdio::inherit()) };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.map(Stdio::from).map_err(|error| format!("annotation {key}: {path}: {}", describe(&error)))
    };
    let input = input(document).map_err(|error| describe(&error))?;
    command.stdin(input).stdout(output("run.oci.hooks.stdout")?).stderr(output("run.oci.hooks.stderr")?);
    if hook.timeout.is_some() {
        // So that what it has started ends with it.
        command.process_group(0);
    }
    let mut child = command.spawn().map_err(|error| describe(&error))?;
    let ended = attend(&mut child, hook.timeout);
    if ended.is_err() {
        // Nobody looks after it any more. It may have ended in this moment.
        let _ = match hook.timeout {
            Some(_) => sys::process::kill(-(child.id() as i32), sys::process::SIGKILL),
            None => child.kill(),
        };
        let _ = child.wait();
    }
    let status = ended?;
    if status.success() {
        Ok(())
    } else {
        use std::os::unix::process::ExitStatusExt;
        Err(match status.signal() {
            Some(libc::SIGSYS) => "signal: bad system call".into(),
            _ => status.to_string(),
        })
    }
}

/// The state document as a file, not by a pipe: a hook need not read it, however long it is.
fn input(document: &[u8]) -> std::io::Result<Stdio> {
    let mut file = File::from(sys::fs::memfd("state")?);
    file.write_all(document)?;
    file.rewind()?;
    Ok(file.into())
}

/// Wait for a hook's end, for so many seconds at most.
fn attend(child: &mut Child, timeout: Option<u64>) -> std::result::Result<ExitStatus, String> {
    if let Some(seconds) = timeout {
        let pidfd = sys::process::open_pidfd(child.id() as i32).map_err(|error| describe(&error))?;
        let limit = i32::try_from(seconds.saturating_mul(1000)).unwrap_or(i32::MAX);
        if !sys::fs::wait_readable_for(pidfd.as_fd(), limit).map_err(|error| describe(&error))? {
            return Err(format!("timed out after {seconds} s"));
        }
    }
    child.wait().map_err(|error| describe(&error))
}
