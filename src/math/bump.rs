//! Where the next block starts and ends.

/// The addresses of a block: `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The first byte; a multiple of the block's alignment.
    pub start: usize,
    /// The byte after the last one, a multiple of the minimum alignment: the next position.
    pub end: usize,
}

/// Places `size` bytes aligned to `align` at or after `position`, and leaves the position a multiple of
/// `min_align`. Compare [`Block::end`] with the limit afterwards: ends are compared, never differences,
/// because `limit - position` wraps when a limit was set below what is used.
///
/// As in a [`Layout`](core::alloc::Layout), `align` is a power of two and `size` rounded up to it is at most
/// `isize::MAX`; `position` is an address that is in use, aligned to `min_align`. Then nothing can wrap on a 64-bit machine: an address is below 2^57, so the sum
/// stays below 2^63 + 2^57 plus two paddings. There the compiler is given plain additions, which is what
/// makes a check seven instructions long; elsewhere they saturate, so that a block that does not fit the
/// address space ends beyond every limit.
///
/// ```
/// # use highwater::internal::math::bump::{Block, bump_up};
/// assert_eq!(bump_up(0x1008, 12, 16, 8), Block { start: 0x1010, end: 0x1020 });
/// ```
#[inline(always)]
pub const fn bump_up(position: usize, size: usize, align: usize, min_align: usize) -> Block {
    debug_assert!(align.is_power_of_two() && min_align.is_power_of_two(), "an alignment is a power of two");
    debug_assert!(position & (min_align - 1) == 0, "the position keeps the minimum alignment");
    debug_assert!(size <= isize::MAX as usize, "a size is at most isize::MAX");
    // With both alignments known while compiling, either padding folds away when it cannot be needed.
    let start = if align > min_align { round_up(position, align) } else { position };
    let end = add(start, if size & (min_align - 1) == 0 { size } else { round_up(size, min_align) });
    Block { start, end }
}

#[inline(always)]
const fn round_up(value: usize, align: usize) -> usize {
    add(value, align - 1) & !(align - 1)
}

#[cfg(target_pointer_width = "64")]
#[inline(always)]
const fn add(a: usize, b: usize) -> usize {
    debug_assert!(a.checked_add(b).is_some(), "no address plus a layout wraps on a 64-bit machine");
    a.wrapping_add(b)
}

#[cfg(not(target_pointer_width = "64"))]
#[inline(always)]
const fn add(a: usize, b: usize) -> usize {
    a.saturating_add(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::alloc::Layout;
    use proptest::prelude::*;

    fn model(position: u128, size: u128, align: u128, min_align: u128) -> (u128, u128) {
        let start = position.div_ceil(align) * align;
        (start, (start + size).div_ceil(min_align) * min_align)
    }

    proptest! {
        #[test]
        fn agrees_with_wide_arithmetic(
            position in 0usize..1 << 57,
            size in prop_oneof![0usize..5000, any::<usize>()],
            align in 0u32..62,
            min_align in 0u32..13,
        ) {
            let (align, min_align) = (1usize << align, 1usize << min_align);
            let position = position & !(min_align - 1);
            prop_assume!(Layout::from_size_align(size, align).is_ok());
            let block = bump_up(position, size, align, min_align);
            let (start, end) = model(position as u128, size as u128, align as u128, min_align as u128);
            prop_assert_eq!((block.start as u128, block.end as u128), (start, end));
        }
    }

    #[test]
    fn the_largest_layouts_end_beyond_every_address() {
        for (size, align) in [(isize::MAX as usize, 1), (isize::MAX as usize - 65535, 65536), (0, 1 << 62)] {
            let block = bump_up((1 << 57) - 8, size, align, 8);
            assert!(block.end >= block.start);
            assert!(block.end >= 1 << 57, "{size} {align} wrapped");
        }
    }
}
