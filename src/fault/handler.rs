//! Everything inside the signal.
//!
//! Rules of this file: no allocation, no lock, no waiting, no panic, no thread-local but errno, no library
//! but libc, little stack (std's alternate stack leaves about 5 KB at entry; a growth takes under 1.5 KB
//! of it). It can be read from top to bottom without knowing the rest: a fault is found to be ours and served,
//! or passed on to whoever handled SIGSEGV before us.

use super::imp::current;
use super::{context, foreign};
use crate::grow::{Why, grow};
use crate::guard::{Fault, Ledger, Place, Verdict, View, judge};
use crate::math::step;
use crate::oom::{Answer, OutOfMemory, Refusal, Request, Response};
use crate::region::{self, Slot};
use crate::{report, sys};
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize};

/// The handler that the kernel calls.
pub(super) unsafe extern "C" fn entry(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: called with a handler's arguments.
    unsafe {
        if !serve(info, context) {
            pass_on(signal, info, context);
        }
    }
}

/// Serves the fault if it is a growth of ours; false if somebody else has to.
///
/// # Safety
/// `info` and `context` are arguments of a `SA_SIGINFO` handler.
pub(super) unsafe fn serve(info: *mut libc::siginfo_t, context: *mut c_void) -> bool {
    /// The fault was refused by a protection key (`SEGV_PKUERR`).
    const KEY: c_int = 4;
    // SAFETY: the kernel passes a siginfo; for SIGSEGV from the kernel it holds an address.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // Sent by a process (kill, tgkill, sigqueue): never a growth, whatever stands in the address field.
    if code <= 0 {
        return false;
    }
    // By address first: the codes of the kernel differ between kinds of inaccessible pages.
    let Some(slot) = region::find(address).filter(|slot| slot.is_live() && !slot.was_left_behind()) else {
        return false;
    };
    // SAFETY: the caller's promise.
    let interrupted = unsafe { context::read(context, address) };
    let view = View {
        base: slot.base().addr(),
        reserved: slot.reserved(),
        frontier: slot.frontier.get(),
        reach: slot.reach.load(Relaxed),
        place: place_of(slot, address),
    };
    match judge(view, Fault { address, fetch: interrupted.fetch, key: code == KEY }) {
        Verdict::Growth { offset } => {
            // SAFETY: errno is this thread's own.
            let errno = unsafe { *libc::__errno_location() };
            let mut grown = Ok(());
            unoptimised_elsewhere(|| grown = grow(slot, offset, offset.wrapping_add(1), Why::Fault));
            if let Err(refusal) = grown
                // Another thread may have had better luck with a smaller step.
                && slot.frontier.get() <= offset
            {
                refused(slot, offset, refusal);
            }
            // SAFETY: as above.
            unsafe { *libc::__errno_location() = errno };
            true
        }
        Verdict::Covered => !seen_before(slot, address, interrupted.pc),
        Verdict::Violation(kind) => {
            // Whoever gets the fault now may return without having done anything about it, again and again.
            if !is_endless(seen_before(slot, address, interrupted.pc)) {
                // SAFETY: errno is this thread's own.
                let errno = unsafe { *libc::__errno_location() };
                report::violated(slot, kind, interrupted.access, address, interrupted.pc);
                // SAFETY: as above.
                unsafe { *libc::__errno_location() = errno };
            }
            false
        }
        Verdict::Foreign => false,
    }
}

/// An unoptimised growth takes more than 4 KB of stack, nearly all that there is; an optimised one less than 1.5 KB.
#[inline(always)]
fn unoptimised_elsewhere(f: impl FnOnce()) {
    if cfg!(debug_assertions) { sys::with_room(f) } else { f() }
}

/// Whether the same violation as the last one has been told often enough.
fn is_endless(again: bool) -> bool {
    const ENOUGH: u32 = 16;
    static TOLD: AtomicU32 = AtomicU32::new(0);
    if !again {
        TOLD.store(0, Relaxed);
    }
    TOLD.fetch_add(1, Relaxed) >= ENOUGH
}

