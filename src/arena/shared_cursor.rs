//! Where blocks come from when threads share an arena: a counter instead of a position.

use super::counter::{Counter, MAX_ADDED};
use super::cursor::{Cursor, check_error, commit, extend, not_ahead};
use super::source::{BlockSource, CallSite, dangling, panic_with};
use crate::admission::{OutOfMemory, Refusal};
use crate::grow::{GrowReason, grow};
use crate::math::bump::bump_up;
use crate::math::page::{align_up, align_up_saturating};
use crate::region::{ControlBlock, Region};

/// The next free address, and how far blocks may go. The limit does not change while the arena is shared.
#[repr(align(128))] // an arena's counter and its neighbours in memory do not slow each other down
pub(super) struct SharedCursor<const MIN_ALIGN: usize> {
    counter: Counter,
    /// The address that blocks end at or before.
    limit: usize,
    /// Where the counter is brought back to: no block starts at or after it.
    last: usize,
    /// The region's first byte, with the provenance of all of it.
    base: *mut u8,
    control: &'static ControlBlock,
}

impl<const MIN_ALIGN: usize> SharedCursor<MIN_ALIGN> {
    pub(super) fn over(region: &Region) -> Self {
        let () = Cursor::<MIN_ALIGN, false>::SUPPORTED;
        let base = region.as_ptr();
        let mut cursor = SharedCursor {
            counter: Counter::new(base.addr()),
            limit: 0,
            last: base.addr(),
            base,
            control: region.control(),
        };
        cursor.refresh_limit();
        cursor
    }

    /// Computes the limit again, after a change of what it is made of.
    pub(super) fn refresh_limit(&mut self) {
        let next = self.counter.get().min(self.last);
        self.counter.set(next);
        self.limit = self.base.addr() + self.control.usable_bytes();
        // A limit may be set below what is in use.
        self.last = align_up_saturating(self.limit, MIN_ALIGN).max(next);
    }

    /// Everything is free again.
    pub(super) fn restart(&mut self) {
        self.counter.set(self.base.addr());
        self.refresh_limit();
    }

