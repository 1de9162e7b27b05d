//! A region's control block: everything the handler needs to know, in memory that is never given back.
//!
//! A handler may hold a block whose region is being dropped by another thread. So blocks are reused but
//! never freed, every field is an atomic, and a generation tells a live region from the one before it.

#[path = "describe.rs"]
mod describe;

use super::atomic::{AtomicU64, AtomicUsize};
use super::border::Border;
use super::free::FreeList;
use super::frontier::Frontier;
use super::guards::Guards;
use super::injected::Injected;
use super::name::Name;
use super::role::Role;
use super::space;
use crate::math::page::align_up_saturating;
use crate::math::step::Need;
use crate::policy::{Growth, GuardPolicy, Headroom, OnViolation, RegionEngine, ReportFormat};
use crate::stats::{Counters, Stats};
use crate::sys::{self, Errno};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU32, fence};

/// The longest region name that is kept, in bytes.
pub(crate) const NAME_BYTES: usize = 40;

/// What [`Headroom::Auto`] and [`Headroom::Off`] are kept as.
const AUTO: usize = usize::MAX;
const OFF: usize = usize::MAX - 1;

/// A violation ends in `abort()`.
const ABORTS: u32 = 1;
/// A violation is reported as JSON.
const JSON: u32 = 2;
/// Guards inside the region are marks in the page table, not protection.
const BY_ADVICE: u32 = 4;
/// Some pages may have such marks.
const MARKED: u32 = 8;
/// The engine is [`RegionEngine::Paged`] or [`RegionEngine::Explicit`]; without either it is [`RegionEngine::Fault`].
const PAGED: u32 = 32;
const EXPLICIT: u32 = 64;

/// The number that [`Growth::Stress`] is kept as.
const STRESS: u64 = 3;

/// A region as the rest of the library sees it.
#[repr(align(128))] // two cache lines: one region's counters do not slow down its neighbour's frontier
#[derive(Debug)]
pub(crate) struct ControlBlock {
    /// Odd while a region lives here.
    generation: AtomicU64,
    pub(crate) id: AtomicU64,
    /// The region's first byte, with the provenance of the whole mapping.
    pub(crate) base: AtomicPtr<u8>,
    pub(crate) reserved: AtomicUsize,
    /// Up to where growth is admitted: the byte limit, or the reservation's length where there is none.
    pub(crate) limit: AtomicUsize,
    /// The arena's own limit on top of it, `usize::MAX` where there is none.
    pub(crate) allocation_limit: AtomicUsize,
    pub(crate) frontier: Frontier,
    /// Where the range that is mapped ends, in bytes from the base: after the reservation, its guard and slack.
    tail_end: AtomicUsize,
    /// The bytes that were committed at first.
    pub(crate) head: AtomicUsize,
    growth: AtomicU64,
    growth_args: [AtomicU64; 2],
    /// How many bytes of a step are made present at once, at most.
    populate: AtomicUsize,
    /// The backing file, -1 for anonymous memory, and where in it the region's first byte is.
    pub(crate) file: AtomicI32,
    pub(crate) file_offset: AtomicUsize,
    /// The file to spill to, -1 for none; and where it begins, once the region has spilled.
    pub(super) spill: AtomicI32,
    pub(crate) border: Border,
    /// The device and number of the file that the region lives in or may spill to.
    pub(super) file_identity: [AtomicU64; 2],
    /// The memory that a file-backed region exists in: a forked child does not have the mapping.
    #[cfg(not(highwater_portable))]
    owner: AtomicU32,
    /// The bytes that may be allocated: the byte limit, or what was asked for. The same as `limit`, but for a
    /// checked arena's region, whose allocations have guards and stretches that were given up between them.
    pub(crate) usable: AtomicUsize,
    /// The reservation as it was asked for: the same as `reserved`, but for a checked arena's region.
    pub(crate) requested_reserve: AtomicUsize,
    /// How far past the frontier a touch may be and still be growth, in bytes.
    pub(crate) reach: AtomicUsize,
    pub(super) guards: Guards,
    /// What is asked of violations and guards: `ABORTS`, `JSON`, `BY_ADVICE`.
    flags: AtomicU32,
    /// What a checked arena knows of its allocations; null for every other region. See `guard::Ledger`.
    pub(crate) ledger: AtomicPtr<()>,
    /// The bytes that stay free: `AUTO`, `OFF`, or a number.
    headroom: AtomicUsize,
    pub(crate) injected: Injected,
    /// What follows a refused commit, in the words of `oom`; null for the default.
    pub(crate) response: AtomicPtr<()>,
    /// Bytes of the committed part that were found present when they were counted last, and those at its
    /// beginning without a gap.
    pub(crate) seen: AtomicUsize,
    pub(crate) whole: AtomicUsize,
    /// Up to where a growth was asked for; what is committed behind it is the rest of a step.
    pub(crate) wanted: AtomicUsize,
    /// How often memory was given back: what a repeated fault is told from a new one by.
    pub(crate) trims: AtomicU64,
    name: [AtomicU64; NAME_BYTES / 8],
    /// A [`Role`], as a number.
    role: AtomicU8,
    pub(crate) counters: Counters,
    index: AtomicU32,
    next_free: AtomicU32,
}

