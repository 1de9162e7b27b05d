//! Which bytes must never become accessible.

/// The guards of a region, each a number of bytes that is rounded up to whole pages.
///
/// A guard is reserved with the region and never committed by any path: touching it is an error that goes
/// to whoever handled SIGSEGV before us, by default the end of the process.
///
/// ```
/// use highwater::{GuardPolicy, Region};
///
/// let guard = GuardPolicy::default().before(0).after(64 << 10);
/// let region = Region::builder().reserve(1 << 20).guard(guard).build();
/// assert_eq!(region.reserved_bytes(), 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardPolicy {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Default for GuardPolicy {
    /// One page (any size from 1 byte is one page) before and after.
    fn default() -> Self {
        GuardPolicy { before: 1, after: 1 }
    }
}

impl GuardPolicy {
    /// Bytes before the head. There are none where the region lives in a file that was given, which starts
    /// at the head.
    #[must_use]
    pub fn before(mut self, bytes: usize) -> Self {
        self.before = bytes;
        self
    }

    /// Bytes after the reservation's last one.
    #[must_use]
    pub fn after(mut self, bytes: usize) -> Self {
        self.after = bytes;
        self
    }
}
