//! net_cls and net_prio: marks on packets.

use super::set;
use crate::{Group, Result};
use spec::resources::Network;

pub(crate) fn apply(groups: &[Group], limits: &Network) -> Result<()> {
    if let Some(class) = limits.class_id {
        set(groups, "net_cls", "net_cls.classid", &class.to_string())?;
    }
    for each in &limits.priorities {
        set(groups, "net_prio", "net_prio.ifpriomap", &format!("{} {}", each.name, each.priority))?;
    }
    Ok(())
}
