//! What the model knows: every live allocation and its pattern, the position, the limits.

use super::super::kind::CONTIGUOUS;
use highwater::Checkpoint;

/// A live allocation, filled with a pattern of its ordinal.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    pub start: *mut u8,
    pub len: usize,
    pub align: usize,
    pub ordinal: u64,
}

pub fn pattern(ordinal: u64, i: usize) -> u8 {
    (ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8 ^ (i as u8).wrapping_mul(31)
}

#[derive(Default)]
pub struct Model {
    pub live: Vec<Live>,
    pub checkpoints: Vec<(Checkpoint, usize)>,
    pub ordinal: u64,
    /// The address of the region's first byte.
    pub base: usize,
    /// What the arena or the scope in use reported after the last call.
    pub used: usize,
    pub limit: usize,
    pub peak: usize,
}

impl Model {
    /// Where a block goes, and where the position is afterwards, as offsets.
    pub fn place<const MIN: usize>(&self, size: usize, align: usize) -> (usize, usize) {
        let start = (self.base + self.used).next_multiple_of(align.max(MIN)) - self.base;
        (start, start + size.next_multiple_of(MIN))
    }

    /// Fills a fresh allocation and remembers it.
    pub fn add(&mut self, start: *mut u8, len: usize, align: usize) {
        self.ordinal += 1;
        let ordinal = self.ordinal;
        for i in 0..len {
            // SAFETY: the caller was handed `len` bytes there.
            unsafe { start.add(i).write(pattern(ordinal, i)) };
        }
        self.live.push(Live { start, len, align, ordinal });
    }

    pub fn add_slice<T>(&mut self, slice: &mut [T]) {
        self.add(slice.as_mut_ptr().cast(), size_of_val(slice), align_of::<T>());
    }

    /// Everything that lives is aligned, apart from everything else, below `used` where blocks lie
    /// side by side, and holds its pattern.
    pub fn verify(&self, min_align: usize) {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for live in &self.live {
            assert_eq!(live.start.addr() % live.align, 0, "{live:?}");
            if live.len == 0 {
                continue;
            }
            assert_eq!(live.start.addr() % min_align, 0, "{live:?}");
            let from = live.start.addr();
            if CONTIGUOUS {
                assert!(
                    from >= self.base && from - self.base + live.len <= self.used,
                    "{live:?} of {}",
                    self.used
                );
            }
            ranges.push((from, from + live.len));
            for i in 0..live.len {
                // SAFETY: the allocation lives, and all of it was written.
                let byte = unsafe { live.start.add(i).read() };
                assert_eq!(byte, pattern(live.ordinal, i), "{live:?} at {i}");
            }
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:?} overlap");
        }
    }
}
