//! The function of the program that is called with each violation before the end.

use super::Violation;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{AcqRel, Acquire};

/// A function that is called with every violation after its report.
///
/// ```
/// use highwater::guard::{Violation, ViolationHook};
///
/// const NOTHING: ViolationHook = |_: &Violation| ();
/// // SAFETY: it does nothing.
/// unsafe { highwater::guard::set_hook(Some(NOTHING)) };
/// ```
pub type ViolationHook = fn(&Violation);

static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

fn hook_at(address: *mut ()) -> Option<ViolationHook> {
    // SAFETY: only hooks and null are stored, and an `Option` of a function is null for `None`.
    unsafe { core::mem::transmute::<*mut (), Option<ViolationHook>>(address) }
}

/// Sets the function that is called with every violation of this process, after its report and before the end; `None`
/// removes it. Returns the previous one.
///
/// # Safety
/// The function is called inside the SIGSEGV handler, on a stack of ours, with most signals blocked: it may do what is
/// async-signal-safe and no more, with some 32 KiB of stack, below which a guard page ends the process. It must not
/// unwind, and must not leave by `longjmp`. A backtrace that it takes shows the frames of the code that accessed the memory.
/// (For slack that was found overwritten it is called outside of any signal.)
///
/// ```
/// use highwater::guard::{Violation, set_hook};
///
/// fn note(violation: &Violation) {
///     // SAFETY: the bytes are readable; write(2) is async-signal-safe.
///     unsafe { libc::write(2, violation.kind().name().as_ptr().cast(), violation.kind().name().len()) };
/// }
/// // SAFETY: `note` only writes.
/// unsafe { set_hook(Some(note)) };
/// ```
pub unsafe fn set_hook(hook: Option<ViolationHook>) -> Option<ViolationHook> {
    let address = hook.map_or(core::ptr::null_mut(), |hook| hook as *mut ());
    hook_at(HOOK.swap(address, AcqRel))
}

/// The function, if there is one. Signal-safe.
#[cfg(any(highwater_fault, feature = "debug-arena"))]
pub(crate) fn hook() -> Option<ViolationHook> {
    hook_at(HOOK.load(Acquire))
}
