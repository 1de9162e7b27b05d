//! Why there was a "no": found out from evidence after the failing call, never guessed from errno alone.

use crate::sys::{self, Errno, Limit};

/// Why memory ran out. A refusal has exactly one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The bytes end beyond the address space reserved.
    ReservationExhausted,
    /// The bytes end beyond the region's limit, or the arena's allocation limit.
    RegionLimit,
    /// All regions together may take a quarter of the address space, and they do.
    AddressSpace,
    /// The process may have no more address space (`RLIMIT_AS`).
    RlimitAs,
    /// The process may have no more private writable memory (`RLIMIT_DATA`).
    RlimitData,
    /// The file system of a backing file is full.
    DiskFull,
    /// The region lives in a file and belongs to the process that this one was forked from.
    NotInherited,
    /// The kernel refused with this error number, and nothing else explains it.
    Kernel(i32),
}

/// A "no", with the figures that prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    /// The limit that was met, in bytes, 0 where the cause has none.
    pub(crate) limit: u64,
    /// What was, or would have been, taken of it.
    pub(crate) usage: u64,
}

/// What stood behind a failed commit of `bytes` bytes. Signal-safe.
pub(crate) fn explain(errno: Errno, bytes: usize) -> Refusal {
    let found = |cause, (limit, usage)| Refusal { cause, limit, usage };
    match errno {
        #[cfg(not(highwater_portable))]
        sys::NOT_MAPPED => found(Cause::NotInherited, (0, 0)),
        sys::DISK_FULL => found(Cause::DiskFull, (0, 0)),
        sys::NO_MEMORY => sys::limit_in_the_way(Limit::Data, bytes)
            .map(|figures| found(Cause::RlimitData, figures))
            .or_else(|| {
                sys::limit_in_the_way(Limit::AddressSpace, bytes)
                    .map(|figures| found(Cause::RlimitAs, figures))
            })
            .unwrap_or(found(Cause::Kernel(errno.0), (0, 0))),
        Errno(number) => found(Cause::Kernel(number), (0, 0)),
    }
}
