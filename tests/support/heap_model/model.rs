//! The model: which blocks there should be, and what every call should have done.

use super::actors::Actors;
use super::contents;
use super::plan::{Call, Order, Setup, Step, Which};
use highwater::heap::{Heap, HeapError, HeapPolicy};
use highwater::{Cause, Headroom, Region};
use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No more bytes than these live at once.
const MOST_LIVE: usize = 64 << 20;

/// A block that lives, and all of whose usable bytes were written to.
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) block: NonNull<u8>,
    pub(super) len: usize,
    tag: u8,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// There was no block for it, or not enough space in the model.
    Skipped,
    /// It was refused, and nothing has changed.
    Refused,
}

/// See the module.
pub struct Model {
    pub(super) heap: Arc<Heap>,
    /// The region's first byte.
    pub(super) base: *mut u8,
    pub(super) setup: Setup,
    pub(super) actors: Actors,
    /// By age.
    pub(super) live: Vec<Live>,
    /// From where to where.
    pub(super) taken: BTreeMap<usize, usize>,
    /// Where blocks were once that were freed.
    pub(super) freed: BTreeSet<usize>,
    /// Whether everything is written and read, also of large blocks.
    pub(super) is_thorough: bool,
    live_bytes: usize,
    most_bytes: usize,
    /// All that was ever asked for since everything was free.
    asked: usize,
    tag: u8,
    pub refusals: usize,
}

impl Model {
    pub fn new(setup: Setup, is_thorough: bool) -> Self {
        let mut builder = Region::builder()
            .name("model")
            .reserve(setup.reserve)
            .head(0)
            .growth(setup.growth)
            .headroom(Headroom::Off);
        if let Some(limit) = setup.limit {
            builder = builder.limit(limit);
        }
        if let Some(injection) = setup.injection {
            builder = builder.inject(injection);
        }
        let region = builder.build();
        Model {
            base: region.as_ptr(),
            heap: Arc::new(Heap::over(region, setup.kind).expect("options that can be had")),
            setup,
            actors: Actors::default(),
            live: Vec::new(),
            taken: BTreeMap::new(),
            freed: BTreeSet::new(),
            is_thorough,
            live_bytes: 0,
            most_bytes: 0,
            asked: 0,
            tag: 0,
            refusals: 0,
        }
    }

    pub fn heap(&self) -> &Heap {
        &self.heap
    }

    pub fn live_blocks(&self) -> usize {
        self.live.len()
    }

    pub fn step(&mut self, Step { by, call }: Step) -> Outcome {
        match call {
            Call::Allocate { size, align, zeroed } => self.allocate(by, size, align, zeroed),
            Call::Burst { count, size } => {
                for _ in 0..count {
                    let outcome = self.allocate(by, size, 16, false);
                    if outcome != Outcome::Done {
                        return outcome;
                    }
                }
                Outcome::Done
            }
            Call::Free(which) => match self.choose(which) {
                Some(at) => {
                    self.free(by, at);
                    Outcome::Done
                }
                None => Outcome::Skipped,
            },
            Call::FreeMany { count, order } => {
                let mut random = order;
                for _ in 0..count.min(self.live.len()) {
                    let at = next(&mut random, self.live.len());
                    self.free(by, at);
                }
                Outcome::Done
            }
            Call::Reallocate { which, size, align } => match self.choose(which) {
                Some(at) => self.reallocate(by, at, size, align),
                None => Outcome::Skipped,
            },
            Call::Misuse(wrong) => self.misuse(by, wrong),
            Call::Impossible { which, size, align } => self.impossible(by, which, size, align),
            Call::Trim(keep) => {
                self.actors.ask(by, &self.heap, move |heap| heap.trim(keep));
                Outcome::Done
            }
            Call::Reset => self.reset(),
            Call::Fork => {
                self.heap.before_fork();
                // SAFETY: it was called just now, by this thread.
                unsafe { self.heap.after_fork(false) };
                Outcome::Done
            }
            Call::Leave => {
                self.actors.ask(by, &self.heap, Heap::release_thread);
                Outcome::Done
            }
            Call::Check => {
                for by in self.actors.present() {
                    self.actors.ask(by, &self.heap, Heap::check).expect("nothing was overwritten");
                }
                (0..self.live.len()).for_each(|at| self.lives(by, self.live[at]));
                Outcome::Done
            }
            Call::End => {
                self.actors.end(by);
                Outcome::Done
            }
        }
    }

