//! Actions of SIGSEGV: what ours looks like, and what the system has installed now.

use crate::sys;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::null;
use std::io;

/// A handler that is installed with `SA_SIGINFO`.
pub(super) type SegvHandler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// How many entries (`entry`) the handler has, and so how many handlers the chain remembers.
pub(super) const ENTRIES: usize = 64;

/// Bytes of code of each entry.
pub(super) const ENTRY_BYTES: usize = 16;

/// Bytes of the table of all entries, and its alignment.
pub(super) const TABLE_BYTES: usize = ENTRIES * ENTRY_BYTES;

/// The flags that our handler is installed with.
///
/// `SA_ONSTACK`: a stack that overflowed has no room for us. `SA_NODEFER`: a second fault inside the handler
/// (for example in the handler that a fault is passed on to) ends the process instead of hanging it.
pub(super) const OUR_FLAGS: c_int = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;

/// The signals up to 31 that the kernel blocks while our handler runs: all but those that a thread raises itself.
///
/// Everything else waits until a growth is over: std's alternate stack has room for our handler and not for a
/// profiler's on top of it. Handlers that a fault is passed on to get the mask they asked for.
pub(super) const OUR_MASK: u64 = {
    let mut mask = (1 << 31) - 1;
    let mut i = 0;
    while i < sys::SYNCHRONOUS_SIGNALS.len() {
        mask &= !(1 << (sys::SYNCHRONOUS_SIGNALS[i] - 1));
        i += 1;
    }
    // These two cannot be blocked.
    mask & !(1 << (libc::SIGKILL - 1)) & !(1 << (libc::SIGSTOP - 1))
};

/// An action of SIGSEGV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    /// Its address, or `SIG_DFL` or `SIG_IGN`.
    pub(super) handler: usize,
    pub(super) flags: c_int,
    /// The kernel's signals, 1 to 64: the first word of a signal set.
    pub(super) mask: u64,
}

impl Action {
    pub(super) fn of(action: &libc::sigaction) -> Self {
        /// The C library's own.
        const SA_RESTORER: c_int = 0x0400_0000;
        Action {
            handler: action.sa_sigaction,
            flags: action.sa_flags & !SA_RESTORER,
            // SAFETY: the set is whole.
            mask: unsafe { sys::kernel_signals(&raw const action.sa_mask) },
        }
    }

    /// Whether there is no function.
    pub(super) fn is_none(&self) -> bool {
        matches!(self.handler, libc::SIG_DFL | libc::SIG_IGN)
    }

    /// Whether this is a copy of this library, by flags and a mask that no other handler has: all versions keep to them.
    pub(super) fn is_copy(&self) -> bool {
        const LOW: u64 = (1 << 31) - 1;
        // (C libraries keep a few of the signals after 31 for themselves.)
        const HIGH: u64 = !0 << 35;
        self.flags == OUR_FLAGS && self.mask & LOW == OUR_MASK && self.mask & HIGH == HIGH
    }

    /// Whether two actions are the same handler's.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let both_copies = self.is_copy() && other.is_copy();
        self.handler == other.handler || both_copies && are_of_one_copy(self.handler, other.handler)
    }
}

/// Whether two addresses of entries, of this copy of the library or others, belong to the same copy: they lie in the same
/// block of the size and the alignment of the table.
fn are_of_one_copy(one: usize, other: usize) -> bool {
    one / TABLE_BYTES == other / TABLE_BYTES
}

/// The action of a signal. nix has no call that only reads it.
pub(super) fn current(signal: c_int) -> io::Result<libc::sigaction> {
    // Zeroed: not every C library writes all of it.
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is given, and there is room for the old one.
    match unsafe { libc::sigaction(signal, null(), action.as_mut_ptr()) } {
        // SAFETY: the call filled it in.
        0 => Ok(unsafe { action.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}