    pub(super) fn control(&self) -> &'static ControlBlock {
        self.control
    }

    pub(super) fn usable_bytes(&self) -> usize {
        self.limit - self.base.addr()
    }

    /// Bytes between the region's first one and the next free one.
    pub(super) fn used(&self) -> usize {
        self.position().addr() - self.base.addr()
    }

    pub(super) fn commit_ahead(&self, bytes: usize) -> Result<(), OutOfMemory> {
        // (What is used is a multiple of the minimum alignment, and a limit may end before that.)
        if bytes == 0 {
            return Ok(());
        }
        let used = self.used();
        let to = used.saturating_add(bytes);
        let refusal = if to > self.usable_bytes() {
            Err(Refusal::past_limit(to, self.usable_bytes(), self.control.requested_reserve()))
        } else {
            grow(self.control, used, to, GrowReason::Ahead)
        };
        refusal.map_err(|refusal| not_ahead(self.control, used, bytes, refusal))
    }

    pub(super) fn ensure_committed(&self, start: *const u8, len: usize) -> Result<(), OutOfMemory> {
        let offset = start.addr().wrapping_sub(self.base.addr());
        if len == 0 || offset >= self.control.reserved() {
            return Ok(());
        }
        grow(self.control, offset, offset.saturating_add(len), GrowReason::Ahead)
            .map_err(|refusal| not_ahead(self.control, self.used(), len, refusal))
    }

    /// The address below which everything is committed.
    #[inline(always)]
    pub(super) fn frontier(&self) -> usize {
        self.base.addr() + self.control.frontier.get()
    }

    /// Commits the memory up to `end`, for a block that starts at `start`.
    #[inline(always)]
    pub(super) fn try_commit(
        &self,
        start: usize,
        size: usize,
        end: usize,
        reason: GrowReason,
    ) -> Result<(), OutOfMemory> {
        if end > self.frontier() {
            commit(self.control, self.base.with_addr(start), size, end, reason)?;
        }
        Ok(())
    }

    /// [`try_commit`](Self::try_commit), or a panic; the block is lost then.
    #[inline(always)]
    pub(super) fn commit(&self, start: usize, size: usize, end: usize, reason: GrowReason) {
        if end > self.frontier() {
            extend(self.control, self.base.with_addr(start), size, end, reason);
        }
    }

    /// The address of a block, as a pointer to it.
    #[inline(always)]
    pub(super) fn at(&self, address: usize) -> *mut u8 {
        self.base.with_addr(address)
    }

    /// Takes a block for `size` bytes, which is not committed; its start and end.
    #[inline(always)]
    fn allocate_bump(&self, size: usize, align: usize) -> (usize, usize) {
        // With both alignments known while compiling all of this folds into one number. An alignment beyond the
        // minimum pays for the longest padding, since where the block will start is not known before.
        let padding = align.saturating_sub(MIN_ALIGN);
        let bytes = bump_up(0, size, 1, MIN_ALIGN).end.saturating_add(padding);
        if bytes > MAX_ADDED {
            return self.allocate_large(size, align);
        }
        let start = match self.counter.add(bytes, self.limit) {
            Ok(start) => start,
            // (Diverges, so that there is nothing to merge where no padding is needed.)
            Err(_) if padding == 0 => self.refuse(size, bytes),
            Err(start) => return self.allocate_rest(start, size, align, bytes),
        };
        let block = bump_up(start, size, align, MIN_ALIGN);
        if padding > 0 && block.end != start + bytes {
            // The padding that is not needed goes back, if no other thread came after it.
            self.counter.resize(start + bytes, block.end);
        }
        (block.start, block.end)
    }

    /// A block too large to be added without looking.
    #[cold]
    #[inline(never)]
    fn allocate_large(&self, size: usize, align: usize) -> (usize, usize) {
        let taken = self.counter.allocate_with(|next| {
            let block = bump_up(next, size, align, MIN_ALIGN);
            self.check(next, size, block.end)?;
            Ok((block.end, (block.start, block.end)))
        });
        taken.unwrap_or_else(|error| panic_with(error))
    }

    /// Whether a block of `size` bytes from `next` may end at `end`.
    #[inline(always)]
    fn check(&self, next: usize, size: usize, end: usize) -> Result<(), OutOfMemory> {
        if end <= self.limit {
            return Ok(());
        }
        // (The next free address may have run past the limit.)
        let position = next.min(self.last);
        Err(check_error(self.control, self.at(position), size, end - (next - position)))
    }

    /// The failing side of an addition with the longest padding. Without what of it is not needed the block may still
    /// fit: of all additions that ran past the end only the first one started before it, so what is left there is its.
    #[cold]
    #[inline(never)]
    fn allocate_rest(&self, start: usize, size: usize, align: usize, bytes: usize) -> (usize, usize) {
        let block = bump_up(start, size, align, MIN_ALIGN);
        if block.end > self.limit {
            self.refuse(size, bytes)
        }
        self.counter.clamp(self.last);
        (block.start, block.end)
    }

    /// The failing side of an addition: the arena is full from here on.
    #[cold]
    #[inline(never)]
    fn refuse(&self, size: usize, bytes: usize) -> ! {
        self.counter.clamp(self.last);
        let end = self.last.saturating_add(bytes);
        panic_with(check_error(self.control, self.at(self.last), size, end))
    }

    /// A part for one thread: from `from` on where nothing was taken since, `wanted` bytes or as many as there
    /// are, and room for the block in any case. Its start and end.
    pub(super) fn part(
        &self,
        (from, old_end): (usize, usize),
        wanted: usize,
        size: usize,
        align: usize,
    ) -> Result<(usize, usize), OutOfMemory> {
        self.counter.allocate_with(|next| {
            let start = if next == old_end { from } else { next };
            let block = bump_up(start, size, align, MIN_ALIGN);
            self.check(start, size, block.end)?;
            let last = self.limit & !(MIN_ALIGN - 1);
            let end = block.end.max(next.saturating_add(wanted).min(last));
            Ok((end, (start, end)))
        })
    }

    /// Gives the end of a part back if it is the last.
    pub(super) fn give_back(&self, from: usize, to: usize) {
        if from != to {
            self.counter.resize(to, from);
        }
    }

    /// Lets the last block end earlier, if it is the last; whether it was.
    pub(super) fn shorten_last(&self, start: *mut u8, old: usize, new: usize) -> bool {
        let ends = |size: usize| align_up(start.addr().wrapping_add(size), MIN_ALIGN);
        match (ends(old), ends(new)) {
            (Some(from), Some(to)) if old > 0 => self.counter.resize(from, to),
            _ => false,
        }
    }
}

