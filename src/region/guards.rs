//! The guards inside a region: a list that growth goes around, readable inside the signal.

use super::{ControlBlock, Region};
use crate::policy::GuardMechanism;
use crate::sys::evidence::{self, Evidence, RefusedCall};
use crate::sys::{self, Errno};
use core::ffi::CStr;
use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{AtomicPtr, AtomicUsize, fence};

/// The most guards that can be placed in one region.
const MOST: usize = 4096;

/// A guard's first byte and the byte after its last one, as offsets.
struct Place([AtomicUsize; 2]);

/// The guards of one region. They are only ever added, while the region lives; an entry is written before it is
/// counted. The memory stays with the control block.
#[derive(Debug)]
pub(super) struct Guards {
    places: AtomicPtr<Place>,
    count: AtomicUsize,
    /// Where the first one begins; `usize::MAX` when there is none.
    lowest: AtomicUsize,
}

/// The bytes of a guard in the list: its first byte and the byte after its last one, as words.
pub(super) const PLACE_BYTES: usize = size_of::<Place>();

impl Guards {
    /// Where the list is, and how long it is.
    pub(super) const PLACES: usize = core::mem::offset_of!(Guards, places);
    pub(super) const COUNT: usize = core::mem::offset_of!(Guards, count);

    pub(super) const fn new() -> Self {
        Guards {
            places: AtomicPtr::new(core::ptr::null_mut()),
            count: AtomicUsize::new(0),
            lowest: AtomicUsize::new(usize::MAX),
        }
    }

    pub(super) fn clear(&self) {
        self.count.store(0, Release);
        self.lowest.store(usize::MAX, Relaxed);
    }

    fn places(&self) -> &[Place] {
        let count = self.count.load(Acquire).min(MOST);
        match NonNull::new(self.places.load(Acquire)) {
            // SAFETY: the memory holds MOST places, zeroed or written, and is never given back.
            Some(places) => unsafe { core::slice::from_raw_parts(places.as_ptr(), count) },
            None => &[],
        }
    }

    fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.places().iter().map(|Place([start, end])| start.load(Relaxed)..end.load(Relaxed))
    }

    fn push(&self, guard: &Range<usize>) -> Result<(), GuardError> {
        let count = self.count.load(Relaxed);
        if count == MOST {
            return Err(GuardError::TooMany { most: MOST });
        }
        if self.places.load(Acquire).is_null() {
            let bytes = MOST * size_of::<Place>();
            let fresh = sys::reserve(bytes, sys::Protection::ReadWrite)
                .map_err(|errno| GuardError::refused(errno, RefusedCall::MapWritable(bytes)))?;
            if self
                .places
                .compare_exchange(core::ptr::null_mut(), fresh.as_ptr().cast(), AcqRel, Acquire)
                .is_err()
            {
                // SAFETY: nobody has seen it.
                unsafe { sys::release(fresh, bytes) };
            }
        }
        // SAFETY: there is room for MOST places, and `count` is below that.
        let Place([start, end]) = unsafe { &*self.places.load(Acquire).add(count) };
        start.store(guard.start, Relaxed);
        end.store(guard.end, Relaxed);
        self.count.store(count + 1, Release);
        self.lowest.fetch_min(guard.start, Relaxed);
        Ok(())
    }
}

impl ControlBlock {
    /// The guard that was placed over a byte. Signal-safe.
    pub(crate) fn guard_over(&self, offset: usize) -> Option<Range<usize>> {
        // Most regions have none, and every growth asks.
        if offset < self.first_guard() {
            return None;
        }
        self.guards.iter().find(|guard| guard.contains(&offset))
    }

    /// Where the first guard inside the region begins; `usize::MAX` when there is none.
    #[inline]
    pub(crate) fn first_guard(&self) -> usize {
        self.guards.lowest.load(Relaxed)
    }

