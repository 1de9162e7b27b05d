//! Every other system: zeroed memory of the global allocator, which large systems page in when it is touched. Committing is
//! bookkeeping here and guards protect nothing; allocations are still checked against the frontier, so limits, statistics
//! and refusals are the same everywhere.
//!
//! What the system does not offer here returns "unknown" or does nothing, as each function says.

mod advice;
mod file;
mod memory;
mod process;
mod procfs;
mod signal;

pub(crate) use advice::{
    advise_huge, huge_pages_on_advice, install_guard, remove_guard, resident_pages, set_dumpable, set_name,
    supports_guards,
};
pub(crate) use file::{PolledFile, allocate_blocks, map_file_over, raw_fd, write_all};
pub use file::{RawFile, file_identity};
pub(crate) use memory::{
    DEFAULT_RESERVE, HAS_PROTECTION, commit_upfront, has_settings, is_locked, populate, purge_by_unlocking,
    purge_locked, release, reserve_over, reserve_upfront,
};
pub use memory::{Protection, commit, page_size, protect, purge, reserve};
pub use process::{
    Resource, monotonic_ns, physical_memory, process_id, resource_limit, sleep_ns, thread_address, thread_id,
    thread_name,
};
pub(crate) use process::{free_memory, memory_id, survivor_address, thread_exists, under_valgrind};
pub use procfs::{each_mapping, mem_info};
pub(crate) use procfs::{
    image_of, largest_gap, mappings, max_mappings, memory_pressure, overcommit, overcommit_is_strict,
    overcommit_was_strict, process_address_space, process_size, resident_anonymous_bytes,
};
pub use signal::observe_segv;
pub(crate) use signal::{block_async_signals, restore_signal_mask};
