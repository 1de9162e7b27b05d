//! The error of a fallible call.

use super::cause::{Cause, Refusal};
use crate::fallible::Exhausted;
use crate::region::{BuildError, ControlBlock, GuardError, NAME_BYTES, Role, text_of};
use crate::sys;
use crate::sys::evidence::{self, RefusedCall};
use core::fmt;

/// The request that was refused. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedRequest {
    /// An allocation: its size, and what it takes with its padding.
    Allocation { requested: usize, effective: usize },
    /// A growth by fault: only the distance that the frontier should have moved is known.
    #[cfg_attr(not(highwater_fault), expect(dead_code, reason = "only a fault knows no more"))]
    Growth { step: usize },
}

/// A region's number, 0 for one that could not be made, and the role of what stands on it. In one word, because with the
/// role in a word of its own the error would have 128 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ErrorSubject(u64);

impl ErrorSubject {
    /// Below the role, which has the highest byte.
    const NUMBER: u64 = u64::MAX >> 8;

    const fn new(number: u64, role: Role) -> Self {
        ErrorSubject(number & Self::NUMBER | (role as u64) << 56)
    }

    const fn number(self) -> u64 {
        self.0 & Self::NUMBER
    }

    const fn role(self) -> Role {
        Role::from_number((self.0 >> 56) as u8)
    }
}

const _: () = assert!(size_of::<OutOfMemory>() < 128);

/// Memory ran out, and this is why.
///
/// The text is the first line of a report:
///
/// ```
/// let arena = highwater::Arena::builder().name("parser").reserve(1 << 30).limit(1 << 20).build();
/// let error = arena.try_alloc([0u8; 2 << 20]).unwrap_err();
/// assert_eq!(error.cause(), highwater::Cause::RegionLimit);
/// assert_eq!(
///     error.to_string(),
///     "arena \"parser\" out of memory: requested 2 MiB (effective 2 MiB), used 0 B, \
///      committed 64 KiB, reserved 1 GiB: region limit 1 MiB reached"
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OutOfMemory {
    subject: ErrorSubject,
    /// The region's name, copied: the error may outlive it.
    pub(crate) name: [u8; NAME_BYTES],
    pub(crate) refusal: Refusal,
    pub(crate) request: RefusedRequest,
    pub(crate) used: usize,
    pub(crate) committed: usize,
    pub(crate) reserved: usize,
}

impl OutOfMemory {
    #[cold]
    pub(crate) fn new(
        control: &'static ControlBlock,
        request: RefusedRequest,
        used: usize,
        refusal: Refusal,
    ) -> Self {
        let (committed, reserved) = (control.frontier.get(), control.requested_reserve());
        let mut name = [0; NAME_BYTES];
        control.name(&mut name);
        let number = control.id.load(core::sync::atomic::Ordering::Relaxed);
        let subject = ErrorSubject::new(number, control.role());
        OutOfMemory { subject, name, refusal, request, used, committed, reserved }
    }

    /// Why.
    pub fn cause(&self) -> Cause {
        self.refusal.cause()
    }

    /// The bytes that were asked for.
    pub fn requested(&self) -> usize {
        match self.request {
            RefusedRequest::Allocation { requested, .. } => requested,
            RefusedRequest::Growth { step } => step,
        }
    }

    /// The same error, of something that was to be made.
    #[cfg(feature = "vec")]
    pub(crate) fn of_new(self, role: Role) -> Self {
        OutOfMemory { subject: ErrorSubject::new(self.region(), role), ..self }
    }

    /// The role of what stands, or was to stand, on the region.
    pub(crate) fn role(&self) -> Role {
        self.subject.role()
    }

    /// Whether an injection made it up: then a smaller step is not tried.
    #[cfg(feature = "heap")]
    pub(crate) fn is_injected(&self) -> bool {
        self.refusal.is_injected()
    }

    /// The limit that was met, in bytes, where the cause has one.
    pub fn limit(&self) -> Option<u64> {
        Some(self.refusal.limit()).filter(|&limit| limit != 0)
    }

    /// The number of the region, 0 for one that could not be made.
    pub fn region(&self) -> u64 {
        self.subject.number()
    }

    /// The name of the region, empty if it has none.
    pub fn name(&self) -> &str {
        text_of(&self.name)
    }

    /// The bytes committed when it happened.
    pub fn committed(&self) -> usize {
        self.committed
    }

    /// The bytes reserved.
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// The bytes in use when it happened.
    pub fn used(&self) -> usize {
        self.used
    }
}

impl fmt::Debug for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutOfMemory({self})")
    }
}

