//! Spilling: the rest of a region moves from memory to a file, at the same addresses.

use super::border::SpillState;
use super::control::ControlBlock;
use crate::sys;
use core::sync::atomic::Ordering::Relaxed;

/// What came of a try to spill.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpillOutcome {
    /// The rest of the region is in the file: admission can be asked again.
    InFile,
    /// Another thread is mapping the file.
    Pending,
    /// There is no file, or it cannot be mapped.
    Failed,
}

impl ControlBlock {
    /// Maps the file over everything that was not admitted yet, once. The kernel reads ahead in it if `reads_ahead` says
    /// so. Signal-safe.
    #[cold]
    #[inline(never)] // its locals are not on the stack while the frontier moves
    pub(crate) fn spill(&self, reads_ahead: bool) -> SpillOutcome {
        // A handler of the program's that ran in between and touched this region would wait for ever.
        let mask = sys::block_async_signals();
        let outcome = self.spill_with_signals_blocked(reads_ahead);
        sys::restore_signal_mask(mask);
        outcome
    }

    /// Keeps the dirty pages of the spill file to those of the last `window` bytes before the frontier: the older half of
    /// the window is clean afterwards, and the newer half is being written. Signal-safe; it waits for the disk.
    #[cfg(not(highwater_portable))]
    pub(crate) fn write_back_spilled(&self, frontier: usize, window: usize) {
        let fd = self.spill.load(Relaxed);
        if self.is_of_other_process() || !self.is_own_file(fd) {
            return;
        }
        let border = self.memory_end().min(frontier);
        let half = frontier.saturating_sub(window / 2).max(border);
        let oldest = frontier.saturating_sub(window).max(border);
        if oldest < half {
            sys::write_back(fd, oldest, half - oldest, true);
        }
        if half < frontier {
            sys::write_back(fd, half, frontier - half, false);
        }
    }

    #[cfg(highwater_portable)]
    pub(crate) fn write_back_spilled(&self, _frontier: usize, _window: usize) {}

    fn spill_with_signals_blocked(&self, reads_ahead: bool) -> SpillOutcome {
        let border = match self.border.claim() {
            Ok(border) => border,
            Err(SpillState::InFile(_)) => return SpillOutcome::InFile,
            Err(SpillState::Failed) => return SpillOutcome::Failed,
            Err(_) => return SpillOutcome::Pending,
        };
        let rest = self.reserved().saturating_sub(border);
        let fd = self.spill.load(Relaxed);
        let mapped = rest > 0 && self.is_own_file(fd) && {
            let start = self.base().wrapping_add(border);
            // SAFETY: the range ends with the reservation. Every commit that was admitted lies below the border, and none
            // is admitted any more, so nothing behind the border is in use.
            unsafe { sys::map_file_over(start, rest, fd, border, reads_ahead) }.is_ok()
        };
        self.border.finish(mapped);
        if mapped { SpillOutcome::InFile } else { SpillOutcome::Failed }
    }
}
