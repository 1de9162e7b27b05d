//! The slow paths of all calls. Misuse that is found ends the process.

use crate::boot::BOOT;
use crate::errno::{errno, out_of_memory, set_errno};
use crate::guarded::GuardedPool;
use crate::state::{self, MallocState};
use crate::thread_slot::TlsSlot;
use crate::{foreign, misuse, stats};
use core::ffi::c_void;
use core::hint::cold_path;
use core::ptr::{NonNull, null_mut};
use highwater::Cause;
use highwater::heap::{HeapError, MIN_ALIGN};
use highwater::internal::heap::{ThreadHeap, ThreadSlot};
use highwater::internal::sys::{OnceState, preserve_errno};

/// Allocates a block at a multiple of `align`, which is a power of two.
#[inline(never)]
pub(crate) fn allocate(size: usize, align: usize) -> *mut c_void {
    match allocate_locked_fast(size, align) {
        Some(block) => block.as_ptr().cast(),
        None => with_state(size, align, |state| state.allocate(size, align, false)),
    }
}

/// Allocates a block for a call whose fast path failed.
#[inline(never)]
pub(crate) fn allocate_after_miss(size: usize) -> *mut c_void {
    match allocate_locked_fast(size, MIN_ALIGN) {
        Some(block) => block.as_ptr().cast(),
        None => with_state(size, MIN_ALIGN, |state| state.allocate_after_miss(size)),
    }
}

/// The fast path of the policies that lock. (It leaves errno and the record of the region alone.)
#[inline]
fn allocate_locked_fast(size: usize, align: usize) -> Option<NonNull<u8>> {
    let state = state::get().filter(|state| !state.checks_calls)?;
    state.heap.allocate_locked_fast(size.max(1), align.max(MIN_ALIGN))
}

/// Allocates a block of a size that no thread has at hand, or for a thread that has no thread heap.
#[inline(never)]
pub(crate) fn allocate_beyond_direct(size: usize) -> *mut c_void {
    let local = TlsSlot::get(0);
    // (One compare for both ends.)
    if !(ThreadHeap::MAX_DIRECT + 1..=ThreadHeap::MAX_SMALL).contains(&size) {
        return allocate_after_miss(size);
    }
    if local.is_null() {
        cold_path();
        return allocate_after_miss(size);
    }
    // SAFETY: the slot holds the calling thread's heap, and the size is from 1 to `MAX_SMALL`.
    match unsafe { ThreadHeap::allocate_small(local, size) } {
        Some(block) => block.as_ptr().cast(),
        None => allocate_after_miss(size),
    }
}

/// Allocates a block of zeros.
#[inline(never)]
pub(crate) fn allocate_zeroed(size: usize) -> *mut c_void {
    with_state(size, MIN_ALIGN, |state| state.allocate(size, MIN_ALIGN, true))
}

