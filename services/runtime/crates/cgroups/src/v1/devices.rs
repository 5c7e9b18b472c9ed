//! devices: which device nodes may be used.

use crate::{devices, find, write, Group, Result};
use spec::Resources;

/// Write the rules one by one, in order.
pub(crate) fn apply(groups: &[Group], resources: &Resources) -> Result<()> {
    let Some(group) = find(groups, "devices") else { return Ok(()) };
    for rule in devices::effective(&resources.devices) {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        write(&group.path.join(file), &rule.to_string())?;
    }
    Ok(())
}
