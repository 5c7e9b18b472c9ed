//! Hooks: programs that read the state document and must succeed in time.

use crate::error::{describe, Error, Result};
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
        run_one(hook, &document)
            .map_err(|cause| Error::internal(format!("error running {stage} hook #{at} ({}): {cause}", hook.path)))?;
    }
    Ok(())
}

fn run_one(hook: &Hook, document: &[u8]) -> std::result::Result<(), String> {
    if !hook.path.starts_with('/') {
        return Err("path is not absolute".into());
    }
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    command.env_clear();
    for variable in &hook.env {
        if let Some((key, value)) = variable.split_once('=') {
            command.env(key, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
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
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("timed out after {seconds} s"));
        }
    }
    let status = child.wait().map_err(|error| describe(&error))?;
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}
