//! A region's control block: what the rest of the library knows of a region, in memory that is never unmapped.
//!
//! A handler may hold a block while another thread drops its region. So blocks are reused but never freed (`pool`), every
//! field is an atomic, and a generation tells a live region from the one before it.

use super::atomic::{AtomicU32, AtomicU64, AtomicUsize};
use super::border::{SpillBorder, SpillState};
use super::charge::{charge, uncharge};
use super::frontier::Frontier;
use super::guard_list::GuardList;
use super::injection::InjectionWords;
use super::name::{NAME_BYTES, RegionName, text_of};
use super::policy_words::{PolicyWords, RegionPolicy};
use super::role::Role;
use crate::math::page::align_up_saturating;
use crate::math::step::GrowthNeed;
#[cfg(highwater_fault)]
use crate::policy::OnViolation;
use crate::policy::{Growth, Headroom, RegionEngine, ReportFormat};
use crate::stats::{Counters, Stats};
use crate::sys;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, fence};

/// A region as the rest of the library sees it.
#[repr(align(128))] // two cache lines: one region's counters do not slow down its neighbour's frontier
#[derive(Debug)]
pub(crate) struct ControlBlock {
    /// Odd while a region lives here.
    pub(super) generation: AtomicU64,
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
    pub(super) policy: PolicyWords,
    /// The backing file, -1 for anonymous memory, and where in it the region's first byte is.
    pub(crate) file: AtomicI32,
    pub(crate) file_offset: AtomicUsize,
    /// The file to spill to, -1 for none; and where it begins, once the region has spilled.
    pub(super) spill: AtomicI32,
    pub(crate) border: SpillBorder,
    /// The device and the inode of the file that the region lives in or may spill to.
    pub(super) file_identity: [AtomicU64; 2],
    /// The number of the address space that a file-backed region exists in: a forked child does not have the mapping.
    #[cfg(not(highwater_portable))]
    owner: AtomicU32,
    /// The bytes that may be allocated: the byte limit, or the reserve that was asked for. The same as `limit`, except for
    /// a checked arena's region, where guards and quarantined ranges lie between allocations.
    pub(crate) usable: AtomicUsize,
    /// The reserve that was asked for: the same as `reserved`, except for a checked arena's region.
    pub(crate) requested_reserve: AtomicUsize,
    /// How far past the frontier a touch may be and still be growth, in bytes.
    pub(crate) reach: AtomicUsize,
    pub(super) guards: GuardList,
    /// The ledger of a checked arena (`guard::Ledger`); null for every other region.
    pub(crate) ledger: AtomicPtr<()>,
    pub(crate) injected: InjectionWords,
    /// What follows a refused commit, encoded by `admission::Response`; null for the default.
    pub(crate) response: AtomicPtr<()>,
    /// Bytes of the committed part that were found resident by the last count, and those at its beginning without a gap.
    pub(crate) resident: AtomicUsize,
    pub(crate) resident_prefix: AtomicUsize,
    /// Up to where growth was needed; the committed bytes behind it are the rest of a step.
    pub(crate) needed_end: AtomicUsize,
    /// How often memory was decommitted or purged. It tells a repeated fault from a new one at the same place.
    pub(crate) trims: AtomicU64,
    pub(super) name: [AtomicU64; NAME_BYTES / 8],
    /// A [`Role`], as a number.
    role: AtomicU8,
    pub(crate) counters: Counters,
    /// The block's number in the pool, and the link of the pool's free list.
    pub(super) index: AtomicU32,
    pub(super) next_free: AtomicU32,
}

/// The facts of a new region.
pub(crate) struct ControlBlockInit<'a> {
    pub(crate) base: NonNull<u8>,
    pub(crate) reserved: usize,
    pub(crate) tail_end: usize,
    /// Up to where growth is admitted.
    pub(crate) limit: usize,
    /// The bytes that may be allocated, and the reserve that was asked for.
    pub(crate) usable: usize,
    pub(crate) requested_reserve: usize,
    pub(crate) policy: RegionPolicy<'a>,
    pub(crate) file: Option<(i32, usize)>,
    pub(crate) spill: i32,
    pub(crate) name: RegionName,
    pub(crate) role: Role,
}

