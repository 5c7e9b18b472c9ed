//! hugetlb: huge pages by size.

use super::set;
use crate::files::number;
use crate::stats::{page_sizes, Hugetlb};
use crate::{find, Group, Result};
use spec::resources::HugepageLimit;
use std::collections::BTreeMap;
use std::io::ErrorKind;

/// The limit of pages in use, and, where the kernel has it, of reservations.
pub(crate) fn apply(groups: &[Group], limits: &[HugepageLimit]) -> Result<()> {
    for each in limits {
        let value = each.limit.to_string();
        set(groups, "hugetlb", &format!("hugetlb.{}.limit_in_bytes", each.page_size), &value)?;
        match set(groups, "hugetlb", &format!("hugetlb.{}.rsvd.limit_in_bytes", each.page_size), &value) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

pub(crate) fn stats(groups: &[Group]) -> BTreeMap<String, Hugetlb> {
    let Some(group) = find(groups, "hugetlb") else { return BTreeMap::new() };
    let read = |size: &str, file: &str| number(&group.path.join(format!("hugetlb.{size}.{file}"))).unwrap_or(0);
    page_sizes()
        .into_iter()
        .map(|size| {
            let figures = Hugetlb {
                usage: read(&size, "usage_in_bytes"),
                max: read(&size, "max_usage_in_bytes"),
                failcnt: read(&size, "failcnt"),
            };
            (size, figures)
        })
        .collect()
}
