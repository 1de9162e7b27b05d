//! Whether a thread's last fault was the same as this one.
//!
//! No thread-local storage: in a dynamic library the first access to it may allocate. No lock either: a thread has a
//! word of its own in a small set, which it finds by its number; others change it only to take it over.

use crate::math::random::fibonacci_hash;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// Words that share a set: so many threads, whose numbers are equal modulo [`SETS`], may fault by turns and are all
/// remembered.
const WAYS: usize = 8;
const SETS: usize = 256;

/// The last fault of each of many threads.
pub(super) struct LastFaults {
    sets: [[AtomicU64; WAYS]; SETS],
}

/// Bits of a word that are the thread's number, which the kernel keeps below this (`PID_MAX_LIMIT`); the rest are the
/// fault's.
const THREAD_BITS: u32 = 22;

impl LastFaults {
    pub(super) const fn new() -> Self {
        LastFaults { sets: [const { [const { AtomicU64::new(0) }; WAYS] }; SETS] }
    }

    /// Remembers a fault of a thread, and says whether it is the same as the thread's last one. Signal-safe.
    pub(super) fn is_repeated(&self, thread: u32, fault: [u64; 4]) -> bool {
        let mix = |hash: u64, fact: u64| fibonacci_hash(hash.rotate_left(23) ^ fact);
        let hash = fault.into_iter().fold(u64::from(thread), mix);
        let owner = u64::from(thread) & ((1 << THREAD_BITS) - 1);
        let word = hash << THREAD_BITS | owner;
        // The remainder is below the length: no bounds check is left.
        let set = &self.sets[thread as usize % SETS];
        let is_owned = |word: u64| word & ((1 << THREAD_BITS) - 1) == owner;
        let own = set.iter().find(|place| is_owned(place.load(Relaxed)));
        let free = || set.iter().find(|place| place.compare_exchange(0, word, Relaxed, Relaxed).is_ok());
        match own {
            Some(own) => own.swap(word, Relaxed) == word,
            None if free().is_some() => false,
            None => {
                // One thread has to make room, most likely one that ended long ago.
                set[hash as usize % WAYS].store(word, Relaxed);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LastFaults, SETS, WAYS};

    const FAULT: [u64; 4] = [0x1000, 0x2000, 3, 4];

    #[test]
    fn the_same_fault_is_known_and_another_is_not() {
        let faults = LastFaults::new();
        assert!(!faults.is_repeated(7, FAULT));
        assert!(faults.is_repeated(7, FAULT));
        for i in 0..4 {
            let mut other = FAULT;
            other[i] += 1;
            assert!(!faults.is_repeated(7, other), "{i}");
            assert!(faults.is_repeated(7, other), "{i}");
            assert!(!faults.is_repeated(7, FAULT), "only the last one counts");
        }
        assert!(!faults.is_repeated(8, FAULT), "another thread has not had it");
    }

    #[test]
    fn threads_that_share_a_set_and_fault_by_turns_are_told_apart() {
        let faults = LastFaults::new();
        let threads = || (0..WAYS).map(|i| u32::try_from(5 + i * SETS).unwrap());
        assert!(threads().all(|thread| !faults.is_repeated(thread, FAULT)));
        for _ in 0..3 {
            assert!(threads().all(|thread| faults.is_repeated(thread, FAULT)));
        }
    }

    #[test]
    fn a_thread_that_comes_when_a_set_is_full_finds_room() {
        let faults = LastFaults::new();
        for i in 0..10 * WAYS {
            let thread = u32::try_from(5 + i * SETS).unwrap();
            assert!(!faults.is_repeated(thread, FAULT));
            assert!(faults.is_repeated(thread, FAULT), "{i}");
        }
    }
}