    /// The guards inside the region.
    pub(crate) fn placed_guards(&self) -> impl Iterator<Item = Range<usize>> {
        self.guards.iter()
    }

    /// The first guard that has bytes of `[from, to)`, cut to that range.
    fn next_guard(&self, from: usize, to: usize) -> Option<Range<usize>> {
        // (An empty range inside a guard overlaps nothing: a step may end there.)
        let overlaps = |guard: &Range<usize>| guard.start.max(from) < guard.end.min(to);
        let overlapping = self.guards.iter().filter(overlaps);
        overlapping.min_by_key(|guard| guard.start).map(|guard| guard.start.max(from)..guard.end.min(to))
    }

    /// Makes `[from, to)` a part of what is committed: accessible, but for the guards in it, which are at no
    /// moment. Idempotent, signal-safe.
    pub(crate) fn commit(&self, from: usize, to: usize) -> Result<(), Errno> {
        if self.is_checked() {
            return self.commit_closed(from, to);
        }
        if to <= self.first_guard() {
            return self.make_accessible(from, to);
        }
        let mut from = from;
        while let Some(guard) = self.next_guard(from, to) {
            // Marked before the mapping becomes accessible: the mark outlasts that, and leaves it in one piece.
            let marked = self.guards_by_advice() && {
                self.protect(guard.start, guard.end)?;
                self.guards_by_advice()
            };
            let open_to = if marked { guard.end } else { guard.start };
            if from < open_to {
                self.make_accessible(from, open_to)?;
            }
            from = guard.end;
        }
        if from < to { self.make_accessible(from, to) } else { Ok(()) }
    }

    /// After the frontier moved over `[from, to)`: closes the guards that were placed there while it did. Whoever
    /// places one looks at the frontier afterwards, so one of the two sees the other.
    pub(crate) fn protect_late_guards(&self, from: usize, to: usize) {
        fence(SeqCst);
        if to <= self.first_guard() || self.is_checked() {
            return;
        }
        let _ = self.restore_guards(from, to);
    }

    /// What is committed of a checked arena's region stays closed until an allocation opens it.
    fn commit_closed(&self, from: usize, to: usize) -> Result<(), Errno> {
        // First of all: a forked child may have nothing here that could be marked.
        self.allocate_blocks(from, to.wrapping_sub(from))?;
        if self.guards_by_advice() {
            self.protect(from, to)?;
            // Still, unless this memory cannot be marked.
            if self.guards_by_advice() {
                return self.make_accessible(from, to);
            }
        }
        self.make_dumped(from, to);
        Ok(())
    }

    /// Opens a part of what is committed of a checked arena's region.
    pub(crate) fn unprotect(&self, from: usize, to: usize) -> Result<(), Errno> {
        debug_assert!(from < to && to <= self.frontier.get(), "only what is committed can be opened");
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        if self.may_have_marks() {
            // SAFETY: the range lies in the mapping of a live region.
            unsafe { sys::remove_guard(start, len)? };
            if self.guards_by_advice() {
                return Ok(());
            }
        }
        self.allocate_blocks(from, len)?;
        // SAFETY: as above.
        unsafe { sys::commit(start, len) }
    }

    /// Gives the memory of a range back that stays as accessible as it is; nobody refers to what is in it.
    pub(crate) fn purge(&self, from: usize, to: usize) {
        debug_assert!(from < to && to <= self.reserved(), "a part of the region");
        // SAFETY: the range lies in the mapping of a live region, and nobody refers to what is in it.
        unsafe { sys::purge(self.base().wrapping_add(from), to.wrapping_sub(from)) };
    }

