//! Which engine a region gets: what was asked for, the process's choice, valgrind, the build.

use crate::builder::Over;
use crate::oom;
use crate::policy::{Growth, RegionEngine, Reserve};
use crate::region::{BuildError, Options, Source};
use crate::sys;
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

/// What regions are made with where their builder does not say: 0 for the build's own.
static DEFAULT: AtomicU8 = AtomicU8::new(0);

/// Chooses the engine of all regions that are made from now on and whose builder does not say: also those of
/// [`Arena::new`](crate::Arena::new), [`scratch`](crate::scratch) and vectors. `None` is the default: what the library
/// was built with ([`engine`](crate::engine)), and [`RegionEngine::Paged`] under valgrind. Call it before the first region is
/// made where no handler may be installed: in a plug-in of a JVM or a Go program.
///
/// Heaps and [`DebugArena`](crate::DebugArena)s commit everything by request with any engine.
///
/// # Errors
/// [`BuildError::Engine`] where this build has not that engine.
///
/// ```
/// use highwater::{Arena, RegionEngine};
///
/// highwater::set_engine(Some(RegionEngine::Paged))?;
/// let arena = Arena::builder().reserve(1 << 30).build();
/// assert_eq!(arena.stats().engine, RegionEngine::Paged);
/// arena.alloc_slice_fill_copy(100_000, 1u64); // no fault of ours
/// # highwater::set_engine(None)?;
/// # Ok::<(), highwater::BuildError>(())
/// ```
pub fn set_engine(engine: Option<RegionEngine>) -> Result<(), BuildError> {
    let number = match engine {
        None => 0,
        Some(RegionEngine::Fault) => 1,
        Some(RegionEngine::Explicit) => 2,
        Some(RegionEngine::Paged) => 3,
    };
    if let Some(engine) = engine
        && engine != RegionEngine::Paged
        && engine != RegionEngine::BUILT
    {
        return Err(BuildError::Engine { asked: engine, built: RegionEngine::BUILT });
    }
    DEFAULT.store(number, Relaxed);
    Ok(())
}

/// What [`set_engine`] chose.
fn chosen() -> Option<RegionEngine> {
    match DEFAULT.load(Relaxed) {
        1 => Some(RegionEngine::Fault),
        2 => Some(RegionEngine::Explicit),
        3 => Some(RegionEngine::Paged),
        _ => None,
    }
}

/// The engine that an arena gets whose builder does not say: what [`set_engine`] chose, or [`RegionEngine::Paged`] under valgrind,
/// or the one that the library was built with.
pub fn default_engine() -> RegionEngine {
    chosen().unwrap_or(if sys::under_valgrind() && RegionEngine::BUILT == RegionEngine::Fault {
        RegionEngine::Paged
    } else {
        RegionEngine::BUILT
    })
}

/// Whether SIGSEGV is to be handled for the region that is going to be made.
pub(crate) fn wants_handler<T: Over>(asked: Option<RegionEngine>) -> bool {
    // Under valgrind nothing grows by a fault, and violations of guards are still reported.
    T::TOUCHED && asked.or(chosen()).unwrap_or(RegionEngine::BUILT) == RegionEngine::Fault
}

/// Decides on the engine, and with it on how much is made accessible at once. What [`oom::prepare`] opens is there already.
pub(crate) fn choose<T: Over>(options: &mut Options, asked: Option<RegionEngine>) -> Result<(), BuildError> {
    if let Some(asked) = asked {
        let is_had = match asked {
            RegionEngine::Fault => cfg!(highwater_fault),
            // An allocation check that returns costs the fault engine's; the rest commits by request anyway.
            RegionEngine::Explicit => cfg!(not(highwater_fault)) || T::CHECKED || !T::HAS_CHECK,
            RegionEngine::Paged => true,
        };
        if !is_had {
            return Err(BuildError::Engine { asked, built: RegionEngine::BUILT });
        }
    }
    let commits_by_request = T::CHECKED || !T::TOUCHED;
    let engine =
        if commits_by_request { RegionEngine::Explicit } else { asked.unwrap_or_else(default_engine) };
    if engine == RegionEngine::Paged {
        options.growth = Growth::Upfront;
        options.at_most = Some(room(options));
    }
    let is_upfront = options.growth == Growth::Upfront && !T::CHECKED;
    options.engine = if is_upfront { RegionEngine::Paged } else { engine };
    Ok(())
}

/// How many bytes a region may make accessible at once.
fn room(options: &Options) -> usize {
    match &options.source {
        Source::Anonymous => oom::available(options.headroom),
        // All of it gets its blocks at once: what was asked for is tried, and nothing is asked for that would fill the disk.
        source if options.reserve == Reserve::Default => {
            free_on_disk(source).map_or(usize::MAX, |free| free / 4)
        }
        _ => usize::MAX,
    }
}

#[cfg(not(highwater_portable))]
fn free_on_disk(source: &Source) -> Option<usize> {
    use nix::sys::statvfs::{fstatvfs, statvfs};
    let facts = match source {
        Source::Anonymous => return None,
        Source::Temp(dir) => statvfs(dir),
        Source::File(file) => fstatvfs(file),
    };
    let facts = facts.ok()?;
    let free = (facts.blocks_available() as u64).saturating_mul(facts.fragment_size() as u64);
    usize::try_from(free).ok()
}

#[cfg(highwater_portable)]
fn free_on_disk(_source: &Source) -> Option<usize> {
    None
}
