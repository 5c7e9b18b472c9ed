//! The transient unit of one container.

use super::dbus::{path_of, Body, Connection, Message, Value};
use super::properties::{annotated, limits, Properties};
use crate::{Context, Error, Layout, Request, Result};
use spec::Resources;
use std::path::{Path, PathBuf};

const MANAGER: (&str, &str, &str) =
    ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");

/// A scope, or a slice where the configuration names one.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    unit: String,
    slice: String,
    description: String,
    subgroup: Option<String>,
    properties: Properties,
    user: bool,
    /// Whether there is something to stop.
    started: bool,
}

impl Scope {
    /// The unit that `linux.cgroupsPath` names as `slice:prefix:name`.
    ///
    /// # Errors
    /// A path of another form, a slice with a name that systemd does not allow, or a host without systemd.
    pub(crate) fn new(request: &Request<'_>) -> Result<Self> {
        let user = sys::process::effective_uid() != 0;
        let parts: Vec<&str> = request.path.split(':').collect();
        let (slice, prefix, name) = match parts.as_slice() {
            [""] => ("", "", request.id),
            [slice, prefix, name] => (*slice, *prefix, *name),
            _ => {
                return Err(Error::invalid(format!(
                    "linux.cgroupsPath: expected to be of format \"slice:prefix:name\" for systemd cgroups, got {:?} instead",
                    request.path
                )))
            }
        };
        let slice = match slice {
            "" if user => "user.slice",
            "" => "system.slice",
            slice => slice,
        };
        expand(slice)?;
        let unit = if name.ends_with(".slice") {
            name.to_string()
        } else if prefix.is_empty() {
            format!("{name}.scope")
        } else {
            format!("{prefix}-{name}.scope")
        };
        if unit.contains('/') {
            return Err(Error::invalid(format!("linux.cgroupsPath: {unit:?} is not the name of a unit")));
        }
        if !available(user) {
            return Err(Error::unsupported("systemd not running on this host, cannot use systemd cgroups manager"));
        }
        Ok(Self {
            unit,
            slice: slice.into(),
            description: format!("libcontainer container {}", request.id),
            subgroup: request.annotations.get("run.oci.systemd.subgroup").filter(|name| !name.is_empty()).cloned(),
            properties: annotated(request.annotations)?,
            user,
            started: false,
        })
    }

    /// The unit of a container that exists.
    pub(crate) fn existing(unit: &str) -> Self {
        Self {
            unit: unit.into(),
            slice: String::new(),
            description: String::new(),
            subgroup: None,
            properties: Properties::new(),
            user: sys::process::effective_uid() != 0,
            started: true,
        }
    }

    /// Its name.
    pub(crate) fn unit(&self) -> &str {
        &self.unit
    }

    /// The path of its cgroup below a hierarchy's root.
    ///
    /// # Errors
    /// A user's manager that does not say where it is.
    pub(crate) fn path(&self, layout: &Layout) -> Result<PathBuf> {
        let mut path = PathBuf::from("/");
        if self.user && layout.unified() {
            let mut connection = self.connect()?;
            let call = (MANAGER.0, MANAGER.1, "org.freedesktop.DBus.Properties", "Get");
            let body = Body::default().text(MANAGER.2).text("ControlGroup");
            let answer = connection.call(call, body).context(|| "ask systemd for its cgroup".into())?;
            if let Some(own) = answer.ok().and_then(|message| message.texts().into_iter().next()) {
                path.push(own.trim_start_matches('/'));
            }
        }
        path.push(expand(&self.slice)?);
        path.push(&self.unit);
        if let Some(name) = &self.subgroup {
            if name.contains("..") {
                return Err(Error::invalid(format!("annotation run.oci.systemd.subgroup: {name:?} contains ..")));
            }
            path.push(name.trim_start_matches('/'));
        }
        Ok(path)
    }

    /// Make the unit with a process in it.
    ///
    /// # Errors
    /// Those of D-Bus, and systemd's refusal.
    pub(crate) fn start(&mut self, pid: i32, resources: &Resources, unified: bool) -> Result<()> {
        let mut properties = vec![
            ("Description".to_string(), Value::Text(self.description.clone())),
            ("DefaultDependencies".into(), Value::Bool(false)),
        ];
        if self.unit.ends_with(".slice") {
            properties.push(("Wants".into(), Value::Texts(vec![self.slice.clone()])));
        } else {
            properties.push(("Slice".into(), Value::Text(self.slice.clone())));
            properties.push(("Delegate".into(), Value::Bool(true)));
            properties.push(("PIDs".into(), Value::Words(vec![pid as u32])));
        }
        for name in [
            "MemoryAccounting",
            "CPUAccounting",
            "TasksAccounting",
            if unified { "IOAccounting" } else { "BlockIOAccounting" },
        ] {
            properties.push((name.into(), Value::Bool(true)));
        }
        properties.extend(limits(resources, unified)?);
        // An annotation overrides.
        properties.retain(|(name, _)| !self.properties.iter().any(|(other, _)| other == name));
        properties.extend(self.properties.clone());
        let mut connection = self.connect()?;
        self.manage(&mut connection, "Subscribe", Body::default())?;
        let body = || Body::default().text(&self.unit).text("replace").properties(&properties).no_units();
        let call = (MANAGER.0, MANAGER.1, MANAGER.2, "StartTransientUnit");
        let mut answer = connection.call(call, body()).context(|| self.doing("start"))?;
        if answer.as_ref().is_err_and(|refusal| refusal.name.ends_with(".UnitExists")) {
            // One that failed and was never cleaned up.
            self.manage(&mut connection, "ResetFailedUnit", Body::default().text(&self.unit))?;
            answer = connection.call(call, body()).context(|| self.doing("start"))?;
        }
        let job =
            answer.map_err(|refusal| Error::unsupported(format!("{}: {}", self.doing("start"), refusal.message)))?;
        self.started = true;
        self.await_job(&mut connection, &job, "start")
    }

