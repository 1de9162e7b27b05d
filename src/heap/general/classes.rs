//! Size classes: multiples of 16 bytes up to 128, then four to every doubling, so that no more than a fifth of a block
//! is wasted.

/// Every size and every block's address is a multiple of this, in bytes.
pub(super) const GRAIN: usize = 16;

/// The size of a slice in bytes: one entry of the table describes one slice.
pub(super) const SLICE_SHIFT: u32 = 16;
pub(super) const SLICE: usize = 1 << SLICE_SHIFT;

/// Blocks up to this size have pages of one slice.
pub(super) const MAX_SMALL: usize = 8 << 10;

/// Blocks up to this size have pages of eight slices; larger ones have slices of their own.
pub(super) const MAX_MEDIUM: usize = 64 << 10;
pub(super) const MEDIUM_SLICES: usize = 8;

/// Blocks up to this size are found through a table of pages by size.
pub(super) const MAX_DIRECT: usize = 1 << 10;
pub(super) const DIRECT_ENTRIES: usize = MAX_DIRECT / GRAIN + 1;

pub(super) const CLASSES: usize = class_of(MAX_MEDIUM) + 1;

/// The class of blocks that hold `size` bytes, which is from 1 to [`MAX_MEDIUM`].
#[inline]
pub(super) const fn class_of(size: usize) -> usize {
    let last = size.wrapping_sub(1);
    if last < 128 {
        last / GRAIN
    } else {
        let log = last.ilog2() as usize;
        8 + (log - 7) * 4 + ((last >> (log - 2)) & 3)
    }
}

/// The size of a class's blocks in bytes.
#[inline]
pub(super) const fn size_of_class(class: usize) -> usize {
    if class < 8 {
        (class + 1) * GRAIN
    } else {
        let above = class - 8;
        (above % 4 + 5) << (5 + above / 4)
    }
}

/// The class whose blocks hold `size` bytes at an alignment; `None` if the block needs slices of its own. A page starts at a
/// multiple of 64 KiB, so its blocks have every alignment that their size is a multiple of.
#[inline]
pub(super) fn class_for(size: usize, align: usize) -> Option<usize> {
    if size > MAX_MEDIUM || align > MAX_MEDIUM {
        return None;
    }
    let mut class = class_of(size.max(align).max(1));
    // (The next power of two is a class, and a multiple.)
    while !size_of_class(class).is_multiple_of(align) {
        class += 1;
    }
    Some(class)
}

/// The usable size of a block of `size` bytes whose alignment is at most a grain.
pub(crate) fn good_size(size: usize) -> usize {
    match class_for(size, GRAIN) {
        Some(class) => size_of_class(class),
        None => size.checked_next_multiple_of(SLICE).unwrap_or(size),
    }
}

/// The entries of the table by size that belong to a class.
pub(super) fn direct_range(class: usize) -> core::ops::Range<usize> {
    let first = if class == 0 { 0 } else { size_of_class(class - 1) / GRAIN + 1 };
    first.min(DIRECT_ENTRIES)..(size_of_class(class) / GRAIN + 1).min(DIRECT_ENTRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for size in 1..=MAX_MEDIUM {
            let class = class_of(size);
            assert!(size <= size_of_class(class), "{size}");
            assert!(class == 0 || size > size_of_class(class - 1), "{size}");
        }
        assert_eq!(size_of_class(CLASSES - 1), MAX_MEDIUM);
    }

    #[test]
    fn a_fifth_is_wasted_at_most() {
        for size in 128..=MAX_MEDIUM {
            let class = size_of_class(class_of(size));
            assert!((class - size) * 5 <= class, "{size}");
        }
    }

    #[test]
    fn alignments_are_those_of_the_size() {
        for align in (0..=16).map(|log| 1usize << log) {
            for size in (1..=MAX_MEDIUM).step_by(7) {
                let class = class_for(size, align).expect("it is small enough");
                assert_eq!(size_of_class(class) % align, 0, "{size} at {align}");
                assert!(size_of_class(class) >= size);
            }
        }
        assert_eq!(class_for(16, 128 << 10), None);
        assert_eq!(class_for(MAX_MEDIUM + 1, 1), None);
    }

    #[test]
    fn the_table_by_size_is_covered_once() {
        let mut next = 0;
        for class in 0..CLASSES {
            let range = direct_range(class);
            assert_eq!(range.start, next);
            next = range.end;
            for entry in range {
                assert_eq!(class_of((entry * GRAIN).max(1)), class);
            }
        }
        assert_eq!(next, DIRECT_ENTRIES);
    }
}
