//! Pointers that are no live blocks: every call that takes one names what they are, and changes nothing.

use super::contents::WHOLE;
use super::model::{Live, Model, Outcome};
use super::plan::Wrong;
use highwater::heap::{HeapError, HeapPolicy};
use std::ptr::{NonNull, without_provenance_mut};

impl Model {
    pub(super) fn misuse(&mut self, by: usize, wrong: Wrong) -> Outcome {
        match wrong {
            Wrong::Inside(which, bytes) => {
                let Some(Live { block, len, .. }) = self.choose(which).map(|at| self.live[at]) else {
                    return Outcome::Skipped;
                };
                // (What has slices of its own is looked at by every policy.)
                if len == 1 || !(self.setup.finds_all() || len > 64 << 10) {
                    return Outcome::Skipped;
                }
                // SAFETY: within the block.
                self.wrong(by, unsafe { block.add(1 + bytes % (len - 1)) });
            }
            Wrong::Twice(which) => {
                let Some(at) = self.choose(which) else { return Outcome::Skipped };
                let Live { block, len, .. } = self.live[at];
                self.free(by, at);
                if !(self.setup.finds_all() || len > 64 << 10) {
                    return Outcome::Done;
                }
                let error = self.wrong(by, block);
                // (Nothing is known of memory that was returned to the system.)
                if matches!(self.setup.kind, HeapPolicy::Stack(_) | HeapPolicy::Bump(_)) {
                    assert_eq!(error, HeapError::DoubleFree { address: block.addr().get() });
                }
            }
            Wrong::Freed(nth) if self.setup.finds_all() && !self.freed.is_empty() => {
                let nth = nth % self.freed.len();
                let address = *self.freed.iter().nth(nth).expect("there are so many");
                self.wrong(by, self.at(address));
            }
            Wrong::Somewhere(bytes) if self.setup.finds_all() => {
                let base = self.base;
                // SAFETY: it does not leave the region, which is longer.
                let block = base.wrapping_add(bytes);
                if !self.taken.contains_key(&block.addr()) {
                    self.wrong(by, NonNull::new(block).expect("it is no null"));
                }
            }
            Wrong::Foreign(which) => {
                let mut local = 0u64;
                let reserve = self.setup.reserve;
                let pointer = match which % 6 {
                    0 => &raw mut local as *mut u8,
                    1 => without_provenance_mut(1 + usize::from(which)),
                    2 => without_provenance_mut(usize::MAX - usize::from(which)),
                    3 => self.base.wrapping_sub(1 + usize::from(which)),
                    4 => self.base.wrapping_add(reserve + usize::from(which)),
                    _ => self.base.wrapping_add(reserve - 1 - usize::from(which)),
                };
                if self.within(pointer.addr()).is_none() {
                    self.wrong(by, NonNull::new(pointer).expect("it is no null"));
                }
            }
            _ => return Outcome::Skipped,
        }
        Outcome::Done
    }

    fn at(&self, address: usize) -> NonNull<u8> {
        NonNull::new(self.base.with_addr(address)).expect("it is no null")
    }

    /// The live block that an address is in.
    fn within(&self, address: usize) -> Option<(usize, usize)> {
        let (&start, &end) = self.taken.range(..=address).next_back()?;
        (address < end).then_some((start, end))
    }

    /// Every call that takes a block gets this one; the error of the last.
    fn wrong(&mut self, by: usize, block: NonNull<u8>) -> HeapError {
        // SAFETY: it is no live block, which is what this is about.
        let results = self.actors.ask(by, &self.heap, move |heap| unsafe {
            [
                heap.usable_size(block).map(|_| block),
                heap.reallocate(block, 10, 1),
                heap.reallocate(block, 100_000, 64),
                heap.deallocate(block).map(|()| block),
            ]
        });
        let mut last = None;
        for result in results {
            let error = result.expect_err("it is no live block");
            assert!(self.is_right(block.addr().get(), &error), "{block:p}: {error:?}");
            last = Some(error);
        }
        last.expect("there are four")
    }

    /// Whether this is what is wrong with an address where no live block starts.
    fn is_right(&self, address: usize, error: &HeapError) -> bool {
        let is_general = matches!(self.setup.kind, HeapPolicy::General(_));
        let was_freed = self.freed.contains(&address);
        if let Some((start, end)) = self.within(address) {
            return match *error {
                HeapError::InsideBlock { address: named, block } => named == address && block == start,
                // What was there before may still be there, where nothing was written.
                HeapError::DoubleFree { address: named } => {
                    named == address && !is_general && !self.is_thorough && end - start > WHOLE
                }
                _ => false,
            };
        }
        match *error {
            HeapError::DoubleFree { address: named } => {
                // These see the start of a free run, whatever it was before.
                named == address
                    && (was_freed
                        || matches!(self.setup.kind, HeapPolicy::General(_) | HeapPolicy::Blocks(_)))
            }
            HeapError::NotABlock { address: named } => named == address,
            HeapError::BelowHeap { address: named, start } => {
                named == address
                    && address < start
                    && self.taken.first_key_value().is_none_or(|(&at, _)| at >= start)
            }
            HeapError::AboveHeap { address: named, end } => {
                named == address
                    && address >= end
                    && self.taken.last_key_value().is_none_or(|(_, &at)| at <= end)
            }
            // What was freed keeps its place until the top comes down; a page has places.
            HeapError::InsideBlock { address: named, block } => {
                named == address
                    && block < address
                    && (is_general
                        || (matches!(self.setup.kind, HeapPolicy::Stack(_)) && self.freed.contains(&block)))
            }
            _ => false,
        }
    }
}
