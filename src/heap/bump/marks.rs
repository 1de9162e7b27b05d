//! Two bits for every grain of a slice, stored at the slice's beginning: where blocks start, and how long they are.
//!
//! | starts | bounds | |
//! |---|---|---|
//! | 1 | 1 | a live block starts |
//! | 1 | 0 | a freed block starts |
//! | 0 | 1 | padding starts |
//! | 0 | 0 | what started before continues |

use core::ptr::NonNull;

/// The bits of one slice.
#[derive(Clone, Copy)]
pub(super) struct BlockMarks {
    starts: NonNull<u64>,
    /// Words in one map.
    words: usize,
}

// SAFETY: an address and a length; the heap's lock guards the memory there.
unsafe impl Send for BlockMarks {}

/// What a grain is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GrainMark {
    Live,
    Freed,
    Padding,
    Inside,
}

impl BlockMarks {
    /// Bytes of both maps of a slice of so many grains.
    pub(super) const fn bytes(grains: usize) -> usize {
        2 * grains.div_ceil(64) * 8
    }

    /// # Safety
    /// At `at` are two maps of so many words, committed, aligned to 8, and used by nothing else while this value is used.
    #[inline]
    pub(super) unsafe fn at(at: NonNull<u8>, words: usize) -> Self {
        BlockMarks { starts: at.cast(), words }
    }

    pub(super) fn clear(&self) {
        // SAFETY: both maps belong to this value: the contract of `at`.
        unsafe { self.starts.write_bytes(0, 2 * self.words) };
    }

    #[inline]
    fn word(&self, index: usize) -> (NonNull<u64>, NonNull<u64>) {
        debug_assert!(index < self.words, "a grain of the slice");
        // SAFETY: `index` is below the number of words in each map.
        unsafe { (self.starts.add(index), self.starts.add(self.words + index)) }
    }

    #[inline]
    fn read(&self, index: usize) -> (u64, u64) {
        let (starts, bounds) = self.word(index);
        // SAFETY: `word` returns words of the two maps, which belong to this value: the contract of `at`.
        unsafe { (starts.read(), bounds.read()) }
    }

    #[inline]
    pub(super) fn get(&self, grain: usize) -> GrainMark {
        let (starts, bounds) = self.read(grain / 64);
        match (starts >> (grain % 64) & 1, bounds >> (grain % 64) & 1) {
            (1, 1) => GrainMark::Live,
            (1, _) => GrainMark::Freed,
            (_, 1) => GrainMark::Padding,
            _ => GrainMark::Inside,
        }
    }

    /// Sets the mark of one grain.
    #[inline]
    pub(super) fn set(&self, grain: usize, mark: GrainMark) {
        let (starts, bounds) = self.word(grain / 64);
        let bit = 1 << (grain % 64);
        let changed = |word: u64, is_set: bool| if is_set { word | bit } else { word & !bit };
        // SAFETY: `word` returns words of the two maps, which belong to this value: the contract of `at`.
        unsafe {
            starts.write(changed(starts.read(), matches!(mark, GrainMark::Live | GrainMark::Freed)));
            bounds.write(changed(bounds.read(), matches!(mark, GrainMark::Live | GrainMark::Padding)));
        }
    }

    /// Marks a live block from `first` to `to`, after padding from `from` on, if there is any. Earlier marks there are erased.
    #[inline]
    pub(super) fn begin(&self, from: usize, first: usize, to: usize) {
        if from == first && to <= (first | 63) + 1 {
            // All of it is in one word.
            let (starts, bounds) = self.word(first / 64);
            let (bit, above) =
                (1 << (first % 64), if to.is_multiple_of(64) { 0 } else { u64::MAX << (to % 64) });
            let kept = above | (bit - 1);
            // SAFETY: `word` returns words of the two maps, which belong to this value: the contract of `at`.
            unsafe {
                starts.write((starts.read() & kept) | bit);
                bounds.write((bounds.read() & kept) | bit);
            }
            return;
        }
        self.erase(from, to);
        if from != first {
            self.set(from, GrainMark::Padding);
        }
        self.set(first, GrainMark::Live);
    }

    /// [`begin`](Self::begin) for a block of 1 to 64 grains without padding. Sizes follow no pattern, so there is no branch: the
    /// part that reaches into the next word is erased there, and if there is none, nothing is erased in `spare`. (`spare` must
    /// outlive the call, or the compiler makes it a branch again.)
    #[inline]
    pub(super) fn begin_short(&self, first: usize, grains: usize, spare: &mut [u64; 2]) {
        debug_assert!(matches!(grains, 1..=64), "a short block");
        let (ones, shift) = (u64::MAX >> (64 - grains), first % 64);
        let (here, behind) = (ones << shift, (ones >> 1) >> (63 - shift));
        let (starts, bounds) = self.word(first / 64);
        // SAFETY: `word` returns words of the two maps, which belong to this value: the contract of `at`. A block that reaches into
        // the next word is in the slice, so that word is in the map.
        unsafe {
            starts.write((starts.read() & !here) | (1 << shift));
            bounds.write((bounds.read() & !here) | (1 << shift));
            let spare = NonNull::from(spare).cast::<u64>();
            let is_in = behind != 0;
            let next = core::hint::select_unpredictable(is_in, starts.add(usize::from(is_in)), spare);
            next.write(next.read() & !behind);
            let next = core::hint::select_unpredictable(is_in, bounds.add(usize::from(is_in)), spare.add(1));
            next.write(next.read() & !behind);
        }
    }

