//! When memory counts as exhausted.

/// How much memory a region leaves to the rest: what the kernel would answer with SIGKILL is foreseen and refused.
///
/// Before a commit it is asked what the memory cgroups of this process and the machine have left, less what was
/// committed and not touched yet, by all regions and threads. Page cache counts as available, also what has to be written
/// out first. Before a refusal it waits for some milliseconds, at most 3 seconds, in case that memory is
/// written out or given back. [`Growth::Upfront`](crate::Growth::Upfront) commits
/// nothing and is not asked. The cgroups are those that the process is in when its first region is made; what moves it
/// elsewhere later is not noticed.
///
/// ```
/// let arena = highwater::Arena::builder().headroom(highwater::Headroom::Off).build();
/// assert_eq!(*arena.alloc(7), 7);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Headroom {
    /// A 64th of the limit that is nearest stays free, at least 2 MiB and at most 64 MiB: enough to write a report. The
    /// last pages that are needed may take up to three quarters of that; while others take memory more stays free.
    #[default]
    Auto,
    /// Nothing is asked, as with any other allocator.
    Off,
    /// At least this many bytes stay free.
    AtLeast(usize),
}