impl ControlBlock {
    pub(super) fn new(index: u32) -> Self {
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
            policy: PolicyWords::new(),
            file: AtomicI32::new(-1),
            file_offset: AtomicUsize::new(0),
            spill: AtomicI32::new(-1),
            border: SpillBorder::new(),
            file_identity: [const { AtomicU64::new(0) }; 2],
            #[cfg(not(highwater_portable))]
            owner: AtomicU32::new(0),
            reach: AtomicUsize::new(usize::MAX),
            guards: GuardList::new(),
            ledger: AtomicPtr::new(core::ptr::null_mut()),
            injected: InjectionWords::none(),
            response: AtomicPtr::new(core::ptr::null_mut()),
            resident: AtomicUsize::new(0),
            resident_prefix: AtomicUsize::new(0),
            needed_end: AtomicUsize::new(0),
            trims: AtomicU64::new(0),
            name: [const { AtomicU64::new(0) }; NAME_BYTES / 8],
            role: AtomicU8::new(0),
            counters: Counters::new(),
            index: AtomicU32::new(index),
            next_free: AtomicU32::new(0),
        }
    }

    /// Fills the block for a new region, which no thread can find yet.
    pub(super) fn begin(&self, init: &ControlBlockInit<'_>) {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        debug_assert!(!self.is_live(), "a block serves one region at a time");
        // A thread that reads one of the new values finds the generation changed afterwards.
        fence(Release);
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
        self.policy.set(&init.policy);
        self.file.store(file, Relaxed);
        self.file_offset.store(file_offset, Relaxed);
        self.spill.store(init.spill, Relaxed);
        let identity = sys::file_identity(if init.spill >= 0 { init.spill } else { file }).unwrap_or([0; 2]);
        self.file_identity[0].store(identity[0], Relaxed);
        self.file_identity[1].store(identity[1], Relaxed);
        self.border.reset(0);
        #[cfg(not(highwater_portable))]
        self.owner.store(sys::memory_id(), Relaxed);
        self.injected.set(None, 0, 0, 0);
        self.set_role(init.role);
        self.response.store(core::ptr::null_mut(), Relaxed);
        self.resident.store(0, Relaxed);
        self.resident_prefix.store(0, Relaxed);
        self.needed_end.store(0, Relaxed);
        self.reach.store(init.policy.guard.reach, Relaxed);
        self.guards.clear();
        self.ledger.store(core::ptr::null_mut(), Relaxed);
        self.counters.clear();
        let (chunks, _) = init.name.bytes().as_chunks();
        for (i, word) in self.name.iter().enumerate() {
            word.store(chunks.get(i).map_or(0, |bytes| u64::from_ne_bytes(*bytes)), Relaxed);
        }
        self.generation.fetch_add(1, Release);
    }

    /// Ends the region. It is not registered any more.
    pub(super) fn end_region(&self) {
        debug_assert!(self.is_live(), "a region ends once");
        self.generation.fetch_add(1, AcqRel);
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

    /// The input of the growth policy for a growth that is to serve the bytes `from..to`.
    pub(crate) fn need(&self, frontier: usize, from: usize, to: usize) -> GrowthNeed {
        GrowthNeed { frontier, from: from.max(frontier), to, end: self.end(), page: sys::page_size() }
    }

    /// The bytes that may be allocated: up to the reservation's end, the region's limit, the allocation limit or the first
    /// guard, whichever comes first.
    #[inline]
    pub(crate) fn usable_bytes(&self) -> usize {
        let limit = self.usable.load(Relaxed).min(self.allocation_limit.load(Relaxed));
        // A checked arena places its allocations around guards.
        if self.is_checked() { limit } else { limit.min(self.first_guard()) }
    }

    /// The reserve that was asked for.
    #[inline]
    pub(crate) fn requested_reserve(&self) -> usize {
        self.requested_reserve.load(Relaxed)
    }

    /// Whether the region is a checked arena's: its memory is inaccessible except where an allocation is.
    #[inline]
    pub(crate) fn is_checked(&self) -> bool {
        !self.ledger.load(Relaxed).is_null()
    }

    /// Where the first guard inside the region begins; `usize::MAX` when there is none.
    #[inline]
    pub(crate) fn first_guard(&self) -> usize {
        self.guards.first()
    }

    /// Whether the region lives in a file.
    pub(crate) fn is_in_file(&self) -> bool {
        self.file.load(Relaxed) >= 0
    }

    /// Whether the region has a file to spill to, in this process.
    pub(crate) fn may_spill(&self) -> bool {
        self.spill.load(Relaxed) >= 0
            && !self.is_of_other_process()
            && self.border.state() != SpillState::Failed
    }

    /// Where the part of the region that is memory ends: `usize::MAX` unless it has spilled.
    pub(crate) fn memory_end(&self) -> usize {
        match self.border.state() {
            SpillState::InFile(border) => border,
            _ => usize::MAX,
        }
    }

    /// The bytes below `offset` that are memory.
    pub(crate) fn in_memory(&self, offset: usize) -> usize {
        offset.min(self.memory_end())
    }

    /// Whether headroom does not count the committed bytes of this region: it is accessible from the start, or the kernel
    /// may write its pages to a file.
    pub(crate) fn needs_no_headroom(&self) -> bool {
        self.is_in_file() || self.growth() == Growth::Upfront
    }

    /// Sets the frontier, down as well, and what follows from it. The caller has the region to itself.
    pub(super) fn set_committed(&self, bytes: usize) {
        let before = self.charged();
        self.frontier.set(bytes);
        for end in [&self.resident, &self.resident_prefix, &self.needed_end] {
            end.store(end.load(Relaxed).min(bytes), Relaxed);
        }
        uncharge(before);
        charge(self.charged());
    }

    /// The bytes of this region that the process limit counts: those that are committed in memory.
    pub(super) fn charged(&self) -> usize {
        if self.growth() == Growth::Upfront { 0 } else { self.in_memory(self.frontier.get()) }
    }

    /// Whether this is a file-backed region of the process that this one was forked from: its range is not mapped here, and
    /// the addresses may have another use. Signal-safe.
    #[cfg(not(highwater_portable))]
    pub(crate) fn is_not_inherited(&self) -> bool {
        self.is_in_file() && self.is_of_other_process()
    }

    /// Whether the process that made this region is the one that this process was forked from: the files are that one's.
    #[cfg(not(highwater_portable))]
    pub(super) fn is_of_other_process(&self) -> bool {
        self.owner.load(Relaxed) != sys::memory_id()
    }

    #[cfg(highwater_portable)]
    pub(super) fn is_of_other_process(&self) -> bool {
        false
    }

    /// What stands on the region. Signal-safe.
    pub(crate) fn role(&self) -> Role {
        Role::from_number(self.role.load(Relaxed))
    }

    /// Sets what stands on the region from now on.
    pub(crate) fn set_role(&self, role: Role) {
        self.role.store(role as u8, Relaxed);
    }

    /// Copies the name into `to` and returns it; empty for a region without one.
    pub(crate) fn name<'a>(&self, to: &'a mut [u8; NAME_BYTES]) -> &'a str {
        let (chunks, _) = to.as_chunks_mut();
        for (i, word) in self.name.iter().enumerate() {
            if let Some(bytes) = chunks.get_mut(i) {
                *bytes = word.load(Relaxed).to_ne_bytes();
            }
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
}

