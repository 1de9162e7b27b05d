//! The options of a heap: how it places its blocks.

/// The minimum alignment of every block, in bytes, unless an option of the policy says otherwise.
pub const MIN_ALIGN: usize = 16;

/// How a heap places its blocks.
///
/// ```
/// use highwater::heap::{Blocks, Fit, Heap, HeapPolicy};
///
/// // The options of a policy are a policy.
/// let policy: HeapPolicy = Blocks::new().fit(Fit::First).into();
/// let heap = Heap::builder().policy(policy).build();
/// # drop(heap);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeapPolicy {
    /// Many sizes, many threads, in any order: the default.
    General(General),
    /// One list of free blocks with boundary tags.
    Blocks(Blocks),
    /// A stack: allocated upwards, freed from the top.
    Stack(Stack),
    /// A bump pointer through slices; a slice is reused when all of its blocks are free.
    Bump(Bump),
}

impl Default for HeapPolicy {
    fn default() -> Self {
        HeapPolicy::General(General::new())
    }
}

impl From<General> for HeapPolicy {
    fn from(general: General) -> Self {
        HeapPolicy::General(general)
    }
}

impl From<Blocks> for HeapPolicy {
    fn from(blocks: Blocks) -> Self {
        HeapPolicy::Blocks(blocks)
    }
}

impl From<Stack> for HeapPolicy {
    fn from(stack: Stack) -> Self {
        HeapPolicy::Stack(stack)
    }
}

impl From<Bump> for HeapPolicy {
    fn from(bump: Bump) -> Self {
        HeapPolicy::Bump(bump)
    }
}

/// The options of [`HeapPolicy::General`]: many sizes, many threads, in any order.
///
/// ```
/// use highwater::heap::{General, Heap, HeapError};
///
/// let heap = Heap::builder().policy(General::new().checked(true)).build();
/// let block = heap.allocate(100, 16)?;
/// // SAFETY: the block is live and not used; the second call names a freed block, which a checked heap detects.
/// unsafe {
///     heap.deallocate(block)?;
///     assert!(matches!(heap.deallocate(block), Err(HeapError::DoubleFree { .. })));
/// }
/// # Ok::<(), HeapError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct General {
    pub(crate) checks: bool,
    pub(crate) retires_at_once: bool,
}

impl General {
    /// The fastest settings: no checks.
    pub const fn new() -> Self {
        General { checks: false, retires_at_once: false }
    }

    /// Retires a page as soon as it is empty, to measure what that costs.
    #[cfg(feature = "internal")]
    #[must_use]
    pub const fn retires_at_once(mut self) -> Self {
        self.retires_at_once = true;
        self
    }

    /// Whether every double free, and every free of an address inside a block, is detected. Costs one bit for every 16
    /// bytes, and time in every call. Without it, such errors are detected for large blocks, and for other threads' blocks
    /// where possible; a free of one of the calling thread's small blocks is not checked.
    #[must_use]
    pub const fn checked(mut self, finds_all: bool) -> Self {
        self.checks = finds_all;
        self
    }
}

/// Which free block serves a request: an option of [`Blocks`].
///
/// ```
/// use highwater::heap::{Blocks, Fit, Heap};
///
/// let heap = Heap::builder().policy(Blocks::new().fit(Fit::First)).build();
/// assert!(heap.allocate(100, 16).is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// The smallest one that is large enough; among equals, the one with the lowest address.
    #[default]
    Best,
    /// The one with the lowest address that is large enough.
    First,
}

/// The options of [`HeapPolicy::Blocks`]: one list of free blocks with boundary tags.
///
/// ```
/// use highwater::heap::{Blocks, Fit, Heap};
///
/// let heap = Heap::builder().policy(Blocks::new().fit(Fit::First).margin(64 << 10)).build();
/// heap.allocate(100, 16)?;
/// assert!(heap.committed_bytes() >= 64 << 10);
/// # Ok::<(), highwater::heap::HeapError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    pub(crate) fit: Fit,
    pub(crate) margin: usize,
    pub(crate) is_single: bool,
}

