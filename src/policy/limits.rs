//! How much address space, and on what.

use std::path::PathBuf;

/// How much address space a region reserves.
///
/// A reservation costs no memory. When the system refuses one, half of it is tried, and so on down to a
/// floor of 64 MiB (or what was asked for, if that is less);
/// [`reserved_bytes`](crate::Region::reserved_bytes) tells what was reserved.
///
/// ```
/// let arena = highwater::Arena::builder().reserve(highwater::Reserve::Bytes(1 << 20)).build();
/// assert_eq!(arena.stats().reserved, 1 << 20);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserve {
    /// 64 GiB, and less as the regions of the process add up: a 256th (a 32nd where there is little) of what is left of
    /// the quarter of the address space that all regions together may take. Under `RLIMIT_AS`, and with
    /// `vm.overcommit_memory=2`, less: what they leave.
    #[default]
    Default,
    /// This many bytes, rounded up to whole pages. More than is left of that quarter is refused.
    Bytes(usize),
    /// As much as the machine has physical memory.
    Physical,
}

impl From<usize> for Reserve {
    fn from(bytes: usize) -> Self {
        Reserve::Bytes(bytes)
    }
}

/// What a region's bytes live on.
///
/// ```
/// use highwater::{Arena, Backing};
///
/// # if !cfg!(highwater_portable) {
/// let backing = Backing::Temp(std::env::temp_dir());
/// let arena = Arena::builder().reserve(1 << 20).backing(backing).try_build()?;
/// assert_eq!(*arena.alloc(7), 7);
/// # }
/// # Ok::<(), highwater::BuildError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// Private anonymous memory; a forked child has its own copy.
    #[default]
    Anonymous,
    /// A sparse file of our own in this directory: unlinked at once, readable only by this user (mode 0600),
    /// closed on exec, extended with `fallocate` at every step so that a full disk is a refusal. A forked
    /// child does not inherit it.
    Temp(PathBuf),
}
