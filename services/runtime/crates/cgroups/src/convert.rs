//! The limits of v1 in the terms of v2, as current runc converts them.

use crate::{Error, Result};
use spec::resources::Memory;

/// `cpu.shares` (2–262144, default 1024) as `cpu.weight` (1–10000, default 100), by the formula of runc 1.3 and later.
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    10_f64.powf(exponent).ceil() as u64
}

/// `blkio.weight` (10–1000) as `io.weight` (1–10000).
pub(crate) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990
}

/// The value of `memory.swap.max`: v1's total becomes the part beyond the memory. None leaves it alone.
///
/// # Errors
/// A total that is smaller than the memory, or that has no memory limit to subtract.
pub(crate) fn swap_of(limits: &Memory) -> Result<Option<String>> {
    let memory = limits.limit.filter(|value| *value != 0);
    match (memory, limits.swap.filter(|value| *value != 0)) {
        (Some(-1), None) | (_, Some(-1)) => Ok(Some("max".into())),
        (_, None) => Ok(None),
        (None | Some(-1), Some(_)) => Err(Error::invalid("unable to set swap limit without memory limit")),
        (Some(memory), Some(total)) if total >= memory => Ok(Some((total - memory).to_string())),
        (Some(_), Some(_)) => Err(Error::invalid("memory+swap limit should be >= memory limit")),
    }
}

/// A limit in the words of v2.
pub(crate) fn limit(value: i64) -> String {
    if value < 0 {
        "max".into()
    } else {
        value.to_string()
    }
}

/// The number of tasks; none, zero and negative ones are no limit.
pub(crate) fn tasks(limit: i64) -> String {
    if limit > 0 {
        limit.to_string()
    } else {
        "max".into()
    }
}

/// One line for `rdma.max`.
pub(crate) fn rdma(device: &str, limits: &spec::resources::Rdma) -> String {
    let value = |limit: Option<u32>| limit.map_or_else(|| "max".into(), |limit| limit.to_string());
    format!("{device} hca_handle={} hca_object={}", value(limits.hca_handles), value(limits.hca_objects))
}

#[cfg(test)]
mod tests {
    use super::{io_weight, rdma, swap_of, weight_of_shares};
    use spec::resources::{Memory, Rdma};

    #[test]
    fn shares_become_weights_as_in_runc() {
        for (shares, weight) in [(0, 1), (2, 1), (1024, 100), (262_144, 10_000), (500_000, 10_000)] {
            assert_eq!(weight_of_shares(shares), weight);
        }
        assert!(weight_of_shares(512) < 100 && weight_of_shares(2048) > 100);
    }

    #[test]
    fn weights_span_the_new_range() {
        assert_eq!((io_weight(10), io_weight(1000), io_weight(500)), (1, 10_000, 4950));
    }

    #[test]
    fn objects_of_a_device_are_one_line() {
        let limits = |hca_handles, hca_objects| rdma("mlx5_1", &Rdma { hca_handles, hca_objects });
        assert_eq!(limits(Some(3), Some(10_000)), "mlx5_1 hca_handle=3 hca_object=10000");
        assert_eq!(limits(None, Some(7)), "mlx5_1 hca_handle=max hca_object=7");
        assert_eq!(limits(Some(0), None), "mlx5_1 hca_handle=0 hca_object=max");
    }

    #[test]
    fn the_total_becomes_the_swap_alone() {
        let swap = |limit, swap| swap_of(&Memory { limit, swap, ..Memory::default() });
        assert!(swap(Some(100), Some(300)).is_ok_and(|found| found.as_deref() == Some("200")));
        assert!(swap(Some(100), Some(-1)).is_ok_and(|found| found.as_deref() == Some("max")));
        assert!(swap(Some(-1), None).is_ok_and(|found| found.as_deref() == Some("max")));
        assert!(swap(Some(100), None).is_ok_and(|found| found.is_none()));
        assert!(swap(Some(300), Some(100)).is_err());
        assert!(swap(None, Some(100)).is_err());
    }
}
