//! How much memory there is, asked before the kernel would kill.
//!
//! A commit is charged to nobody until it is touched, and a memory cgroup's limit is never an error: the process
//! gets SIGKILL. So what may be committed is what the system has, less what was committed already and not touched
//! yet, less what other threads are committing at this moment.
//!
//! Far from every limit a query grants a part of what there is, and steps take from that. Near one, each step is a
//! fraction of what is left, and queries afresh. Where nothing is left the kernel may have something to write out, a
//! thread may be about to give memory back: then it is a wait, bounded, before it is a refusal.

use super::cause::{Cause, Reason, Refusal};
use super::grants::{self, Permit};
use super::patience::{Patience, Wait};
use super::pressure;
use super::scratch;
use super::sources::{self, Availability, Outlook, Policy, SYSTEM, Sources};
use crate::sys;

/// What is to be admitted.
#[derive(Clone, Copy)]
struct Request {
    policy: Policy,
    /// The bytes that are needed, and those that are wanted.
    need: i64,
    want: i64,
}

/// A step near a limit is this part of what is left, divided among the regions that grow: what one of them has committed
/// and never touches is not there for the others.
const FRACTION: i64 = 32;
const MAX_SHARES: i64 = 4;
/// Unless that is less than this.
const MIN_STEP: i64 = 64 << 10;

impl Request {
    /// With so much to spare nothing is near.
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

    /// The last pages that are needed, and nothing more, may be taken out of the margin, but for a quarter of it. Half of it in any
    /// case: a part of what counts as used is not (each processor has up to 64 pages in stock, which the kernel takes
    /// back before it kills), and a report takes little. And as much as regions have committed that nobody has asked
    /// for: it is hardly ever touched, and should all of it be, the last quarter is left.
    fn out_of_margin(&self, outlook: &Outlook) -> i64 {
        let ahead = outlook.untouched.map_or(0, |untouched| untouched.ahead);
        let quarter = if self.policy.is_auto() && self.need <= MIN_STEP {
            outlook.in_time.auto_margin() / 4
        } else {
            0
        };
        quarter.saturating_mul(2).saturating_add(ahead.min(quarter)) as i64
    }
}

/// What came of a query. It is small: what asks may be on a small stack.
enum Answer {
    Admitted(i64, Permit),
    /// There is enough once the kernel has written out what it is writing.
    Dirty {
        spare: i64,
        writeback: u64,
    },
    Short(Shortage),
    /// Another thread queries.
    Busy,
}

/// There is not enough.
pub(super) struct Shortage {
    place: u16,
    limit: u64,
    usage: u64,
    pub(super) spare: i64,
    pub(super) margin: u64,
    /// There is enough, were it not for what others take.
    pub(super) is_pressed: bool,
    /// If they go on, there is just time to say so.
    pub(super) is_urgent: bool,
}

impl Shortage {
    fn at(found: &Availability, request: Request, pressure: i64) -> Self {
        let spare = found.spare_in_time(request.policy);
        Shortage {
            is_pressed: spare >= request.need,
            // (Of a neighbour that is very fast much would have to be left, and it may be done by then.)
            is_urgent: spare
                < request.need.saturating_add((pressure / 2).min(found.auto_margin() as i64 / 2 * 3)),
            place: found.place,
            limit: found.limit,
            usage: found.usage.saturating_sub(found.dirty),
            spare,
            margin: found.auto_margin(),
        }
    }

    /// The refusal, with `need` bytes more in use.
    fn refuse(&self, need: i64) -> Refusal {
        let usage = self.usage.saturating_add(need as u64);
        match self.place {
            SYSTEM => Refusal::new(Cause::SystemMemory, self.limit, usage),
            level => Refusal::because(Reason::Cgroup(level), self.limit, usage),
        }
    }
}

