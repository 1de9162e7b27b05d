//! A number of this memory, which tells a forked child, which has a copy, from a child that shares it.
//!
//! What a thread was doing when another one forked goes on in the parent alone. A process number does not tell the two
//! apart: a child made by `vfork`, or by `clone` with `CLONE_VM`, has another number and the same memory, in which the
//! threads of its parent go on. So the memory has a number. It lies on a page that the kernel fills with zeros in every
//! copy, also in one that a bare `clone` made around the C library.
//!
//! Contract: signal-safe, except for [`init_memory_id`].

use super::memory::{Protection, page_size, release, reserve};
use super::process::{on_fork_in_child, process_id, thread_address};
use crate::sys::Errno;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};

/// The number, on a page that is zero in copies; null until there is one, and where the kernel has no such pages.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());
/// The number where there is no such page.
static PLAIN: AtomicU32 = AtomicU32::new(0);
/// The last number that was given out, here or in the memory that this is a copy of.
static LAST: AtomicU32 = AtomicU32::new(0);
/// The process that did so.
static GIVEN_BY: AtomicU32 = AtomicU32::new(0);
/// The address of the thread that did so: of the one that forked, which is the only one in the copy.
static SURVIVOR: AtomicUsize = AtomicUsize::new(0);

fn number() -> &'static AtomicU32 {
    // SAFETY: a published page is writable, aligned and never released.
    NonNull::new(PAGE.load(Acquire)).map_or(&PLAIN, |page| unsafe { page.as_ref() })
}

/// The number of this memory, greater than 0. A copy's differs from those of all memory that it descends from. Signal-safe.
pub(crate) fn memory_id() -> u32 {
    match number().load(Acquire) {
        0 => renew(0),
        id => id,
    }
}

#[cold]
fn renew(before: u32) -> u32 {
    // Counted before it is published: what a copy inherits is never below a number that was in use.
    let id = LAST.fetch_add(1, AcqRel).wrapping_add(1).max(1);
    GIVEN_BY.store(process_id(), Relaxed);
    SURVIVOR.store(thread_address(), Relaxed);
    match number().compare_exchange(before, id, AcqRel, Acquire) {
        Ok(_) => id,
        Err(theirs) => theirs,
    }
}

/// Has copies get a number of their own, from now on. The first region calls it; outside of signals.
pub(crate) fn init_memory_id() -> Result<(), Errno> {
    // Not a `OnceLock`: a child that was forked in the middle would wait for ever. Twice does no harm.
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.load(Relaxed) {
        return Ok(());
    }
    on_fork_in_child(in_child)?;
    let id = memory_id();
    // Without a page the handler above has to do.
    if let Ok(page) = reserve(page_size(), Protection::ReadWrite) {
        let word: NonNull<AtomicU32> = page.cast();
        // SAFETY: the page was mapped just now: zeroed, aligned, and used by this call alone until it is published.
        let is_published = unsafe {
            word.as_ref().store(id, Relaxed);
            libc::madvise(page.as_ptr().cast(), page_size(), libc::MADV_WIPEONFORK) == 0
                && PAGE.compare_exchange(null_mut(), word.as_ptr(), AcqRel, Relaxed).is_ok()
        };
        if !is_published {
            // SAFETY: the page was mapped by this call and not published.
            unsafe { release(page, page_size()) };
        }
    }
    DONE.store(true, Release);
    Ok(())
}

/// For systems that have no such pages, or ignore the advice.
extern "C" fn in_child() {
    let id = number().load(Acquire);
    // (A handler that ran before this one may have asked for a number.)
    if id == 0 || GIVEN_BY.load(Relaxed) != process_id() {
        renew(id);
    }
}

/// The address of the thread that is the only one in this copy, if this is a copy. Signal-safe.
pub(in crate::sys) fn survivor_address() -> usize {
    SURVIVOR.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_another_number_also_around_the_c_library() {
        init_memory_id().unwrap();
        let before = memory_id();
        assert_eq!(memory_id(), before);
        for bare in [false, true] {
            let mut status = 0;
            // SAFETY: the child makes system calls, compares two numbers and leaves.
            unsafe {
                let child = if bare {
                    libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t
                } else {
                    libc::fork()
                };
                if child == 0 {
                    let id = memory_id();
                    libc::_exit(if id != before && id == memory_id() { 7 } else { 1 });
                }
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
            }
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "bare: {bare}, {status:x}");
            assert_eq!(memory_id(), before);
        }
    }
}
