//! Frees by other threads: a list per page, one word of atomics, and a list of the pages that were told of.
//!
//! Whoever frees a block of another thread's page pushes it on the page's list. The owner takes the list in its slow
//! path when it comes by that page. It does not come by pages that have nothing free: those are *parked*, and the first
//! push on a parked page also puts the page on its owner's list of *told* ones, which the slow path always looks at.
//! A page that is being told of must not become anything else before its owner has taken it from that list.
//! (mimalloc's thread-free lists and delayed frees are the model: Leijen, Zorn, de Moura, "Mimalloc: Free List Sharding
//! in Action", 2019. There a delayed block is put on the heap's list; here the page is.)
//!
//! Nobody waits. A thread that stops in the middle, or is left behind by a fork, costs the memory of the page at most.
//!
//! Blocks and pages are offsets here, multiples of 8 and 1, and the links between them are the caller's to write, so
//! that the same file runs under loom; the atomics come from the parent module. The length of a page's list stands in the
//! upper bits of its word, because nobody but the owner may follow the list: the moment it is taken, its blocks are
//! somebody's.

use super::atomic::{AtomicUsize, Ordering};

/// The owner comes by this page.
const POLLED: usize = 0;
/// The owner does not: the first push has to tell.
const PARKED: usize = 1;
/// Somebody has told, or is about to.
const NOTIFIED: usize = 2;
const STATE: usize = 3;
/// There is a block.
const HAS_BLOCKS: usize = 4;
/// From this bit on it stands how many there are.
const COUNT_SHIFT: u32 = 48;
const ONE: usize = 1 << COUNT_SHIFT;

/// Where blocks end: the first offset that has no reserved beside the count.
pub(crate) const OFFSET_LIMIT: usize = ONE;

/// What other threads have freed of one page; 0 is nothing, and watched.
#[derive(Debug)]
pub(crate) struct RemoteFreeList(pub(crate) AtomicUsize);

/// What became of parking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkResult {
    /// The next push tells, or one has told already.
    Parked,
    /// There are blocks.
    NotEmpty,
}

fn count_of(word: usize) -> u32 {
    (word >> COUNT_SHIFT) as u32
}

fn head_of(word: usize) -> Option<usize> {
    (word & HAS_BLOCKS != 0).then_some(word & (ONE - 1) & !(STATE | HAS_BLOCKS))
}

impl RemoteFreeList {
    /// Pushes a block. `link` notes which block comes after it, and may be called more than once. If the page was parked
    /// this returns true, and the caller has to push it on its owner's [`NotifiedPages`].
    #[must_use]
    #[inline]
    pub(crate) fn push(&self, block: usize, mut link: impl FnMut(Option<usize>)) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            link(head_of(word));
            let is_parked = word & STATE == PARKED;
            let state = if is_parked { NOTIFIED } else { word & STATE };
            let count = (word & !(ONE - 1)).wrapping_add(ONE);
            let new = block | HAS_BLOCKS | state | count;
            match self.0.compare_exchange_weak(word, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return is_parked,
                Err(now) => word = now,
            }
        }
    }

    /// Takes all blocks; the first of them, and how many they are. For the owner.
    #[inline]
    pub(crate) fn take(&self) -> Option<(usize, u32)> {
        if self.0.load(Ordering::Relaxed) & HAS_BLOCKS == 0 {
            return None;
        }
        let word = self.0.fetch_and(STATE, Ordering::Acquire);
        head_of(word).map(|head| (head, count_of(word)))
    }

    /// From now on the owner does not come by. For the owner.
    pub(crate) fn park(&self) -> ParkResult {
        match self.0.compare_exchange(POLLED, PARKED, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) | Err(PARKED | NOTIFIED) => ParkResult::Parked,
            Err(word) if word & HAS_BLOCKS != 0 && word & STATE == NOTIFIED => ParkResult::Parked,
            Err(_) => ParkResult::NotEmpty,
        }
    }

    /// From now on the owner comes by again. For the owner.
    pub(crate) fn unpark(&self) {
        // What is told is taken off the list in its time.
        let _ = self.0.compare_exchange(PARKED, POLLED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The owner has taken the page from its list of told ones, and comes by.
    pub(crate) fn acknowledge(&self) {
        self.0.fetch_and(!STATE, Ordering::Relaxed);
    }

    /// Whether the page is on its owner's list of told ones, or is going to be.
    pub(crate) fn is_notified(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STATE == NOTIFIED
    }

    /// The first block, left where it is. For the owner, to look at the list.
    pub(crate) fn peek(&self) -> Option<usize> {
        head_of(self.0.load(Ordering::Acquire))
    }

    /// How many blocks there are.
    pub(crate) fn count(&self) -> u32 {
        count_of(self.0.load(Ordering::Relaxed))
    }

    /// EmptyPage, and watched: for a page that is made.
    pub(crate) fn reset(&self) {
        self.0.store(POLLED, Ordering::Relaxed);
    }
}

/// The pages that an owner was told of: a list of their numbers, 0 for its end.
#[derive(Debug)]
pub(crate) struct NotifiedPages(pub(crate) AtomicUsize);

impl NotifiedPages {
    /// Puts a page on the list; `link` notes which comes after it.
    pub(crate) fn push(&self, page: usize, mut link: impl FnMut(usize)) {
        let mut first = self.0.load(Ordering::Relaxed);
        loop {
            link(first);
            match self.0.compare_exchange_weak(first, page, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Takes the whole list; its first page. The page after one has to be read before that one is [`acknowledge`](RemoteFreeList::acknowledge).
    #[inline]
    pub(crate) fn take(&self) -> usize {
        if self.0.load(Ordering::Relaxed) == 0 { 0 } else { self.0.swap(0, Ordering::Acquire) }
    }
}
