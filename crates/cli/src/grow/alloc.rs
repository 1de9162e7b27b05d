//! The interface of an allocator that is measured.

use super::{report::RegionFigures, settings::ArenaSettings, trace::FrontierStep};
use crate::lab::BenchAlloc;

/// Reads a region's frontier from another thread.
pub type FrontierProbe = Box<dyn Fn() -> Option<u64> + Send>;

/// An allocator that a job can be measured on.
pub trait Candidate: Sized + Send {
    /// The handle the job allocates from.
    type Handle<'a>: BenchAlloc<'a>
    where
        Self: 'a;

    /// Makes one; called for each thread before the clock starts.
    fn make(settings: &ArenaSettings) -> Result<Self, String>;

    /// The handle for one job.
    fn handle(&mut self) -> Self::Handle<'_>;

    /// A probe of the frontier, for another thread while the job runs.
    fn frontier(&self) -> Option<FrontierProbe> {
        None
    }

    /// The figures of the region, after the job.
    fn region(&self) -> Option<RegionFigures> {
        None
    }

    /// The growth steps that are still recorded, oldest first.
    fn steps(&self) -> Vec<FrontierStep> {
        Vec::new()
    }

    /// Bytes obtained from the system, if the allocator reports them and has no region.
    fn obtained(&self) -> Option<u64> {
        None
    }
}