/// What is known of the byte at an address of a region's territory.
fn place_of(slot: &Slot, address: usize) -> Place {
    let offset = address.wrapping_sub(slot.base().addr());
    if offset >= slot.reserved() {
        return Place::Plain;
    }
    if let Some(ledger) = Ledger::of(slot) {
        return ledger.look(offset).0;
    }
    if slot.guard_over(offset).is_some() { Place::Guarded } else { Place::Plain }
}

/// A refused commit cannot return to the write that needs it, and must not unwind out of a signal. The program's
/// hook may have the growth tried again; without one, or when that does not help, this is the end.
#[cold]
#[inline(never)]
fn refused(slot: &'static Slot, offset: usize, refusal: Refusal) {
    /// How often a hook is believed that something changed.
    const RETRIES: u32 = 8;
    let mut error = refusal_error(slot, offset, refusal);
    if let Some(hook) = Response::call_of(slot.response.load(Acquire)) {
        for _ in 0..RETRIES {
            let mut answer = Answer::Die;
            sys::with_room(|| answer = hook(&error));
            if answer == Answer::Die {
                break;
            }
            match grow(slot, offset, offset.wrapping_add(1), Why::Fault) {
                Ok(()) => return,
                Err(refusal) => error = refusal_error(slot, offset, refusal),
            }
        }
    }
    report::out_of_memory(&error)
}

/// What is known of a refused growth: the page that was touched is what was asked for last.
fn refusal_error(slot: &'static Slot, offset: usize, refusal: Refusal) -> OutOfMemory {
    let frontier = slot.frontier.get();
    let step = step::exact(slot.need(frontier, offset, offset.wrapping_add(1)));
    let step = step.frontier.saturating_sub(frontier);
    OutOfMemory::new(slot, Request::Growth { step }, offset, refusal)
}

/// Whether this thread faulted at this address and instruction before with the page committed: then
/// returning would fault for ever (somebody protected the page), and the fault is not ours.
///
/// A thread that lost the race for a page faults once and finds it committed. The page stays so until
/// memory is given back, which changes what is remembered; so the same fault twice is never such a race.
fn seen_before(slot: &Slot, address: usize, pc: usize) -> bool {
    static SEEN: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
    let thread = sys::thread_id();
    let facts =
        [address as u64, pc as u64, u64::from(thread), slot.id.load(Relaxed), slot.trims.load(Relaxed)];
    let mix = |hash: u64, fact: u64| (hash.rotate_left(23) ^ fact).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = facts.into_iter().fold(0, mix) | 1;
    // The remainder is below the length: no bounds check is left.
    SEEN[thread as usize % 1024].swap(hash, Relaxed) == hash
}

/// A handler that was in front of SIGSEGV before ours, as words that can be read inside the signal.
pub(super) struct Previous {
    /// The words below are there.
    ready: AtomicBool,
    action: AtomicUsize,
    flags: AtomicI32,
    /// The kernel's signals, 1 to 64: the first word of a signal set.
    mask: AtomicU64,
}

/// All of them, in the order in which ours was put in front of them: one, unless `ensure_front` had to repair
/// something. They are only ever added, so that no handler is lost that a later one passes faults on to through
/// us. Should a program do so more often than there are places, the last place is the newest's.
static PREVIOUS: [Previous; 32] = [const { Previous::none() }; 32];
static REMEMBERED: AtomicUsize = AtomicUsize::new(0);

/// The handler to pass a fault on to that has come by `visits` times before: the newest first, none twice.
fn previous(visits: usize) -> Option<&'static Previous> {
    let known = || PREVIOUS.iter().rev().filter(|previous| previous.ready.load(Acquire));
    let is_repeated = |place: usize, previous: &Previous| {
        known().take(place).any(|newer| newer.action.load(Relaxed) == previous.action.load(Relaxed))
    };
    known().enumerate().filter(|&(place, previous)| !is_repeated(place, previous)).nth(visits).map(|(_, p)| p)
}

