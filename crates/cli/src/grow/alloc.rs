//! What a measurement wants of an allocator.

use super::{report::Region, settings::Settings, trace::Step};
use crate::lab::Alloc;

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
