//! A set of pages: which addresses of a checked arena are taken. A bitmap in a mapping of its own, reserved as a whole
//! and committed as far as it is used, so that nothing but [`grow`](PageSet::grow) needs memory: what was given up has to be
//! taken back also when there is none.

use crate::math::page::align_up_saturating;
use crate::region::GuardError;
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Protection};
use core::ops::Range;
use core::ptr::NonNull;

/// Bits of a word.
const WORD: usize = 64;

/// Spans of offsets in bytes, all of whole pages.
pub(super) struct PageSet {
    start: NonNull<u64>,
    /// The bytes of the mapping.
    bytes: usize,
    page: usize,
    /// How many words of bits there are, and how many of them are committed. Those that are not are zero.
    words: usize,
    committed: usize,
    /// How many words of either summary there are: a bit for each word of bits.
    summary: usize,
}

/// Which summary: of the words that have a bit set, and of those that have all.
#[derive(Clone, Copy)]
enum Summary {
    Any,
    Full,
}

impl PageSet {
    /// The empty set, of a region of so many bytes.
    pub(super) fn for_region(bytes: usize) -> Result<Self, GuardError> {
        let page = sys::page_size();
        let words = (bytes / page).div_ceil(WORD);
        let summary = words.div_ceil(WORD);
        // The summaries come first: they are committed at once.
        let head = align_up_saturating(2 * summary * size_of::<u64>(), page);
        let bytes = align_up_saturating(head + words * size_of::<u64>(), page);
        let start = sys::reserve(bytes, Protection::None)
            .map_err(|errno| GuardError::refused(errno, RefusedCall::Reserve(bytes)))?;
        let spans = PageSet { start: start.cast(), bytes, page, words, committed: 0, summary };
        // SAFETY: the beginning of the mapping.
        unsafe { sys::commit(start.as_ptr(), head) }
            .map_err(|errno| GuardError::refused(errno, RefusedCall::Commit(head)))?;
        Ok(spans)
    }

    /// Makes room for spans up to the offset `end`.
    pub(super) fn grow(&mut self, end: usize) -> Result<(), sys::Errno> {
        /// Bytes of a step.
        const STEP: usize = 64 << 10;
        let needed = (end / self.page).div_ceil(WORD).min(self.words);
        if needed > self.committed {
            let first = self.word(0).cast::<u8>();
            let from = self.committed * size_of::<u64>();
            let whole = self.bytes - (first.addr() - self.start.addr().get());
            let to = align_up_saturating(needed * size_of::<u64>(), STEP).min(whole);
            // SAFETY: the range lies in the mapping.
            unsafe { sys::commit(first.wrapping_add(from), to - from)? };
            self.committed = (to / size_of::<u64>()).min(self.words);
        }
        Ok(())
    }

    /// Adds a span that overlaps none.
    pub(super) fn insert(&mut self, span: Range<usize>) {
        debug_assert!(!span.is_empty() && self.is_free(&span), "a span is taken once");
        self.cover(span);
    }

    /// Takes out a span that was added, or a part of one.
    pub(super) fn remove(&mut self, span: Range<usize>) {
        debug_assert!(self.gap_in(&span).is_none(), "only what is taken is given back");
        self.cut(span);
    }

    /// Adds what is free of a span.
    pub(super) fn cover(&mut self, span: Range<usize>) {
        self.set(span, true);
    }

    /// Takes out what is taken of a span.
    pub(super) fn cut(&mut self, span: Range<usize>) {
        self.set(span, false);
    }

    /// The gap that a free byte lies in, up to `end`.
    pub(super) fn gap_around(&self, at: usize, end: usize) -> Range<usize> {
        let at = at / self.page;
        let start = self.last_set(at).map_or(0, |page| page + 1);
        start * self.page..self.next_set(at).saturating_mul(self.page).min(end)
    }

    /// Whether no byte of a span is taken.
    pub(super) fn is_free(&self, span: &Range<usize>) -> bool {
        self.next_set(span.start / self.page) >= span.end.div_ceil(self.page)
    }

    /// The first answer that `fit` gives for the gaps at or after `from`, the last of which ends at `end`.
    pub(super) fn first_gap<T>(
        &self,
        from: usize,
        end: usize,
        mut fit: impl FnMut(Range<usize>) -> Option<T>,
    ) -> Option<T> {
        let last = end / self.page;
        let mut at = self.next_clear(from / self.page);
        while at < last {
            let until = self.next_set(at).min(last);
            if let Some(found) = fit(at * self.page..until * self.page) {
                return Some(found);
            }
            at = self.next_clear(until);
        }
        None
    }

    /// The first free page of a span.
    fn gap_in(&self, span: &Range<usize>) -> Option<usize> {
        let clear = self.next_clear(span.start / self.page);
        (clear < span.end / self.page).then_some(clear)
    }

    fn set(&mut self, span: Range<usize>, to: bool) {
        let (mut at, end) = (span.start / self.page, span.end / self.page);
        debug_assert!(end <= self.committed * WORD || !to, "there is room for what is added");
        let end = end.min(self.committed * WORD);
        while at < end {
            let (index, first) = (at / WORD, at % WORD);
            let count = (WORD - first).min(end - at);
            let mask = (u64::MAX >> (WORD - count)) << first;
            let word = self.word(index);
            // SAFETY: a committed word of ours.
            let value = unsafe {
                *word = if to { *word | mask } else { *word & !mask };
                *word
            };
            self.note(Summary::Any, index, value != 0);
            self.note(Summary::Full, index, value == u64::MAX);
            at += count;
        }
    }

    /// A word of bits.
    fn word(&self, index: usize) -> *mut u64 {
        let head = align_up_saturating(2 * self.summary * size_of::<u64>(), self.page);
        self.start.as_ptr().wrapping_byte_add(head).wrapping_add(index)
    }

