//! The state of the process: the heap, and how it is initialised.

use crate::guarded::GuardedPool;
use crate::hardened::CanarySecret;
use crate::options::{MallocOptions, StatsOutput};
use crate::thread_slot::TlsSlot;
use core::ffi::c_void;
use highwater::heap::{Heap, HeapPolicy};
use highwater::internal::sys::{
    OnceState, ReentrantOnce, Resource, physical_memory, preserve_errno, resource_limit, write_line,
};
use highwater::{BuildError, Headroom, HugePages, Reserve};

/// Everything that the calls need. Initialised once, never dropped.
pub(crate) struct MallocState {
    pub(crate) heap: Heap<TlsSlot>,
    pub(crate) policy: HeapPolicy,
    /// Whether every call is checked: a block may have a canary, or a page of its own.
    pub(crate) checks_calls: bool,
    pub(crate) canary: Option<CanarySecret>,
    /// Where some blocks have pages of their own.
    pub(crate) pool: Option<GuardedPool>,
    pub(crate) stats: StatsOutput,
    /// Whether blocks that do not fit into the heap are the system's malloc's: the address space is limited, and the heap
    /// reserved a part of it.
    pub(crate) has_fallback: bool,
}

static STATE: ReentrantOnce<MallocState> = ReentrantOnce::new();

/// The state, initialised if it is not yet.
#[inline]
pub(crate) fn get_or_init() -> OnceState<'static, MallocState> {
    STATE.get_or_init(init)
}

/// The state, if it is initialised.
#[inline]
pub(crate) fn get() -> Option<&'static MallocState> {
    STATE.get()
}

/// The state.
///
/// # Safety
/// It is initialised, and this thread has seen that.
#[inline(always)]
pub(crate) unsafe fn get_unchecked() -> &'static MallocState {
    // SAFETY: the state is initialised, and this thread has seen that: this function's contract.
    unsafe { STATE.get_unchecked() }
}

/// The minimum reservation where nothing limits it; otherwise twice what the machine has.
const MIN_RESERVE: usize = 64 << 30;

/// Smaller reservations to try where the usual ones are refused. Below that the system's malloc serves.
const SMALL_RESERVES: [usize; 3] = [48 << 20, 24 << 20, 12 << 20];

fn init() -> Option<MallocState> {
    let options = MallocOptions::from_environment();
    let canary = options.hardened.then(CanarySecret::new);
    let pool = (options.guard_interval > 0).then(|| GuardedPool::new(options.guard_interval)).flatten();
    let checks_calls = canary.is_some() || pool.is_some();
    TlsSlot::prepare(checks_calls, thread_ended);
    let space = address_space_limit();
    let heap = heap(&options, space)?;
    if pool.is_some() {
        crate::guarded::report_faults();
    }
    let has_fallback = options.reserve.is_none() && options.limit.is_none() && space.is_some();
    let MallocOptions { policy, stats, .. } = options;
    Some(MallocState { heap, policy, checks_calls, canary, pool, stats, has_fallback })
}

/// A heap whose reservation is as large as possible in an address space that may be limited to `space`. `None` if nothing
/// can be reserved, and the environment asks for nothing that the system's malloc does not do. Otherwise the process ends: a
/// program is not to run without the limit that was asked for.
fn heap(options: &MallocOptions, space: Option<usize>) -> Option<Heap<TlsSlot>> {
    let usual = match options.reserve {
        Some(bytes) => bytes,
        // The rest is for stacks, files, and blocks that do not fit into the heap.
        None => space.map_or_else(|| physical_memory().saturating_mul(2).max(MIN_RESERVE), |all| all / 4),
    };
    let smaller = if options.reserve.is_some() { &[][..] } else { &SMALL_RESERVES };
    let mut refused = None;
    for reserve in core::iter::once(&usual).chain(smaller) {
        match build(options, *reserve) {
            Ok(heap) => return Some(heap),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    if let Some(error) = refused
        && (options.reserve.is_some() || options.limit.is_some() || options.hardened)
    {
        write_line(format_args!("no heap as it was asked for: {error}"));
        // SAFETY: ends the process at once; no code of the program has run yet.
        unsafe { libc::_exit(2) }
    }
    None
}

fn build(options: &MallocOptions, reserve: usize) -> Result<Heap<TlsSlot>, BuildError> {
    let huge_pages = if options.huge_pages { HugePages::Advise } else { HugePages::System };
    let builder = Heap::<TlsSlot>::builder_with_slot()
        .name("malloc")
        .reserve(Reserve::Bytes(reserve))
        .headroom(if options.headroom { Headroom::Auto } else { Headroom::Off })
        .huge_pages(huge_pages)
        .policy(options.policy);
    match options.limit {
        Some(limit) => builder.limit(limit.min(reserve)).try_build(),
        None => builder.try_build(),
    }
}

/// The limit of this process's address space, if it is below what would be reserved.
fn address_space_limit() -> Option<usize> {
    let limit = usize::try_from(resource_limit(Resource::AddressSpace)?).ok()?;
    (limit < 2 * MIN_RESERVE).then_some(limit)
}

/// A thread ends that has a thread heap.
unsafe extern "C" fn thread_ended(_local: *mut c_void) {
    if let Some(state) = get() {
        preserve_errno(|| state.heap.release_thread());
    }
}
