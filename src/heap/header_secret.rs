//! What tells a header of ours from anything else that stands in memory.

use crate::math::random::GOLDEN_GAMMA;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// A secret of one heap, another one after each reset, so that what stands in memory from before is no header.
#[derive(Clone, Copy)]
pub(super) struct HeaderSecret(u64);

impl HeaderSecret {
    pub(super) fn new(address: usize) -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(GOLDEN_GAMMA);
        // Addresses differ from run to run, the number from heap to heap. (This is against accidents, not attacks.)
        let number = DRAWN.fetch_add(GOLDEN_GAMMA, Relaxed);
        HeaderSecret(folded(number ^ (address as u64).rotate_left(20), 0x94d0_49bb_1331_11eb))
    }

    /// The stamp of two words that stand at `place`.
    #[inline(always)]
    pub(super) fn stamp(self, place: usize, first: u64, second: u64) -> u64 {
        folded(self.0 ^ first ^ (place as u64).rotate_left(20), second ^ 0xbf58_476d_1ce4_e5b9)
    }

    /// A shorter one, of which only the upper half says something: the second word is even.
    #[inline(always)]
    pub(super) fn short(self, place: usize, first: u64, second: u64) -> u64 {
        (self.0 ^ first ^ (place as u64).rotate_left(20)).wrapping_mul(second ^ 0xbf58_476d_1ce4_e5b9)
    }
}

/// A product folded in half, as in wyhash by Wang Yi: every bit of it depends on most bits of both.
#[inline(always)]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64)
}
