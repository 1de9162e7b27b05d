//! Linux. Outside of signals nix makes the calls; what may run inside them calls libc, or the kernel directly where libc
//! would make the call a cancellation point.

mod advice;
mod clock;
mod file;
mod file_blocks;
mod memory;
mod memory_id;
mod process;
mod procfs;
mod purge;
mod sanitizer;
mod segv;
mod signal;
mod upfront;
mod valgrind;

pub(crate) use advice::{
    advise_huge, dont_fork, huge_pages_on_advice, install_guard, remove_guard, resident_pages, set_dumpable,
    set_name, supports_guards,
};
pub use clock::{monotonic_ns, sleep_ns};
pub(crate) use file::{PolledFile, raw_fd, write_all};
pub use file::{RawFile, file_identity};
pub(crate) use file_blocks::{allocate_blocks, is_in_memory, map_file_over, punch_hole, write_back};
pub(super) use memory::address_exists;
pub(crate) use memory::{
    DEFAULT_RESERVE, HAS_PROTECTION, populate, release, replace_with_reserved, reserve_if_free, reserve_over,
};
pub use memory::{Protection, commit, page_size, protect, reserve};
pub(super) use memory_id::survivor_address;
pub(crate) use memory_id::{init_memory_id, memory_id};
#[cfg(feature = "global-alloc")]
pub(crate) use process::around_forks;
pub use process::{
    Resource, physical_memory, process_id, resource_limit, thread_address, thread_id, thread_name,
};
pub(crate) use process::{free_memory, on_fork_in_child, thread_exists};
pub use procfs::{each_mapping, mem_info};
pub(crate) use procfs::{
    image_of, mappings, max_mappings, memory_pressure, overcommit, overcommit_is_strict,
    overcommit_was_strict, process_size, resident_anonymous_bytes,
};
pub(super) use procfs::{largest_gap, process_address_space};
pub use purge::purge;
pub(crate) use purge::{has_settings, is_locked, purge_by_unlocking, purge_locked};
pub(crate) use sanitizer::{register_root, unregister_root};
pub use segv::observe_segv;
#[cfg(highwater_fault)]
pub(crate) use signal::SYNCHRONOUS_SIGNALS;
#[cfg(highwater_fault)]
pub(crate) use signal::change_alternate_stack;
pub(crate) use signal::{block_async_signals, restore_signal_mask};
#[cfg(highwater_fault)]
pub(crate) use signal::{change_signal_mask, kernel_signals, send_to_this_thread, set_default_action};
pub(crate) use upfront::{commit_upfront, reserve_upfront};
pub(crate) use valgrind::under_valgrind;
