//! A set of offsets as disjoint spans: which addresses of a checked arena are taken. Plain integers.

use core::ops::Range;
use std::collections::BTreeMap;

/// Spans by their start; no two touch, so each maximal stretch is one entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(BTreeMap<usize, usize>);

impl Spans {
    /// Adds a span that overlaps none.
    pub(super) fn insert(&mut self, span: Range<usize>) {
        debug_assert!(!span.is_empty() && self.is_free(&span), "a span is taken once");
        let Range { mut start, mut end } = span;
        if let Some((&before, &until)) = self.0.range(..start).next_back()
            && until == start
        {
            self.0.remove(&before);
            start = before;
        }
        if let Some(until) = self.0.remove(&end) {
            end = until;
        }
        self.0.insert(start, end);
    }

    /// Takes out a span that was added, or a part of one.
    pub(super) fn remove(&mut self, span: Range<usize>) {
        let Some((&start, &end)) = self.0.range(..=span.start).next_back() else { return };
        debug_assert!(span.end <= end, "only what is taken is given back");
        self.0.remove(&start);
        if start < span.start {
            self.0.insert(start, span.start);
        }
        if span.end < end {
            self.0.insert(span.end, end);
        }
    }

    /// Adds what is free of a span.
    pub(super) fn cover(&mut self, span: Range<usize>) {
        let next = |spans: &Self| spans.first_gap(span.start, span.end, Some);
        while let Some(gap) = next(self) {
            self.insert(gap);
        }
    }

    /// Takes out what is taken of a span.
    pub(super) fn cut(&mut self, span: Range<usize>) {
        self.cover(span.clone());
        self.remove(span);
    }

    /// The gap that a free byte lies in, up to `end`.
    pub(super) fn gap_around(&self, at: usize, end: usize) -> Range<usize> {
        let start = self.0.range(..=at).next_back().map_or(0, |(_, &until)| until);
        let until = self.0.range(at..).next().map_or(end, |(&start, _)| start);
        start..until.min(end)
    }

    /// Whether no byte of a span is taken.
    pub(super) fn is_free(&self, span: &Range<usize>) -> bool {
        let last = self.0.range(..span.end).next_back();
        last.is_none_or(|(_, &end)| end <= span.start)
    }

    /// The first answer that `fit` gives for the gaps at or after `from`, the last of which ends at `end`.
    pub(super) fn first_gap<T>(
        &self,
        from: usize,
        end: usize,
        mut fit: impl FnMut(Range<usize>) -> Option<T>,
    ) -> Option<T> {
        let covering = self.0.range(..=from).next_back().map(|(_, &until)| until);
        let mut at = covering.unwrap_or(0).max(from);
        for (&start, &until) in self.0.range(at..) {
            if at < start.min(end)
                && let Some(found) = fit(at..start.min(end))
            {
                return Some(found);
            }
            at = until;
        }
        if at < end { fit(at..end) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a vector of bits.
        #[test]
        fn agrees_with_a_bitmap(steps in prop::collection::vec((0usize..64, 1usize..16, any::<bool>()), 0..200)) {
            let mut spans = Spans::default();
            let mut bits = [false; 80];
            for (start, len, add) in steps {
                let span = start..start + len;
                let free = bits[span.clone()].iter().all(|bit| !bit);
                prop_assert_eq!(spans.is_free(&span), free);
                if add && free {
                    spans.insert(span.clone());
                    bits[span.clone()].fill(true);
                } else if !add && bits[span.clone()].iter().all(|bit| *bit) {
                    spans.remove(span.clone());
                    bits[span.clone()].fill(false);
                }
                let mut cut = spans.clone();
                cut.cut(span.clone());
                prop_assert!(cut.is_free(&span));
                let mut covered = cut.clone();
                covered.cover(span.clone());
                prop_assert_eq!(covered.first_gap(span.start, span.end, Some), None);
                let around = cut.gap_around(start, 80);
                prop_assert!(around.start <= start && span.end <= around.end && cut.is_free(&around));
                for from in 0..80 {
                    let expected = (from..=80 - len).find(|&at| bits[at..at + len].iter().all(|bit| !bit));
                    let found = spans.first_gap(from, 80, |gap| (gap.len() >= len).then_some(gap.start));
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
