//! `libhighwater_malloc.so`: malloc and its relatives over one reserved region, for programs that were not written for it.
//!
//! - this file: what is exported, and the fast paths; `slow`: everything else of the calls
//! - `thread_slot`: where a thread keeps its thread heap; `state`: the heap, and how it is initialised
//! - `lifecycle`: what runs before `main`, around forks and at the end; `stats`: the figures of the heap
//! - `options`, `environment`: what can be asked for
//! - `hardened`, `guarded`, `misuse`: how misuse is found, and named; `foreign`: blocks of the system's malloc
//! - `boot`: memory from before the heap; `errno`: refusals
//!
//! # Rules in here
//! Any code may call at any time: the dynamic loader before there is an `environ`, a constructor, a destructor of a thread
//! that has ended, a child between fork and exec. So nothing allocates but from the few bytes of [`boot::BOOT`], waits for a
//! lock of std's, or uses a `thread_local!`; and errno is preserved unless a call fails.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(not(target_os = "linux"))]
compile_error!("this library is for Linux: elsewhere nothing reads LD_PRELOAD");

mod boot;
mod environment;
mod errno;
mod foreign;
mod guarded;
mod hardened;
mod lifecycle;
mod misuse;
mod options;
mod slow;
mod state;
mod stats;
mod thread_slot;

use core::ffi::{c_int, c_void};
use errno::{invalid_argument, out_of_memory};
use highwater::internal::heap::{ThreadHeap, ThreadSlot};
use highwater::internal::sys::{page_size, preserve_errno};
use thread_slot::TlsSlot;

/// Allocates a block of `size` bytes.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // (Two ways out, so that there are two branches and no sum of two conditions.)
    if size >= TlsSlot::direct_limit() {
        return slow::allocate_beyond_direct(size);
    }
    // SAFETY: below its direct limit the calling thread has a thread heap, which the slot holds.
    match unsafe { ThreadHeap::allocate_direct(TlsSlot::get(0), size) } {
        Some(block) => block.as_ptr().cast(),
        None => slow::allocate_after_miss(size),
    }
}

/// Deallocates a block.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    // (A thread has a thread heap with the general policy only, and after the state is initialised. Null is in no heap.)
    if !TlsSlot::get(0).is_null()
        // SAFETY: this thread has a thread heap, so it has seen the state initialised, with the general policy; a live
        // block is not used any more: this function's contract.
        && unsafe { state::get_unchecked().heap.deallocate_local(block.cast()) }
    {
        return;
    }
    // SAFETY: a live block is not used any more: this function's contract.
    unsafe { slow::deallocate(block) }
}

/// Allocates a block of `count` times `size` bytes, all zero.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(size) = count.checked_mul(size) else { return out_of_memory() };
    if size >= TlsSlot::direct_limit() {
        return slow::allocate_zeroed(size);
    }
    // SAFETY: below its direct limit the calling thread has a thread heap, which the slot holds.
    let Some(block) = (unsafe { ThreadHeap::allocate_direct(TlsSlot::get(0), size) }) else {
        return slow::allocate_zeroed(size);
    };
    // SAFETY: the block was allocated just now, and has at least `size` bytes.
    unsafe { block.write_bytes(0, size) };
    block.as_ptr().cast()
}

/// Reallocates a block. With a size of 0 it is deallocated, as by glibc.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contracts of the two functions are the same.
    unsafe { slow::reallocate(block, size) }
}

/// [`realloc`] of `count` times `size` bytes.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the contracts of the two functions are the same.
        Some(size) => unsafe { slow::reallocate(block, size) },
        None => out_of_memory(),
    }
}

/// [`realloc`] that deallocates the block if it fails, as on BSD.
///
/// # Safety
/// That of [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocf(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contract of `realloc`; where that failed the block is live, and not used any more: this function's contract.
    unsafe {
        let new = slow::reallocate(block, size);
        if new.is_null() && size != 0 {
            slow::deallocate(block);
        }
        new
    }
}

/// Allocates a block at a multiple of `align`, which is rounded up to a power of two, as by glibc.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match align.checked_next_power_of_two() {
        Some(align) => slow::allocate(size, align),
        None => invalid_argument(),
    }
}

/// [`memalign`], for powers of two only.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { slow::allocate(size, align) } else { invalid_argument() }
}

/// [`memalign`] that returns an error number and leaves errno alone.
///
/// # Safety
/// POSIX's: `to` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    let block = preserve_errno(|| slow::allocate(size, align));
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: `to` can be written to: this function's contract.
    unsafe { to.write(block) };
    0
}

/// Allocates a block at a multiple of the page size.
///
/// # Safety
/// glibc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
    slow::allocate(size, page_size())
}

/// Allocates a block of whole pages.
///
/// # Safety
/// glibc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
    let page = page_size();
    match size.max(1).checked_next_multiple_of(page) {
        Some(size) => slow::allocate(size, page),
        None => out_of_memory(),
    }
}

/// The usable bytes of a block; 0 for null.
///
/// # Safety
/// glibc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the contracts of the two functions are the same.
    unsafe { slow::usable_size(block) }
}

/// The usable bytes that a block of `size` bytes has.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_good_size(size: usize) -> usize {
    slow::good_size(size)
}

/// [`free`], under an older name.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the contracts of the two functions are the same.
    unsafe { free(block) }
}

/// [`free`]; the size is not used.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the contracts of the two functions are the same.
    unsafe { free(block) }
}

/// [`free`]; the other arguments are not used.
///
/// # Safety
/// The C standard's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the contracts of the two functions are the same.
    unsafe { free(block) }
}

/// Gives free memory back to the system, but for about `keep` bytes; 1 if there was any.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(keep: usize) -> c_int {
    preserve_errno(|| state::get().map_or(0, |state| c_int::from(state.heap.trim(keep) > 0)))
}

/// The figures of the heap.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo2() -> stats::Mallinfo2 {
    preserve_errno(|| state::get().map_or_else(stats::Mallinfo2::default, stats::mallinfo2))
}
