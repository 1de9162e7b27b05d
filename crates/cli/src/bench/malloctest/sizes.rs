//! The sizes of the blocks: drawn before the clock starts, and the same for all contenders.

use std::{io, slice};

use memmap2::MmapMut;

use super::plan::WorkShape;
use crate::random::SplitMix64;

/// An arbitrary fixed seed.
const SEED: u64 = 0x6869_6768_7761_7465;

/// A thread's table of sizes, in a mapping of its own: it uses no memory of the allocator that is measured.
pub struct Sizes {
    map: MmapMut,
    iterations: usize,
    lower: u32,
    span: u32,
}

impl Sizes {
    /// A table for the blocks of an array, with all its pages touched.
    pub fn new(shape: &WorkShape) -> io::Result<Self> {
        let map = MmapMut::map_anon(shape.iterations * size_of::<u32>())?;
        let span = shape.upper - shape.lower;
        let mut sizes = Self { map, iterations: shape.iterations, lower: shape.lower, span };
        sizes.table().fill(shape.lower);
        Ok(sizes)
    }

    /// Draws the sizes for one repeat of one thread.
    pub fn draw(&mut self, thread: usize, repeat: usize) -> &[u32] {
        let mut random = SplitMix64::new(SEED ^ (thread as u64) << 40 ^ (repeat as u64) << 8);
        let (lower, span) = (self.lower, self.span);
        for size in self.table().iter_mut() {
            *size = lower + random.below(span);
        }
        self.table()
    }

    fn table(&mut self) -> &mut [u32] {
        // SAFETY: the mapping is page-aligned, has room for `iterations` numbers, and is borrowed exclusively with `self`; any
        // bytes are valid numbers.
        unsafe { slice::from_raw_parts_mut(self.map.as_mut_ptr().cast(), self.iterations) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: WorkShape = WorkShape { threads: 2, repeats: 3, iterations: 10_000, lower: 10, upper: 1000 };

    #[test]
    fn sizes_cover_the_range() {
        let mut sizes = Sizes::new(&SHAPE).unwrap();
        let drawn = sizes.draw(0, 0);
        assert_eq!(drawn.len(), 10_000);
        assert_eq!(drawn.iter().min(), Some(&10));
        assert_eq!(drawn.iter().max(), Some(&999));
        let mean = drawn.iter().map(|size| f64::from(*size)).sum::<f64>() / 10_000.0;
        assert!((490.0..519.0).contains(&mean), "{mean}");
    }

    #[test]
    fn sizes_differ_between_repeats_and_are_reproducible() {
        let mut sizes = Sizes::new(&SHAPE).unwrap();
        let first = sizes.draw(0, 0).to_vec();
        assert_ne!(first, sizes.draw(0, 1));
        assert_ne!(first, sizes.draw(1, 0));
        assert_eq!(first, Sizes::new(&SHAPE).unwrap().draw(0, 0));
    }

    #[test]
    fn a_range_of_one_size() {
        let shape = WorkShape { lower: 16, upper: 17, ..SHAPE };
        assert!(Sizes::new(&shape).unwrap().draw(1, 2).iter().all(|size| *size == 16));
    }
}
