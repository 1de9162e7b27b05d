//! How much one growth commits, and with which pages.

use crate::math::page::{HUGE_PAGE, KIB, MIB};
use crate::math::step::{self, GrowthNeed, Step};

/// How far the frontier moves when a touch or a commit runs past it.
///
/// Sizes are bytes, rounded up to whole pages. Whatever the policy, one growth covers at least what was
/// asked for and never passes the end of the reservation or the region's byte limit.
///
/// ```
/// let arena = highwater::Arena::builder().growth(highwater::Growth::Fixed(1 << 20)).build();
/// assert_eq!(*arena.alloc(7), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Everything is accessible from the start and the kernel pages it in: no faults of ours, and no
    /// refusal either. Only this policy maps with `MAP_NORESERVE`. With `vm.overcommit_memory=2` all of it is promised at
    /// once, so a reservation whose size was not said is a quarter of what the kernel still promises.
    Upfront,
    /// Steps of this many bytes, each populated. Multiples of 2 MiB also end on 2 MiB boundaries, so that
    /// each step is made of whole huge pages; the first one may be shorter for that.
    Fixed(usize),
    /// Steps that grow with what is used, from `first` to `max` bytes: they double until a step is a huge
    /// page (2 MiB), and are a quarter of what is used from there. The default, with 64 KiB and 16 MiB:
    /// what is committed and not used stays below a quarter of what is used plus 4 MiB.
    Geometric {
        /// The smallest step, in bytes.
        first: usize,
        /// The largest step, in bytes.
        max: usize,
    },
    /// For stress tests inside other people's suites: steps of one page, each after a random delay of up
    /// to 20 µs drawn from `seed`, nothing populated ahead, a head of one page unless another is asked
    /// for, and everything beyond the head given back at each reset.
    Stress {
        /// Where the delays start; the same seed gives the same sequence per region.
        seed: u64,
    },
}

impl Default for Growth {
    fn default() -> Self {
        Growth::Geometric { first: 64 * KIB, max: 16 * MIB }
    }
}

impl Growth {
    /// The growth that `need` asks for under this policy.
    pub(crate) const fn step(self, need: GrowthNeed) -> Step {
        match self {
            Growth::Upfront | Growth::Stress { .. } => step::exact(need),
            Growth::Fixed(bytes) => step::fixed(need, bytes),
            Growth::Geometric { first, max } => step::geometric(need, first, max),
        }
    }

    /// How much of a step is made present at once where huge pages are to be had. The kernel clears the rest
    /// as fast, one huge page per touch, and what it clears then is still in the processor's caches when it is
    /// written; of a step of 16 MiB that was cleared as a whole it is not.
    pub(crate) const POPULATED_HUGE: usize = 2 * HUGE_PAGE;

    /// Whether a step's pages are made present at once instead of one by one as they are touched.
    pub(crate) const fn populates(self) -> bool {
        matches!(self, Growth::Fixed(_) | Growth::Geometric { .. })
    }
}

/// Whether a region asks for transparent huge pages.
///
/// ```
/// let arena = highwater::Arena::builder().huge_pages(highwater::HugePages::Never).build();
/// assert_eq!(*arena.alloc(7), 7);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// The whole reservation is advised (`MADV_HUGEPAGE`) once: steps of 2 MiB and more are then served by
    /// huge pages where the system allows it (`madvise` or `always`). Without effect elsewhere.
    #[default]
    Advise,
    /// The whole reservation is advised against them (`MADV_NOHUGEPAGE`), also where the system's
    /// setting is `always`.
    Never,
    /// Nothing is advised: there are huge pages where the system's setting is `always`.
    System,
}
