//! Frees by other threads: one remote free list per page, and one list per owner of the pages it was notified of.
//!
//! A thread that frees a block of another thread's page pushes it on the page's remote free list. The owner drains the list
//! in its slow path when it comes to that page. It does not come to pages that have no free block: those are *parked*, and
//! the first push on a parked page also puts the page on its owner's list of *notified* pages, which the slow path always
//! drains. A page that is being notified must not become anything else before its owner has taken it from that list.
//! (The model is mimalloc's thread-free lists and delayed frees: Leijen, Zorn, de Moura, "Mimalloc: Free List Sharding in
//! Action", 2019. There a delayed block is put on the heap's list; here the page is.)
//!
//! No thread waits. A thread that stops in the middle, or does not exist in a forked child, costs at most the page's memory.
//!
//! Blocks and pages are offsets here, multiples of 8 and of 1, and the caller writes the links between them, so that this
//! file also runs under loom; the atomics come from the parent module. The length of a page's list is in the upper bits of
//! its word, because only the owner may follow the list: once it is drained, its blocks may be allocated again.

use super::atomic::{AtomicUsize, Ordering};

/// The owner polls this page.
const POLLED: usize = 0;
/// The owner does not: the first push has to notify it.
const PARKED: usize = 1;
/// A thread has notified the owner, or is about to.
const NOTIFIED: usize = 2;
const STATE: usize = 3;
/// The list is not empty.
const HAS_BLOCKS: usize = 4;
/// The length of the list begins at this bit.
const COUNT_SHIFT: u32 = 48;
const ONE: usize = 1 << COUNT_SHIFT;

/// The limit of block offsets: larger ones do not fit beside the length.
pub(crate) const OFFSET_LIMIT: usize = ONE;

/// What other threads have freed of one page; 0 is an empty list, polled.
#[derive(Debug)]
pub(crate) struct RemoteFreeList(pub(crate) AtomicUsize);

/// The result of [`RemoteFreeList::park`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkResult {
    /// The next push notifies the owner, or one has done so already.
    Parked,
    /// The list is not empty: drain it first.
    NotEmpty,
}

fn count_of(word: usize) -> u32 {
    (word >> COUNT_SHIFT) as u32
}

fn head_of(word: usize) -> Option<usize> {
    (word & HAS_BLOCKS != 0).then_some(word & (ONE - 1) & !(STATE | HAS_BLOCKS))
}

impl RemoteFreeList {
    /// Pushes a block. `link` writes which block comes after it, and may be called more than once. If the page was parked this
    /// returns true, and the caller must push the page on its owner's [`NotifiedPages`].
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

    /// Takes all blocks: the first one, and how many there are. For the owner.
    #[inline]
    pub(crate) fn take(&self) -> Option<(usize, u32)> {
        if self.0.load(Ordering::Relaxed) & HAS_BLOCKS == 0 {
            return None;
        }
        let word = self.0.fetch_and(STATE, Ordering::Acquire);
        head_of(word).map(|head| (head, count_of(word)))
    }

    /// From now on the owner does not poll the page. For the owner.
    pub(crate) fn park(&self) -> ParkResult {
        match self.0.compare_exchange(POLLED, PARKED, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) | Err(PARKED | NOTIFIED) => ParkResult::Parked,
            Err(word) if word & HAS_BLOCKS != 0 && word & STATE == NOTIFIED => ParkResult::Parked,
            Err(_) => ParkResult::NotEmpty,
        }
    }

    /// From now on the owner polls the page again. For the owner.
    pub(crate) fn unpark(&self) {
        // (A notified page stays notified until the owner drains that list.)
        let _ = self.0.compare_exchange(PARKED, POLLED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The owner has taken the page from its list of notified pages, and polls it.
    pub(crate) fn acknowledge(&self) {
        self.0.fetch_and(!STATE, Ordering::Relaxed);
    }

    /// Whether the page is on its owner's list of notified pages, or about to be.
    pub(crate) fn is_notified(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STATE == NOTIFIED
    }

    /// The first block, without taking it. For the owner, to check the list.
    pub(crate) fn peek(&self) -> Option<usize> {
        head_of(self.0.load(Ordering::Acquire))
    }

    /// The length of the list.
    pub(crate) fn count(&self) -> u32 {
        count_of(self.0.load(Ordering::Relaxed))
    }

    /// Empty and polled: for a new page.
    pub(crate) fn reset(&self) {
        self.0.store(POLLED, Ordering::Relaxed);
    }
}

/// The pages an owner was notified of: a list of their numbers that ends with 0.
#[derive(Debug)]
pub(crate) struct NotifiedPages(pub(crate) AtomicUsize);

impl NotifiedPages {
    /// Pushes a page; `link` writes which page comes after it.
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

    /// Takes the whole list and returns its first page. A page's successor must be read before the page is
    /// [acknowledged](RemoteFreeList::acknowledge).
    #[inline]
    pub(crate) fn take(&self) -> usize {
        if self.0.load(Ordering::Relaxed) == 0 { 0 } else { self.0.swap(0, Ordering::Acquire) }
    }
}
