//! Commit: everything that changes the access of pages in a live region. Outside this file pages only become accessible when
//! a region is mapped (`mapping`), and only become inaccessible when memory is decommitted (`mapping`, `decommit`).
//!
//! To commit a range means, in this order: guards in it are marked, the backing file has blocks for it, it is a part of core
//! dumps, it is readable and writable. In a checked arena's region the blocks come first, and the whole range is marked. All of it is idempotent and signal-safe; threads may commit overlapping ranges.

use super::control::ControlBlock;
use crate::sys::{self, Errno};
#[cfg(feature = "debug-arena")]
use core::ffi::CStr;
#[cfg(feature = "debug-arena")]
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

impl ControlBlock {
    /// Commits `[from, to)`: it becomes accessible, except for the guards in it, which are inaccessible at every moment. In
    /// a checked arena's region all of it stays inaccessible. Idempotent, signal-safe.
    pub(crate) fn commit(&self, from: usize, to: usize) -> Result<(), Errno> {
        if self.is_checked() {
            return self.commit_protected(from, to);
        }
        if to <= self.first_guard() {
            return self.make_accessible(from, to);
        }
        self.commit_around_guards(from, to)
    }

    #[inline(never)] // its locals are not on the stack while regions without guards grow
    fn commit_around_guards(&self, from: usize, to: usize) -> Result<(), Errno> {
        let mut from = from;
        while let Some(guard) = self.guards.next_in(from, to) {
            // Marked before the mapping becomes accessible: the mark outlasts that, and leaves the mapping in one piece.
            let marked = self.policy.guards_by_advice() && {
                self.protect(guard.start, guard.end)?;
                self.policy.guards_by_advice()
            };
            let accessible_to = if marked { guard.end } else { guard.start };
            if from < accessible_to {
                self.make_accessible(from, accessible_to)?;
            }
            from = guard.end;
        }
        if from < to { self.make_accessible(from, to) } else { Ok(()) }
    }

    /// Commits a range of a checked arena's region, which stays inaccessible until an allocation has it.
    #[inline(never)] // its locals are not on the stack while other regions grow
    fn commit_protected(&self, from: usize, to: usize) -> Result<(), Errno> {
        // Blocks first: in a forked child there may be no mapping that could be marked.
        self.allocate_blocks(from, to.wrapping_sub(from))?;
        if self.policy.guards_by_advice() {
            self.protect(from, to)?;
            // Asked again: `protect` finds out whether this memory can be marked.
            if self.policy.guards_by_advice() {
                return self.make_accessible(from, to);
            }
        }
        // SAFETY: the range lies in the mapping of a live region.
        unsafe { sys::set_dumpable(self.base().wrapping_add(from), to.wrapping_sub(from), true) };
        Ok(())
    }

    /// Makes a range without guards readable and writable, and a part of core dumps.
    fn make_accessible(&self, from: usize, to: usize) -> Result<(), Errno> {
        debug_assert!(from < to && to <= self.reserved(), "a part of the region");
        if to > self.memory_end() {
            return self.make_accessible_across_border(from, to);
        }
        self.make_memory_accessible(from, to)
    }

    #[cold]
    #[inline(never)] // its locals are not on the stack while memory is committed
    fn make_accessible_across_border(&self, from: usize, to: usize) -> Result<(), Errno> {
        let border = self.memory_end();
        if from < border {
            self.make_memory_accessible(from, border.min(to))?;
        }
        if to > border { self.make_accessible_in_spill_file(from.max(border), to) } else { Ok(()) }
    }

    /// The same before the border of the spill file.
    #[inline(never)] // one copy
    fn make_memory_accessible(&self, from: usize, to: usize) -> Result<(), Errno> {
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        self.allocate_blocks(from, len)?;
        // The dump flag first: the pages become accessible and a part of the committed mapping in one step. In the other
        // order another thread may touch them in between, and the kernel never joins two mappings that were paged in
        // separately.
        // SAFETY: the range lies in the mapping of a live region.
        let result = unsafe {
            sys::set_dumpable(start, len, true);
            sys::commit(start, len)
        };
        if result == Err(Errno::ENOMEM) {
            // At the limit of mappings there is no room for a piece that has one flag of either side. With the whole tail a
            // part of core dumps, nothing has to be split.
            let rest = self.tail_end().wrapping_sub(from);
            // SAFETY: the tail and the guard behind it are a part of the mapping of a live region.
            let again = unsafe {
                sys::set_dumpable(start, rest, true);
                sys::commit(start, len)
            };
            if again.is_ok() {
                return again;
            }
        }
        if result.is_err() {
            // (Not `clamp`, which panics for bounds that the compiler cannot know to be in order.)
            let tail = self.frontier.get().max(from).min(to);
            // SAFETY: the tail and the guard behind it are a part of the mapping of a live region.
            unsafe {
                sys::set_dumpable(self.base().wrapping_add(tail), self.tail_end().wrapping_sub(tail), false)
            };
        }
        result
    }

