//! rdma: objects of remote memory devices.

use crate::{convert, write, Result};
use spec::resources::Rdma;
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn apply(path: &Path, limits: &BTreeMap<String, Rdma>) -> Result<()> {
    for (device, each) in limits {
        write(&path.join("rdma.max"), &convert::rdma(device, each))?;
    }
    Ok(())
}