    /// A word of a summary.
    fn summary(&self, of: Summary, index: usize) -> *mut u64 {
        let first = if matches!(of, Summary::Any) { 0 } else { self.summary };
        self.start.as_ptr().wrapping_add(first + index)
    }

    fn note(&mut self, of: Summary, index: usize, to: bool) {
        let word = self.summary(of, index / WORD);
        let bit = 1 << (index % WORD);
        // SAFETY: the summaries are committed, and have a bit for every word.
        unsafe { *word = if to { *word | bit } else { *word & !bit } };
    }

    /// The bits of a word; none of one that is not committed.
    fn bits(&self, index: usize) -> u64 {
        // SAFETY: the word is committed.
        if index < self.committed { unsafe { *self.word(index) } } else { 0 }
    }

    /// The first page at or after `at` that is in the set; `usize::MAX` if there is none.
    fn next_set(&self, at: usize) -> usize {
        let index = at / WORD;
        let here = self.bits(index) & (u64::MAX << (at % WORD));
        if here != 0 {
            return index * WORD + here.trailing_zeros() as usize;
        }
        match self.next_noted(index + 1, |words| words(Summary::Any)) {
            Some(index) => index * WORD + self.bits(index).trailing_zeros() as usize,
            None => usize::MAX,
        }
    }

    /// The first page at or after `at` that is not in the set.
    fn next_clear(&self, at: usize) -> usize {
        let index = at / WORD;
        let here = !self.bits(index) & (u64::MAX << (at % WORD));
        if here != 0 {
            return index * WORD + here.trailing_zeros() as usize;
        }
        match self.next_noted(index + 1, |words| !words(Summary::Full)) {
            Some(index) => index * WORD + (!self.bits(index)).trailing_zeros() as usize,
            None => self.committed.max(index + 1) * WORD,
        }
    }

    /// The first committed word from `from` on that a combination of the summaries has a bit for.
    fn next_noted(&self, from: usize, noted: impl Fn(&dyn Fn(Summary) -> u64) -> u64) -> Option<usize> {
        let mut first = from % WORD;
        for at in from / WORD..self.committed.div_ceil(WORD) {
            // SAFETY: the summaries are committed.
            let word = noted(&|of| unsafe { *self.summary(of, at) }) & (u64::MAX << first);
            if word != 0 {
                let index = at * WORD + word.trailing_zeros() as usize;
                return (index < self.committed).then_some(index);
            }
            first = 0;
        }
        None
    }

    /// The last page at or before `at` that is in the set.
    fn last_set(&self, at: usize) -> Option<usize> {
        let index = at / WORD;
        let here = self.bits(index) & (u64::MAX >> (WORD - 1 - at % WORD));
        let last = |index: usize, bits: u64| index * WORD + (WORD - 1 - bits.leading_zeros() as usize);
        if here != 0 {
            return Some(last(index, here));
        }
        let before = index.min(self.committed);
        let mut keep = before % WORD;
        for at in (0..before.div_ceil(WORD)).rev() {
            let mask = if keep == 0 { u64::MAX } else { u64::MAX >> (WORD - keep) };
            // SAFETY: the summaries are committed.
            let word = unsafe { *self.summary(Summary::Any, at) } & mask;
            if word != 0 {
                let index = last(at, word);
                return Some(last(index, self.bits(index)));
            }
            keep = 0;
        }
        None
    }
}

impl Drop for PageSet {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours.
        unsafe { sys::release(self.start.cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pages of the set: more than a word of a summary has bits for words, and no multiple of anything.
    const PAGES: usize = 64 * 64 * 2 + 77;

    proptest! {
        /// Against a vector of bits.
        #[test]
        fn agrees_with_a_bitmap(
            steps in prop::collection::vec(
                (prop_oneof![0usize..200, 4000usize..4200, 0usize..PAGES - 1], 1usize..300, any::<bool>()), 0..60)
        ) {
            let page = sys::page_size();
            let bytes = |pages: Range<usize>| pages.start * page..pages.end * page;
            let mut spans = PageSet::for_region(PAGES * page).unwrap();
            let mut bits = [false; PAGES];
            for (start, len, add) in steps {
                let pages = start..(start + len).min(PAGES);
                let span = bytes(pages.clone());
                let free = bits[pages.clone()].iter().all(|bit| !bit);
                prop_assert_eq!(spans.is_free(&span), free);
                spans.grow(span.end).unwrap();
                prop_assert_eq!(spans.is_free(&span), free);
                if add && free {
                    spans.insert(span.clone());
                    bits[pages.clone()].fill(true);
                } else if add {
                    spans.cover(span.clone());
                    bits[pages.clone()].fill(true);
                } else if bits[pages.clone()].iter().all(|bit| *bit) {
                    spans.remove(span.clone());
                    bits[pages.clone()].fill(false);
                } else {
                    spans.cut(span.clone());
                    bits[pages.clone()].fill(false);
                }
                if !bits[start] {
                    let around = spans.gap_around(span.start, PAGES * page);
                    let before = bits[..start].iter().rposition(|bit| *bit).map_or(0, |at| at + 1);
                    let until = bits[start..].iter().position(|bit| *bit).map_or(PAGES, |at| start + at);
                    prop_assert_eq!(around, bytes(before..until));
                }
                let len = pages.len();
                for from in [0, 1, start, start / 2, (start + len).min(PAGES - 1)] {
                    let expected = (from..(PAGES + 1).saturating_sub(len))
                        .find(|&at| bits[at..at + len].iter().all(|bit| !bit));
                    let found = spans.first_gap(from * page, PAGES * page, |gap| {
                        (gap.len() >= len * page).then_some(gap.start / page)
                    });
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