impl Previous {
    const fn none() -> Self {
        Previous {
            ready: AtomicBool::new(false),
            action: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicI32::new(0),
            mask: AtomicU64::new(0),
        }
    }

    /// Outside the signal: keeps what is in front for the time when ours is.
    pub(super) fn remember(action: &libc::sigaction) {
        let known = |previous: &Previous| previous.action.load(Relaxed) == action.sa_sigaction;
        if previous(0).is_some_and(known) {
            return;
        }
        let place = REMEMBERED.fetch_add(1, AcqRel).min(PREVIOUS.len() - 1);
        let Some(place) = PREVIOUS.get(place) else { return };
        place.flags.store(action.sa_flags, Relaxed);
        place.mask.store(first_word(&action.sa_mask), Relaxed);
        place.action.store(action.sa_sigaction, Release);
        place.ready.store(true, Release);
    }

    /// Calls the handler as the kernel would have, its signal mask included.
    ///
    /// # Safety
    /// Inside a signal, with its arguments; the action is a function.
    unsafe fn call(&self, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let flags = self.flags.load(Relaxed);
        // As the kernel does it: before the handler runs, since that may fault itself or leave by siglongjmp.
        let action = if flags & libc::SA_RESETHAND != 0 {
            self.action.swap(libc::SIG_DFL, AcqRel)
        } else {
            self.action.load(Acquire)
        };
        // Another thread was faster with a handler that is called once.
        if action == libc::SIG_DFL {
            return restore_default();
        }
        let segv = if flags & libc::SA_NODEFER == 0 { 1 << (libc::SIGSEGV - 1) } else { 0 };
        // What the kernel would have blocked for this handler: what the interrupted code did, and what the handler
        // asks for. A handler in front that called ours has added its own to that, and not ours.
        let before = sys::change_mask(libc::SIG_BLOCK, 0);
        let interrupted = if before & OURS == OURS {
            // SAFETY: the kernel passes a ucontext.
            first_word(unsafe { &(*context.cast::<libc::ucontext_t>()).uc_sigmask })
        } else {
            before
        };
        sys::change_mask(libc::SIG_SETMASK, interrupted | self.mask.load(Relaxed) | segv);
        // SAFETY: the action is what sigaction(2) gave us, so it is a function. One without SA_SIGINFO ignores
        // the arguments that it does not expect.
        unsafe {
            let handler: unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                core::mem::transmute(action);
            handler(signal, info, context);
        }
        sys::change_mask(libc::SIG_SETMASK, before);
    }
}

/// The signals up to 31 that the kernel blocks while our handler runs; see `install`.
pub(super) const OURS: u64 = {
    let mut mask = (1 << 31) - 1;
    let mut i = 0;
    while i < sys::RAISED.len() {
        mask &= !(1 << (sys::RAISED[i] - 1));
        i += 1;
    }
    // These two cannot be blocked.
    mask & !(1 << (libc::SIGKILL - 1)) & !(1 << (libc::SIGSTOP - 1))
};

/// The kernel's signals of a set.
fn first_word(set: &libc::sigset_t) -> u64 {
    // SAFETY: a signal set is at least one word long and has no invalid values.
    unsafe { core::ptr::from_ref(set).cast::<u64>().read_unaligned() }
}