impl Blocks {
    /// Best fit, a margin of 1 MiB, any number of threads.
    pub const fn new() -> Self {
        Blocks { fit: Fit::Best, margin: 1 << 20, is_single: false }
    }

    /// Which free block serves a request.
    #[must_use]
    pub const fn fit(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// How many bytes more than the first request the heap commits at first, and how many free bytes it keeps at its end
    /// when it shrinks. It shrinks when twice as many bytes, and half of the heap, are free there.
    #[must_use]
    pub const fn margin(mut self, bytes: usize) -> Self {
        self.margin = bytes;
        self
    }

    /// Takes no lock.
    ///
    /// # Safety
    /// No two calls to the heap overlap in time.
    #[must_use]
    pub const unsafe fn single_threaded(mut self) -> Self {
        self.is_single = true;
        self
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Self::new()
    }
}

/// The options of [`HeapPolicy::Stack`]: blocks that are mostly freed in the reverse order of their allocation.
///
/// ```
/// use highwater::heap::{Heap, Stack};
///
/// let heap = Heap::builder().policy(Stack::new().align(64)).build();
/// assert!(heap.allocate(100, 16)?.as_ptr().addr() % 64 == 0);
/// # Ok::<(), highwater::heap::HeapError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    pub(crate) align: usize,
    pub(crate) sets_errno: bool,
    pub(crate) is_single: bool,
}

impl Stack {
    /// Blocks aligned to 16 bytes, errno left alone, any number of threads.
    pub const fn new() -> Self {
        Stack { align: MIN_ALIGN, sets_errno: false, is_single: false }
    }

    /// The minimum alignment of every block, in bytes: a power of two, at least 8.
    #[must_use]
    pub const fn align(mut self, bytes: usize) -> Self {
        self.align = bytes;
        self
    }

    /// Whether an error sets errno: ENOMEM when memory ran out, EINVAL for a bad argument.
    #[must_use]
    pub const fn errno(mut self, sets: bool) -> Self {
        self.sets_errno = sets;
        self
    }

    /// Takes no lock.
    ///
    /// # Safety
    /// No two calls to the heap overlap in time.
    #[must_use]
    pub const unsafe fn single_threaded(mut self) -> Self {
        self.is_single = true;
        self
    }
}

impl Default for Stack {
    fn default() -> Self {
        Self::new()
    }
}

/// The options of [`HeapPolicy::Bump`]: blocks with a common lifetime, in slices that are reused as a whole.
///
/// ```
/// use highwater::heap::{Bump, Heap};
///
/// let heap = Heap::builder().policy(Bump::new().slice(256 << 10).grain(8)).build();
/// let [first, second] = [heap.allocate(24, 8)?, heap.allocate(24, 8)?];
/// assert_eq!(second.as_ptr().addr() - first.as_ptr().addr(), 24, "nothing is between two blocks");
/// # Ok::<(), highwater::heap::HeapError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bump {
    pub(crate) slice: usize,
    pub(crate) grain: usize,
    pub(crate) diagnoses: bool,
    pub(crate) is_single: bool,
}

impl Bump {
    /// Slices of 1 MiB, a grain of 16 bytes, no line on standard error, any number of threads.
    pub const fn new() -> Self {
        Bump { slice: 1 << 20, grain: 16, diagnoses: false, is_single: false }
    }

    /// The size of a slice in bytes: a power of two from 64 KiB to 1 GiB.
    #[must_use]
    pub const fn slice(mut self, bytes: usize) -> Self {
        self.slice = bytes;
        self
    }

    /// What sizes are rounded up to, and the minimum alignment of every block: 8 or 16 bytes.
    #[must_use]
    pub const fn grain(mut self, bytes: usize) -> Self {
        self.grain = bytes;
        self
    }

    /// Whether the first refusal writes one line to standard error.
    #[must_use]
    pub const fn diagnose(mut self, says: bool) -> Self {
        self.diagnoses = says;
        self
    }

    /// Takes no lock.
    ///
    /// # Safety
    /// No two calls to the heap overlap in time.
    #[must_use]
    pub const unsafe fn single_threaded(mut self) -> Self {
        self.is_single = true;
        self
    }
}

impl Default for Bump {
    fn default() -> Self {
        Self::new()
    }
}