/// Allocates by the heap, or by what serves while there is none, whose blocks are zero. errno changes only where the call
/// fails.
#[inline(always)]
fn with_state(
    size: usize,
    align: usize,
    call: impl FnOnce(&'static MallocState) -> Result<NonNull<u8>, HeapError>,
) -> *mut c_void {
    let before = errno();
    let block = match state::get_or_init() {
        OnceState::Ready(state) => {
            let block = match call(state) {
                Ok(block) => block.as_ptr().cast(),
                Err(error) => refuse(state, &error, size, align),
            };
            stats::note(state);
            block
        }
        OnceState::Initializing => {
            let block: *mut c_void = BOOT.allocate(size, align).cast();
            if block.is_null() { out_of_memory() } else { block }
        }
        OnceState::Failed => foreign::allocate(size, align),
    };
    if !block.is_null() {
        set_errno(before);
    }
    block
}

/// Why there is no block; or a block of the system's malloc after all.
#[cold]
fn refuse(state: &MallocState, error: &HeapError, size: usize, align: usize) -> *mut c_void {
    match error {
        HeapError::OutOfMemory(error)
            if state.has_fallback && error.cause() == Cause::ReservationExhausted =>
        {
            foreign::allocate(size, align)
        }
        HeapError::OutOfMemory(_) | HeapError::TooLarge { .. } => out_of_memory(),
        error => misuse::die_of(error),
    }
}

impl MallocState {
    #[inline]
    fn allocate(&'static self, size: usize, align: usize, is_zeroed: bool) -> Result<NonNull<u8>, HeapError> {
        let (size, align) = (size.max(1), align.max(MIN_ALIGN));
        if self.checks_calls {
            self.allocate_checked(size, align, is_zeroed)
        } else if is_zeroed {
            // (`calloc` has tried the fast path.)
            self.heap.allocate_zeroed_after_miss(size, align)
        } else {
            self.heap.allocate(size, align)
        }
    }

    #[inline]
    fn allocate_after_miss(&'static self, size: usize) -> Result<NonNull<u8>, HeapError> {
        let size = size.max(1);
        if self.checks_calls {
            self.allocate_checked(size, MIN_ALIGN, false)
        } else {
            self.heap.allocate_after_miss(size, MIN_ALIGN)
        }
    }

    #[cold]
    fn allocate_checked(&self, size: usize, align: usize, is_zeroed: bool) -> Result<NonNull<u8>, HeapError> {
        // (Blocks of the pool are zero.)
        if let Some(block) = self.pool.as_ref().and_then(|pool| pool.allocate(size, align)) {
            return Ok(block);
        }
        match &self.canary {
            Some(canary) => canary.allocate(&self.heap, size, align, is_zeroed),
            None if is_zeroed => self.heap.allocate_zeroed(size, align),
            None => self.heap.allocate(size, align),
        }
    }

    /// Deallocates a block of the heap.
    ///
    /// # Safety
    /// That of `free`; the address is one of the heap's.
    #[inline]
    unsafe fn deallocate(&'static self, block: NonNull<u8>) {
        // SAFETY: if the block is live, it is not used any more: this function's contract. With a secret every block of the
        // heap has a canary.
        let result = unsafe {
            match &self.canary {
                Some(canary) => canary.deallocate(&self.heap, block),
                None => self.heap.deallocate_after_miss(block),
            }
        };
        if let Err(error) = result {
            misuse::die_of(&error);
        }
    }
}

/// Which allocator an address belongs to.
enum BlockOwner {
    Heap(&'static MallocState),
    /// A block with a page of its own.
    Pool(&'static GuardedPool),
    /// A block from before the heap, whose bytes are not used again.
    Boot,
    Foreign,
}

#[inline]
fn owner(block: *const u8) -> BlockOwner {
    if let Some(state) = state::get() {
        if state.heap.contains(block) {
            return BlockOwner::Heap(state);
        }
        if let Some(pool) = state.pool.as_ref().filter(|pool| pool.contains(block)) {
            return BlockOwner::Pool(pool);
        }
    }
    if BOOT.contains(block) { BlockOwner::Boot } else { BlockOwner::Foreign }
}

/// Deallocates a block.
///
/// # Safety
/// That of `free`.
#[inline(never)]
pub(crate) unsafe fn deallocate(block: *mut c_void) {
    let Some(block) = NonNull::new(block.cast::<u8>()) else { return };
    if let Some(state) = state::get()
        && !state.checks_calls
        // SAFETY: if the block is live, it is not used any more: this function's contract.
        && unsafe { state.heap.deallocate_locked_fast(block) }
    {
        return;
    }
    preserve_errno(|| {
        // SAFETY: if the block is live, it is not used any more: this function's contract. Its owner was found by its address,
        // and what belongs to no other allocator is a block of the system's malloc, or looks like one where that is checked.
        unsafe {
            match owner(block.as_ptr()) {
                BlockOwner::Heap(state) => state.deallocate(block),
                BlockOwner::Pool(pool) => pool.deallocate(block),
                BlockOwner::Boot => {}
                BlockOwner::Foreign => {
                    if state::get().is_some_and(|state| state.canary.is_some()) {
                        misuse::die_unless_foreign_block(block);
                    }
                    foreign::deallocate(block);
                }
            }
        }
    });
}

/// The usable bytes of a block; 0 for null.
///
/// # Safety
/// That of `malloc_usable_size`.
pub(crate) unsafe fn usable_size(block: *mut c_void) -> usize {
    let Some(block) = NonNull::new(block.cast::<u8>()) else { return 0 };
    // SAFETY: the contracts of the two functions are the same.
    preserve_errno(|| unsafe { size_of_block(block) })
}

/// # Safety
/// That of `malloc_usable_size`.
unsafe fn size_of_block(block: NonNull<u8>) -> usize {
    // SAFETY: the block is live: this function's contract. Its owner was found by its address, and with a secret every block
    // of the heap has a canary.
    unsafe {
        match owner(block.as_ptr()) {
            BlockOwner::Heap(state) => {
                let size = match &state.canary {
                    Some(canary) => canary.usable_size(&state.heap, block),
                    None => state.heap.usable_size(block),
                };
                size.unwrap_or_else(|error| misuse::die_of(&error))
            }
            BlockOwner::Pool(pool) => pool.usable_size(block),
            BlockOwner::Boot => BOOT.size_of(block.as_ptr()),
            BlockOwner::Foreign => foreign::usable_size(block),
        }
    }
}

/// The usable bytes that a block of `size` bytes has.
pub(crate) fn good_size(size: usize) -> usize {
    match state::get() {
        Some(state) if !state.checks_calls => state.heap.good_size(size.max(1)),
        _ => size,
    }
}

/// Reallocates a block.
///
/// # Safety
/// That of `realloc`.
#[inline(never)]
pub(crate) unsafe fn reallocate(block: *mut c_void, size: usize) -> *mut c_void {
    let Some(old) = NonNull::new(block.cast::<u8>()) else { return allocate(size, MIN_ALIGN) };
    // SAFETY: the block is live, and not used any more unless the call fails: this function's contract. Its owner was found by
    // its address.
    unsafe {
        if size == 0 {
            deallocate(block);
            return null_mut();
        }
        match owner(old.as_ptr()) {
            BlockOwner::Heap(state) if !state.checks_calls => {
                let before = errno();
                let new = state.heap.reallocate(old, size, MIN_ALIGN);
                stats::note(state);
                match new {
                    Ok(new) => {
                        set_errno(before);
                        new.as_ptr().cast()
                    }
                    Err(HeapError::OutOfMemory(_)) if state.has_fallback => reallocate_by_copy(old, size),
                    Err(error) => refuse(state, &error, size, MIN_ALIGN),
                }
            }
            // (Where the system's malloc serves as well, it can do without a second block.)
            BlockOwner::Foreign if state::get().is_none_or(|state| state.has_fallback) => {
                foreign::reallocate(old, size)
            }
            _ => reallocate_by_copy(old, size),
        }
    }
}

/// Allocates a new block with the contents of the old one, and deallocates that.
///
/// # Safety
/// That of `realloc`.
unsafe fn reallocate_by_copy(old: NonNull<u8>, size: usize) -> *mut c_void {
    // SAFETY: the old block is live, and not used any more unless the call fails: this function's contract. The new block does
    // not overlap it, and both have the bytes that are copied.
    unsafe {
        let old_size = preserve_errno(|| size_of_block(old));
        let new = allocate(size, MIN_ALIGN);
        if new.is_null() {
            // The old block is long enough for less, if there is no other. (Hardened, the size behind it stays the old one.)
            return if size <= old_size { old.as_ptr().cast() } else { new };
        }
        new.cast::<u8>().copy_from_nonoverlapping(old.as_ptr(), old_size.min(size));
        deallocate(old.as_ptr().cast());
        new
    }
}