/// Passes a fault on that is not ours.
///
/// # Safety
/// Inside a signal, with its arguments.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a siginfo.
    let sent = unsafe { (*info).si_code } <= 0;
    // A handler that was installed after us and passes faults on to us was put behind us by `ensure_front`:
    // a fault of nobody's would go round and round. Each time it comes by again it goes to an older one.
    // SAFETY: the caller's promise.
    let visit = unsafe { Visit::enter(info) };
    let previous = previous(visit.before);
    // Another copy of this library may find that it is its own.
    if !previous.is_some_and(|other| foreign::is_copy(other.flags.load(Relaxed), other.mask.load(Relaxed))) {
        foreign::tell(signal, info, context);
    }
    match previous.map_or(libc::SIG_DFL, |previous| previous.action.load(Acquire)) {
        libc::SIG_IGN if sent => {}
        // The kernel ignores SIG_IGN for a real fault as well.
        libc::SIG_DFL | libc::SIG_IGN => restore_default(),
        // SAFETY: the caller's promise; neither of the two special values.
        _ => unsafe { previous.into_iter().for_each(|previous| previous.call(signal, info, context)) },
    }
    drop(visit);
    // Returning to a real fault repeats it, and the default action then ends the process at the very
    // instruction. A signal that was sent is over when we return: std's handler, for one, restores the
    // default and counts on the repetition.
    if sent {
        repeat_by_default(signal);
    }
}

/// Sends a signal again if the default action waits for it.
#[inline(never)]
fn repeat_by_default(signal: c_int) {
    if current().is_ok_and(|action| action.sa_sigaction == libc::SIG_DFL) {
        // SAFETY: both numbers are our own.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), sys::thread_id(), signal) };
    }
}

#[inline(never)]
fn restore_default() {
    let action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes is an action: the default one, no flags and an empty mask.
    unsafe { libc::sigaction(libc::SIGSEGV, action.as_ptr(), null_mut()) };
}

/// A fault that is being passed on at this moment, on any thread: the address of its siginfo, the stamp that was
/// put there, and how often it has come by. A thread that comes by again with the same siginfo and stamp is in a
/// circle. No thread-local: in a dynamic library the first access to one may allocate.
struct Passing {
    info: AtomicUsize,
    stamp: AtomicU64,
    visits: AtomicUsize,
}

static PASSING: [Passing; 64] =
    [const { Passing { info: AtomicUsize::new(0), stamp: AtomicU64::new(0), visits: AtomicUsize::new(0) } };
        64];

/// The stamp of one delivery of a signal: kept in the last bytes of its siginfo, which the kernel leaves zero and
/// nobody reads. The next delivery may have the same address, also when a handler left this one by siglongjmp.
///
/// # Safety
/// `info` is the siginfo of a signal that is being handled.
unsafe fn stamp(info: *mut libc::siginfo_t) -> u64 {
    // SAFETY: the last eight bytes of a siginfo, aligned as the whole is.
    unsafe {
        let place = info.add(1).cast::<u64>().sub(1);
        if place.read() == 0 {
            place.write(sys::monotonic_ns() | 1);
        }
        place.read()
    }
}

/// One visit of a fault that is passed on.
struct Visit {
    /// How often it came by before.
    before: usize,
    /// What the first visit has to give back.
    place: Option<&'static Passing>,
}

impl Visit {
    /// # Safety
    /// As for [`stamp`].
    unsafe fn enter(info: *mut libc::siginfo_t) -> Self {
        // SAFETY: the caller's promise.
        let stamp = unsafe { stamp(info) };
        let info = info.addr();
        if let Some(place) = PASSING.iter().find(|place| place.info.load(Relaxed) == info) {
            if place.stamp.load(Relaxed) == stamp {
                return Visit { before: place.visits.fetch_add(1, Relaxed), place: None };
            }
            // A handler that left by siglongjmp left its place behind.
            place.begin(stamp);
            return Visit { before: 0, place: Some(place) };
        }
        let claim = |place: &&Passing| place.info.compare_exchange(0, info, Relaxed, Relaxed).is_ok();
        let place = PASSING.iter().find(claim);
        place.into_iter().for_each(|place| place.begin(stamp));
        Visit { before: 0, place }
    }
}

impl Passing {
    fn begin(&self, stamp: u64) {
        self.stamp.store(stamp, Relaxed);
        self.visits.store(1, Relaxed);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            place.info.store(0, Relaxed);
        }
    }
}