/// The policies, decoded.
impl ControlBlock {
    /// Whether the growth policy is [`Growth::Stress`]: one load, where `growth` takes three.
    #[inline]
    pub(crate) fn is_stressed(&self) -> bool {
        self.policy.is_stressed()
    }

    pub(crate) fn growth(&self) -> Growth {
        self.policy.growth()
    }

    /// How the region grows.
    pub(crate) fn engine(&self) -> RegionEngine {
        self.policy.engine()
    }

    /// How much memory growth leaves to the rest of the system.
    pub(crate) fn headroom(&self) -> Headroom {
        self.policy.headroom()
    }

    /// How many bytes of a step are made present at once, at most.
    pub(crate) fn max_populate(&self) -> usize {
        self.policy.max_populate()
    }

    /// The kernel does not populate this region.
    pub(crate) fn stop_populating(&self) {
        self.policy.stop_populating();
    }

    /// What follows the report of a violation.
    #[cfg(highwater_fault)]
    pub(crate) fn on_violation(&self) -> OnViolation {
        self.policy.on_violation()
    }

    /// How a violation is reported.
    pub(crate) fn format(&self) -> ReportFormat {
        self.policy.format()
    }

    /// Whether guards inside the region are marks in the page table.
    #[cfg(feature = "debug-arena")]
    pub(crate) fn guards_by_advice(&self) -> bool {
        self.policy.guards_by_advice()
    }

    /// Whether guards are marks where [`GuardMechanism::Advice`](crate::GuardMechanism::Advice) was asked for. Anonymous
    /// memory that cannot be marked is locked, and has guards by protection, which is allowed then; a file that cannot be
    /// marked is of a kind that this kernel does not mark.
    pub(crate) fn has_requested_guards(&self) -> bool {
        self.policy.guards_by_advice() || !self.is_in_file()
    }
}
