//! The sizes of the blocks: drawn before the clock starts, and the same for everybody.

use std::{io, slice};

use memmap2::MmapMut;

use super::plan::Shape;

/// Any number; results of other seeds are other results.
const SEED: u64 = 0x6869_6768_7761_7465;

/// A thread's table of sizes. In a mapping of its own: it takes nothing of the allocator that is measured.
pub struct Sizes {
    map: MmapMut,
    iterations: usize,
    lower: u32,
    span: u32,
}

impl Sizes {
    /// Room for an array's, all of it touched.
    pub fn new(shape: &Shape) -> io::Result<Self> {
        let map = MmapMut::map_anon(shape.iterations * size_of::<u32>())?;
        let span = shape.upper - shape.lower;
        let mut sizes = Self { map, iterations: shape.iterations, lower: shape.lower, span };
        sizes.table().fill(shape.lower);
        Ok(sizes)
    }

    /// Those of this thread's repeat.
    pub fn draw(&mut self, thread: usize, repeat: usize) -> &[u32] {
        let mut random = SplitMix(SEED ^ (thread as u64) << 40 ^ (repeat as u64) << 8);
        let (lower, span) = (self.lower, self.span);
        for size in self.table().iter_mut() {
            *size = lower + random.below(span);
        }
        self.table()
    }

    fn table(&mut self) -> &mut [u32] {
        // SAFETY: the mapping is ours, begins at a page, has room for so many, and any bytes are numbers.
        unsafe { slice::from_raw_parts_mut(self.map.as_mut_ptr().cast(), self.iterations) }
    }
}

/// Steele, Lea and Flood's generator: evenly spread whatever the seed.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `span`, which is at least 1. Uneven by at most one in 2^32.
    fn below(&mut self, span: u32) -> u32 {
        (((self.next() >> 32) * u64::from(span)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { threads: 2, repeats: 3, iterations: 10_000, lower: 10, upper: 1000 };

    #[test]
    fn all_sizes_of_the_range_and_no_others() {
        let mut sizes = Sizes::new(&SHAPE).unwrap();
        let drawn = sizes.draw(0, 0);
        assert_eq!(drawn.len(), 10_000);
        assert_eq!(drawn.iter().min(), Some(&10));
        assert_eq!(drawn.iter().max(), Some(&999));
        let mean = drawn.iter().map(|size| f64::from(*size)).sum::<f64>() / 10_000.0;
        assert!((490.0..519.0).contains(&mean), "{mean}");
    }

    #[test]
    fn each_repeat_has_its_own_and_always_the_same() {
        let mut sizes = Sizes::new(&SHAPE).unwrap();
        let first = sizes.draw(0, 0).to_vec();
        assert_ne!(first, sizes.draw(0, 1));
        assert_ne!(first, sizes.draw(1, 0));
        assert_eq!(first, Sizes::new(&SHAPE).unwrap().draw(0, 0));
    }

    #[test]
    fn one_size_alone() {
        let shape = Shape { lower: 16, upper: 17, ..SHAPE };
        assert!(Sizes::new(&shape).unwrap().draw(1, 2).iter().all(|size| *size == 16));
    }
}
