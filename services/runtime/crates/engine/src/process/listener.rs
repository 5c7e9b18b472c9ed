//! Passing a filter's descriptor to the agent that answers its notifications.

use crate::error::{Context, Result};
use crate::state::{Container, Listener};
use serde::Serialize;
use spec::{State, Status};
use std::os::fd::OwnedFd;

/// The version of this document, which is not the configuration's; the specification's and crun's.
const DOCUMENT_VERSION: &str = "0.2.0";

/// The ContainerProcessState document of runtime-spec.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: State,
}

/// Take the descriptor `number` out of a child and send it to the agent.
pub(crate) fn pass(container: &Container, listener: &Listener, pid: i32, number: i32, status: Status) -> Result<()> {
    let filter = descriptor_of(pid, number)?;
    let mut state = container.state_as(status);
    if status == Status::Creating {
        state.pid = pid;
    }
    let message =
        ProcessState { oci_version: DOCUMENT_VERSION, fds: ["seccompFd"], pid, metadata: &listener.metadata, state };
    let text = serde_json::to_vec(&message).map_err(std::io::Error::from).during("seccomp state")?;
    let what =
        || format!("linux.seccomp.listenerPath: failed to connect with seccomp agent at {}", listener.path.display());
    let socket = sys::socket::connect(&listener.path).context(what)?;
    sys::socket::send_descriptor(&socket, &filter, &text).context(what)
}

fn descriptor_of(pid: i32, number: i32) -> Result<OwnedFd> {
    let pidfd = sys::process::open_pidfd(pid).during("open the child")?;
    sys::process::take_descriptor(&pidfd, number).during("take the filter's descriptor out of the child")
}
