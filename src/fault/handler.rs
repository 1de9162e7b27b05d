//! Everything inside the signal.
//!
//! Rules of this file: no allocation, no lock, no waiting (but a growth near the end of memory may wait, for a bounded
//! time: `admission/patience.rs`), no panic, no thread-local but errno, no library but libc, little stack (std's alternate stack leaves about 5 KB at entry; a growth takes under 1.5 KB
//! of it). It can be read from top to bottom without knowing the rest: a fault is found to be ours and served,
//! or it is left to the handler before us (`pass`).

use super::context;
use super::repeat::LastFaults;
use crate::admission::{Answer, OutOfMemory, Refusal, RefusedRequest, Response};
use crate::grow::{GrowReason, grow};
use crate::guard::{self, FaultInfo, FaultVerdict, PageState, RegionView, judge};
use crate::math::step;
use crate::region::{self, ControlBlock};
use crate::{report, sys};
use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

/// Serves the fault if it is a growth of ours; false if it has to be passed on.
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
    let Some(control) =
        region::find(address).filter(|control| control.is_live() && !control.is_not_inherited())
    else {
        return false;
    };
    // SAFETY: `context` is the third argument of a handler: required by this function's contract.
    let interrupted = unsafe { context::read(context, address) };
    let view = RegionView {
        base: control.base().addr(),
        reserved: control.reserved(),
        frontier: control.frontier.get(),
        reach: control.reach.load(Relaxed),
        place: place_of(control, address),
    };
    match judge(view, FaultInfo { address, fetch: interrupted.fetch, key: code == KEY }) {
        FaultVerdict::Growth { offset } => {
            // SAFETY: errno is this thread's own.
            let errno = unsafe { *libc::__errno_location() };
            let mut grown = Ok(());
            unoptimised_elsewhere(|| {
                grown = grow(control, offset, offset.wrapping_add(1), GrowReason::Fault)
            });
            if let Err(refusal) = grown
                // Another thread may have had better luck with a smaller step.
                && control.frontier.get() <= offset
            {
                refused(control, offset, refusal);
            }
            // SAFETY: errno is this thread's own.
            unsafe { *libc::__errno_location() = errno };
            true
        }
        FaultVerdict::Covered => !seen_before(control, address, interrupted.pc),
        FaultVerdict::Violation(kind) => {
            // The next handler may return without having done anything about the fault, again and again.
            if !is_endless(seen_before(control, address, interrupted.pc)) {
                // SAFETY: errno is this thread's own.
                let errno = unsafe { *libc::__errno_location() };
                report::violated(control, kind, interrupted.access, address, interrupted.pc);
                // SAFETY: errno is this thread's own.
                unsafe { *libc::__errno_location() = errno };
            }
            false
        }
        FaultVerdict::Foreign => false,
    }
}

/// An unoptimised growth takes more than 4 KB of stack, nearly all that there is; an optimised one less than 1.5 KB.
#[inline(always)]
fn unoptimised_elsewhere(f: impl FnOnce()) {
    if cfg!(debug_assertions) { sys::on_large_stack(f) } else { f() }
}

/// Whether the same violation as the last one was reported often enough.
fn is_endless(again: bool) -> bool {
    const ENOUGH: u32 = 16;
    static REPORTED: AtomicU32 = AtomicU32::new(0);
    if !again {
        REPORTED.store(0, Relaxed);
    }
    REPORTED.fetch_add(1, Relaxed) >= ENOUGH
}

/// The state of the byte at an address in a region or its guards.
fn place_of(control: &ControlBlock, address: usize) -> PageState {
    let offset = address.wrapping_sub(control.base().addr());
    if offset >= control.reserved() {
        return PageState::Plain;
    }
    if let Some((state, _)) = guard::look(control, offset) {
        return state;
    }
    if control.guard_over(offset).is_some() { PageState::Guarded } else { PageState::Plain }
}

/// A refused commit cannot return to the write that needs it, and must not unwind out of a signal. The program's
/// hook may have the growth tried again; without one, or when that does not help, this is the end.
#[cold]
#[inline(never)]
fn refused(control: &'static ControlBlock, offset: usize, refusal: Refusal) {
    /// How often a hook may ask for another try.
    const RETRIES: u32 = 8;
    let mut error = refusal_error(control, offset, refusal);
    if let Some(hook) = Response::call_of(control.response.load(Acquire)) {
        for _ in 0..RETRIES {
            let mut answer = Answer::Die;
            sys::on_large_stack(|| answer = hook(&error));
            if answer == Answer::Die {
                break;
            }
            match grow(control, offset, offset.wrapping_add(1), GrowReason::Fault) {
                Ok(()) => return,
                Err(refusal) => error = refusal_error(control, offset, refusal),
            }
        }
    }
    report::out_of_memory(&error)
}

/// The error of a refused growth: the page that was touched is the request.
fn refusal_error(control: &'static ControlBlock, offset: usize, refusal: Refusal) -> OutOfMemory {
    let frontier = control.frontier.get();
    let step = step::exact(control.need(frontier, offset, offset.wrapping_add(1)));
    let step = step.frontier.saturating_sub(frontier);
    OutOfMemory::new(control, RefusedRequest::Growth { step }, offset, refusal)
}

/// Whether this thread faulted at this address and instruction before with the page committed: then
/// returning would fault for ever (the program protected the page), and the fault is not ours.
///
/// A thread that lost the race for a page faults once and finds it committed. The page stays so until
/// memory is given back, which changes the facts that are compared; so the same fault twice is never such a race.
fn seen_before(control: &ControlBlock, address: usize, pc: usize) -> bool {
    static LAST: LastFaults = LastFaults::new();
    let facts = [address as u64, pc as u64, control.id.load(Relaxed), control.trims.load(Relaxed)];
    LAST.is_repeated(sys::thread_id(), facts)
}
