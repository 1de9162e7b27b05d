//! What was given up, oldest first: a ring in a mapping of its own, so that giving up needs no memory.

use crate::math::page::align_up_saturating;
use crate::region::GuardError;
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Protection};
use core::ops::Range;
use core::ptr::NonNull;

/// How many spans one ring has room for.
pub(super) const CAPACITY: usize = 1 << 14;

/// Spans of offsets in bytes, all of whole pages, with the generation they ended in.
pub(super) struct SpanQueue {
    /// A span's first page, the page after its last one, and the generation.
    entries: NonNull<[u32; 3]>,
    page: usize,
    first: usize,
    len: usize,
}

impl SpanQueue {
    pub(super) fn new() -> Result<Self, GuardError> {
        let bytes = Self::bytes();
        let entries = sys::reserve(bytes, Protection::ReadWrite)
            .map_err(|errno| GuardError::refused(errno, RefusedCall::MapWritable(bytes)))?;
        Ok(SpanQueue { entries: entries.cast(), page: sys::page_size(), first: 0, len: 0 })
    }

    fn bytes() -> usize {
        align_up_saturating(CAPACITY * size_of::<[u32; 3]>(), sys::page_size())
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn entry(&self, at: usize) -> *mut [u32; 3] {
        self.entries.as_ptr().wrapping_add((self.first + at) % CAPACITY)
    }

    fn get(&self, at: usize) -> Option<(Range<usize>, u32)> {
        // SAFETY: an entry that was written.
        let [first, end, generation] = (at < self.len).then(|| unsafe { *self.entry(at) })?;
        Some((first as usize * self.page..end as usize * self.page, generation))
    }

    /// The oldest.
    pub(super) fn front(&self) -> Option<(Range<usize>, u32)> {
        self.get(0)
    }

    pub(super) fn pop_front(&mut self) -> Option<(Range<usize>, u32)> {
        let oldest = self.front()?;
        (self.first, self.len) = ((self.first + 1) % CAPACITY, self.len - 1);
        Some(oldest)
    }

    /// Adds a span; the oldest, if there is no room for both.
    pub(super) fn push_back(&mut self, span: Range<usize>, generation: u32) -> Option<Range<usize>> {
        let oldest = if self.len == CAPACITY { self.pop_front() } else { None };
        // (Places of pages are 32 bits wide: see the table of records.)
        let [first, end] = [span.start, span.end].map(|offset| (offset / self.page) as u32);
        // SAFETY: there is room for one more entry.
        unsafe { self.entry(self.len).write([first, end, generation]) };
        self.len += 1;
        oldest.map(|(span, _)| span)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.len).filter_map(|at| self.get(at).map(|(span, _)| span))
    }
}

impl Drop for SpanQueue {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours.
        unsafe { sys::release(self.entries.cast(), Self::bytes()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_comes_first_and_goes_when_there_is_no_room() {
        let page = sys::page_size();
        let span = |n: usize| n * page..(n + 1) * page;
        let mut queue = SpanQueue::new().unwrap();
        assert_eq!((queue.front(), queue.pop_front()), (None, None));
        for n in 0..CAPACITY {
            assert_eq!(queue.push_back(span(n), n as u32), None);
        }
        assert_eq!(queue.push_back(span(CAPACITY), 7), Some(span(0)));
        assert_eq!(queue.len(), CAPACITY);
        assert!(queue.iter().eq((1..=CAPACITY).map(span)));
        for n in 1..CAPACITY {
            assert_eq!(queue.pop_front(), Some((span(n), n as u32)));
        }
        assert_eq!(queue.push_back(span(5), 9), None);
        assert_eq!(queue.pop_front(), Some((span(CAPACITY), 7)));
        assert_eq!(queue.pop_front(), Some((span(5), 9)));
        assert_eq!(queue.pop_front(), None);
    }
}