impl<const MIN_ALIGN: usize> BlockSource for SharedCursor<MIN_ALIGN> {
    const CHECKED: bool = false;

    #[inline(always)]
    fn allocate(&self, size: usize, align: usize, _caller: CallSite) -> *mut u8 {
        if size == 0 {
            return dangling(align);
        }
        let (start, end) = self.allocate_bump(size, align);
        if cfg!(not(highwater_fault)) {
            self.commit(start, size, end, GrowReason::Write);
        }
        self.at(start)
    }

    #[inline(always)]
    fn allocate_committed(&self, size: usize, align: usize, _caller: CallSite) -> *mut u8 {
        if size == 0 {
            return dangling(align);
        }
        let (start, end) = self.allocate_bump(size, align);
        self.commit(start, size, end, GrowReason::Request);
        self.at(start)
    }

    #[inline]
    fn try_allocate(
        &self,
        size: usize,
        align: usize,
        _caller: CallSite,
        reason: GrowReason,
    ) -> Result<*mut u8, OutOfMemory> {
        if size == 0 {
            return Ok(dangling(align));
        }
        let start = self.counter.allocate_with(|next| {
            let block = bump_up(next, size, align, MIN_ALIGN);
            self.check(next, size, block.end)?;
            self.try_commit(next, size, block.end, reason)?;
            Ok((block.end, block.start))
        });
        start.map(|start| self.at(start))
    }

    fn fits(&self, size: usize, align: usize) -> bool {
        size == 0 || bump_up(self.position().addr(), size, align, MIN_ALIGN).end <= self.limit
    }

    /// By compare-and-swap: between a look and an addition other threads take what was there.
    fn allocate_if_fits(&self, size: usize, align: usize, _caller: CallSite) -> Option<*mut u8> {
        if size == 0 {
            return Some(dangling(align));
        }
        let taken = self.counter.allocate_with(|next| {
            let block = bump_up(next, size, align, MIN_ALIGN);
            if block.end <= self.limit { Ok((block.end, (block.start, block.end))) } else { Err(()) }
        });
        let (start, end) = taken.ok()?;
        if cfg!(not(highwater_fault)) {
            self.commit(start, size, end, GrowReason::Write);
        }
        Some(self.at(start))
    }

    fn is_last(&self, start: *const u8, len: usize) -> bool {
        len > 0 && align_up(start.addr().wrapping_add(len), MIN_ALIGN) == Some(self.counter.get())
    }

    /// `None` as well when another thread came after the block meanwhile.
    fn resize_last(&self, start: *mut u8, old: usize, new: usize) -> Result<Option<*mut u8>, OutOfMemory> {
        let from = self.counter.get();
        if !self.is_last(start, old) || !start.addr().is_multiple_of(MIN_ALIGN) {
            return Ok(None);
        }
        let to = bump_up(start.addr(), new, 1, MIN_ALIGN).end;
        self.check(start.addr(), new, to)?;
        self.try_commit(start.addr(), new, to, GrowReason::Request)?;
        let ends_there = align_up(start.addr().wrapping_add(old), MIN_ALIGN) == Some(from);
        Ok((ends_there && self.counter.resize(from, to)).then(|| self.at(start.addr())))
    }

    fn position(&self) -> *mut u8 {
        self.at(self.counter.get().min(self.last))
    }

    /// The position says nothing here, since other threads move it: the block is given back if it is the last.
    fn undo(&self, _before: *mut u8, block: *mut u8, size: usize) {
        self.shorten_last(block, size, 0);
    }

    #[cold]
    #[inline(never)]
    fn no_layout(&self, len: usize, size: usize) -> OutOfMemory {
        check_error(self.control, self.position(), len.saturating_mul(size), usize::MAX)
    }
}