impl std::error::Error for OutOfMemory {}

/// Why the global allocator has no `bytes` bytes: a limit of the system, if one stands in its way.
fn no_heap(bytes: usize) -> Refusal {
    /// The minimum that a malloc asks the system for.
    const STEP: usize = 132 << 10;
    let mut scratch = [0u8; 4096];
    let wanted = RefusedCall::MapWritable(bytes.max(STEP));
    evidence::find(sys::Errno::ENOMEM, wanted, &mut scratch)
        .map_or(Refusal::of(Cause::Allocator), Refusal::from)
}

impl From<Exhausted> for OutOfMemory {
    fn from(exhausted: Exhausted) -> Self {
        BuildError::from(exhausted).into()
    }
}

impl From<BuildError> for OutOfMemory {
    /// A region that could not be made, as the error that `try_new` returns.
    fn from(error: BuildError) -> Self {
        let kernel = |error: &std::io::Error| match error.raw_os_error() {
            // (The portable calls have their memory from there.)
            Some(errno) if cfg!(highwater_portable) && errno == sys::Errno::ENOMEM.0 => {
                Refusal::of(Cause::Allocator)
            }
            errno => Refusal::of(Cause::Kernel(errno.unwrap_or(0))),
        };
        let found = error.evidence().map(Refusal::from);
        let (refusal, requested) = match error {
            BuildError::AddressSpace { reserve, left } => {
                (Refusal::new(Cause::AddressSpace, left as u64, reserve as u64), reserve)
            }
            BuildError::Head { head, most } => (Refusal::past_limit(head, most, most), head),
            BuildError::Allocator { bytes } => (no_heap(bytes), bytes),
            BuildError::Refused { bytes, limit, error, .. } => {
                let too_long =
                    || Refusal::new(Cause::Kernel(sys::Errno::EFBIG.0), limit.map_or(0, |l| l.1), 0);
                let is_limited = limit.is_some();
                (found.unwrap_or_else(|| if is_limited { too_long() } else { kernel(&error) }), bytes)
            }
            BuildError::Guard(GuardError::Limited { bytes, .. }) => {
                (found.unwrap_or(Refusal::of(Cause::Kernel(0))), bytes)
            }
            // (A path that there was no memory for.)
            BuildError::File { error, .. }
                if error.kind() == std::io::ErrorKind::OutOfMemory && error.raw_os_error().is_none() =>
            {
                (no_heap(0), 0)
            }
            BuildError::File { error, .. } if error.raw_os_error() == Some(sys::Errno::ENOSPC.0) => {
                (Refusal::new(Cause::DiskFull, 0, 0), 0)
            }
            BuildError::File { error, .. }
            | BuildError::Handler(error)
            | BuildError::Guard(GuardError::Refused(error)) => (kernel(&error), 0),
            BuildError::Guard(_)
            | BuildError::Over(_)
            | BuildError::Engine { .. }
            | BuildError::ZeroReserve
            | BuildError::Step { .. }
            | BuildError::Limit { .. } => (Refusal::new(Cause::ReservationExhausted, 0, 0), 0),
        };
        let request = RefusedRequest::Allocation { requested, effective: requested };
        OutOfMemory {
            subject: ErrorSubject::new(0, Role::Arena),
            name: [0; NAME_BYTES],
            refusal,
            request,
            used: 0,
            committed: 0,
            reserved: 0,
        }
    }
}

/// bumpalo's name for [`OutOfMemory`].
pub type AllocErr = OutOfMemory;

/// The error of a call that may fail to allocate or fail to initialise, as bumpalo names it.
///
/// ```
/// use highwater::{AllocOrInitError, Arena};
///
/// let arena = Arena::new();
/// let error = arena.try_alloc_try_with(|| "x".parse::<u32>().map(|_| ())).unwrap_err();
/// assert!(matches!(error, AllocOrInitError::Init(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllocOrInitError<E> {
    /// There was no memory.
    Alloc(OutOfMemory),
    /// The initialiser returned an error; it may borrow from the arena.
    Init(E),
}

impl<E> From<OutOfMemory> for AllocOrInitError<E> {
    fn from(error: OutOfMemory) -> Self {
        AllocOrInitError::Alloc(error)
    }
}

impl<E: fmt::Display> fmt::Display for AllocOrInitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllocOrInitError::Alloc(error) => error.fmt(f),
            AllocOrInitError::Init(error) => write!(f, "initialisation failed: {error}"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for AllocOrInitError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AllocOrInitError::Alloc(error) => Some(error),
            AllocOrInitError::Init(error) => Some(error),
        }
    }
}
