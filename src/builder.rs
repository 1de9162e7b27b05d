//! The builder of regions and of every type that stands on one.

use crate::admission::{self, Injection, Response};
use crate::engine::{self, EngineNeeds};
use crate::fallible;
#[cfg(feature = "debug-arena")]
use crate::fallible::Exhausted;
#[cfg(feature = "debug-arena")]
use crate::guard::EventSink;
#[cfg(feature = "heap")]
use crate::policy::HeapPolicy;
use crate::policy::{Backing, Growth, GuardPolicy, Headroom, HugePages, RegionEngine, Reserve};
use crate::region::{BackingSource, BuildError, Region, RegionName, RegionOptions, Role};
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::Ordering::Release;
use std::fs::File;

/// The policies of a [`Region`] or of something over one, an [`Arena`](crate::Arena) for example.
///
/// Every size is in bytes and rounded up to whole pages, limits excepted, which are exact. Nothing is
/// reserved before [`build`](Builder::build) or [`try_build`](Builder::try_build).
///
/// ```
/// use highwater::{Arena, Growth};
///
/// let arena = Arena::builder()
///     .name("parser")
///     .reserve(1 << 30)
///     .growth(Growth::Fixed(1 << 20))
///     .limit(100 << 20)
///     .build();
/// assert_eq!(arena.reserved_bytes(), 1 << 30);
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<T> {
    request: RegionRequest,
    options: TypeOptions,
    built: PhantomData<fn() -> T>,
}

/// Options of single types that a builder makes, beside the policies of the region. (`pub` in a private module: a public
/// trait has it in a signature.)
#[derive(Default)]
pub struct TypeOptions {
    /// How a heap places its blocks.
    #[cfg(feature = "heap")]
    pub(crate) heap: HeapPolicy,
    /// Where the events of a checked arena go, if there was memory for that.
    #[cfg(feature = "debug-arena")]
    pub(crate) event_sink: Option<Result<EventSink, Exhausted>>,
}

/// What a builder knows of the region: the same for every type, so that the work is compiled once.
struct RegionRequest {
    options: RegionOptions,
    injection: Option<Injection>,
    response: Response,
    engine: Option<RegionEngine>,
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.options.fmt(f)
    }
}

impl<T> Builder<T> {
    pub(crate) fn new() -> Self {
        let request = RegionRequest {
            options: RegionOptions::default(),
            injection: None,
            response: Response::Abort,
            engine: None,
        };
        Builder { request, options: TypeOptions::default(), built: PhantomData }
    }

    /// The same policies, for another type.
    pub(crate) fn retarget<U>(self) -> Builder<U> {
        Builder { request: self.request, options: self.options, built: PhantomData }
    }

