//! Hooks: programs that read the state document and must succeed in time.

use crate::error::{describe, Error, Result};
use crate::notes::warn;
use spec::{Hook, State};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

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
    command.stdin(Stdio::piped()).stdout(output("run.oci.hooks.stdout")?).stderr(output("run.oci.hooks.stderr")?);
    if hook.timeout.is_some() {
        // So that what it has started ends with it.
        command.process_group(0);
    }
    let mut child = command.spawn().map_err(|error| describe(&error))?;
    if let Some(mut input) = child.stdin.take() {
        // A hook need not read its input.
        let _ = input.write_all(document);
    }
    if let Some(seconds) = hook.timeout {
        let pidfd = sys::process::open_pidfd(child.id() as i32).map_err(|error| describe(&error))?;
        let limit = i32::try_from(seconds.saturating_mul(1000)).unwrap_or(i32::MAX);
        if !sys::fs::wait_readable_for(pidfd.as_fd(), limit).map_err(|error| describe(&error))? {
            // It may have ended in this moment.
            let _ = sys::process::kill(-(child.id() as i32), sys::process::SIGKILL);
            let _ = child.wait();
            return Err(format!("timed out after {seconds} s"));
        }
    }
    let status = child.wait().map_err(|error| describe(&error))?;
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
