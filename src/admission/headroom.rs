//! Headroom: refusing a commit before the kernel would kill the process.
//!
//! The kernel charges committed memory to a cgroup when it is touched, and meeting the limit is not an error then: the
//! process gets SIGKILL. So the bytes that may be committed are those that the system has left, less those that were
//! committed and not touched yet, less those that other threads are committing at this moment.
//!
//! Far from every limit a query grants a part of what is left, and steps take from the grant. Near a limit, each step is a
//! fraction of what is left and makes a query of its own. Where nothing is left, the kernel may have something to write out,
//! or another thread may be about to give memory back: a refusal comes after a bounded wait.

use super::availability::{HeadroomPolicy, TightestPlaces};
use super::cause::Refusal;
use super::grants::{self, InFlight};
use super::patience::{Patience, WaitDecision};
use super::pressure;
use super::scratch;
use super::shortage::Shortage;
use super::sources::{self, Sources};
use crate::region::committed_untouched;
use crate::sys;

/// The bytes to be admitted.
#[derive(Clone, Copy)]
struct HeadroomRequest {
    policy: HeadroomPolicy,
    /// The minimum, and the bytes that are wanted.
    need: i64,
    want: i64,
}

/// A step near a limit is this part of what is left, divided by the number of regions that grow: bytes that one of them has
/// committed and never touches are lost to the others.
const FRACTION: i64 = 32;
const MAX_SHARES: i64 = 4;
/// Unless that is less than this.
const MIN_STEP: i64 = 64 << 10;

impl HeadroomRequest {
    /// With so much to spare no limit is near.
    fn enough(&self, shares: i64) -> i64 {
        self.want.saturating_mul(FRACTION.saturating_mul(shares))
    }

    /// The bytes to admit with so much to spare.
    fn step(&self, spare: i64, shares: i64) -> i64 {
        if spare >= self.enough(shares) {
            return self.want;
        }
        let page = sys::page_size() as i64;
        let part = spare.checked_div(FRACTION.saturating_mul(shares)).unwrap_or(0).max(MIN_STEP).min(spare);
        let part = part.saturating_sub(part.checked_rem(page).unwrap_or(0));
        self.want.min(part).max(self.need)
    }

    /// What a step of no more than the need may take out of the margin: three quarters at most. Half of the margin in any
    /// case: a part of the usage is not in use (each processor keeps up to 64 pages in stock, which the kernel takes back
    /// before it kills), and a report takes little. And as many bytes as regions have committed ahead of any need: they are
    /// hardly ever touched, and should all of them be, the last quarter is left.
    fn out_of_margin(&self, tightest: &TightestPlaces) -> i64 {
        let ahead = tightest.untouched.map_or(0, |untouched| untouched.ahead);
        let quarter = if self.policy.is_auto() && self.need <= MIN_STEP {
            tightest.in_time.auto_margin() / 4
        } else {
            0
        };
        quarter.saturating_mul(2).saturating_add(ahead.min(quarter)) as i64
    }
}

/// The outcome of a query. It is small, because the caller may be on a small stack.
enum QueryOutcome {
    Admitted(i64, InFlight),
    /// There is enough once the kernel has finished what it is writing out.
    Dirty {
        spare: i64,
        writeback: u64,
    },
    Short(Shortage),
    /// Another thread queries.
    Busy,
}

/// Admits `want` bytes, or fewer, but at least `need`, and returns how many. Signal-safe. Where it would refuse it waits
/// first, for 3 seconds at most.
#[inline(always)] // a frame less on a small stack
pub(super) fn admit(policy: HeadroomPolicy, need: usize, want: usize) -> Result<(usize, InFlight), Refusal> {
    let (Some(sources), false) = (sources::get(), policy.is_off()) else {
        return Ok((want, InFlight::UNCOUNTED));
    };
    let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    let request = HeadroomRequest { policy, need: bytes(need), want: bytes(want) };
    match grants::take(policy, request.want, request.enough(MAX_SHARES), sys::monotonic_ns()) {
        Some(in_flight) => Ok((want, in_flight)),
        None => query_and_admit(sources, request).map(|(step, in_flight)| (step as usize, in_flight)),
    }
}