    /// Makes `[from, to)` inaccessible, whether it is committed or not, and drops what is in it; nobody refers
    /// to that any more. Signal-safe.
    pub(crate) fn protect(&self, from: usize, to: usize) -> Result<(), Errno> {
        debug_assert!(from < to && to <= self.reserved(), "a part of the region");
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        // SAFETY: the range lies in the mapping of a live region, and nobody refers to what is in it.
        unsafe {
            if self.guards_by_advice() {
                match sys::install_guard(start, len) {
                    Ok(()) => {
                        self.has_marks();
                        return Ok(());
                    }
                    // Locked memory cannot be marked (a program may lock it at any time), and kernels before 6.15 mark
                    // anonymous memory only.
                    Err(sys::Errno::EINVAL) => self.guard_by_protection(),
                    Err(errno) => return Err(errno),
                }
            }
            sys::protect(start, len)?;
            sys::purge_locked(start, len);
        }
        Ok(())
    }

    /// [`close`](Slot::close) for a checked arena, outside the signal. Pages of different allocations are different
    /// mappings, and do not join again when their protection is the same; a range that is mapped over is one. Locked
    /// memory stays as it is: mapped over it would not be locked any more, or could not be had again.
    pub(crate) fn protect_by_remap(&self, from: usize, to: usize, name: &CStr) -> Result<(), Errno> {
        let is_anonymous = self.file.load(Relaxed) < 0;
        let Some(start) = NonNull::new(self.base().wrapping_add(from)).filter(|_| is_anonymous) else {
            return self.protect(from, to);
        };
        if self.guards_by_advice() {
            return self.protect(from, to);
        }
        // SAFETY: the range lies in the mapping of a live region, and nobody refers to what is in it.
        unsafe {
            if sys::is_locked(start) {
                return self.protect(from, to);
            }
            sys::reserve_over(start, to.wrapping_sub(from), sys::Protection::None)?;
            sys::set_name(start, to.wrapping_sub(from), name);
        }
        Ok(())
    }

    /// Places a guard. Nobody refers to what is there.
    pub(super) fn place_guard(&self, guard: Range<usize>) -> Result<(), GuardError> {
        let page = sys::page_size();
        if guard.is_empty() || !guard.start.is_multiple_of(page) || !guard.end.is_multiple_of(page) {
            return Err(GuardError::NotPages { guard, page });
        }
        if guard.end > self.reserved() {
            return Err(GuardError::Outside { guard, reserved: self.reserved() });
        }
        // First the list: whoever grows from now on goes around it, and whoever is at it looks once more.
        self.guards.push(&guard)?;
        fence(SeqCst);
        let committed = self.frontier.get().min(guard.end);
        if sys::HAS_PROTECTION && guard.start < committed {
            let bytes = committed - guard.start;
            self.protect(guard.start, committed)
                .map_err(|errno| GuardError::refused(errno, RefusedCall::Commit(bytes)))?;
        }
        Ok(())
    }

    /// Closes what has to be closed of a range that was mapped over and stays accessible.
    pub(super) fn restore_protection(&self, from: usize, to: usize) -> Result<(), Errno> {
        if self.is_checked() { self.protect(from, to) } else { self.restore_guards(from, to) }
    }

    /// Closes the guards of a range.
    fn restore_guards(&self, from: usize, to: usize) -> Result<(), Errno> {
        let mut from = from;
        while let Some(guard) = self.next_guard(from, to) {
            self.protect(guard.start, guard.end)?;
            from = guard.end;
        }
        Ok(())
    }
}

impl Region {
    /// Places a guard over a range of offsets, in bytes from the region's first one, both multiples of the page
    /// size. From now on no access to it is served; growth goes around it, and so does everything else that
    /// commits. What was in it is gone. It stays for as long as the region does.
    ///
    /// Where memory cannot be protected (`portable` builds) it has no effect beyond what
    /// [`Arena`](crate::Arena)s make of it.
    ///
    /// # Errors
    /// A [`GuardError`] that names the range, if it is not whole pages of this region or the system refuses.
    ///
    /// # Safety
    /// Nothing refers to the contents of the range.
    ///
    /// ```
    /// let mut region = highwater::Region::builder().reserve(1 << 20).build();
    /// // SAFETY: nobody uses the region yet.
    /// unsafe { region.guard_at(0x80000..0x90000)? };
    /// region.ensure(1 << 20)?; // everything but the guard
    /// assert_eq!(region.committed_bytes(), 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn guard_at(&mut self, range: Range<usize>) -> Result<(), GuardError> {
        self.control().place_guard(range)
    }
}