    /// Change limits.
    ///
    /// # Errors
    /// Those of D-Bus, and systemd's refusal.
    pub(crate) fn update(&self, resources: &Resources, unified: bool) -> Result<()> {
        let properties = limits(resources, unified)?;
        if properties.is_empty() {
            return Ok(());
        }
        let body = Body::default().text(&self.unit).boolean(true).properties(&properties);
        let mut connection = self.connect()?;
        let call = (MANAGER.0, MANAGER.1, MANAGER.2, "SetUnitProperties");
        let answer = connection.call(call, body).context(|| self.doing("update"))?;
        answer.map(drop).map_err(|refusal| Error::unsupported(format!("{}: {}", self.doing("update"), refusal.message)))
    }

    /// Stop the unit; one that does not exist is no error.
    ///
    /// # Errors
    /// Those of D-Bus.
    pub(crate) fn stop(&self) -> Result<()> {
        if !self.started {
            return Ok(());
        }
        let mut connection = self.connect()?;
        self.manage(&mut connection, "Subscribe", Body::default())?;
        let body = Body::default().text(&self.unit).text("replace");
        if let Some(job) = self.manage(&mut connection, "StopUnit", body)? {
            self.await_job(&mut connection, &job, "stop")?;
        }
        self.manage(&mut connection, "ResetFailedUnit", Body::default().text(&self.unit)).map(drop)
    }

    /// A call whose refusal does not matter.
    fn manage(&self, connection: &mut Connection, member: &str, body: Body) -> Result<Option<Message>> {
        let answer = connection.call((MANAGER.0, MANAGER.1, MANAGER.2, member), body);
        Ok(answer.context(|| self.doing(member))?.ok())
    }

    fn await_job(&self, connection: &mut Connection, reply: &Message, what: &str) -> Result<()> {
        let job = reply.texts().into_iter().next().unwrap_or_default();
        loop {
            let removed = connection.signal("JobRemoved").context(|| self.doing(what))?.texts();
            match removed.as_slice() {
                [path, _, result] if *path == job => {
                    return if result == "done" {
                        Ok(())
                    } else {
                        Err(Error::unsupported(format!("{}: job {result}", self.doing(what))))
                    };
                }
                _ => {}
            }
        }
    }

    fn doing(&self, what: &str) -> String {
        format!("systemd: {what} {}", self.unit)
    }

    fn connect(&self) -> Result<Connection> {
        let (path, bus) = address(self.user);
        Connection::open(&path, bus).context(|| format!("connect to systemd at {}", path.display()))
    }
}

fn variable(user: bool) -> Option<PathBuf> {
    let name = if user { "DBUS_SESSION_BUS_ADDRESS" } else { "DBUS_SYSTEM_BUS_ADDRESS" };
    path_of(&std::env::var(name).ok()?)
}

/// The socket of the bus, or systemd's own; and whether it is a bus.
fn address(user: bool) -> (PathBuf, bool) {
    if let Some(path) = variable(user) {
        return (path, true);
    }
    if user {
        let directory = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default());
        let bus = directory.join("bus");
        return if bus.exists() { (bus, true) } else { (directory.join("systemd/private"), false) };
    }
    let bus = Path::new("/run/dbus/system_bus_socket");
    if bus.exists() {
        (bus.into(), true)
    } else {
        ("/run/systemd/private".into(), false)
    }
}

fn available(user: bool) -> bool {
    Path::new("/run/systemd/system").is_dir() || variable(user).is_some()
}

/// The path of a slice: `a-b.slice` is in `a.slice`.
fn expand(slice: &str) -> Result<PathBuf> {
    let bad = || Error::invalid(format!("invalid slice name: {slice}"));
    let name = slice.strip_suffix(".slice").ok_or_else(bad)?;
    if name == "-" {
        return Ok(PathBuf::new());
    }
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in name.split('-') {
        if part.is_empty() || part.contains('/') {
            return Err(bad());
        }
        prefix = if prefix.is_empty() { part.into() } else { format!("{prefix}-{part}") };
        path.push(format!("{prefix}.slice"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::expand;
    use std::path::Path;

    #[test]
    fn slices_are_nested_by_their_dashes() {
        let is = |slice: &str, path: &str| expand(slice).is_ok_and(|found| found == Path::new(path));
        assert!(is("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice") && is("-.slice", "") && is("x.slice", "x.slice"));
        for bad in ["", "a", "a--b.slice", "/a.slice", "a/b.slice", ".slice"] {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }
}
