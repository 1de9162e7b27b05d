//! The facts about a violation; the report turns them into text.

use crate::region::{NAME_BYTES, Role, text_of, up_to_zero};
use core::fmt;
use core::ops::Range;
use core::panic::Location;

/// The kind of a violation.
///
/// ```
/// use highwater::guard::ViolationKind;
///
/// assert_eq!(ViolationKind::UseAfterReset.name(), "use-after-reset");
/// assert_eq!(ViolationKind::ALL.len(), 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ViolationKind {
    /// Past the end of a [`DebugArena`](crate::DebugArena)'s allocation.
    Overflow,
    /// Before the start of a [`DebugArena`](crate::DebugArena)'s allocation, found in the bytes there when it
    /// was given up.
    Underflow,
    /// In an allocation of a [`DebugArena`](crate::DebugArena) that was given up by a reset or a rewind, or freed.
    UseAfterReset,
    /// In a [`DebugArena`](crate::DebugArena), where no allocation is.
    Unallocated,
    /// Further past the frontier than the policy's reach.
    BeyondReach,
    /// In the guard after the reservation's last byte.
    EndOfReservation,
    /// In the guard before the head.
    BeforeHead,
    /// In a guard that was placed inside the region.
    PlacedGuard,
}

impl ViolationKind {
    /// All kinds.
    pub const ALL: [ViolationKind; 8] = [
        ViolationKind::Overflow,
        ViolationKind::Underflow,
        ViolationKind::UseAfterReset,
        ViolationKind::Unallocated,
        ViolationKind::BeyondReach,
        ViolationKind::EndOfReservation,
        ViolationKind::BeforeHead,
        ViolationKind::PlacedGuard,
    ];

    /// Its name in reports: lower case, words joined by `-`.
    pub const fn name(self) -> &'static str {
        match self {
            ViolationKind::Overflow => "overflow",
            ViolationKind::Underflow => "underflow",
            ViolationKind::UseAfterReset => "use-after-reset",
            ViolationKind::Unallocated => "unallocated",
            ViolationKind::BeyondReach => "beyond-reach",
            ViolationKind::EndOfReservation => "end-of-reservation",
            ViolationKind::BeforeHead => "before-head",
            ViolationKind::PlacedGuard => "placed-guard",
        }
    }
}

/// How memory was accessed.
///
/// ```
/// use highwater::guard::{Access, Violation, set_hook};
///
/// fn note(violation: &Violation) {
///     if violation.access() == Access::Write && violation.allocation().is_some_and(|block| block.size > 64) {
///         // Only what is async-signal-safe.
///     }
/// }
/// // SAFETY: `note` reads the violation and nothing else.
/// unsafe { set_hook(Some(note)) };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It was read.
    Read,
    /// It was written.
    Write,
    /// The processor does not say, or the traces were found later.
    Unknown,
}

/// An allocation of a checked arena.
///
/// ```
/// use highwater::guard::{Violation, set_hook};
///
/// fn note(violation: &Violation) {
///     if violation.allocation().is_some_and(|block| block.size > 64) {
///         // Only what is async-signal-safe.
///     }
/// }
/// // SAFETY: `note` reads the violation and nothing else.
/// unsafe { set_hook(Some(note)) };
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Allocation {
    /// The offset of its first byte from the region's first byte, in bytes.
    pub offset: usize,
    /// Its size in bytes.
    pub size: usize,
    /// Its alignment in bytes.
    pub align: usize,
    /// The number of allocations before it in this arena.
    pub ordinal: u64,
    /// The generation it was made in. Generations are counted from 1; a reset, and a rewind that gives something
    /// up, begins a new one.
    pub generation: u32,
    /// The generation it was given up in; `None` while it lives.
    pub ended: Option<u32>,
    /// The call that made it.
    pub caller: &'static Location<'static>,
}

/// An access to memory that must not be accessed: what its report says.
///
/// Its `Display` is the report's first line. [`to_json`](Violation::to_json) is the whole of it.
///
/// ```
/// use highwater::guard::{Violation, set_hook};
///
/// fn line(violation: &Violation) {
///     let text = violation.kind().name();
///     // SAFETY: the bytes are readable; write(2) is async-signal-safe.
///     unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
/// }
/// // SAFETY: `line` only writes.
/// unsafe { set_hook(Some(line)) };
/// ```
#[derive(Clone)]
pub struct Violation {
    pub(crate) kind: ViolationKind,
    pub(crate) access: Access,
    pub(crate) address: usize,
    pub(crate) offset: isize,
    pub(crate) distance: usize,
    pub(crate) region: u64,
    pub(crate) name: [u8; NAME_BYTES],
    pub(crate) role: Role,
    pub(crate) reserved: usize,
    pub(crate) committed: usize,
    pub(crate) reach: usize,
    pub(crate) guard: Option<Range<usize>>,
    pub(crate) allocation: Option<Allocation>,
    pub(crate) generation: Option<u32>,
    pub(crate) thread: u32,
    pub(crate) thread_name: [u8; 16],
    pub(crate) pc: Option<usize>,
    /// The end of the path that the program counter is in, zeroes behind it, and the offset there. By value: a
    /// copy of a violation may outlast the report.
    pub(crate) image: [u8; IMAGE_BYTES],
    pub(crate) image_offset: usize,
}

/// Bytes of an image's path that are kept, the last ones.
pub(crate) const IMAGE_BYTES: usize = 160;

/// Bytes up to the first zero, as far as they are text.
fn text(bytes: &[u8]) -> &str {
    let bytes = up_to_zero(bytes);
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            core::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
    }
}

impl Violation {
    /// Its kind.
    pub fn kind(&self) -> ViolationKind {
        self.kind
    }

    /// Whether it was a read or a write.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The address that was accessed.
    pub fn address(&self) -> usize {
        self.address
    }

    /// The same, in bytes from the region's first byte; negative before the head.
    pub fn offset(&self) -> isize {
        self.offset
    }

    /// By how many bytes: past the end of the allocation or the reservation, before the start of the allocation
    /// or the head, into the allocation that was given up or the guard that was placed, past the frontier. The
    /// first byte that is wrong counts as 1, and so does any that no allocation has.
    pub fn distance(&self) -> usize {
        self.distance
    }

    /// The number of the region.
    pub fn region(&self) -> u64 {
        self.region
    }

    /// The name of the region, empty if it has none.
    pub fn name(&self) -> &str {
        text_of(&self.name)
    }

    /// The allocation that the access belongs to, in a checked arena.
    pub fn allocation(&self) -> Option<&Allocation> {
        self.allocation.as_ref()
    }

    /// The generation that a checked arena was in.
    pub fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// The kernel's number of the thread.
    pub fn thread(&self) -> u32 {
        self.thread
    }

    /// The thread's name, as much of it as the system keeps.
    pub fn thread_name(&self) -> &str {
        text(&self.thread_name)
    }

    /// The address of the instruction, unless the violation was found later.
    pub fn program_counter(&self) -> Option<usize> {
        self.pc
    }

    /// The file that the instruction was loaded from (the last 160 bytes of its path), and the instruction's
    /// offset from where that file is loaded: the address that `addr2line` takes for a position-independent file.
    pub fn image(&self) -> Option<(&str, usize)> {
        let image = text(&self.image);
        (!image.is_empty()).then_some((image, self.image_offset))
    }

    /// The guard that was placed there, in bytes from the region's first one.
    pub fn guard(&self) -> Option<Range<usize>> {
        self.guard.clone()
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Violation({self})")
    }
}
