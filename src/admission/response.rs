//! The response to a commit that is refused inside a fault, where no error can be returned to the write.

use super::OutOfMemory;
#[cfg(feature = "vec")]
use crate::fallible::{self, Exhausted};
use core::fmt;
use std::path::PathBuf;

/// The answer to a commit that was refused inside a fault. A refusal in ordinary code is an error or a panic, and
/// asks for none.
///
/// ```
/// use highwater::Arena;
/// use highwater::oom::Response;
///
/// let arena = Arena::builder().reserve(1 << 20).on_refusal(Response::Abort).build();
/// assert_eq!(*arena.alloc(7), 7);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// A report, and `abort()` in a function named after the cause (`highwater_oom_cgroup_limit`).
    #[default]
    Abort,
    /// The rest of the region goes on living in a file of our own in this directory (without a name, mode 0600, closed
    /// on exec): what was allocated stays where it is, addresses stay as they are, and a scratch arena that is larger
    /// than memory is slower instead of dead. Calls that return errors spill as well. A full disk is a refusal
    /// ([`Cause::DiskFull`](crate::Cause::DiskFull)). A directory in memory (tmpfs) is refused when the region is built.
    /// Of a memory cgroup a quarter is left to the cache of the file. A forked child does not inherit what is in the
    /// file. [`trim`](crate::Arena::trim) back to what is in memory ends it.
    Spill(PathBuf),
    /// A function of the program's is asked first; see [`Response::hook`].
    Hook(RefusalHook),
}

/// A function that may do something about a refusal. Made by [`Response::hook`].
///
/// ```
/// use highwater::oom::{Answer, Response};
///
/// // SAFETY: the function only returns.
/// let response = unsafe { Response::hook(|_| Answer::Die) };
/// assert!(matches!(response, Response::Hook(_)));
/// ```
#[derive(Clone, Copy)]
pub struct RefusalHook(pub(crate) HookFunction);

/// The type of such a function.
pub(crate) type HookFunction = fn(&OutOfMemory) -> Answer;

impl PartialEq for RefusalHook {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for RefusalHook {}

impl fmt::Debug for RefusalHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusalHook({:p})", self.0 as *const ())
    }
}

/// The answer of a hook.
///
/// ```
/// use highwater::oom::{Answer, Cause, OutOfMemory};
///
/// fn last_words(error: &OutOfMemory) -> Answer {
///     if matches!(error.cause(), Cause::CgroupLimit { .. }) { Answer::Retry } else { Answer::Die }
/// }
/// # let _: fn(&OutOfMemory) -> Answer = last_words;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It gave memory back, or waited until others did: the growth is tried again, at most eight times in a row.
    Retry,
    /// Nothing can be done: a report, and the end of the process.
    Die,
}

impl Response {
    /// Has a function called with every commit of the region that is refused inside a fault.
    ///
    /// # Safety
    /// It is called inside the SIGSEGV handler, on a stack of ours (some 60 KiB), with most signals blocked: it may do
    /// what is async-signal-safe and no more. It must not unwind or leave by `longjmp`, and must not touch memory that
    /// has to grow. Below its stack a guard page ends the process. A backtrace that it takes shows the frames of the
    /// code that touched the memory.
    ///
    /// ```
    /// use highwater::oom::{Answer, Response};
    /// use highwater::{Arena, OutOfMemory};
    ///
    /// fn last_words(_error: &OutOfMemory) -> Answer {
    ///     Answer::Die
    /// }
    /// // SAFETY: the function does nothing.
    /// let response = unsafe { Response::hook(last_words) };
    /// let arena = Arena::builder().on_refusal(response).build();
    /// # drop(arena);
    /// ```
    pub const unsafe fn hook(call: fn(&OutOfMemory) -> Answer) -> Self {
        Response::Hook(RefusalHook(call))
    }

    /// A copy.
    #[cfg(feature = "vec")]
    pub(crate) fn try_clone(&self) -> Result<Self, Exhausted> {
        Ok(match self {
            Response::Abort => Response::Abort,
            Response::Spill(dir) => Response::Spill(fallible::path(dir)?),
            Response::Hook(hook) => Response::Hook(*hook),
        })
    }

    /// As a word that an atomic holds: null where no function is called.
    pub(crate) fn to_word(&self) -> *mut () {
        match self {
            Response::Abort | Response::Spill(_) => core::ptr::null_mut(),
            Response::Hook(RefusalHook(call)) => *call as *mut (),
        }
    }

    /// The function of such a word, if there is one.
    #[cfg(highwater_fault)]
    pub(crate) fn call_of(word: *mut ()) -> Option<HookFunction> {
        // SAFETY: words are made above, and an `Option` of a function is null for `None`.
        unsafe { core::mem::transmute::<*mut (), Option<HookFunction>>(word) }
    }
}