/// A name from its bytes, up to the first zero.
pub(crate) fn text_of(name: &[u8; NAME_BYTES]) -> &str {
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES);
    // Another region's name may have been moving in while the bytes were read: then they need not be text.
    core::str::from_utf8(name.get(..len).unwrap_or_default()).unwrap_or_default()
}

/// What a region is told when it comes to life.
pub(crate) struct Init<'a> {
    pub(crate) base: NonNull<u8>,
    pub(crate) reserved: usize,
    pub(crate) tail_end: usize,
    /// Up to where growth is admitted.
    pub(crate) limit: usize,
    /// The bytes that may be allocated, and the reservation as it was asked for.
    pub(crate) usable: usize,
    pub(crate) requested_reserve: usize,
    pub(crate) growth: Growth,
    pub(crate) engine: RegionEngine,
    pub(crate) populate: usize,
    pub(crate) file: Option<(i32, usize)>,
    pub(crate) guard: &'a GuardPolicy,
    pub(crate) by_advice: bool,
    pub(crate) headroom: Headroom,
    pub(crate) spill: i32,
    pub(crate) name: Name,
    pub(crate) role: Role,
}

impl ControlBlock {
    fn new(index: u32) -> Self {
        ControlBlock {
            generation: AtomicU64::new(0),
            id: AtomicU64::new(0),
            base: AtomicPtr::new(core::ptr::null_mut()),
            reserved: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            usable: AtomicUsize::new(0),
            requested_reserve: AtomicUsize::new(0),
            allocation_limit: AtomicUsize::new(usize::MAX),
            frontier: Frontier::new(0),
            tail_end: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
            growth: AtomicU64::new(0),
            growth_args: [const { AtomicU64::new(0) }; 2],
            populate: AtomicUsize::new(0),
            file: AtomicI32::new(-1),
            file_offset: AtomicUsize::new(0),
            spill: AtomicI32::new(-1),
            border: Border::new(),
            file_identity: [const { AtomicU64::new(0) }; 2],
            #[cfg(not(highwater_portable))]
            owner: AtomicU32::new(0),
            reach: AtomicUsize::new(usize::MAX),
            guards: Guards::new(),
            flags: AtomicU32::new(0),
            ledger: AtomicPtr::new(core::ptr::null_mut()),
            headroom: AtomicUsize::new(AUTO),
            injected: Injected::none(),
            response: AtomicPtr::new(core::ptr::null_mut()),
            seen: AtomicUsize::new(0),
            whole: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            trims: AtomicU64::new(0),
            name: [const { AtomicU64::new(0) }; NAME_BYTES / 8],
            role: AtomicU8::new(0),
            counters: Counters::new(),
            index: AtomicU32::new(index),
            next_free: AtomicU32::new(0),
        }
    }

