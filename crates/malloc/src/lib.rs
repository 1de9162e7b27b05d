//! `libhighwater_malloc.so`: malloc and what belongs to it over one reserved region, for programs that were not written
//! for it.
//!
//! - this file: what is exported, and the fast paths
//! - `slot`: where a thread keeps what it has of the heap; `process`: the heap, and how it comes to be
//! - `calls`: everything off the fast paths; `foreign`: blocks of other allocators
//! - `options`, `environment`: what can be asked for; `stats`: what is told at the end
//! - `hardened`, `sampled`, `wrong`: how misuse is found, and named
//!
//! # Rules in here
//! Anybody may call at any time: the dynamic loader before there is an `environ`, a constructor, a destructor of a thread
//! that has ended, a child between fork and exec. So nothing allocates but from the few bytes of [`BOOT`], takes a lock of
//! std's, or uses a `thread_local!`; and `errno` is what it was unless a call fails.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(not(target_os = "linux"))]
compile_error!("this library is for Linux: elsewhere nothing reads LD_PRELOAD");

mod calls;
mod environment;
mod file;
mod foreign;
mod hardened;
mod options;
mod process;
mod sampled;
mod slot;
mod stats;
mod wrong;

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use highwater::internal::heap::{ThreadHeap, ThreadSlot};
use highwater::internal::sys::BootArena;
use slot::Slot;

/// What is allocated while the heap is made, by us and by whatever the system's library needs for it.
static BOOT: BootArena<{ 128 << 10 }> = BootArena::new();

/// Our own Rust code has no other memory.
struct OfBoot;

// SAFETY: its blocks are apart, and stay for ever.
unsafe impl GlobalAlloc for OfBoot {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BOOT.allocate(layout.size(), layout.align())
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static OF_BOOT: OfBoot = OfBoot;

/// A block of `size` bytes.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // (Two ways out, so that there are two branches and no sum of two conditions.)
    if size >= Slot::above() {
        return calls::place_larger(size);
    }
    // SAFETY: the slot's entry is the calling thread's, and there is one, for sizes up to what was compared.
    match unsafe { ThreadHeap::allocate_direct(Slot::get(0), size) } {
        Some(block) => block.as_ptr().cast(),
        None => calls::place(size, calls::ALIGN),
    }
}

/// Takes a block back.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    // (A thread has an entry only when there is a heap, which is a general one. Null is in no heap.)
    if !Slot::get(0).is_null()
        // SAFETY: as above, and the caller's promise.
        && unsafe { process::known().heap.deallocate_local(block.cast()) }
    {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { calls::take(block) }
}

/// A block of `count` times `size` bytes, all zero.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(size) = count.checked_mul(size) else { return calls::refuse() };
    if size >= Slot::above() {
        return calls::place_zeroed(size);
    }
    // SAFETY: as in `malloc`.
    let Some(block) = (unsafe { ThreadHeap::allocate_direct(Slot::get(0), size) }) else {
        return calls::place_zeroed(size);
    };
    // SAFETY: a fresh block of so many bytes.
    unsafe { block.write_bytes(0, size) };
    block.as_ptr().cast()
}

/// The block with `size` bytes, there or elsewhere. Of no bytes: it is freed, as glibc does.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { calls::resize(block, size) }
}

/// [`realloc`] of `count` times `size` bytes.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(size) => unsafe { calls::resize(block, size) },
        None => calls::refuse(),
    }
}

/// [`realloc`] that frees the block when it fails.
///
/// # Safety
/// As BSD has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocf(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe {
        let new = calls::resize(block, size);
        if new.is_null() && size != 0 {
            calls::take(block);
        }
        new
    }
}

/// A block at a multiple of `align`, which is made a power of two, as glibc does.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match align.checked_next_power_of_two() {
        Some(align) => calls::place(size, align),
        None => calls::invalid(),
    }
}

/// [`memalign`], which takes powers of two only.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { calls::place(size, align) } else { calls::invalid() }
}

/// [`memalign`] that returns what is wrong and leaves `errno` alone.
///
/// # Safety
/// As POSIX has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    let block = calls::keeping_errno(|| calls::place(size, align));
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's promise.
    unsafe { to.write(block) };
    0
}

/// A block at a multiple of the page size.
///
/// # Safety
/// As glibc has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
    calls::place(size, calls::page_size())
}

/// A block of whole pages.
///
/// # Safety
/// As glibc has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
    let page = calls::page_size();
    match size.max(1).checked_next_multiple_of(page) {
        Some(size) => calls::place(size, page),
        None => calls::refuse(),
    }
}

/// How many bytes of a block may be used; 0 for null.
///
/// # Safety
/// As glibc has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { calls::usable_size(block) }
}

/// How many bytes a block of `size` bytes has.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_good_size(size: usize) -> usize {
    calls::good_size(size)
}

/// [`free`], as it was called once.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { free(block) }
}

/// [`free`]; the size is not needed.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(block) }
}

/// [`free`]; neither is needed.
///
/// # Safety
/// As C has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(block) }
}

/// Gives memory that is free back to the system, but for about `keep` bytes; 1 if there was any.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(keep: usize) -> c_int {
    calls::keeping_errno(|| process::made().map_or(0, |process| c_int::from(process.heap.trim(keep) > 0)))
}

/// The figures of the heap.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo2() -> stats::Mallinfo2 {
    calls::keeping_errno(stats::mallinfo2)
}
