//! Which bytes must never become accessible.

/// The guards of a region, in bytes, each rounded up to whole pages.
///
/// A guard is reserved with the region and never committed by any path: touching it is an error that goes
/// to whoever handled SIGSEGV before us, by default the end of the process.
///
/// ```
/// # use highwater::{GuardPolicy, Region};
/// let region = Region::builder().reserve(1 << 20).guard(GuardPolicy { before: 0, after: 1 << 16 }).build();
/// assert_eq!(region.reserved_bytes(), 1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardPolicy {
    /// Bytes before the head; none where the region lives in a file that was given, which starts there.
    pub before: usize,
    /// Bytes after the reservation's last one.
    pub after: usize,
}

impl Default for GuardPolicy {
    /// One page (any size from 1 byte is one page) before and after.
    fn default() -> Self {
        GuardPolicy { before: 1, after: 1 }
    }
}
