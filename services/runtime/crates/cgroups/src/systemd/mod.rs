//! The systemd driver: the cgroup is a transient scope, which systemd makes, delegates and removes.

mod dbus;
mod gvariant;
mod properties;
mod unit;

pub(crate) use unit::Scope;
