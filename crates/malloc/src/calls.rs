//! Everything off the fast paths. What is wrong with a call ends the process, as with any malloc that looks.

use crate::process::{self, Process};
use crate::sampled::Pool;
use crate::slot::Slot;
use crate::{BOOT, foreign, stats, wrong};
use core::ffi::{c_int, c_void};
use core::hint::cold_path;
use core::ptr::{NonNull, null_mut};
use highwater::Cause;
use highwater::heap::HeapError;
use highwater::internal::heap::{ThreadHeap, ThreadSlot};
use highwater::internal::sys::OnceState;

/// What every block is aligned to, in bytes.
pub(crate) const ALIGN: usize = 16;

fn errno() -> *mut c_int {
    // SAFETY: the calling thread's.
    unsafe { libc::__errno_location() }
}

fn set_errno(value: c_int) {
    // SAFETY: the calling thread's.
    unsafe { errno().write(value) };
}

/// Makes a call after which `errno` is what it was.
pub(crate) fn keeping_errno<R>(call: impl FnOnce() -> R) -> R {
    // SAFETY: the calling thread's.
    let before = unsafe { errno().read() };
    let result = call();
    set_errno(before);
    result
}

/// There is no memory for it.
#[cold]
pub(crate) fn refuse() -> *mut c_void {
    set_errno(libc::ENOMEM);
    null_mut()
}

/// There is no such alignment.
#[cold]
pub(crate) fn invalid() -> *mut c_void {
    set_errno(libc::EINVAL);
    null_mut()
}

