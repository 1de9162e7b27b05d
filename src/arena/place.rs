//! What the allocation calls stand on: somewhere that blocks come from, and two ways to be told that there is none.

use super::cursor::panic_with;
use crate::admission::OutOfMemory;
use crate::fault::debug_check_thread;
use crate::grow::GrowReason;
use core::alloc::Layout;
use core::convert::Infallible;
use core::panic::Location;

/// Somewhere that blocks come from: an arena's or a scope's cursor, a shared one, or a thread's part of that.
///
/// The trait is what [`body`](super::body) is written over; nothing outside sees it, and all of it is inlined.
pub(super) trait Place {
    /// Whether it wants to know who asks.
    const CHECKED: bool;

    /// The check, and a block of `size` bytes. The block may not be committed: it is going to be written, and that
    /// is what commits it. Diverges when the check fails.
    fn place(&self, size: usize, align: usize, caller: Caller) -> *mut u8;

    /// The check, and a block of `size` bytes that is committed although it may never be written. Diverges when
    /// there is none.
    fn place_committed(&self, size: usize, align: usize, caller: Caller) -> *mut u8;

    /// The check, and a block of `size` bytes that is committed. Nothing has changed when there is none.
    fn try_place(
        &self,
        size: usize,
        align: usize,
        caller: Caller,
        why: GrowReason,
    ) -> Result<*mut u8, OutOfMemory>;

    /// Whether a block of `size` bytes would pass the check now.
    fn fits(&self, size: usize, align: usize) -> bool;

    /// [`place`](Self::place), if there is room for it: for what somebody guesses that it needs.
    fn place_if_fits(&self, size: usize, align: usize, caller: Caller) -> Option<*mut u8> {
        self.fits(size, align).then(|| self.place(size, align, caller))
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
    fn take_back(&self, before: *mut u8, block: *mut u8, size: usize);

    /// The same, where the position became `after`.
    #[inline(always)]
    fn take_back_from(&self, before: *mut u8, _after: *mut u8, block: *mut u8, size: usize) {
        self.take_back(before, block, size);
    }

    /// The error of a length that no layout can have.
    fn no_layout(&self, len: usize, size: usize) -> OutOfMemory;
}

/// Where a value of no size is: nowhere, but aligned.
#[inline(always)]
pub(super) fn nowhere(align: usize) -> *mut u8 {
    core::ptr::without_provenance_mut(align)
}

/// Who asked for a block; only a checked arena wants to know, for the others there is nothing to pass on.
pub(super) type Caller = Option<&'static Location<'static>>;

/// The caller of the public call that this stands in.
#[inline(always)]
#[track_caller]
pub(super) fn here<P: Place>() -> Caller {
    if P::CHECKED { Some(Location::caller()) } else { None }
}

/// How a call answers when there is no memory: by diverging or by returning an error. Every allocation call
/// is written once, over this.
pub(super) trait Mode {
    /// What a failing call returns.
    type Error;

    /// A block of `size` bytes that is going to be written at once.
    fn place<P: Place>(place: &P, size: usize, align: usize, caller: Caller) -> Result<*mut u8, Self::Error>;

    /// A block that is handed out uninitialised: committed in any case.
    fn place_committed<P: Place>(
        place: &P,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, Self::Error>;

    /// A block that is going to be written, if there is room for it.
    fn place_if_fits<P: Place>(place: &P, size: usize, align: usize, caller: Caller) -> Option<*mut u8>;

    /// `len` values of `T`; more than `isize::MAX` bytes are no layout.
    fn array<T, P: Place>(place: &P, len: usize) -> Result<Layout, Self::Error>;
}

/// The plain calls: they panic.
pub(super) struct Plain;
/// The `try_` calls: they return the error, never enter the handler and never diverge.
pub(super) struct Try;

impl Mode for Plain {
    type Error = Infallible;

    #[inline(always)]
    #[track_caller]
    fn place<P: Place>(place: &P, size: usize, align: usize, caller: Caller) -> Result<*mut u8, Infallible> {
        let block = place.place(size, align, caller);
        debug_check_thread(block, size);
        Ok(block)
    }

    #[inline(always)]
    fn place_committed<P: Place>(
        place: &P,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, Infallible> {
        Ok(place.place_committed(size, align, caller))
    }

    fn place_if_fits<P: Place>(place: &P, size: usize, align: usize, caller: Caller) -> Option<*mut u8> {
        let block = place.place_if_fits(size, align, caller);
        block.inspect(|block| debug_check_thread(*block, size))
    }

    #[inline(always)]
    fn array<T, P: Place>(place: &P, len: usize) -> Result<Layout, Infallible> {
        match Layout::array::<T>(len) {
            Ok(layout) => Ok(layout),
            Err(_) => panic_with(place.no_layout(len, size_of::<T>())),
        }
    }
}

impl Mode for Try {
    type Error = OutOfMemory;

    #[inline(always)]
    fn place<P: Place>(place: &P, size: usize, align: usize, caller: Caller) -> Result<*mut u8, OutOfMemory> {
        place.try_place(size, align, caller, GrowReason::Write)
    }

    #[inline(always)]
    fn place_committed<P: Place>(
        place: &P,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, OutOfMemory> {
        place.try_place(size, align, caller, GrowReason::Request)
    }

    fn place_if_fits<P: Place>(place: &P, size: usize, align: usize, caller: Caller) -> Option<*mut u8> {
        place.fits(size, align).then(|| place.try_place(size, align, caller, GrowReason::Write).ok())?
    }

    #[inline(always)]
    fn array<T, P: Place>(place: &P, len: usize) -> Result<Layout, OutOfMemory> {
        Layout::array::<T>(len).map_err(|_| place.no_layout(len, size_of::<T>()))
    }
}
