//! Memory for what is allocated before there is a heap.

use core::alloc::{GlobalAlloc, Layout};
use highwater::internal::sys::BootArena;

/// What is allocated while the heap is made, by this library and by what the C library needs for that.
pub(crate) static BOOT: BootArena<{ 128 << 10 }> = BootArena::new();

/// The allocator of this library's own Rust code, which has no other memory.
struct BootAllocator;

// SAFETY: blocks of `BOOT` do not overlap, have the size and alignment asked for, and are never freed.
unsafe impl GlobalAlloc for BootAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BOOT.allocate(layout.size(), layout.align())
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static BOOT_ALLOCATOR: BootAllocator = BootAllocator;
