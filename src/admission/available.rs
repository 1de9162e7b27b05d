//! How much memory there is at this moment: what a region that asks once is made from.

use super::admit::{committed_bytes, process_limit};
use super::scratch;
use super::sources::{Availability, Policy, each_cgroup};
use crate::policy::Headroom;
use crate::region::committed_untouched;
use crate::sys;

/// Bytes that may be committed now: what the process limit, the memory cgroups and the machine leave, less what stays free
/// for the rest and what other regions have committed and not touched. What cannot be asked does not count.
pub(crate) fn available(headroom: Headroom) -> usize {
    let limit = process_limit().map_or(usize::MAX, |limit| limit.saturating_sub(committed_bytes()));
    if headroom == Headroom::Off {
        return limit;
    }
    let policy = Policy { headroom, spills: false };
    let mut left = u64::MAX;
    let mut meet = |limit: u64, usage: u64| {
        let at = Availability { place: 0, limit, usage, dirty: 0, writeback: 0 };
        left = left.min(u64::try_from(at.spare(policy)).unwrap_or(0));
    };
    each_cgroup(|cgroup| {
        if let Some(limit) = cgroup.limit {
            meet(limit, cgroup.usage.saturating_sub(cgroup.reclaimable));
        }
    });
    let machine = scratch::borrow_soon().and_then(|mut scratch| sys::mem_info(&mut *scratch));
    if let Some(machine) = machine
        && let Some(available) = machine.available
    {
        let all = machine.total.max(available).saturating_add(machine.swap_free);
        meet(all, all.saturating_sub(available.saturating_add(machine.swap_free)));
    }
    let left = left.saturating_sub(committed_untouched());
    limit.min(usize::try_from(left).unwrap_or(usize::MAX))
}
