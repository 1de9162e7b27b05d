//! Pseudo-random numbers: splitmix64 (Steele, Lea and Flood).

use highwater::internal::math::random::GOLDEN_GAMMA;
pub use highwater::internal::math::random::splitmix64 as mix;

/// The generator: uniformly distributed whatever the seed.
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `span`, which is at least 1; biased by at most one in 2^32.
    pub fn below(&mut self, span: u32) -> u32 {
        (((self.next() >> 32) * u64::from(span)) >> 32) as u32
    }

    fn next(&mut self) -> u64 {
        let number = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sequence_of_seed_1234567() {
        let mut random = SplitMix64::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.next(), random.next(), random.next()], expected);
    }
}
