//! What `create` and `restore` begin with, and how both are undone.

use crate::error::{describe, Context, Error, Result};
use crate::lifecycle::create::Options;
use crate::state::{self, Listener, Record};
use crate::{config, rdt};
use spec::{Linux, Spec};
use std::fs;
use std::path::{Path, PathBuf};

/// The bundle, its configuration, and that one's text.
pub(crate) fn read(options: &Options) -> Result<(PathBuf, Spec, Vec<u8>)> {
    let bundle = fs::canonicalize(&options.bundle)
        .map_err(|error| Error::config(format!("bundle {}: {}", options.bundle.display(), describe(&error))))?;
    let path = match &options.config {
        Some(path) => std::path::absolute(path).context(|| format!("--config {}", path.display()))?,
        None => bundle.join("config.json"),
    };
    let (spec, text) = config::load(&path)?;
    Ok((bundle, spec, text))
}

/// What has been made so far; dropped, it is undone.
pub(crate) struct Made {
    directory: Option<PathBuf>,
    pub(crate) cgroup: Option<cgroups::Manager>,
    pub(crate) rdt: Option<rdt::Groups>,
    pub(crate) pid: Option<i32>,
}

impl Made {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: Some(directory.into()), cgroup: None, rdt: None, pid: None }
    }

    pub(crate) fn keep(mut self) {
        self.directory = None;
        self.cgroup = None;
        self.rdt = None;
        self.pid = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The first error is the one to report; what cannot be undone now, `delete --force` finds by the record.
        if let Some(pid) = self.pid.take() {
            let _ = sys::process::kill(pid, sys::process::SIGKILL);
            let _ = sys::process::wait(pid, true);
        }
        let mut clean = true;
        if let Some(cgroup) = self.cgroup.take() {
            clean = cgroup.destroy().is_ok();
        }
        if let Some(groups) = self.rdt.take() {
            clean &= groups.remove().is_ok();
        }
        if let Some(directory) = self.directory.take().filter(|_| clean) {
            let _ = state::remove_directory(&directory);
        }
    }
}

/// What is known of a container before anything of it is made.
pub(crate) struct Plans {
    pub(crate) filter: Option<seccomp::Program>,
    pub(crate) cgroup: cgroups::Manager,
    pub(crate) record: Record,
}

impl Plans {
    pub(crate) fn new(spec: &Spec, options: &Options, bundle: &Path, directory: &Path) -> Result<Self> {
        let linux = spec.linux.as_ref().ok_or_else(|| missing("linux"))?;
        let root = spec.root.as_ref().ok_or_else(|| missing("root"))?;
        let rootfs = fs::canonicalize(bundle.join(&root.path))
            .map_err(|error| Error::config(format!("root.path {}: {}", root.path, describe(&error))))?;
        let filter = linux.seccomp.as_ref().map(seccomp::compile).transpose().map_err(Error::config)?;
        if let Some(filter) = &filter {
            // `exec` installs the same filter without the profile.
            fs::write(state::filter_in(directory), filter.to_bytes()).during("keep the compiled seccomp filter")?;
        }
        let listener = listener(spec, linux, filter.as_ref())?;
        let cgroup = plan_cgroup(spec, linux, options)?;
        let hooks = spec.hooks.clone().unwrap_or_default();
        let record = Record {
            oci_version: spec.oci_version.clone(),
            id: options.id.clone(),
            pid: 0,
            start_time: 0,
            bundle: bundle.into(),
            rootfs,
            created: state::timestamp(),
            annotations: spec.annotations.clone(),
            cgroups: recorded(&cgroup),
            poststart: hooks.poststart,
            poststop: hooks.poststop,
            listener,
            unit: cgroup.unit().map(String::from),
            rdt: None,
            owner: sys::process::effective_uid(),
            external_descriptors: state::standard_streams(),
        };
        Ok(Self { filter, cgroup, record })
    }
}

fn plan_cgroup(spec: &Spec, linux: &Linux, options: &Options) -> Result<cgroups::Manager> {
    let layout = cgroups::detect()?;
    let unified = linux.resources.as_ref().and_then(|resources| resources.unified.keys().next());
    if let Some(name) = unified.filter(|_| !layout.unified()) {
        return Err(Error::config(format!(
            "invalid configuration: linux.resources.unified: {name} needs cgroup v2, and this host has v1"
        )));
    }
    let request = cgroups::Request {
        driver: options.driver,
        path: &linux.cgroups_path,
        id: &options.id,
        rootless: options.rootless,
        annotations: &spec.annotations,
    };
    cgroups::Manager::new(&layout, &request).map_err(|error| Error::config(error.to_string()))
}

pub(crate) fn missing(field: &str) -> Error {
    Error::config(format!("{field}: is required"))
}

/// Who answers the notifications of a filter.
fn listener(spec: &Spec, linux: &Linux, filter: Option<&seccomp::Program>) -> Result<Option<Listener>> {
    let (Some(profile), true) = (&linux.seccomp, filter.is_some_and(seccomp::Program::notifies)) else {
        return Ok(None);
    };
    let path = match (profile.listener_path.as_str(), spec.annotations.get("run.oci.seccomp.receiver")) {
        ("", Some(path)) => path.clone(),
        ("", None) => return Err(Error::config("linux.seccomp.listenerPath: is required with SCMP_ACT_NOTIFY")),
        (path, _) => path.into(),
    };
    Ok(Some(Listener { path: path.into(), metadata: profile.listener_metadata.clone() }))
}

pub(crate) fn recorded(cgroup: &cgroups::Manager) -> Vec<(String, PathBuf)> {
    cgroup.groups().iter().map(|each| (each.controllers.clone(), each.path.clone())).collect()
}
