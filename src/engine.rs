//! Which engine a region gets: by its builder, the process's choice, valgrind and the build, in this order.

use crate::admission;
use crate::policy::{Growth, RegionEngine, Reserve};
use crate::region::{BackingSource, BuildError, RegionOptions};
use crate::sys;
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

/// The engine of regions whose builder names none: 0 for the build's own.
static DEFAULT: AtomicU8 = AtomicU8::new(0);

/// Chooses the engine of all regions that are made from now on and whose builder names none: also those of
/// [`Arena::new`](crate::Arena::new), [`scratch`](crate::scratch) and vectors. `None` is the default: what the library
/// was built with ([`engine`](crate::engine)), and [`RegionEngine::Paged`] under valgrind. Call it before the first region is
/// made where no handler may be installed: in a plug-in of a JVM or a Go program.
///
/// Heaps and [`DebugArena`](crate::DebugArena)s commit everything by request with any engine.
///
/// # Errors
/// [`BuildError::Engine`] where this build does not have that engine.
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

/// The engine of an arena whose builder names none: what [`set_engine`] chose, or [`RegionEngine::Paged`] under valgrind,
/// or the one that the library was built with.
pub fn default_engine() -> RegionEngine {
    chosen().unwrap_or(if sys::under_valgrind() && RegionEngine::BUILT == RegionEngine::Fault {
        RegionEngine::Paged
    } else {
        RegionEngine::BUILT
    })
}

/// What the type that is built on the region needs of an engine.
#[derive(Clone, Copy)]
pub(crate) struct EngineNeeds {
    /// Its allocations are placed by a ledger.
    pub(crate) checked: bool,
    /// It may grow by a touch; otherwise it commits everything itself.
    pub(crate) touched: bool,
    /// It has an allocation check whose failing side does not return in the fault engine.
    pub(crate) has_check: bool,
}

/// Whether the handler of SIGSEGV has to be installed for the region.
pub(crate) fn wants_handler(needs: EngineNeeds, requested: Option<RegionEngine>) -> bool {
    // Under valgrind nothing grows by a fault, and violations of guards are still reported.
    needs.touched && requested.or(chosen()).unwrap_or(RegionEngine::BUILT) == RegionEngine::Fault
}

/// Decides on the engine, and with it on how much is made accessible at once. [`admission::prepare`] was called before.
pub(crate) fn choose(
    needs: EngineNeeds,
    options: &mut RegionOptions,
    requested: Option<RegionEngine>,
) -> Result<(), BuildError> {
    let EngineNeeds { checked, touched, has_check } = needs;
    if let Some(requested) = requested {
        let is_available = match requested {
            RegionEngine::Fault => cfg!(highwater_fault),
            // In a build with the fault engine an allocation check cannot return; types without one commit by request.
            RegionEngine::Explicit => cfg!(not(highwater_fault)) || checked || !has_check,
            RegionEngine::Paged => true,
        };
        if !is_available {
            return Err(BuildError::Engine { asked: requested, built: RegionEngine::BUILT });
        }
    }
    let commits_by_request = checked || !touched;
    let engine =
        if commits_by_request { RegionEngine::Explicit } else { requested.unwrap_or_else(default_engine) };
    if engine == RegionEngine::Paged {
        options.growth = Growth::Upfront;
        options.max_accessible = Some(max_accessible(options));
    }
    let is_upfront = options.growth == Growth::Upfront && !checked;
    options.engine = if is_upfront { RegionEngine::Paged } else { engine };
    Ok(())
}

/// How many bytes a region may make accessible at once.
fn max_accessible(options: &RegionOptions) -> usize {
    match &options.source {
        BackingSource::Anonymous => admission::available(options.headroom),
        // A file gets all of its blocks at once. A reserve that was asked for is tried; a default one must not fill the disk.
        source if options.reserve == Reserve::Default => {
            free_on_disk(source).map_or(usize::MAX, |free| free / 4)
        }
        _ => usize::MAX,
    }
}

#[cfg(not(highwater_portable))]
fn free_on_disk(source: &BackingSource) -> Option<usize> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened;
    let file = match source {
        BackingSource::Anonymous => return None,
        BackingSource::Temp(dir) => {
            // (Neither of its permissions is needed for that.)
            opened = std::fs::File::options().read(true).custom_flags(libc::O_PATH).open(dir).ok()?;
            &opened
        }
        BackingSource::File(file) => file,
    };
    let facts = nix::sys::statvfs::fstatvfs(file).ok()?;
    let free = (facts.blocks_available() as u64).saturating_mul(facts.fragment_size() as u64);
    usize::try_from(free).ok()
}

#[cfg(highwater_portable)]
fn free_on_disk(_source: &BackingSource) -> Option<usize> {
    None
}
