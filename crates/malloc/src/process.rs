//! The heap of the process, and how it comes to be.

use crate::options::{Options, Told};
use crate::sampled::Pool;
use crate::slot::Slot;
use crate::{calls, hardened, stats};
use core::ffi::c_void;
use highwater::heap::{Heap, HeapPolicy};
use highwater::internal::sys::{OnceState, ReentrantOnce, write_line};
use highwater::{BuildError, Headroom, HugePages, Reserve};

/// What everything stands on. Made once, never dropped.
pub(crate) struct Process {
    pub(crate) heap: Heap<Slot>,
    pub(crate) kind: HeapPolicy,
    /// Every call is looked at: a block has more around it, or pages of its own.
    pub(crate) looks: bool,
    pub(crate) hardened: Option<hardened::Secret>,
    /// Some blocks have pages of their own.
    pub(crate) pool: Option<Pool>,
    pub(crate) told: Told,
    /// What does not fit is the system's: the address space is limited, and the heap took a part of it.
    pub(crate) shares: bool,
}

static PROCESS: ReentrantOnce<Process> = ReentrantOnce::new();

/// The heap is made if it is not there.
#[inline]
pub(crate) fn get() -> OnceState<'static, Process> {
    PROCESS.get_or_init(make)
}

/// The heap, if it is there.
#[inline]
pub(crate) fn made() -> Option<&'static Process> {
    PROCESS.get()
}

/// The heap.
///
/// # Safety
/// It is there, as this thread knows.
#[inline(always)]
pub(crate) unsafe fn known() -> &'static Process {
    // SAFETY: the caller's promise.
    unsafe { PROCESS.get_unchecked() }
}

/// What is reserved where nothing limits it: twice what the machine has, and not less than this.
const LEAST_RESERVE: usize = 64 << 30;

/// Smaller reservations to try where the usual ones are refused. Below that the system's malloc serves.
const SMALL: [usize; 3] = [48 << 20, 24 << 20, 12 << 20];

fn make() -> Option<Process> {
    let options = Options::from_environment();
    let hardened = options.hardened.then(hardened::Secret::new);
    let pool = (options.guards > 0).then(|| Pool::new(options.guards)).flatten();
    let looks = hardened.is_some() || pool.is_some();
    Slot::prepare(looks, ended);
    let space = address_space();
    let heap = heap(&options, space)?;
    if pool.is_some() {
        crate::sampled::install();
    }
    let shares = options.reserve.is_none() && options.limit.is_none() && space.is_some();
    Some(Process { heap, kind: options.kind, looks, hardened, pool, told: options.told, shares })
}

/// With a reservation that is as large as it may be, in an address space that may be limited to `space`; `None` if nothing
/// can be had, and nothing was asked for that the system's malloc does not do. Otherwise the process ends: whoever asked
/// for a limit is not to run without it.
fn heap(options: &Options, space: Option<usize>) -> Option<Heap<Slot>> {
    let usual = match options.reserve {
        Some(bytes) => bytes,
        // The rest is for stacks, files, and what the heap has no room for.
        None => space.map_or_else(|| physical_memory().saturating_mul(2).max(LEAST_RESERVE), |all| all / 4),
    };
    let smaller = if options.reserve.is_some() { &[][..] } else { &SMALL };
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
        // SAFETY: ends the process, which has not begun.
        unsafe { libc::_exit(2) }
    }
    None
}

fn build(options: &Options, reserve: usize) -> Result<Heap<Slot>, BuildError> {
    let huge_pages = if options.huge_pages { HugePages::Advise } else { HugePages::System };
    let builder = Heap::<Slot>::builder_with_slot()
        .name("malloc")
        .reserve(Reserve::Bytes(reserve))
        .headroom(if options.headroom { Headroom::Auto } else { Headroom::Off })
        .huge_pages(huge_pages)
        .policy(options.kind);
    match options.limit {
        Some(limit) => builder.limit(limit.min(reserve)).try_build(),
        None => builder.try_build(),
    }
}

/// How much address space the process may have, if that is limited to less than we would reserve.
fn address_space() -> Option<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the limit.
    let is_known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    let limit = usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX);
    (is_known && limit < 2 * LEAST_RESERVE).then_some(limit)
}

fn physical_memory() -> usize {
    // SAFETY: asks for a figure.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    usize::try_from(pages).unwrap_or(0).saturating_mul(calls::page_size())
}

/// A thread ends that has an entry: another may have it.
unsafe extern "C" fn ended(_local: *mut c_void) {
    if let Some(process) = made() {
        calls::keeping_errno(|| process.heap.release_thread());
    }
}

/// Before `main`, if nobody was earlier.
extern "C" fn start() {
    calls::keeping_errno(|| {
        if let OnceState::Ready(_) = get() {
            // Before the constructors of all others (see the build script), so that ours is the last to be called before a
            // fork, and the first after it: what others do around one may wait for threads that allocate, or start some.
            // SAFETY: the functions may be called as long as the process lives: the library is never unloaded.
            unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) };
        }
        stats::begin();
    });
}

/// At the end of the process, after `main` and what it registered.
extern "C" fn finish() {
    calls::keeping_errno(stats::tell);
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

#[used]
#[unsafe(link_section = ".fini_array")]
static FINISH: extern "C" fn() = finish;

extern "C" fn before_fork() {
    if let Some(process) = made() {
        if let Some(pool) = &process.pool {
            // SAFETY: every call has one guard at a time.
            unsafe { pool.ring.lock_for_fork() };
        }
        process.heap.before_fork();
    }
}

extern "C" fn after_fork() {
    opened(false);
}

extern "C" fn in_child() {
    opened(true);
    calls::keeping_errno(stats::begin_in_child);
}

fn opened(is_child: bool) {
    if let Some(process) = made() {
        // SAFETY: this thread, or the one that it is the copy of, has called `before_fork`: both are registered together.
        unsafe {
            process.heap.after_fork(is_child);
            if let Some(pool) = &process.pool {
                pool.ring.unlock_after_fork();
            }
        }
    }
}