/// Whether `want` bytes more may be committed, or fewer, but at least `need`; how many. Signal-safe. It may wait, for
/// some time, where the answer would be no.
pub(super) fn admit(policy: Policy, need: usize, want: usize) -> Result<(usize, Permit), Refusal> {
    let (Some(sources), false) = (sources::get(), policy.is_off()) else { return Ok((want, Permit::FREE)) };
    let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    let request = Request { policy, need: bytes(need), want: bytes(want) };
    match grants::take(policy, request.want, request.enough(MAX_SHARES), sys::monotonic_ns()) {
        Some(permit) => Ok((want, permit)),
        None => query_and_admit(sources, request).map(|(step, permit)| (step as usize, permit)),
    }
}

/// The side of [`admit`] that has to query.
#[cold]
#[inline(never)]
fn query_and_admit(sources: &Sources, request: Request) -> Result<(i64, Permit), Refusal> {
    let mut patience = Patience::new(sys::monotonic_ns());
    loop {
        let mut answer = Answer::Busy;
        sys::on_large_stack(|| answer = query(sources, request, &patience));
        let wait = match answer {
            Answer::Admitted(step, permit) => return Ok((step, permit)),
            // What is needed is there, or will be: there is no end to this but an admission.
            Answer::Dirty { spare, writeback } => {
                patience.wait_for_writeback(spare, writeback);
                Wait::Nap
            }
            Answer::Short(shortage) => match patience.wait_for_room(&shortage) {
                Wait::Over => return Err(shortage.refuse(request.need)),
                wait => wait,
            },
            Answer::Busy => match patience.wait_for_turn() {
                Wait::Over => {
                    // The thread that queries may be without a processor, or be held by a debugger.
                    let permit = Permit::admit(request.need);
                    let pending = crate::region::committed_untouched().saturating_add(grants::in_flight());
                    if sources.has_plenty(request.policy, request.need.saturating_mul(3), pending) {
                        return Ok((request.need, permit));
                    }
                    permit.withdraw();
                    Wait::Nap
                }
                wait => wait,
            },
        };
        if wait == Wait::Nap {
            patience.nap();
        }
    }
}

/// Queries, if no other thread does.
fn query(sources: &Sources, request: Request, patience: &Patience) -> Answer {
    let policy = request.policy;
    let Some(mut buffer) = scratch::to_look() else { return Answer::Busy };
    let now = sys::monotonic_ns();
    // Perhaps another thread has just done so.
    if let Some(permit) = grants::take(policy, request.want, request.enough(MAX_SHARES), now) {
        return Answer::Admitted(request.want, permit);
    }
    grants::close();
    let outlook = sources.query(policy, request.enough(MAX_SHARES), grants::in_flight(), &mut *buffer);
    let (spare, in_time) = (outlook.now.spare(policy), outlook.in_time.spare_in_time(policy));
    let Some(untouched) = outlook.untouched else {
        // Nothing is near.
        let permit = Permit::admit(request.want);
        grants::open(&outlook.now, spare.saturating_sub(request.want), policy, now);
        return Answer::Admitted(request.want, permit);
    };
    let pressure =
        pressure::observe(&outlook.in_time, now).saturating_sub(policy.beyond_auto(&outlook.in_time));
    let (spare, in_time) = (spare.saturating_sub(pressure.max(0)), in_time.saturating_sub(pressure.max(0)));
    let shares = i64::from(untouched.regions).clamp(1, MAX_SHARES);
    if spare >= request.need {
        let step = request.step(spare, shares);
        let permit = Permit::admit(step);
        if spare >= request.enough(MAX_SHARES) {
            grants::open(&outlook.now, spare.saturating_sub(step), policy, now);
        }
        return Answer::Admitted(step, permit);
    }
    let more = request.out_of_margin(&outlook);
    if in_time.saturating_add(more) < request.need {
        return Answer::Short(Shortage::at(&outlook.in_time, request, pressure));
    }
    // The kernel writes out when the limit is met, and makes whoever met it wait. So what is needed is admitted, unless
    // that is under way already: then it is better to wait here, where nobody is killed.
    let has_to_wait = outlook.now.writeback > 0 && spare.saturating_add(more) < request.need;
    if !has_to_wait || patience.is_over_for_writeback() {
        return Answer::Admitted(request.need, Permit::admit(request.need));
    }
    Answer::Dirty { spare, writeback: outlook.now.writeback }
}
