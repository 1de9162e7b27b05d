//! The page cache of a file that a region spilled to.
//!
//! A memory cgroup counts it, and the kernel kills the process where too many of its pages are just being read or written:
//! in a small cgroup on a busy disk it does not wait long. So growth in the file goes in steps that are small beside the cgroup, and each step
//! waits until the pages of the steps before the last one are clean. Pages that are written again later are left to the
//! kernel, as those of any file.

use super::availability::file_cache;
use super::sources;
use crate::region::ControlBlock;
use crate::sys;

/// Whether the kernel may read ahead in the file: up to 8 MiB (`read_ahead_kb`), none of which can be reclaimed meanwhile.
/// Signal-safe.
#[cold]
#[inline(never)] // its locals are not on the stack while memory is committed
pub(crate) fn spill_reads_ahead() -> bool {
    const MIN_CACHE: u64 = 64 << 20;
    smallest_limit().is_none_or(|limit| file_cache(limit) >= MIN_CACHE)
}

fn smallest_limit() -> Option<u64> {
    sources::get()?.smallest_limit()
}

/// Where a step in the file may end: at `wanted_end` at most, and at `min_end` at least.
#[cold]
#[inline(never)] // its locals are not on the stack while memory is committed
pub(super) fn bound_step(
    control: &ControlBlock,
    frontier: usize,
    min_end: usize,
    wanted_end: usize,
) -> usize {
    // Without a cgroup the kernel slows a thread down that has too many dirty pages.
    let Some(limit) = smallest_limit() else { return wanted_end };
    // Together with the next step the dirty pages are three eighths of the part that is left to the file's cache.
    let window = usize::try_from(file_cache(limit) / 4).unwrap_or(usize::MAX);
    control.write_back_spilled(frontier, window);
    let step = (window / 2) & !(sys::page_size() - 1);
    frontier.saturating_add(step).min(wanted_end).max(min_end)
}
