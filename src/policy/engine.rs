//! How regions grow.

use core::fmt;

/// How a region grows in this build.
///
/// ```
/// use highwater::{Engine, RegionEngine};
///
/// assert_eq!(RegionEngine::from(Engine::Fault), RegionEngine::Fault);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A SIGSEGV handler commits what a write touches.
    Fault,
    /// The allocation check is made against the frontier, and its failing side commits.
    Explicit,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RegionEngine::from(*self).fmt(f)
    }
}

/// How one region grows.
///
/// [`engine`](crate::engine) names the engine that the library was built with.
/// [`Builder::engine`](crate::Builder::engine) and [`set_engine`](crate::set_engine) choose at run time, and
/// [`Stats::engine`](crate::Stats::engine) says which one a region has.
///
/// ```
/// use highwater::RegionEngine;
///
/// assert_eq!("paged".parse(), Ok(RegionEngine::Paged));
/// assert_eq!(RegionEngine::Paged.to_string(), "paged");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionEngine {
    /// A SIGSEGV handler commits what a write touches.
    Fault,
    /// Everything is committed by request. For an arena that means that the allocation check is made against the
    /// frontier and that its failing side commits, which is decided when the library is built. A heap and a
    /// [`DebugArena`](crate::DebugArena) work like that in every build.
    Explicit,
    /// Nothing grows: the region is accessible from the start and the kernel pages it in. No handler is installed for
    /// it, so it works where SIGSEGV belongs to a JVM or a Go runtime, on threads that block the signal, and under
    /// valgrind; and the kernel may be given any address of it.
    ///
    /// Admission happens once, when the region is made: the reservation is cut to what
    /// [`Headroom`](crate::Headroom), the memory cgroups and the process limit leave at that moment. Limits are exact
    /// as ever. What changes later is not noticed: there is no commit that could be refused, so
    /// [`on_refusal`](crate::Builder::on_refusal) is never asked, and regions that together use more than there is end as
    /// with `malloc`. A guard that is touched raises SIGSEGV without a report, unless a handler is installed for
    /// another region or by [`fault::install`](crate::fault::install).
    Paged,
}

impl RegionEngine {
    /// What the library was built with.
    pub(crate) const BUILT: RegionEngine =
        if cfg!(highwater_fault) { RegionEngine::Fault } else { RegionEngine::Explicit };

    /// `fault`, `explicit` or `paged`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            RegionEngine::Fault => "fault",
            RegionEngine::Explicit => "explicit",
            RegionEngine::Paged => "paged",
        }
    }
}

impl Default for RegionEngine {
    /// What the library was built with.
    fn default() -> Self {
        RegionEngine::BUILT
    }
}

impl From<Engine> for RegionEngine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Fault => RegionEngine::Fault,
            Engine::Explicit => RegionEngine::Explicit,
        }
    }
}

impl fmt::Display for RegionEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::str::FromStr for RegionEngine {
    type Err = UnknownEngine;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        for engine in &[RegionEngine::Fault, RegionEngine::Explicit, RegionEngine::Paged] {
            if engine.name() == text {
                return Ok(*engine);
            }
        }
        Err(UnknownEngine)
    }
}

/// A word that names no engine.
///
/// ```
/// use highwater::{RegionEngine, UnknownEngine};
///
/// assert_eq!("swap".parse::<RegionEngine>(), Err(UnknownEngine));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEngine;

impl fmt::Display for UnknownEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no engine: expected `fault`, `explicit` or `paged`")
    }
}

impl std::error::Error for UnknownEngine {}
