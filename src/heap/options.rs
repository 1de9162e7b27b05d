//! What a heap may be told: plain data.

/// How a heap places its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Many sizes, many threads, in any order: the default.
    General(General),
    /// One list of free blocks with boundary tags.
    Blocks(Blocks),
    /// Bumped upwards and given back from the top.
    Stack(Stack),
    /// Bumped upwards through slices, which are used again as a whole.
    Bump(Bump),
}

impl Default for Kind {
    fn default() -> Self {
        Kind::General(General::new())
    }
}

impl From<General> for Kind {
    fn from(general: General) -> Self {
        Kind::General(general)
    }
}

impl From<Blocks> for Kind {
    fn from(blocks: Blocks) -> Self {
        Kind::Blocks(blocks)
    }
}

impl From<Stack> for Kind {
    fn from(stack: Stack) -> Self {
        Kind::Stack(stack)
    }
}

impl From<Bump> for Kind {
    fn from(bump: Bump) -> Self {
        Kind::Bump(bump)
    }
}

/// The options of [`Kind::General`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct General {
    pub(crate) checks: bool,
    pub(crate) retires_at_once: bool,
}

impl General {
    /// As fast as it can be.
    pub const fn new() -> Self {
        General { checks: false, retires_at_once: false }
    }

    /// Gives a page back at the moment that it is empty, to show what that costs.
    #[doc(hidden)]
    #[must_use]
    pub const fn retires_at_once(mut self) -> Self {
        self.retires_at_once = true;
        self
    }

    /// Whether a double free, and an address inside a block, are found whatever happened since. It takes a bit for every
    /// 16 bytes, and time for every call. Without it that is done for large blocks, and for those of other threads as well
    /// as it can be; of this thread's small blocks any address is believed.
    #[must_use]
    pub const fn checked(mut self, finds_all: bool) -> Self {
        self.checks = finds_all;
        self
    }
}

/// Which free block serves a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// The smallest that is large enough, of equals the lowest.
    #[default]
    Best,
    /// The lowest that is large enough.
    First,
}

/// The options of [`Kind::Blocks`].
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

    /// How many bytes the heap is made larger than the first request needs, and how many free bytes it keeps at its
    /// end when it shrinks. It does so when twice as many, and half of it, are free there.
    #[must_use]
    pub const fn margin(mut self, bytes: usize) -> Self {
        self.margin = bytes;
        self
    }

    /// Locks nothing.
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

/// The options of [`Kind::Stack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    pub(crate) align: usize,
    pub(crate) sets_errno: bool,
    pub(crate) is_single: bool,
}

impl Stack {
    /// Blocks aligned to 16 bytes, errno left alone, any number of threads.
    pub const fn new() -> Self {
        Stack { align: super::MIN_ALIGN, sets_errno: false, is_single: false }
    }

    /// What every block is aligned to at least: bytes, a power of two, 8 or more.
    #[must_use]
    pub const fn align(mut self, bytes: usize) -> Self {
        self.align = bytes;
        self
    }

    /// Whether a refusal sets errno: ENOMEM where memory ran out, EINVAL for a bad argument.
    #[must_use]
    pub const fn errno(mut self, sets: bool) -> Self {
        self.sets_errno = sets;
        self
    }

    /// Locks nothing.
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

/// The options of [`Kind::Bump`].
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

    /// The size of a slice: bytes, a power of two, from 64 KiB to 1 GiB.
    #[must_use]
    pub const fn slice(mut self, bytes: usize) -> Self {
        self.slice = bytes;
        self
    }

    /// What sizes are rounded up to and blocks are aligned to at least: 8 or 16 bytes.
    #[must_use]
    pub const fn grain(mut self, bytes: usize) -> Self {
        self.grain = bytes;
        self
    }

    /// Whether the first refusal writes one line on standard error.
    #[must_use]
    pub const fn diagnose(mut self, says: bool) -> Self {
        self.diagnoses = says;
        self
    }

    /// Locks nothing.
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