/// Why a guard could not be placed. Its text is one line and names the range.
#[derive(Debug)]
#[non_exhaustive]
pub enum GuardError {
    /// The range is empty, or does not begin and end on page boundaries.
    NotPages {
        /// The range, in bytes from the region's first one.
        guard: Range<usize>,
        /// The page size in bytes.
        page: usize,
    },
    /// The range is not a part of the region.
    Outside {
        /// The range, in bytes from the region's first one.
        guard: Range<usize>,
        /// The region's bytes: what was got, which may be less than what was asked for.
        reserved: usize,
    },
    /// An arena's allocations are there, or a [`DebugArena`](crate::DebugArena)'s were of late.
    InUse {
        /// The range, in bytes from the region's first one.
        guard: Range<usize>,
        /// The bytes in use.
        used: usize,
    },
    /// No more guards can be placed in one region.
    TooMany {
        /// How many there are.
        most: usize,
    },
    /// The mechanism that was asked for does not exist here.
    NoMechanism(GuardMechanism),
    /// A limit of the system stood in the way.
    Limited {
        /// The bytes that the guard, or what is kept about it, takes.
        bytes: usize,
        /// The limit's name (`vm.max_map_count`), how much it allows, and what was taken of it.
        limit: (&'static str, u64, u64),
        /// The system's error.
        error: std::io::Error,
    },
    /// The system refused, and no limit explains it.
    Refused(std::io::Error),
}

impl GuardError {
    pub(crate) fn refused(errno: Errno, wanted: RefusedCall) -> Self {
        let mut scratch = [0u8; 4096];
        let (RefusedCall::Reserve(bytes) | RefusedCall::MapWritable(bytes) | RefusedCall::Commit(bytes)) =
            wanted;
        match evidence::find(errno, wanted, &mut scratch) {
            Some(Evidence { obstacle, limit, usage, .. }) => {
                let limit = (obstacle.name(), limit, usage);
                GuardError::Limited { bytes, limit, error: errno.into() }
            }
            None => GuardError::Refused(errno.into()),
        }
    }

    /// What stood in the way, where that is known.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        let GuardError::Limited { limit: (name, limit, usage), .. } = *self else { return None };
        Evidence::named(name, limit, usage, 0)
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GuardError::NotPages { guard, page } => {
                write!(f, "a guard at {guard:?} is not made of whole pages of {page} bytes")
            }
            GuardError::Outside { guard, reserved } => {
                write!(f, "a guard at {guard:?} is not inside the {reserved} bytes of the region")
            }
            GuardError::InUse { guard, used } => {
                write!(
                    f,
                    "a guard at {guard:?} would lie over something in use ({used} bytes are), another guard, or what \
                     was given up of late"
                )
            }
            GuardError::TooMany { most } => write!(f, "there are {most} guards in the region already"),
            GuardError::NoMechanism(mechanism) => {
                write!(f, "guards by {mechanism:?} do not exist on this system")
            }
            GuardError::Limited { limit: (name, limit, usage), .. } => match self.evidence() {
                Some(evidence) => write!(f, "a guard was refused by {evidence}"),
                None => write!(f, "a guard was refused by {name}, which allow {limit} bytes, not {usage}"),
            },
            GuardError::Refused(error) => write!(f, "a guard was refused by the system: {error}"),
        }
    }
}

impl std::error::Error for GuardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            GuardError::Limited { error, .. } | GuardError::Refused(error) => Some(error),
            _ => None,
        }
    }
}
