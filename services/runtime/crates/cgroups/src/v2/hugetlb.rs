//! hugetlb: huge pages by size.

use crate::files::{number, pairs};
use crate::stats::{page_sizes, Hugetlb};
use crate::{write, Result};
use spec::resources::HugepageLimit;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// The limit of pages in use, and, where the kernel has it, of reservations.
pub(crate) fn apply(path: &Path, limits: &[HugepageLimit]) -> Result<()> {
    for each in limits {
        let value = each.limit.to_string();
        write(&path.join(format!("hugetlb.{}.max", each.page_size)), &value)?;
        match write(&path.join(format!("hugetlb.{}.rsvd.max", each.page_size)), &value) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

pub(crate) fn stats(path: &Path) -> BTreeMap<String, Hugetlb> {
    let mut found = BTreeMap::new();
    for size in page_sizes() {
        let Some(usage) = number(&path.join(format!("hugetlb.{size}.current"))) else { continue };
        let failcnt = pairs(&path.join(format!("hugetlb.{size}.events"))).find(|(key, _)| key == "max");
        found.insert(size, Hugetlb { usage, failcnt: failcnt.map_or(0, |(_, count)| count), ..Hugetlb::default() });
    }
    found
}