    /// The name that reports and `/proc/PID/maps` show; the first 40 bytes of it are kept.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.request.options.name = RegionName::new(name.as_ref());
        self
    }

    /// How much address space to reserve: a number of bytes or a [`Reserve`].
    pub fn reserve(mut self, reserve: impl Into<Reserve>) -> Self {
        self.request.options.reserve = reserve.into();
        self
    }

    /// Reports call it a vector: for a vector that is made from a region or an arena.
    #[cfg(any(feature = "internal", feature = "vec"))]
    pub(crate) fn vector(mut self) -> Self {
        self.request.options.role = Role::Vector;
        self
    }

    /// The minimum of a default reservation: the bytes that it will hold before it grows further.
    #[cfg(any(feature = "internal", feature = "vec"))]
    pub(crate) fn expect(mut self, bytes: usize) -> Self {
        self.request.options.expected = bytes;
        self
    }

    /// How many bytes to commit at once. Default 64 KiB, or the reserve where that is less.
    pub fn head(mut self, bytes: usize) -> Self {
        self.request.options.head = Some(bytes);
        self
    }

    /// How the frontier moves.
    pub fn growth(mut self, growth: Growth) -> Self {
        self.request.options.growth = growth;
        self
    }

    /// How the region grows. [`RegionEngine::Paged`] needs no signal handler: for a program in which SIGSEGV belongs to
    /// another runtime. The default is what [`set_engine`](crate::set_engine) chose, [`RegionEngine::Paged`] under valgrind, and the engine
    /// that the library was built with otherwise; asking for [`RegionEngine::Fault`] gets that under valgrind too.
    /// Whether an allocation check commits ([`RegionEngine::Explicit`]) is decided when the library is built. So that engine can
    /// be asked for in a build that has it, and in every build for the types that commit by request: a [`Region`], a heap, a
    /// [`DebugArena`](crate::DebugArena). For these it means that no handler is installed.
    ///
    /// ```
    /// use highwater::{Arena, RegionEngine};
    ///
    /// let arena = Arena::builder().reserve(1 << 30).engine(RegionEngine::Paged).build();
    /// arena.alloc_slice_fill_copy(100_000, 1u64);
    /// assert_eq!((arena.stats().engine, arena.stats().faults), (RegionEngine::Paged, 0));
    /// ```
    pub fn engine(mut self, engine: impl Into<RegionEngine>) -> Self {
        self.request.engine = Some(engine.into());
        self
    }

    /// Whether the pages of a growth step are made present at once (Linux 5.14 and later), which is faster
    /// when they are going to be used, or one by one as they are touched. The default is the growth
    /// policy's: yes for [`Growth::Fixed`] and [`Growth::Geometric`], but with huge pages only the first 4 MiB
    /// of a step, because they need it least. A gap that was jumped over, and a
    /// range that was committed by request, are never populated.
    pub fn populate(mut self, populate: bool) -> Self {
        self.request.options.populate = Some(populate);
        self
    }

    /// Whether to ask for huge pages.
    pub fn huge_pages(mut self, huge_pages: HugePages) -> Self {
        self.request.options.huge_pages = huge_pages;
        self
    }

    #[cfg(feature = "heap")]
    pub(crate) fn heap_policy(mut self, policy: HeapPolicy) -> Self {
        self.options.heap = policy;
        self
    }

    #[cfg(feature = "debug-arena")]
    pub(crate) fn event_sink(mut self, sink: Option<Result<EventSink, Exhausted>>) -> Self {
        self.options.event_sink = sink;
        self
    }

    /// Which bytes must never become accessible, and what follows when one is touched.
    pub fn guard(mut self, guard: GuardPolicy) -> Self {
        self.request.options.guard = guard;
        self
    }

    /// How many bytes of the region may be used, exact to the byte.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.request.options.limit = Some(bytes);
        self
    }

    /// How much memory growth leaves to the rest of the system. The [`Builder::head`] is not admitted by it.
    pub fn headroom(mut self, headroom: Headroom) -> Self {
        self.request.options.headroom = headroom;
        self
    }

    /// What follows when a commit is refused inside a fault.
    pub fn on_refusal(mut self, response: Response) -> Self {
        self.request.response = response;
        self
    }

    /// Refusals on demand, for tests: see [`Injection`]. They begin when the region is made.
    pub fn inject(mut self, injection: Injection) -> Self {
        self.request.injection = Some(injection);
        self
    }

    /// What the bytes live on.
    pub fn backing(mut self, backing: Backing) -> Self {
        self.request.options.source = match backing {
            Backing::Anonymous => BackingSource::Anonymous,
            Backing::Temp(dir) => BackingSource::Temp(dir),
        };
        self
    }

    /// Lets the region live in `file` from its first byte on: the file is made as long as the reservation if it
    /// is shorter, its contents are the region's, and stay in it afterwards, except for ranges that are given back
    /// (`trim`), which become holes. There is no guard before the head, since the file starts there.
    ///
    /// # Safety
    /// Until the region is dropped, neither this process nor another one writes to the file, maps it writable or changes
    /// its length: the bytes are lent out as references, and a page beyond the file's end raises SIGBUS.
    pub unsafe fn file_backing(mut self, file: File) -> Self {
        self.request.options.source = BackingSource::File(file);
        self
    }
}

/// What a [`Builder`] hands to the type that it builds, beside the region.
#[doc(hidden)]
pub struct BuildInputs<'a> {
    #[cfg_attr(not(feature = "debug-arena"), expect(dead_code, reason = "guards are placed by the ledger"))]
    pub(crate) guard: &'a GuardPolicy,
    #[cfg(feature = "vec")]
    pub(crate) response: &'a Response,
    #[cfg_attr(
        not(any(feature = "debug-arena", feature = "heap")),
        expect(dead_code, reason = "it is empty")
    )]
    pub(crate) options: TypeOptions,
}

