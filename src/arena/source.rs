//! What the allocation calls are written over: where blocks come from, and how a call fails when there are none.

use crate::admission::OutOfMemory;
use crate::fault::debug_check_thread;
use crate::grow::GrowReason;
use core::alloc::Layout;
use core::convert::Infallible;
use core::panic::Location;

/// Where blocks come from: the cursor of an arena or a scope, a shared cursor, or a thread's part of one.
///
/// The trait is what [`body`](super::body) is written over; nothing outside sees it, and all of it is inlined.
pub(super) trait BlockSource {
    /// Whether it records the call site of each allocation.
    const CHECKED: bool;

    /// The check, and a block of `size` bytes. The block may not be committed: it is going to be written, and that
    /// is what commits it. Diverges when the check fails.
    fn allocate(&self, size: usize, align: usize, call_site: CallSite) -> *mut u8;

    /// The check, and a block of `size` bytes that is committed although it may never be written. Diverges when
    /// there is none.
    fn allocate_committed(&self, size: usize, align: usize, call_site: CallSite) -> *mut u8;

    /// The check, and a block of `size` bytes that is committed. Nothing has changed when there is none.
    fn try_allocate(
        &self,
        size: usize,
        align: usize,
        call_site: CallSite,
        reason: GrowReason,
    ) -> Result<*mut u8, OutOfMemory>;

    /// Whether a block of `size` bytes would pass the check now.
    fn fits(&self, size: usize, align: usize) -> bool;

    /// [`allocate`](Self::allocate) if there is room: for a size that is a guess.
    fn allocate_if_fits(&self, size: usize, align: usize, call_site: CallSite) -> Option<*mut u8> {
        self.fits(size, align).then(|| self.allocate(size, align, call_site))
    }

    /// Whether `[start, start + len)` is the last block that was handed out here.
    fn is_last(&self, start: *const u8, len: usize) -> bool;

    /// Changes the length of the last block from `old` to `new` bytes, if it is the last and there is room, and
    /// returns where it is then; the added bytes are committed like those of a fallible allocation. `None` if it
    /// is not the last.
    fn resize_last(&self, start: *mut u8, old: usize, new: usize) -> Result<Option<*mut u8>, OutOfMemory>;

    /// Where the next block would go.
    fn position(&self) -> *mut u8;

    /// Gives the block of a failed initialiser back, unless something was allocated after it: the initialiser's
    /// error may borrow from there. The position was `before`.
    fn undo(&self, before: *mut u8, block: *mut u8, size: usize);

    /// The same, where the position became `after`.
    #[inline(always)]
    fn undo_at(&self, before: *mut u8, _after: *mut u8, block: *mut u8, size: usize) {
        self.undo(before, block, size);
    }

    /// The error of a length that no layout can have.
    fn no_layout(&self, len: usize, size: usize) -> OutOfMemory;
}

/// The address of a value without a size: it points to nothing, and is aligned.
#[inline(always)]
pub(super) fn dangling(align: usize) -> *mut u8 {
    core::ptr::without_provenance_mut(align)
}

/// The call site of an allocation: recorded by a checked arena only, and `None` for every other one.
pub(super) type CallSite = Option<&'static Location<'static>>;

/// The call site of the public call that this is inlined into.
#[inline(always)]
#[track_caller]
pub(super) fn here<P: BlockSource>() -> CallSite {
    if P::CHECKED { Some(Location::caller()) } else { None }
}

/// How a call answers when there is no memory: by diverging or by returning an error. Every allocation call
/// is written once, over this.
pub(super) trait ErrorMode {
    /// What a failing call returns.
    type Error;

    /// A block of `size` bytes that is going to be written at once.
    fn allocate<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Result<*mut u8, Self::Error>;

    /// A block that is handed out uninitialised: committed in any case.
    fn allocate_committed<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Result<*mut u8, Self::Error>;

    /// A block that is going to be written, if there is room for it.
    fn allocate_if_fits<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Option<*mut u8>;

    /// `len` values of `T`; more than `isize::MAX` bytes are no layout.
    fn array<T, P: BlockSource>(source: &P, len: usize) -> Result<Layout, Self::Error>;
}

/// The plain calls: they panic.
pub(super) struct Panicking;
/// The `try_` calls: they return the error, never enter the handler and never diverge.
pub(super) struct Fallible;

impl ErrorMode for Panicking {
    type Error = Infallible;

    #[inline(always)]
    #[track_caller]
    fn allocate<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Result<*mut u8, Infallible> {
        let block = source.allocate(size, align, call_site);
        debug_check_thread(block, size);
        Ok(block)
    }

    #[inline(always)]
    fn allocate_committed<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Result<*mut u8, Infallible> {
        Ok(source.allocate_committed(size, align, call_site))
    }

    fn allocate_if_fits<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Option<*mut u8> {
        let block = source.allocate_if_fits(size, align, call_site);
        block.inspect(|block| debug_check_thread(*block, size))
    }

    #[inline(always)]
    fn array<T, P: BlockSource>(source: &P, len: usize) -> Result<Layout, Infallible> {
        match Layout::array::<T>(len) {
            Ok(layout) => Ok(layout),
            Err(_) => panic_with(source.no_layout(len, size_of::<T>())),
        }
    }
}

impl ErrorMode for Fallible {
    type Error = OutOfMemory;

    #[inline(always)]
    fn allocate<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Result<*mut u8, OutOfMemory> {
        source.try_allocate(size, align, call_site, GrowReason::Write)
    }

    #[inline(always)]
    fn allocate_committed<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Result<*mut u8, OutOfMemory> {
        source.try_allocate(size, align, call_site, GrowReason::Request)
    }

    fn allocate_if_fits<P: BlockSource>(
        source: &P,
        size: usize,
        align: usize,
        call_site: CallSite,
    ) -> Option<*mut u8> {
        source
            .fits(size, align)
            .then(|| source.try_allocate(size, align, call_site, GrowReason::Write).ok())?
    }

    #[inline(always)]
    fn array<T, P: BlockSource>(source: &P, len: usize) -> Result<Layout, OutOfMemory> {
        Layout::array::<T>(len).map_err(|_| source.no_layout(len, size_of::<T>()))
    }
}

/// What a failing plain call does: it panics with the first line of a report.
#[cold]
#[inline(never)]
pub(super) fn panic_with(error: OutOfMemory) -> ! {
    panic!("highwater: {error}")
}
