//! Device rules as a BPF program: v2 has no files for them.

use crate::{devices, Context, Result};
use spec::Resources;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

pub(crate) fn attach(path: &Path, resources: &Resources) -> Result<()> {
    let code = devices::compile(&devices::effective(&resources.devices));
    let program = sys::bpf::load_device_filter(&code).context(|| "load the device filter".into())?;
    let directory = fs::File::open(path).context(|| format!("open {}", path.display()))?;
    sys::bpf::attach_device_filter(&program, directory.as_fd())
        .context(|| format!("attach the device filter to {}", path.display()))
}
