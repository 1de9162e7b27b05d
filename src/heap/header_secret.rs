//! The stamp that distinguishes a block header from other data in memory.

use crate::math::random::GOLDEN_GAMMA;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// A secret of one heap. Each reset draws a new one, so that headers from before are none.
#[derive(Clone, Copy)]
pub(super) struct HeaderSecret(u64);

impl HeaderSecret {
    pub(super) fn new(address: usize) -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(GOLDEN_GAMMA);
        // The address differs between runs, the number between heaps. (This protects against accidents, not against attacks.)
        let number = DRAWN.fetch_add(GOLDEN_GAMMA, Relaxed);
        HeaderSecret(folded(number ^ (address as u64).rotate_left(20), 0x94d0_49bb_1331_11eb))
    }

    /// The stamp of two words at `address`.
    #[inline(always)]
    pub(super) fn stamp(self, address: usize, first: u64, second: u64) -> u64 {
        folded(self.0 ^ first ^ (address as u64).rotate_left(20), second ^ 0xbf58_476d_1ce4_e5b9)
    }

    /// A shorter stamp, of which only the upper half is meaningful: the second word is even.
    #[inline(always)]
    pub(super) fn short(self, address: usize, first: u64, second: u64) -> u64 {
        (self.0 ^ first ^ (address as u64).rotate_left(20)).wrapping_mul(second ^ 0xbf58_476d_1ce4_e5b9)
    }
}

/// The product folded in half, as in wyhash by Wang Yi: every bit depends on most bits of both factors.
#[inline(always)]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64)
}
