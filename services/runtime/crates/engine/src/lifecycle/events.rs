//! `events`: what a container uses, and which of its processes were killed for want of memory.

use crate::error::{Context, Error, Result};
use crate::state::{Container, Store};
use crate::Kind::NotRunning;
use cgroups::Stats;
use serde::Serialize;
use spec::Status;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// One line of output.
#[derive(Debug, Serialize)]
pub struct Event {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Stats>,
}

/// What a container uses now.
///
/// # Errors
/// `NotFound`, `NotRunning`.
pub fn stats(store: &Store, id: &str) -> Result<Event> {
    Ok(measure(&running(store, id)?))
}

fn running(store: &Store, id: &str) -> Result<Container> {
    let container = store.load(id)?;
    if container.status() == Status::Stopped {
        return Err(Error::new(NotRunning, format!("container with id {id} is not running")));
    }
    Ok(container)
}

fn measure(container: &Container) -> Event {
    Event { kind: "stats", id: container.id().into(), data: Some(container.cgroup().stats()) }
}

/// Tell every event until the container's process ends: statistics at each interval, OOM kills when they happen.
///
/// # Errors
/// `NotFound`, `NotRunning`, and those of `tell`, which end it.
pub fn follow(store: &Store, id: &str, interval: Duration, tell: &mut dyn FnMut(&Event) -> Result<()>) -> Result<()> {
    let container = running(store, id)?;
    let pidfd = container.pidfd()?;
    let mut oom = container.cgroup().watch_oom()?;
    let mut due = Instant::now() + interval;
    loop {
        let left = due.saturating_duration_since(Instant::now()).as_millis();
        let wanted = [Some(pidfd.as_fd()), Some(oom.descriptor())];
        let limit = i32::try_from(left).unwrap_or(i32::MAX);
        let ready = sys::fs::wait_any_for(&wanted, limit).during("wait for an event")?;
        if ready[1] && oom.take() {
            tell(&Event { kind: "oom", id: id.into(), data: None })?;
        }
        if ready[0] {
            return Ok(());
        }
        if Instant::now() >= due {
            tell(&measure(&container))?;
            due += interval;
        }
    }
}
