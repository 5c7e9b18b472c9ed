//! The runtime's side of a child that becomes the container's process.

pub(crate) mod channel;
pub(crate) mod listener;
pub(crate) mod parent;
