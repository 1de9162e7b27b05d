//! Memory for the time before there is an allocator.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

/// `N` bytes for what is allocated while an allocator is initialised. Nothing is freed.
#[derive(Debug)]
pub struct BootArena<const N: usize> {
    used: AtomicUsize,
    bytes: UnsafeCell<BootBytes<N>>,
}

#[derive(Debug)]
#[repr(align(64))]
struct BootBytes<const N: usize>([MaybeUninit<u8>; N]);

// SAFETY: the counter is atomic, and every byte is handed out once.
unsafe impl<const N: usize> Sync for BootArena<N> {}

/// Before every block: how long it is.
const HEADER: usize = 16;

impl<const N: usize> BootArena<N> {
    /// An empty one.
    pub const fn new() -> Self {
        BootArena { used: AtomicUsize::new(0), bytes: UnsafeCell::new(BootBytes([MaybeUninit::zeroed(); N])) }
    }

    /// A block of zeros for `size` bytes at a multiple of `align`, which is a power of two; null if they do not fit.
    pub fn allocate(&self, size: usize, align: usize) -> *mut u8 {
        let base: *mut u8 = self.bytes.get().cast();
        let align = align.max(HEADER);
        let position = |used: usize| {
            let start =
                base.addr().checked_add(used + HEADER)?.checked_next_multiple_of(align)? - base.addr();
            // (One byte at least: the address of an empty block is one of these bytes, too.)
            Some((start, start.checked_add(size.max(1)).filter(|end| *end <= N)?))
        };
        let Ok(used) = self.used.fetch_update(Relaxed, Relaxed, |used| position(used).map(|(_, end)| end))
        else {
            return null_mut();
        };
        let Some((start, _)) = position(used) else { return null_mut() };
        let block = base.wrapping_add(start);
        // SAFETY: the header lies in the bytes that were reserved just now, before the block, which is aligned to 16: so is
        // the header.
        unsafe { block.wrapping_sub(HEADER).cast::<usize>().write(size) };
        block
    }

    /// Whether an address is one of these bytes.
    #[inline]
    pub fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.bytes.get().addr()) < N
    }

    /// How long a block is.
    ///
    /// # Safety
    /// It is one of [`allocate`](Self::allocate)'s.
    pub unsafe fn size_of(&self, block: *const u8) -> usize {
        // SAFETY: `allocate` wrote the size in front of the block.
        unsafe { block.wrapping_sub(HEADER).cast::<usize>().read() }
    }
}

impl<const N: usize> Default for BootArena<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_blocks_are_apart_and_aligned() {
        let boot = BootArena::<4096>::new();
        let mut end = 0;
        for (size, align) in [(1, 1), (7, 8), (100, 64), (0, 1), (16, 512), (3, 1), (5, 16)] {
            let block = boot.allocate(size, align);
            assert!(boot.contains(block) && block.addr().is_multiple_of(align.max(16)));
            assert!(block.addr() >= end + HEADER || end == 0);
            end = block.addr() + size;
            // SAFETY: a block of this one's.
            unsafe {
                assert_eq!(boot.size_of(block), size);
                block.write_bytes(0xFF, size);
            }
        }
        assert!(boot.allocate(4096, 1).is_null() && boot.allocate(usize::MAX, 1).is_null());
        assert!(boot.allocate(8, 1 << 62).is_null());
        assert!(!boot.allocate(8, 1).is_null(), "a refusal takes nothing");
        // An empty block at the end is one of these bytes, too.
        let full = BootArena::<64>::new();
        let last = full.allocate(0, 16);
        assert!(full.contains(last) && full.contains(full.allocate(0, 16)));
        assert!(full.allocate(0, 16).is_null());
    }
}
