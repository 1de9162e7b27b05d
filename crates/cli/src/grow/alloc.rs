//! What a job wants of an allocator, and what a measurement wants of one.

use super::{report::Region, settings::Settings, trace::Step};

/// What a job allocates from. Taken by value and held in a local variable, so that a cursor can live
/// in a register.
pub trait Alloc<'a> {
    /// Moves `value` in. It will not be dropped, only forgotten.
    fn put<T>(&self, value: T) -> &'a mut T;

    /// Copies `text` in.
    fn put_str(&self, text: &str) -> &'a str;

    /// Bytes allocated so far, if the allocator counts.
    fn used(&self) -> Option<u64>;
}

/// Whether a region's frontier can be looked at from another thread, and how.
pub type Frontier = Box<dyn Fn() -> Option<u64> + Send>;

/// Something that a job can be measured on.
pub trait Candidate: Sized + Send {
    /// What the job allocates from.
    type Handle<'a>: Alloc<'a>
    where
        Self: 'a;

    /// One for each thread, made before the clock starts.
    fn make(settings: &Settings) -> Result<Self, String>;

    /// The job begins.
    fn handle(&mut self) -> Self::Handle<'_>;

    /// Looks at the frontier from elsewhere while the job runs.
    fn frontier(&self) -> Option<Frontier> {
        None
    }

    /// What the memory below cost, after the job.
    fn region(&self) -> Option<Region> {
        None
    }

    /// The growth steps that are still remembered, oldest first.
    fn steps(&self) -> Vec<Step> {
        Vec::new()
    }

    /// Bytes taken from the system, if the allocator says and has no region.
    fn held(&self) -> Option<u64> {
        None
    }
}