    /// The same for what lies behind the border in the file that the region spilled to.
    fn make_accessible_in_spill_file(&self, from: usize, to: usize) -> Result<(), Errno> {
        let fd = self.spill.load(Relaxed);
        if self.is_of_other_process() {
            return Err(Errno::EFAULT);
        }
        if !self.is_own_file(fd) {
            return Err(Errno::EBADF);
        }
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        sys::allocate_blocks(fd, from, len)?;
        // SAFETY: the range lies in the mapping of a live region.
        unsafe {
            sys::set_dumpable(start, len, true);
            sys::commit(start, len)
        }
    }

    /// Gives a range of a file-backed region its blocks; without them a write on a full disk would be SIGBUS.
    #[cfg(not(highwater_portable))]
    fn allocate_blocks(&self, from: usize, len: usize) -> Result<(), Errno> {
        let file = self.file.load(Relaxed);
        if file < 0 { Ok(()) } else { self.allocate_blocks_of(file, from, len) }
    }

    #[cfg(not(highwater_portable))]
    #[inline(never)] // its locals are not on the stack while memory is committed
    fn allocate_blocks_of(&self, file: i32, from: usize, len: usize) -> Result<(), Errno> {
        // A forked child does not have the mapping, and the addresses may have another use.
        if self.is_not_inherited() {
            return Err(Errno::EFAULT);
        }
        if !self.is_own_file(file) {
            return Err(Errno::EBADF);
        }
        sys::allocate_blocks(file, self.file_offset.load(Relaxed).wrapping_add(from), len)
    }

    #[cfg(highwater_portable)]
    fn allocate_blocks(&self, _from: usize, _len: usize) -> Result<(), Errno> {
        Ok(())
    }

    /// Whether a descriptor of the region's still is the file that it was: a program may close numbers that it knows
    /// nothing of, and they are given out again. Signal-safe.
    pub(super) fn is_own_file(&self, fd: i32) -> bool {
        let known = [self.file_identity[0].load(Relaxed), self.file_identity[1].load(Relaxed)];
        sys::file_identity(fd) == Some(known)
    }

    /// Makes a committed range of a checked arena's region accessible.
    #[cfg(feature = "debug-arena")]
    pub(crate) fn unprotect(&self, from: usize, to: usize) -> Result<(), Errno> {
        debug_assert!(from < to && to <= self.frontier.get(), "a committed range");
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        if self.policy.may_have_marks() {
            // SAFETY: the range lies in the mapping of a live region.
            unsafe { sys::remove_guard(start, len)? };
            if self.policy.guards_by_advice() {
                return Ok(());
            }
        }
        self.allocate_blocks(from, len)?;
        // SAFETY: the range lies in the mapping of a live region.
        unsafe { sys::commit(start, len) }
    }

    /// Makes `[from, to)` inaccessible, whether it is committed or not, and discards its contents, which nothing refers to
    /// any more. Signal-safe.
    pub(crate) fn protect(&self, from: usize, to: usize) -> Result<(), Errno> {
        debug_assert!(from < to && to <= self.reserved(), "a part of the region");
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        // SAFETY: the range lies in the mapping of a live region, and nothing refers to its contents.
        unsafe {
            if self.policy.guards_by_advice() {
                match sys::install_guard(start, len) {
                    Ok(()) => {
                        self.policy.set_marked();
                        return Ok(());
                    }
                    // Locked memory cannot be marked (a program may lock it at any time), and kernels before 6.15 mark
                    // anonymous memory only.
                    Err(Errno::EINVAL) => self.policy.use_protection(),
                    Err(errno) => return Err(errno),
                }
            }
            sys::protect(start, len)?;
            sys::purge_locked(start, len);
        }
        Ok(())
    }

    /// [`protect`](ControlBlock::protect) for a checked arena, outside the signal. Pages of different allocations are
    /// different mappings, which the kernel does not join again when their protection becomes the same; a range that is
    /// mapped over is one mapping. Locked memory is only protected: mapped over it would not be locked any more, or mapping
    /// it could be refused.
    #[cfg(feature = "debug-arena")]
    pub(crate) fn protect_by_remap(&self, from: usize, to: usize, name: &CStr) -> Result<(), Errno> {
        let is_anonymous = !self.is_in_file();
        let Some(start) = NonNull::new(self.base().wrapping_add(from)).filter(|_| is_anonymous) else {
            return self.protect(from, to);
        };
        if self.policy.guards_by_advice() {
            return self.protect(from, to);
        }
        // SAFETY: the range lies in the mapping of a live region, and nothing refers to its contents.
        unsafe {
            if sys::is_locked(start) {
                return self.protect(from, to);
            }
            sys::reserve_over(start, to.wrapping_sub(from), sys::Protection::None)?;
            sys::set_name(start, to.wrapping_sub(from), name);
        }
        Ok(())
    }

    /// Gives the memory of a range back to the system; its access stays as it is. Nothing refers to its contents.
    #[cfg(feature = "debug-arena")]
    pub(crate) fn purge(&self, from: usize, to: usize) {
        debug_assert!(from < to && to <= self.reserved(), "a part of the region");
        // SAFETY: the range lies in the mapping of a live region, and nothing refers to its contents.
        unsafe { sys::purge(self.base().wrapping_add(from), to.wrapping_sub(from)) };
    }
}
