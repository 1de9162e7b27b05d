//! Pseudo-random numbers: splitmix64, by Steele, Lea and Flood.

/// What the state of splitmix64 advances by: 2^64 divided by the golden ratio, made odd.
pub const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that follows the state `state`. The next state is `state` plus [`GOLDEN_GAMMA`], so the `n`-th number of
/// the sequence that starts at `seed` is `splitmix64(seed + n * GOLDEN_GAMMA)`, for `n` from 0, with wrapping arithmetic.
///
/// ```
/// # use highwater::internal::math::random::splitmix64;
/// assert_eq!(splitmix64(1_234_567), 6_457_827_717_110_365_317);
/// ```
pub const fn splitmix64(state: u64) -> u64 {
    let mixed = state.wrapping_add(GOLDEN_GAMMA);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The product of a word and [`GOLDEN_GAMMA`], whose upper bits depend on all bits of the word (Fibonacci hashing).
pub const fn fibonacci_hash(word: u64) -> u64 {
    word.wrapping_mul(GOLDEN_GAMMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sequence() {
        let nth = |n: u64| splitmix64(1_234_567u64.wrapping_add(n.wrapping_mul(GOLDEN_GAMMA)));
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([nth(0), nth(1), nth(2)], expected);
    }
}