    fn allocate(&mut self, by: usize, size: usize, align: usize, zeroed: bool) -> Outcome {
        if size + align > MOST_LIVE - self.live_bytes.min(MOST_LIVE) {
            return Outcome::Skipped;
        }
        self.asked += size + align;
        let got = self.actors.ask(by, &self.heap, move |heap| {
            if zeroed { heap.allocate_zeroed(size, align) } else { heap.allocate(size, align) }
        });
        let block = match got {
            Ok(block) => block,
            Err(error) => return self.refused(&error, size),
        };
        if zeroed {
            // SAFETY: a fresh block of so many bytes, which the call wrote to or the system did.
            let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), size) };
            assert!(is_zero(bytes), "{block:p} is not all zeros");
        }
        self.came(by, block, size, align);
        Outcome::Done
    }

    fn reallocate(&mut self, by: usize, at: usize, size: usize, align: usize) -> Outcome {
        let old = self.live[at];
        if size + align > MOST_LIVE - (self.live_bytes - old.len).min(MOST_LIVE) {
            return Outcome::Skipped;
        }
        self.asked += size + align;
        let Live { block, len, tag } = old;
        // SAFETY: the block is live, and only the model uses it.
        match self.actors.ask(by, &self.heap, move |heap| unsafe { heap.reallocate(block, size, align) }) {
            Ok(moved) => {
                // SAFETY: the new block begins with what the old one held.
                let is_kept = unsafe { contents::holds(moved, len, len.min(size), tag, self.is_thorough) };
                assert!(is_kept, "{moved:p} does not hold what {block:p} did");
                self.gone(at);
                if moved == block {
                    self.freed.remove(&block.addr().get());
                }
                self.came(by, moved, size, align);
                Outcome::Done
            }
            Err(error) => {
                self.lives(by, old);
                self.refused(&error, size)
            }
        }
    }

    /// A block has come: is it what it should be? Then it is filled.
    fn came(&mut self, by: usize, block: NonNull<u8>, size: usize, align: usize) {
        let start = block.addr().get();
        let min = align.max(self.setup.min_align());
        assert!(start.is_multiple_of(min), "{start:#x} for an alignment of {min}");
        // SAFETY: it lives.
        let len = self.actors.ask(by, &self.heap, move |heap| unsafe { heap.usable_size(block) });
        let len = len.expect("it lives");
        assert!(len >= size, "{len} bytes for {size}");
        let end = start + len;
        assert!(self.heap.contains(block.as_ptr()) && self.heap.contains((end - 1) as *const u8));
        let before = self.taken.range(..end).next_back();
        assert!(before.is_none_or(|(_, &other)| other <= start), "{start:#x}..{end:#x} overlaps {before:x?}");
        self.tag = self.tag.wrapping_add(1);
        // SAFETY: it lives, and is as long.
        unsafe { contents::fill(block, len, self.tag, self.is_thorough) };
        self.taken.insert(start, end);
        self.freed.remove(&start);
        self.live.push(Live { block, len, tag: self.tag });
        self.live_bytes += len;
        self.most_bytes = self.most_bytes.max(self.live_bytes);
    }

    /// A block lives, and holds what was written to it.
    pub(super) fn lives(&mut self, by: usize, Live { block, len, tag }: Live) {
        // SAFETY: it lives.
        let usable = self.actors.ask(by, &self.heap, move |heap| unsafe { heap.usable_size(block) });
        assert_eq!(usable, Ok(len));
        // SAFETY: it was filled.
        let is_kept = unsafe { contents::holds(block, len, len, tag, self.is_thorough) };
        assert!(is_kept, "{block:p} does not hold what was written to it");
    }

    pub(super) fn free(&mut self, by: usize, at: usize) {
        let Live { block, len, tag } = self.live[at];
        // SAFETY: it lives, and was filled.
        let is_kept = unsafe { contents::holds(block, len, len, tag, self.is_thorough) };
        assert!(is_kept, "{block:p} does not hold what was written to it");
        // SAFETY: the block is live, and nothing uses it any more.
        let freed = self.actors.ask(by, &self.heap, move |heap| unsafe { heap.deallocate(block) });
        freed.expect("it lives");
        self.gone(at);
    }

    fn gone(&mut self, at: usize) {
        let Live { block, len, .. } = self.live.remove(at);
        self.taken.remove(&block.addr().get());
        self.freed.insert(block.addr().get());
        self.live_bytes -= len;
    }

    pub(super) fn choose(&self, which: Which) -> Option<usize> {
        let last = self.live.len().checked_sub(1)?;
        Some(match which {
            Which::Oldest(nth) => nth.min(last),
            Which::Newest(nth) => last - nth.min(last),
            Which::Any(nth) => nth % (last + 1),
        })
    }

    /// A call was refused: may it be, and is the cause the right one?
    fn refused(&mut self, error: &HeapError, size: usize) -> Outcome {
        let HeapError::OutOfMemory(error) = error else { panic!("{error:?}") };
        // (The general heap asks for a block of the size's class.)
        assert!(error.requested() >= size, "{error}");
        let is_small = self.setup.max_bytes() < self.setup.reserve.max(1 << 30);
        match error.cause() {
            Cause::Injected => assert!(self.setup.injection.is_some(), "{error}"),
            Cause::RegionLimit => assert!(self.setup.limit.is_some(), "{error}"),
            Cause::ReservationExhausted => assert!(self.setup.limit.is_none(), "{error}"),
            _ => panic!("{error}"),
        }
        if error.cause() != Cause::Injected && !is_small {
            // What rounding to slices, pages of every class, and blocks freed in the wrong order may cost.
            assert!(self.asked * 16 + (64 << 20) > self.setup.reserve, "{} asked for: {error}", self.asked);
        }
        self.refusals += 1;
        Outcome::Refused
    }

    fn impossible(&mut self, by: usize, which: Which, size: usize, align: usize) -> Outcome {
        let max = isize::MAX as usize;
        let old = self.choose(which).map(|at| self.live[at]);
        let block = old.map(|old| old.block);
        let errors = self.actors.ask(by, &self.heap, move |heap| {
            // SAFETY: the block is live, and only the model uses it.
            let moved = block.map(|block| unsafe { heap.reallocate(block, size, align) });
            [Some(heap.allocate(size, align)), Some(heap.allocate_zeroed(size, align)), moved]
        });
        for error in errors.into_iter().flatten() {
            let error = error.expect_err("no block is like that");
            let is_named = match &error {
                HeapError::ZeroSize => size == 0,
                HeapError::Alignment { align: named } => {
                    *named == align && !align.is_power_of_two() && size > 0
                }
                HeapError::TooLarge { size: named } => {
                    *named == size
                        && align.is_power_of_two()
                        && size.checked_add(align - 1).is_none_or(|end| end > max)
                }
                HeapError::OutOfMemory(_) => {
                    self.refused_always(size, align);
                    true
                }
                _ => false,
            };
            assert!(is_named, "{size} at {align}: {error:?}");
        }
        old.into_iter().for_each(|old| self.lives(by, old));
        Outcome::Refused
    }

    fn refused_always(&self, size: usize, align: usize) {
        assert!(size > 0 && align.is_power_of_two());
        assert!(size > self.setup.max_bytes() || align >= 1 << 48, "{size} at {align}");
    }

    fn reset(&mut self) -> Outcome {
        let heap = Arc::get_mut(&mut self.heap).expect("no actor has it");
        let is_general = matches!(self.setup.kind, HeapPolicy::General(_));
        assert_eq!(heap.reset(), !is_general);
        if is_general {
            return Outcome::Skipped;
        }
        self.live.clear();
        self.taken.clear();
        self.freed.clear();
        (self.live_bytes, self.most_bytes, self.asked) = (0, 0, 0);
        Outcome::Done
    }

    /// Whether the heap is whole, and its figures are the model's.
    pub fn compare(&self) {
        self.heap.check().expect("nothing was overwritten");
        let stats = self.heap.stats();
        assert_eq!((stats.live_blocks, stats.live_bytes), (self.live.len(), self.live_bytes));
        assert!(stats.peak_live_bytes >= self.most_bytes, "{stats:?}, {} live at once", self.most_bytes);
        assert!(stats.live_bytes + stats.free_bytes <= stats.used, "{stats:?}");
        assert!(stats.used <= stats.region.committed || stats.live_blocks == 0, "{stats:?}");
        assert!(stats.used <= self.setup.max_bytes(), "{stats:?}");
        assert!(
            stats.largest_free_run <= stats.free_bytes && stats.free_runs <= stats.free_bytes,
            "{stats:?}"
        );
    }

    /// Frees everything: then there is one free run, and space for as much as ever.
    pub fn end(mut self) {
        let mut order = self.live.first().map_or(Order::Fifo, |live| match live.len % 3 {
            0 => Order::Fifo,
            1 => Order::Lifo,
            _ => Order::Random(1),
        });
        while !self.live.is_empty() {
            let at = next(&mut order, self.live.len());
            self.free(0, at);
        }
        self.compare();
        if let HeapPolicy::General(_) = self.setup.kind {
            self.comes_together();
        }
        let stats = self.heap.stats();
        match self.setup.kind {
            HeapPolicy::Stack(_) => assert_eq!((stats.used, stats.free_runs, stats.free_bytes), (0, 0, 0)),
            HeapPolicy::General(_) => {}
            // (None is left where it was returned to the system.)
            _ => assert_eq!(stats.free_runs, usize::from(stats.free_bytes > 0), "{stats:?}"),
        }
        if !matches!(self.setup.kind, HeapPolicy::General(_)) {
            assert_eq!(stats.largest_free_run, stats.free_bytes, "{stats:?}");
        }
        if self.setup.injection.is_none() {
            let size = self.setup.max_bytes() / 4;
            let block = self.heap.allocate(size, 16).expect("all of it is free");
            // SAFETY: it lives.
            unsafe {
                block.add(size - 1).write(1);
                self.heap.deallocate(block).expect("it lives");
            }
        }
        self.heap.trim(0);
        self.compare();
    }

    /// What threads had comes together, also of those that are gone. (One that was joined may be there for a moment
    /// longer; where the system cannot say, its pages stay.)
    fn comes_together(&mut self) {
        let since = Instant::now();
        loop {
            for by in self.actors.present().into_iter().rev() {
                self.actors.ask(by, &self.heap, |heap| heap.trim(0));
            }
            self.compare();
            let stats = self.heap.stats();
            let is_one = stats.free_runs <= 1 && stats.free_bytes == stats.largest_free_run;
            if is_one || cfg!(highwater_portable) {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "{stats:?}");
            std::thread::yield_now();
        }
    }
}

/// The next of so many to be freed.
fn next(order: &mut Order, len: usize) -> usize {
    match order {
        Order::Fifo => 0,
        Order::Lifo => len - 1,
        Order::Random(seed) => {
            *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (*seed >> 33) as usize % len
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|part| part == &ZEROS[..part.len()])
}