impl<'a> BuildInputs<'a> {
    /// These guards, and the default of everything else.
    pub(crate) fn of(guard: &'a GuardPolicy) -> Self {
        BuildInputs {
            guard,
            #[cfg(feature = "vec")]
            response: &Response::Abort,
            options: TypeOptions::default(),
        }
    }
}

/// A type that a [`Builder`] makes from a region.
#[doc(hidden)]
pub trait FromRegion: Sized {
    /// Whether it places its allocations by a ledger.
    const CHECKED: bool;

    /// Whether it may grow by a touch. A type that commits everything itself needs no SIGSEGV handler.
    const TOUCHED: bool = true;

    /// Whether it has an allocation check whose failing side does not return in the fault engine.
    const HAS_CHECK: bool = Self::TOUCHED;

    /// What texts call it.
    const ROLE: Role;

    /// Builds the value over `region`, which has no other user.
    fn from_region(region: Region, inputs: BuildInputs<'_>) -> Result<Self, BuildError>;
}

impl FromRegion for Region {
    const CHECKED: bool = false;
    const HAS_CHECK: bool = false;
    const ROLE: Role = Role::Region;

    fn from_region(region: Region, _inputs: BuildInputs<'_>) -> Result<Self, BuildError> {
        Ok(region)
    }
}

impl Region {
    /// A region with policies of your own.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }
}

impl<T: FromRegion> Builder<T> {
    /// Builds the value.
    ///
    /// # Panics
    /// With the text of the [`BuildError`] where [`try_build`](Builder::try_build) returns one.
    ///
    /// ```
    /// let arena = highwater::Arena::builder().reserve(1 << 20).build();
    /// assert_eq!(*arena.alloc(7), 7);
    /// ```
    #[track_caller]
    pub fn build(self) -> T {
        match self.try_build() {
            Ok(built) => built,
            Err(error) => panic!("highwater: {error}"),
        }
    }

    /// Builds the value.
    ///
    /// # Errors
    /// A [`BuildError`] that names the value which cannot be honoured, or the limit that refused it.
    ///
    /// ```
    /// let arena = highwater::Arena::builder().reserve(1 << 20).try_build()?;
    /// assert_eq!(*arena.alloc(7), 7);
    /// # Ok::<(), highwater::BuildError>(())
    /// ```
    pub fn try_build(self) -> Result<T, BuildError> {
        let needs = EngineNeeds { checked: T::CHECKED, touched: T::TOUCHED, has_check: T::HAS_CHECK };
        let made = self.request.make(needs, T::ROLE)?;
        let inputs = BuildInputs {
            guard: &made.guard,
            #[cfg(feature = "vec")]
            response: &made.response,
            options: self.options,
        };
        T::from_region(made.region, inputs)
    }
}

/// A region, and the policies that the type over it may need as well.
struct MadeRegion {
    region: Region,
    guard: GuardPolicy,
    #[cfg(feature = "vec")]
    response: Response,
}

impl RegionRequest {
    fn make(self, needs: EngineNeeds, role: Role) -> Result<MadeRegion, BuildError> {
        let RegionRequest { mut options, injection, response, engine } = self;
        if engine::wants_handler(needs, engine) {
            crate::fault::install()
                .and_then(|()| crate::fault::prepare_thread())
                .map_err(BuildError::Handler)?;
        }
        // This opens descriptors. A heap without headroom needs none, and a program whose malloc is a heap may count them.
        if needs.touched || options.headroom != Headroom::Off {
            admission::prepare()?;
        }
        // Without it a forked child may count memory that it does not have, and be refused for that.
        #[cfg(not(highwater_portable))]
        let _ = crate::region::keep_addresses();
        let guard = options.guard.without_placed();
        if let Response::Spill(dir) = &response {
            options.spill = Some(fallible::path(dir)?);
        }
        // (A region that is built as a part of another type has its role already.)
        if options.role == Role::Region {
            options.role = role;
        }
        options.checked = needs.checked;
        engine::choose(needs, &mut options, engine)?;
        let region = options.make()?;
        admission::set_injection(&region.control().injected, injection);
        region.control().response.store(response.to_word(), Release);
        Ok(MadeRegion {
            region,
            guard,
            #[cfg(feature = "vec")]
            response,
        })
    }
}