    /// The generation, odd while a region lives here.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.generation() & 1 == 1
    }

    #[inline]
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.load(Relaxed)
    }

    #[inline]
    pub(crate) fn reserved(&self) -> usize {
        self.reserved.load(Relaxed)
    }

    /// Where the range that is mapped ends, in bytes from the base: after the reservation, its guard and slack.
    pub(crate) fn tail_end(&self) -> usize {
        self.tail_end.load(Relaxed)
    }

    /// Where growth ends: the reservation, or the byte limit rounded up to a page.
    pub(crate) fn end(&self) -> usize {
        align_up_saturating(self.limit.load(Relaxed), sys::page_size()).min(self.reserved())
    }

    /// Whether the growth policy is [`Growth::Stress`]: one load, where `growth` takes three.
    #[inline]
    pub(crate) fn is_stressed(&self) -> bool {
        self.growth.load(Relaxed) == STRESS
    }

    pub(crate) fn growth(&self) -> Growth {
        let [first, second] = [&self.growth_args[0], &self.growth_args[1]].map(|arg| arg.load(Relaxed));
        match self.growth.load(Relaxed) {
            0 => Growth::Upfront,
            1 => Growth::Fixed(first as usize),
            2 => Growth::Geometric { first: first as usize, max: second as usize },
            _ => Growth::Stress { seed: first },
        }
    }

    /// How the region grows.
    pub(crate) fn engine(&self) -> RegionEngine {
        match self.flags.load(Relaxed) & (PAGED | EXPLICIT) {
            0 => RegionEngine::Fault,
            PAGED => RegionEngine::Paged,
            _ => RegionEngine::Explicit,
        }
    }

    /// What a growth that is to serve the bytes `from..to` has to start from.
    pub(crate) fn need(&self, frontier: usize, from: usize, to: usize) -> Need {
        Need { frontier, from: from.max(frontier), to, end: self.end(), page: sys::page_size() }
    }

    /// How many bytes of a step are made present at once, at most.
    pub(crate) fn populates(&self) -> usize {
        self.populate.load(Relaxed)
    }

    /// The kernel does not populate this region.
    pub(crate) fn stop_populating(&self) {
        self.populate.store(0, Relaxed);
    }

    /// What stands on the region. Signal-safe.
    pub(crate) fn role(&self) -> Role {
        Role::from_number(self.role.load(Relaxed))
    }

    /// Something stands on the region from now on.
    pub(crate) fn set_role(&self, role: Role) {
        self.role.store(role as u8, Relaxed);
    }

    /// The bytes that may be allocated in all: the smallest of the reservation, the region's limit, the
    /// allocation limit and the way to the first guard.
    #[inline]
    pub(crate) fn usable_bytes(&self) -> usize {
        let most = self.usable.load(Relaxed).min(self.allocation_limit.load(Relaxed));
        // A checked arena places its allocations around guards.
        if self.is_checked() { most } else { most.min(self.first_guard()) }
    }

    /// The reservation as it was asked for.
    #[inline]
    pub(crate) fn requested_reserve(&self) -> usize {
        self.requested_reserve.load(Relaxed)
    }

    /// Whether the region is a checked arena's: then memory is inaccessible unless an allocation has it.
    #[inline]
    pub(crate) fn is_checked(&self) -> bool {
        !self.ledger.load(Relaxed).is_null()
    }

    /// Whether guards inside the region are marks in the page table.
    pub(crate) fn guards_by_advice(&self) -> bool {
        self.flags.load(Relaxed) & BY_ADVICE != 0
    }

    /// Whether some pages may be marked, also from a time when that was the way.
    pub(super) fn may_have_marks(&self) -> bool {
        self.flags.load(Relaxed) & MARKED != 0
    }

    /// Some pages are marked.
    pub(super) fn has_marks(&self) {
        if !self.may_have_marks() {
            self.flags.fetch_or(MARKED, Relaxed);
        }
    }

    /// Whether guards are marks where those were insisted on. Anonymous memory that cannot be marked is locked, and has
    /// guards by protection; what lives in a file is of a kind that this kernel does not mark.
    pub(crate) fn guards_as_asked(&self) -> bool {
        self.guards_by_advice() || !self.is_in_file()
    }

    /// From now on by protection: this memory cannot be marked.
    pub(super) fn guard_by_protection(&self) {
        self.flags.fetch_and(!BY_ADVICE, Relaxed);
    }

    /// How much memory is left to the rest.
    pub(crate) fn headroom(&self) -> Headroom {
        match self.headroom.load(Relaxed) {
            AUTO => Headroom::Auto,
            OFF => Headroom::Off,
            bytes => Headroom::AtLeast(bytes),
        }
    }

    /// Whether the region lives in a file.
    pub(crate) fn is_in_file(&self) -> bool {
        self.file.load(Relaxed) >= 0
    }

    /// Whether what is committed is nobody's promise of memory: it was never asked for, or the kernel may write
    /// it out.
    pub(crate) fn is_unpromised(&self) -> bool {
        self.is_in_file() || self.growth() == Growth::Upfront
    }

    /// What is committed is this much from now on. Only for whoever has the region to themselves.
    pub(super) fn set_committed(&self, bytes: usize) {
        let before = self.promised();
        self.frontier.set(bytes);
        self.seen.store(self.seen.load(Relaxed).min(bytes), Relaxed);
        self.whole.store(self.whole.load(Relaxed).min(bytes), Relaxed);
        self.wanted.store(self.wanted.load(Relaxed).min(bytes), Relaxed);
        space::withdraw(before);
        space::promise(self.promised());
    }

    /// The bytes that this region counts for against what all regions may commit: what is memory of it.
    pub(super) fn promised(&self) -> usize {
        if self.growth() == Growth::Upfront { 0 } else { self.in_memory(self.frontier.get()) }
    }

    /// What follows the report of a violation.
    #[cfg(highwater_fault)]
    pub(crate) fn on_violation(&self) -> OnViolation {
        if self.flags.load(Relaxed) & ABORTS == 0 { OnViolation::Die } else { OnViolation::Abort }
    }

    /// How a violation is reported.
    pub(crate) fn format(&self) -> ReportFormat {
        if self.flags.load(Relaxed) & JSON == 0 { ReportFormat::Text } else { ReportFormat::Json }
    }

    /// Whether this is a file-backed region that the process was forked away from: its range is not mapped
    /// here, and may be somebody else's by now. Signal-safe.
    #[cfg(not(highwater_portable))]
    pub(crate) fn not_inherited(&self) -> bool {
        self.file.load(Relaxed) >= 0 && self.of_other_process()
    }

    /// Whether the process was forked away from the one that made this region: its files are the other's.
    #[cfg(not(highwater_portable))]
    pub(super) fn of_other_process(&self) -> bool {
        self.owner.load(Relaxed) != sys::memory_id()
    }

    #[cfg(highwater_portable)]
    pub(super) fn of_other_process(&self) -> bool {
        false
    }

    /// Makes `[from, to)` readable and writable, and a part of core dumps; idempotent. Signal-safe.
    pub(crate) fn make_accessible(&self, from: usize, to: usize) -> Result<(), Errno> {
        debug_assert!(from < to && to <= self.reserved(), "a part of the region");
        let end = self.memory_end();
        if to > end {
            if from < end {
                self.make_accessible(from, end)?;
            }
            return self.make_accessible_in_file(from.max(end), to);
        }
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        // Before the pages are accessible: a write to a page without blocks on a full disk is SIGBUS.
        self.allocate_blocks(from, len)?;
        // The dump flag first: the pages become accessible and a part of the committed mapping in one step. The
        // other way round another thread may touch them in between, and the kernel never joins two mappings
        // that were paged in separately.
        // SAFETY: the range lies in the mapping of a live region.
        let result = unsafe {
            sys::set_dumpable(start, len, true);
            sys::commit(start, len)
        };
        if result == Err(sys::Errno::ENOMEM) {
            // At the limit of mappings there is no room for the piece that has one flag of either side. With the
            // whole tail a part of core dumps, nothing has to be split.
            let rest = self.tail_end().wrapping_sub(from);
            // SAFETY: the tail and the guard behind it are a part of the mapping.
            let again = unsafe {
                sys::set_dumpable(start, rest, true);
                sys::commit(start, len)
            };
            if again.is_ok() {
                return again;
            }
        }
        if result.is_err() {
            // Not `clamp`, which panics for bounds that it cannot know to be in order.
            let tail = self.frontier.get().max(from).min(to);
            // SAFETY: as above.
            unsafe {
                sys::set_dumpable(self.base().wrapping_add(tail), self.tail_end().wrapping_sub(tail), false)
            };
        }
        result
    }

    /// Gives a file-backed range its blocks. Signal-safe.
    #[cfg(not(highwater_portable))]
    pub(super) fn allocate_blocks(&self, from: usize, len: usize) -> Result<(), Errno> {
        let file = self.file.load(Relaxed);
        if file < 0 {
            return Ok(());
        }
        // In a forked child the range is not ours, and may be somebody else's.
        if self.not_inherited() {
            return Err(sys::Errno::EFAULT);
        }
        if !self.is_own_file(file) {
            return Err(sys::Errno::EBADF);
        }
        sys::allocate_blocks(file, self.file_offset.load(Relaxed).wrapping_add(from), len)
    }

    #[cfg(highwater_portable)]
    pub(super) fn allocate_blocks(&self, _from: usize, _len: usize) -> Result<(), Errno> {
        Ok(())
    }

    /// Makes `[from, to)` a part of core dumps.
    pub(super) fn make_dumped(&self, from: usize, to: usize) {
        // SAFETY: the range lies in the mapping of a live region.
        unsafe { sys::set_dumpable(self.base().wrapping_add(from), to.wrapping_sub(from), true) };
    }

    /// Copies the name into `to` and returns it; empty for a region without one.
    pub(crate) fn name<'a>(&self, to: &'a mut [u8; NAME_BYTES]) -> &'a str {
        for (bytes, word) in to.chunks_exact_mut(8).zip(&self.name) {
            bytes.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        text_of(to)
    }

    pub(crate) fn stats(&self) -> Stats {
        let committed = self.frontier.get();
        let counters = &self.counters;
        Stats {
            reserved: self.requested_reserve(),
            committed,
            peak_committed: counters.peak.load(Relaxed).max(committed),
            used: counters.touched.load(Relaxed),
            faults: counters.faults.load(Relaxed),
            commits: counters.commits.load(Relaxed),
            populated: counters.populated.load(Relaxed),
            growth_ns: counters.growth_ns.load(Relaxed),
            engine: self.engine(),
        }
    }

    /// Fills the block for a new region. It is not found by anybody yet.
    pub(crate) fn begin(&self, init: Init<'_>) {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        debug_assert!(!self.is_live(), "a block serves one region at a time");
        // Whoever reads one of the new values finds the generation changed afterwards.
        fence(Release);
        let (kind, first, second) = match init.growth {
            Growth::Upfront => (0, 0, 0),
            Growth::Fixed(step) => (1, step as u64, 0),
            Growth::Geometric { first, max } => (2, first as u64, max as u64),
            Growth::Stress { seed } => (STRESS, seed, 0),
        };
        let (file, file_offset) = init.file.unwrap_or((-1, 0));
        self.id.store(NEXT_ID.fetch_add(1, Relaxed), Relaxed);
        self.base.store(init.base.as_ptr(), Relaxed);
        self.reserved.store(init.reserved, Relaxed);
        self.limit.store(init.limit.min(init.reserved), Relaxed);
        self.usable.store(init.usable.min(init.reserved), Relaxed);
        self.requested_reserve.store(init.requested_reserve.min(init.reserved), Relaxed);
        self.allocation_limit.store(usize::MAX, Relaxed);
        self.frontier.set(0);
        self.head.store(0, Relaxed);
        self.tail_end.store(init.tail_end, Relaxed);
        self.growth.store(kind, Relaxed);
        self.growth_args[0].store(first, Relaxed);
        self.growth_args[1].store(second, Relaxed);
        self.populate.store(init.populate, Relaxed);
        self.file.store(file, Relaxed);
        self.file_offset.store(file_offset, Relaxed);
        self.spill.store(init.spill, Relaxed);
        let identity = sys::file_identity(if init.spill >= 0 { init.spill } else { file }).unwrap_or([0; 2]);
        self.file_identity[0].store(identity[0], Relaxed);
        self.file_identity[1].store(identity[1], Relaxed);
        self.border.reset(0);
        #[cfg(not(highwater_portable))]
        self.owner.store(sys::memory_id(), Relaxed);
        let headroom = match init.headroom {
            Headroom::Auto => AUTO,
            Headroom::Off => OFF,
            Headroom::AtLeast(bytes) => bytes.min(OFF - 1),
        };
        self.headroom.store(headroom, Relaxed);
        self.injected.set(None, 0, 0, 0);
        self.set_role(init.role);
        self.response.store(core::ptr::null_mut(), Relaxed);
        self.seen.store(0, Relaxed);
        self.whole.store(0, Relaxed);
        self.wanted.store(0, Relaxed);
        self.reach.store(init.guard.reach, Relaxed);
        self.guards.clear();
        let mut flags = 0;
        for (is_set, flag) in [
            (init.guard.on_violation == OnViolation::Abort, ABORTS),
            (init.guard.format == ReportFormat::Json, JSON),
            (init.by_advice, BY_ADVICE),
            (init.engine == RegionEngine::Paged, PAGED),
            (init.engine == RegionEngine::Explicit, EXPLICIT),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        self.flags.store(flags, Relaxed);
        self.ledger.store(core::ptr::null_mut(), Relaxed);
        self.counters.clear();
        for (word, bytes) in self.name.iter().zip(init.name.bytes().chunks_exact(8)) {
            word.store(u64::from_ne_bytes(bytes.try_into().expect("chunks of eight")), Relaxed);
        }
        self.generation.fetch_add(1, Release);
    }

    /// Ends the region and puts the block back. Nobody finds it by address any more.
    pub(crate) fn end_and_free(&'static self) {
        debug_assert!(self.is_live(), "a region ends once");
        self.generation.fetch_add(1, AcqRel);
        free(self);
    }
}

