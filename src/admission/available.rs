//! How much memory there is at this moment, for a region that is admitted once: when it is made.

use super::admit::{committed_bytes, process_limit};
use super::availability::HeadroomPolicy;
use super::{grants, scratch, sources};
use crate::policy::Headroom;

/// Bytes that may be committed now: what the process limit, the memory cgroups and the machine leave, less the headroom and
/// what other regions have committed and not touched. A figure that cannot be read does not count.
pub(crate) fn available(headroom: Headroom) -> usize {
    let limit = process_limit().map_or(usize::MAX, |limit| limit.saturating_sub(committed_bytes()));
    let (Some(sources), false) = (sources::get(), headroom == Headroom::Off) else { return limit };
    let Some(mut buffer) = scratch::borrow_soon() else { return limit };
    let policy = HeadroomPolicy { headroom, spills: false };
    let tightest = sources.query(policy, i64::MAX, grants::in_flight(), &mut *buffer).in_time;
    let spare = u64::try_from(tightest.spare_in_time(policy)).unwrap_or(0);
    limit.min(usize::try_from(spare).unwrap_or(usize::MAX))
}