/// The side of [`admit`] that has to query.
#[cold]
#[inline(never)]
fn query_and_admit(sources: &Sources, request: HeadroomRequest) -> Result<(i64, InFlight), Refusal> {
    let mut patience = Patience::new(sys::monotonic_ns());
    loop {
        let mut outcome = QueryOutcome::Busy;
        sys::on_large_stack(|| outcome = query(sources, request, &patience));
        match outcome {
            QueryOutcome::Admitted(step, in_flight) => return Ok((step, in_flight)),
            // The need is there, or will be: the only end of this wait is an admission.
            QueryOutcome::Dirty { spare, writeback } => patience.wait_for_writeback(spare, writeback),
            QueryOutcome::Short(shortage) => {
                if patience.wait_for_room(&shortage) == WaitDecision::GiveUp {
                    return Err(shortage.refuse(request.need));
                }
            }
            // The thread that queries may be without a processor, or a debugger may hold it.
            QueryOutcome::Busy if patience.wait_for_turn() == WaitDecision::GiveUp => {
                if let Some(in_flight) = admit_without_query(sources, request, &patience) {
                    return Ok((request.need, in_flight));
                }
            }
            QueryOutcome::Busy => {}
        }
        patience.sleep();
    }
}

/// Admits the need alone, where the cheap figures leave plenty of room for it, or where no query was possible for so long
/// that the kernel has to decide.
#[cold]
#[inline(never)] // its locals are not on the stack while another function queries
fn admit_without_query(sources: &Sources, request: HeadroomRequest, patience: &Patience) -> Option<InFlight> {
    let in_flight = InFlight::begin(request.need);
    let pending = committed_untouched().saturating_add(grants::in_flight());
    let has_plenty = sources.has_plenty(request.policy, request.need.saturating_mul(3), pending);
    (has_plenty || patience.is_exhausted()).then_some(in_flight)
}

/// Queries, if no other thread does.
fn query(sources: &Sources, request: HeadroomRequest, patience: &Patience) -> QueryOutcome {
    let policy = request.policy;
    let Some(mut buffer) = scratch::try_query_buffer() else { return QueryOutcome::Busy };
    let now = sys::monotonic_ns();
    // Perhaps another thread has just done so.
    if let Some(in_flight) = grants::take(policy, request.want, request.enough(MAX_SHARES), now) {
        return QueryOutcome::Admitted(request.want, in_flight);
    }
    grants::close();
    let tightest = sources.query(policy, request.enough(MAX_SHARES), grants::in_flight(), &mut *buffer);
    let (spare, in_time) = (tightest.now.spare(policy), tightest.in_time.spare_in_time(policy));
    let Some(untouched) = tightest.untouched else {
        // No limit is near.
        let in_flight = InFlight::begin(request.want);
        grants::open(&tightest.now, spare.saturating_sub(request.want), policy, now);
        return QueryOutcome::Admitted(request.want, in_flight);
    };
    let pressure =
        pressure::observe(&tightest.in_time, now).saturating_sub(policy.beyond_auto(&tightest.in_time));
    let (spare, in_time) = (spare.saturating_sub(pressure.max(0)), in_time.saturating_sub(pressure.max(0)));
    let shares = i64::from(untouched.regions).clamp(1, MAX_SHARES);
    if spare >= request.need {
        let step = request.step(spare, shares);
        let in_flight = InFlight::begin(step);
        if spare >= request.enough(MAX_SHARES) {
            grants::open(&tightest.now, spare.saturating_sub(step), policy, now);
        }
        return QueryOutcome::Admitted(step, in_flight);
    }
    let more = request.out_of_margin(&tightest);
    if in_time.saturating_add(more) < request.need {
        return QueryOutcome::Short(Shortage::at(&tightest.in_time, policy, request.need, pressure));
    }
    // The kernel writes out when the limit is met, and makes the thread that met it wait. So the need is admitted, unless
    // pages are being written already: then it is better to wait here, where the kernel does not kill.
    let has_to_wait = tightest.now.writeback > 0 && spare.saturating_add(more) < request.need;
    if !has_to_wait || patience.is_over_for_writeback() {
        return QueryOutcome::Admitted(request.need, InFlight::begin(request.need));
    }
    QueryOutcome::Dirty { spare, writeback: tightest.now.writeback }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Headroom;

    /// A debugger may hold the thread that queries for ever.
    #[test]
    fn a_thread_that_never_gets_its_turn_is_admitted_in_the_end() {
        sources::prepare().unwrap();
        let held = (0..10_000).find_map(|_| {
            std::thread::yield_now();
            scratch::try_query_buffer()
        });
        let policy = HeadroomPolicy { headroom: Headroom::AtLeast(1 << 50), spills: false };
        let admitted = admit(policy, 4096, 1 << 20);
        drop(held);
        assert_eq!(admitted.map(|(bytes, _)| bytes).ok(), Some(4096));
    }
}
