//! The few calls to the operating system, the same small set of functions for every system.
//!
//! Only one of the two files is compiled. `linux.rs` reserves inaccessible address space and commits parts
//! of it; `portable.rs` takes zeroed memory from the global allocator and relies on the system to page it
//! in. What is marked *signal-safe* may be called inside the SIGSEGV handler: it allocates nothing, takes
//! no lock, touches no thread-local but errno (which the handler preserves), and cannot panic.

#[cfg_attr(not(highwater_portable), path = "linux.rs")]
#[cfg_attr(highwater_portable, path = "portable.rs")]
mod imp;

mod addresses;
mod boot;
mod errno;
pub(crate) mod evidence;
mod line;
mod lock;
#[cfg(not(highwater_portable))]
mod memory_id;
mod once;
#[cfg(not(highwater_portable))]
mod ranges;
#[cfg(not(highwater_portable))]
mod raw;
#[cfg(not(highwater_portable))]
mod sanitizer;
#[cfg(highwater_fault)]
mod stack;
mod text;
mod try_lock;
#[cfg(not(highwater_portable))]
mod valgrind;

pub(crate) use addresses::{address_space, mapped_by_others};
pub use boot::BootArena;
pub(crate) use errno::Errno;
pub use errno::preserve_errno;
pub(crate) use imp::*;
pub use line::{abort_with, write_line, write_line_to};
pub use lock::{SpinGuard, SpinLock};
#[cfg(not(highwater_portable))]
pub(crate) use memory_id::{init_memory_id, memory_id};
pub use once::{OnceState, ReentrantOnce};
#[cfg(not(highwater_portable))]
pub(crate) use ranges::*;
#[cfg(highwater_fault)]
pub(crate) use stack::{map_handler_stacks, on_large_stack};
pub use text::TextBuffer;
pub(crate) use try_lock::{TryLock, TryLockGuard, not_inherited, this_holder, try_lock_any};

#[cfg(not(highwater_portable))]
pub(crate) use sanitizer::{register_root, unregister_root};
#[cfg(not(highwater_portable))]
pub(crate) use valgrind::under_valgrind;

/// The portable calls do not ask: nothing faults there.
#[cfg(highwater_portable)]
pub(crate) fn under_valgrind() -> bool {
    false
}

/// Without a handler everybody has stack enough.
#[cfg(not(highwater_fault))]
pub(crate) fn on_large_stack<F: FnOnce()>(f: F) {
    f();
}

/// The system's numbers for this process (the upper half) and this thread.
pub(crate) fn this_thread() -> u64 {
    u64::from(process_id()) << 32 | u64::from(thread_id())
}

/// What the kernel has promised to everybody, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Overcommit {
    /// `vm.overcommit_memory`: 0 by guess, 1 everything, 2 no more than `limit`.
    pub(crate) mode: u64,
    /// `CommitLimit`.
    pub(crate) commit_limit: u64,
    /// `Committed_AS`.
    pub(crate) committed: u64,
    /// Memory and swap.
    pub(crate) total: u64,
    /// `vm.user_reserve_kbytes` and `vm.admin_reserve_kbytes`, in bytes.
    pub(crate) user_reserve: u64,
    pub(crate) admin_reserve: u64,
}

/// What the machine has, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct MachineMemory {
    pub(crate) total: u64,
    /// What programs could have without swapping.
    pub(crate) available: u64,
    pub(crate) swap_free: u64,
}

/// What a process has, in bytes, as the kernel counts it against its limits.
#[derive(Clone, Copy)]
pub(crate) struct ProcessSize {
    /// Address space.
    pub(crate) total: u64,
    /// Private writable memory, without stacks.
    pub(crate) data: u64,
    /// Memory that may not be paged out.
    pub(crate) locked: u64,
    /// Memory that is present.
    pub(crate) resident: u64,
    /// Whether it is an administrator (`CAP_SYS_ADMIN`): from the others the kernel keeps some memory back.
    pub(crate) is_admin: bool,
}
