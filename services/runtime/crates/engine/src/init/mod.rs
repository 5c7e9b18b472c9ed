//! The child: from its birth in new namespaces to the execution of the container's program.

pub(crate) mod console;
pub(crate) mod create;
pub(crate) mod credentials;
mod environment;
pub(crate) mod join;
mod program;
pub(crate) mod scheduling;
pub(crate) mod session;
pub(crate) mod settle;