pub(crate) fn page_size() -> usize {
    // SAFETY: asks for a figure.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Why there is no block; or one of the system's after all.
#[cold]
fn refused(process: &Process, error: &HeapError, size: usize, align: usize) -> *mut c_void {
    match error {
        HeapError::OutOfMemory(error) if process.shares && error.cause() == Cause::ReservationExhausted => {
            foreign::place(size, align)
        }
        HeapError::OutOfMemory(_) | HeapError::TooLarge { .. } => refuse(),
        error => wrong::heap(error),
    }
}

/// A block for `size` bytes at a multiple of `align`, which is a power of two.
#[inline(never)]
pub(crate) fn place(size: usize, align: usize) -> *mut c_void {
    // (Then errno stays as it is, and so does what is noted of the region.)
    if let Some(process) = process::made()
        && !process.looks
        && let Some(block) = process.heap.allocate_locked_fast(size.max(1), align.max(ALIGN))
    {
        return block.as_ptr().cast();
    }
    with_heap(size, align, |process| process.place(size, align, false))
}

/// A block of a size that no table leads to, or of a thread that has no table.
#[inline(never)]
pub(crate) fn place_larger(size: usize) -> *mut c_void {
    let local = Slot::get(0);
    // (One compare for both ends.)
    if !(ThreadHeap::MAX_DIRECT + 1..=ThreadHeap::MAX_SMALL).contains(&size) {
        return place(size, ALIGN);
    }
    if local.is_null() {
        cold_path();
        return place(size, ALIGN);
    }
    // SAFETY: the slot's entry is the calling thread's, and the size was compared.
    match unsafe { ThreadHeap::allocate_small(local, size) } {
        Some(block) => block.as_ptr().cast(),
        None => place(size, ALIGN),
    }
}

/// The same with zeros.
#[inline(never)]
pub(crate) fn place_zeroed(size: usize) -> *mut c_void {
    with_heap(size, ALIGN, |process| process.place(size, ALIGN, true))
}

/// Asks the heap; or whoever is there instead, whose blocks are fresh.
#[inline(always)]
fn with_heap(
    size: usize,
    align: usize,
    call: impl FnOnce(&'static Process) -> Result<NonNull<u8>, HeapError>,
) -> *mut c_void {
    // SAFETY: the calling thread's.
    let before = unsafe { errno().read() };
    let block = match process::get() {
        OnceState::Ready(process) => {
            let block = match call(process) {
                Ok(block) => block.as_ptr().cast(),
                Err(error) => refused(process, &error, size, align),
            };
            stats::note(process);
            block
        }
        OnceState::Initializing => {
            let block: *mut c_void = BOOT.allocate(size, align).cast();
            if block.is_null() { refuse() } else { block }
        }
        OnceState::Failed => foreign::place(size, align),
    };
    if !block.is_null() {
        set_errno(before);
    }
    block
}

impl Process {
    #[inline]
    fn place(&'static self, size: usize, align: usize, is_zero: bool) -> Result<NonNull<u8>, HeapError> {
        let (size, align) = (size.max(1), align.max(ALIGN));
        if self.looks {
            self.place_looked_at(size, align, is_zero)
        } else if is_zero {
            self.heap.allocate_zeroed(size, align)
        } else {
            self.heap.allocate_after_miss(size, align)
        }
    }

    #[cold]
    fn place_looked_at(&self, size: usize, align: usize, is_zero: bool) -> Result<NonNull<u8>, HeapError> {
        // (Pages of its own are zero.)
        if let Some(block) = self.pool.as_ref().and_then(|pool| pool.place(size, align)) {
            return Ok(block);
        }
        match &self.hardened {
            Some(secret) => secret.place(&self.heap, size, align, is_zero),
            None if is_zero => self.heap.allocate_zeroed(size, align),
            None => self.heap.allocate_after_miss(size, align),
        }
    }

    /// # Safety
    /// As for `free`; the block is the heap's.
    #[inline]
    unsafe fn take(&'static self, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        let taken = unsafe {
            match &self.hardened {
                Some(secret) => secret.take(&self.heap, block),
                None => self.heap.deallocate_after_miss(block),
            }
        };
        if let Err(error) = taken {
            wrong::heap(&error);
        }
    }
}

/// Whose a block is.
enum Owner {
    Heap(&'static Process),
    /// It has pages of its own.
    Pool(&'static Pool),
    /// Bytes of the beginning, which nobody uses again.
    Boot,
    Another,
}

#[inline]
fn owner(block: *const u8) -> Owner {
    if let Some(process) = process::made() {
        if process.heap.contains(block) {
            return Owner::Heap(process);
        }
        if let Some(pool) = process.pool.as_ref().filter(|pool| pool.contains(block)) {
            return Owner::Pool(pool);
        }
    }
    if BOOT.contains(block) { Owner::Boot } else { Owner::Another }
}

/// Takes a block back.
///
/// # Safety
/// As for `free`.
#[inline(never)]
pub(crate) unsafe fn take(block: *mut c_void) {
    let Some(block) = NonNull::new(block.cast::<u8>()) else { return };
    if let Some(process) = process::made()
        && !process.looks
        // SAFETY: the caller's promise.
        && unsafe { process.heap.deallocate_locked_fast(block) }
    {
        return;
    }
    keeping_errno(|| {
        // SAFETY: the caller's promise.
        unsafe {
            match owner(block.as_ptr()) {
                Owner::Heap(process) => process.take(block),
                Owner::Pool(pool) => pool.take(block),
                Owner::Boot => {}
                Owner::Another => {
                    foreign::take(block, process::made().is_some_and(|made| made.hardened.is_some()))
                }
            }
        }
    });
}

/// How many bytes of a block may be used.
///
/// # Safety
/// As for `malloc_usable_size`.
pub(crate) unsafe fn usable_size(block: *mut c_void) -> usize {
    let Some(block) = NonNull::new(block.cast::<u8>()) else { return 0 };
    // SAFETY: the caller's promise.
    keeping_errno(|| unsafe { size_of_block(block) })
}

/// # Safety
/// As for `malloc_usable_size`.
unsafe fn size_of_block(block: NonNull<u8>) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        match owner(block.as_ptr()) {
            Owner::Heap(process) => {
                let size = match &process.hardened {
                    Some(secret) => secret.size(&process.heap, block),
                    None => process.heap.usable_size(block),
                };
                size.unwrap_or_else(|error| wrong::heap(&error))
            }
            Owner::Pool(pool) => pool.size(block),
            Owner::Boot => BOOT.size_of(block.as_ptr()),
            Owner::Another => foreign::size(block),
        }
    }
}

/// What a block of so many bytes has.
pub(crate) fn good_size(size: usize) -> usize {
    match process::made() {
        Some(process) if !process.looks => process.heap.good_size(size.max(1)),
        _ => size,
    }
}

/// A block with another size.
///
/// # Safety
/// As for `realloc`.
#[inline(never)]
pub(crate) unsafe fn resize(block: *mut c_void, size: usize) -> *mut c_void {
    let Some(old) = NonNull::new(block.cast::<u8>()) else { return place(size, ALIGN) };
    // SAFETY: the caller's promise.
    unsafe {
        if size == 0 {
            take(block);
            return null_mut();
        }
        match owner(old.as_ptr()) {
            Owner::Heap(process) if !process.looks => {
                let before = errno().read();
                let new = process.heap.reallocate(old, size, ALIGN);
                stats::note(process);
                match new {
                    Ok(new) => {
                        set_errno(before);
                        new.as_ptr().cast()
                    }
                    Err(HeapError::OutOfMemory(_)) if process.shares => copied(old, size),
                    Err(error) => refused(process, &error, size, ALIGN),
                }
            }
            // (Where the system's malloc serves as well, it can do without a second block.)
            Owner::Another if process::made().is_none_or(|process| process.shares) => {
                foreign::resize(old, size)
            }
            _ => copied(old, size),
        }
    }
}

/// A new block with what the old one held, which is gone then.
///
/// # Safety
/// As for `realloc`.
unsafe fn copied(old: NonNull<u8>, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise; the new block is another one.
    unsafe {
        let had = keeping_errno(|| size_of_block(old));
        let new = place(size, ALIGN);
        if new.is_null() {
            // It is long enough for less, if there is nowhere else. (Hardened, what is behind is the size it had.)
            return if size <= had { old.as_ptr().cast() } else { new };
        }
        new.cast::<u8>().copy_from_nonoverlapping(old.as_ptr(), had.min(size));
        take(old.as_ptr().cast());
        new
    }
}
