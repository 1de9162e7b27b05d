//! The layer over the operating system: the same set of functions for every system, and what is built on them.
//!
//! One of two folders is compiled. `linux/` reserves inaccessible address space and commits parts of it; `portable/` takes
//! zeroed memory from the global allocator and relies on the system to page it in. In both,
//! - `memory`: addresses and pages; `upfront`: ranges that are committed at once
//! - `purge`: giving pages back; `advice`: what is set for pages
//! - `file`, `file_blocks`: files; `procfs`: what the kernel says in `/proc`
//! - `signal`, `segv`: signals; `process`: processes, threads and limits; `clock`: time
//!
//! Beside them, for every system: `evidence` (which limit a refused call met), `addresses` (how much address space there
//! is), `proc_text` (the text of `/proc`), `lock` (with `backoff` and
//! `single_threaded`), `try_lock`, `once`, `line`, `text`, `boot`, `large_stack`.
//!
//! Contract: what is marked *signal-safe* may be called inside the SIGSEGV handler. It allocates nothing, waits for no lock,
//! touches no thread-local variable but errno (which the handler preserves), is no cancellation point, and cannot panic.
//! Each file says at its top which of its functions are. Functions never retry or report: they return what the system
//! answered. `unsafe` functions take ranges of addresses, which belong to the caller.
//!
//! Nothing in here knows of regions.

#[cfg_attr(not(highwater_portable), path = "linux/mod.rs")]
#[cfg_attr(highwater_portable, path = "portable/mod.rs")]
mod imp;

mod addresses;
mod backoff;
mod boot;
mod errno;
pub(crate) mod evidence;
mod figures;
#[cfg(highwater_fault)]
mod large_stack;
mod line;
mod lock;
mod once;
mod proc_text;
mod single_threaded;
mod text;
mod try_lock;

pub(crate) use addresses::{address_space, mapped_by_others};
pub use boot::BootArena;
pub use errno::{Errno, preserve_errno};
pub use imp::*;
#[cfg(highwater_fault)]
pub(crate) use large_stack::{map_handler_stacks, on_large_stack};
pub use line::{abort_with, write_line, write_line_to};
pub use lock::{SpinGuard, SpinLock};
pub use once::{OnceState, ReentrantOnce};
#[cfg_attr(highwater_portable, allow(unused_imports))]
pub(crate) use proc_text::pieces;
pub use proc_text::{MapsEntry, MemInfo, decimal};
pub use text::TextBuffer;
pub(crate) use try_lock::{TryLock, TryLockGuard, not_inherited, this_holder, try_lock_any};

/// Without a handler every stack is large enough.
#[cfg(not(highwater_fault))]
pub(crate) fn on_large_stack<F: FnOnce()>(f: F) {
    f();
}

/// The system's numbers for this process (the upper half) and this thread. Signal-safe.
pub(crate) fn this_thread() -> u64 {
    u64::from(process_id()) << 32 | u64::from(thread_id())
}