    /// Marks the live block that starts at a grain as freed.
    #[inline]
    pub(super) fn end(&self, grain: usize) {
        let (_, bounds) = self.word(grain / 64);
        // SAFETY: `word` returns words of the two maps, which belong to this value: the contract of `at`.
        unsafe { bounds.write(bounds.read() & !(1 << (grain % 64))) };
    }

    /// Erases the marks from one grain up to another.
    #[inline]
    pub(super) fn erase(&self, from: usize, to: usize) {
        let mut grain = from;
        while grain < to {
            let (starts, bounds) = self.word(grain / 64);
            let kept_above = if to - grain + grain % 64 >= 64 { 0 } else { u64::MAX << (to % 64) };
            let kept = kept_above | !(u64::MAX << (grain % 64));
            // SAFETY: `word` returns words of the two maps, which belong to this value: the contract of `at`.
            unsafe {
                starts.write(starts.read() & kept);
                bounds.write(bounds.read() & kept);
            }
            grain = (grain | 63) + 1;
        }
    }

    /// The first marked grain from `from` on, or `end`.
    #[inline]
    pub(super) fn next(&self, from: usize, end: usize) -> usize {
        let mut grain = from;
        while grain < end {
            let (starts, bounds) = self.read(grain / 64);
            let marked = (starts | bounds) >> (grain % 64);
            if marked != 0 {
                return (grain + marked.trailing_zeros() as usize).min(end);
            }
            grain = (grain | 63) + 1;
        }
        end
    }

    /// [`next`](Self::next) for a mark that is mostly near: within the next word it is found without a branch.
    #[inline]
    pub(super) fn next_near(&self, from: usize, end: usize) -> usize {
        let index = from / 64;
        if index + 1 >= self.words {
            return self.next(from, end);
        }
        let marked = |(starts, bounds): (u64, u64)| starts | bounds;
        let (here, behind) = (marked(self.read(index)) >> (from % 64), marked(self.read(index + 1)));
        if here | behind == 0 {
            return self.next((index + 2) * 64, end);
        }
        let near = from + here.trailing_zeros() as usize;
        let far = (index + 1) * 64 + behind.trailing_zeros() as usize;
        core::hint::select_unpredictable(here != 0, near, far).min(end)
    }

    /// The last marked grain at or before `grain`.
    pub(super) fn last(&self, grain: usize) -> Option<usize> {
        let mut index = grain / 64;
        let mut below = u64::MAX >> (63 - grain % 64);
        loop {
            let (starts, bounds) = self.read(index);
            match (starts | bounds) & below {
                0 => index = index.checked_sub(1)?,
                marked => return Some(index * 64 + marked.ilog2() as usize),
            }
            below = u64::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_are_what_was_set(
            steps in prop::collection::vec((0usize..200, 0usize..200, 0u8..8), 1..60),
        ) {
            let mut memory = [u64::MAX; 8];
            // SAFETY: 200 grains take four words in each of two maps.
            let marks = unsafe { BlockMarks::at(NonNull::from(&mut memory).cast(), 4) };
            marks.clear();
            let mut model = [GrainMark::Inside; 200];
            for (from, to, what) in steps {
                match what {
                    0 => {
                        marks.erase(from, to);
                        (from..to).for_each(|grain| model[grain] = GrainMark::Inside);
                    }
                    5 if from < to => {
                        let first = from + (to - from) % 3 / 2;
                        marks.begin(from, first, to);
                        (from..to).for_each(|grain| model[grain] = GrainMark::Inside);
                        model[from] = GrainMark::Padding;
                        model[first] = GrainMark::Live;
                    }
                    5 => {}
                    7 if from < to => {
                        marks.begin_short(from, (to - from).min(64), &mut [0; 2]);
                        (from..to.min(from + 64)).for_each(|grain| model[grain] = GrainMark::Inside);
                        model[from] = GrainMark::Live;
                    }
                    7 => {}
                    6 => {
                        if model[from] == GrainMark::Live {
                            marks.end(from);
                            model[from] = GrainMark::Freed;
                        }
                    }
                    _ => {
                        let mark = [GrainMark::Live, GrainMark::Freed, GrainMark::Padding, GrainMark::Inside][what as usize - 1];
                        marks.set(from, mark);
                        model[from] = mark;
                    }
                }
                for (grain, mark) in model.iter().enumerate() {
                    prop_assert_eq!(marks.get(grain), *mark);
                }
                let next = (from..to).find(|&grain| model[grain] != GrainMark::Inside).unwrap_or(to);
                prop_assert_eq!(marks.next(from, to), if from < to { next } else { to });
                prop_assert_eq!(marks.next_near(from, to), marks.next(from, to));
                prop_assert_eq!(marks.last(from), (0..=from).rfind(|&grain| model[grain] != GrainMark::Inside));
            }
        }
    }
}