// The pool: blocks are numbered; block n lies in chunk k, which has FIRST << k of them.
const FIRST: u32 = 64;
const CHUNKS: usize = 20;
static CHUNK: [AtomicPtr<ControlBlock>; CHUNKS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; CHUNKS];
static NUMBERED: AtomicU32 = AtomicU32::new(0);
static FREE: FreeList = FreeList(AtomicU64::new(0));

fn locate(number: u32) -> Option<(usize, usize)> {
    let chunk = (number / FIRST + 1).ilog2();
    let first_of_chunk = FIRST.checked_mul((1 << chunk) - 1)?;
    Some((chunk as usize, (number - first_of_chunk) as usize))
}

fn get(number: u32) -> Option<&'static ControlBlock> {
    let (chunk, place) = locate(number)?;
    let controls = NonNull::new(CHUNK.get(chunk)?.load(Acquire))?;
    // SAFETY: a published chunk holds FIRST << chunk initialised blocks and is never given back.
    Some(unsafe { controls.add(place).as_ref() })
}

/// A free block, or the system's error when there is no memory for more.
pub(crate) fn acquire() -> Result<&'static ControlBlock, Errno> {
    if let Some(control) = FREE.pop(|number| get(number).map(|control| &control.next_free)).and_then(get) {
        return Ok(control);
    }
    let number = NUMBERED.fetch_add(1, Relaxed);
    let (chunk, place) = locate(number).filter(|&(chunk, _)| chunk < CHUNKS).ok_or(sys::Errno::ENOMEM)?;
    let mut controls = CHUNK[chunk].load(Acquire);
    if controls.is_null() {
        describe::keep();
        let count = FIRST << chunk;
        let bytes = count as usize * size_of::<ControlBlock>();
        let fresh = sys::reserve(bytes, sys::Protection::ReadWrite)?.cast::<ControlBlock>();
        for i in 0..count {
            // SAFETY: the range is ours, writable, page-aligned, and has room for `count` blocks.
            unsafe { fresh.add(i as usize).write(ControlBlock::new(number - place as u32 + i)) };
        }
        controls = match CHUNK[chunk].compare_exchange(controls, fresh.as_ptr(), AcqRel, Acquire) {
            Ok(_) => fresh.as_ptr(),
            Err(theirs) => {
                // SAFETY: nobody has seen this chunk.
                unsafe { sys::release(fresh.cast(), bytes) };
                theirs
            }
        };
    }
    // SAFETY: as in `get`.
    Ok(unsafe { &*controls.add(place) })
}

fn free(control: &'static ControlBlock) {
    FREE.push(control.index.load(Relaxed), &control.next_free);
}

/// The bytes of all regions that are committed and not known to be present; `seen` says what is. Signal-safe.
pub(crate) fn committed_unseen() -> u64 {
    let promised = live().filter(|control| !control.is_unpromised());
    let unseen = |control: &ControlBlock| {
        control.in_memory(control.frontier.get()).saturating_sub(control.seen.load(Relaxed)) as u64
    };
    promised.fold(0, |sum, control| sum.saturating_add(unseen(control)))
}

/// A block that was acquired and not used.
#[cfg(test)]
pub(crate) fn give_back(control: &'static ControlBlock) {
    debug_assert!(!control.is_live(), "only an unused block is given back");
    free(control);
}

/// The blocks of all live regions. Signal-safe.
pub(crate) fn live() -> impl Iterator<Item = &'static ControlBlock> {
    (0..NUMBERED.load(Acquire)).filter_map(get).filter(|control| control.is_live())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_to_chunks_without_gaps() {
        let mut expected = (0, 0);
        for number in 0..100_000 {
            assert_eq!(locate(number), Some(expected), "{number}");
            expected.1 += 1;
            if expected.1 == (FIRST as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }
}
