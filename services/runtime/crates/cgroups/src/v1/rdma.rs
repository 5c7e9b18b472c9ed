//! rdma: objects of remote memory devices.

use super::set;
use crate::{convert, Group, Result};
use spec::resources::Rdma;
use std::collections::BTreeMap;

pub(crate) fn apply(groups: &[Group], limits: &BTreeMap<String, Rdma>) -> Result<()> {
    for (device, each) in limits {
        set(groups, "rdma", "rdma.max", &convert::rdma(device, each))?;
    }
    Ok(())
}
