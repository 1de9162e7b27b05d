//! Arenas kept warm: mapping one costs as much as ten thousand allocations.

use super::arena_type::Arena;
use super::conflict::{Conflict, assert_distinct};
use super::warm::{DECAY, MAX_COMMITTED, MAX_IDLE, WarmArena};
use crate::admission::OutOfMemory;
use crate::builder::Builder;
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Makes the builders of a pool's arenas.
type BuilderFn = Box<dyn Fn() -> Builder<Arena> + Send + Sync>;

/// A pool of arenas with committed memory, for arenas with short lives.
///
/// [`get`](ArenaPool::get) returns an idle arena, or makes one; dropping the guard resets the arena and returns it. Any
/// thread may use the pool, and a guard may be sent to another thread.
///
/// Idle arenas are bounded: at most 16, each with at most 16 MiB committed, together at most 256 MiB
/// ([`builder`](ArenaPool::builder) sets other limits). Their memory decays as well: what was not needed for 64 returns
/// is decommitted, by halves while an arena is in use, and all at once while it is idle.
///
/// A process that was forked while another thread held the pool's lock goes on without the idle arenas.
///
/// ```
/// use highwater::ArenaPool;
///
/// let pool = ArenaPool::new();
/// let first = {
///     let arena = pool.get();
///     arena.alloc(1u64) as *const u64
/// };
/// assert_eq!(pool.get().alloc(2u64) as *const u64, first);
/// ```
pub struct ArenaPool {
    idle_list: Mutex<IdleList>,
    /// The process that used it first, 0 before that.
    process: AtomicU32,
    maker: Option<BuilderFn>,
    bounds: PoolLimits,
}

#[derive(Clone, Copy, Debug)]
struct PoolLimits {
    idle: usize,
    each: usize,
    warm: usize,
    decay: u32,
}

const DEFAULT: PoolLimits =
    PoolLimits { idle: MAX_IDLE, each: MAX_COMMITTED, warm: MAX_IDLE * MAX_COMMITTED, decay: DECAY };

/// The idle arenas: the last one to return is the first to be used again, while it is in the caches.
struct IdleList {
    waiting: VecDeque<IdleArena>,
    /// What they have committed.
    committed: usize,
    /// How many were put here in all.
    returns: u64,
}

struct IdleArena {
    warm: Box<WarmArena>,
    /// The return that it was.
    since: u64,
}

impl Default for ArenaPool {
    fn default() -> Self {
        Self::new()
    }
}

impl ArenaPool {
    /// A pool without arenas.
    ///
    /// ```
    /// static POOL: highwater::ArenaPool = highwater::ArenaPool::new();
    /// assert_eq!(POOL.get().alloc_str("request"), "request");
    /// ```
    pub const fn new() -> Self {
        let idle_list = IdleList { waiting: VecDeque::new(), committed: 0, returns: 0 };
        ArenaPool {
            idle_list: Mutex::new(idle_list),
            process: AtomicU32::new(0),
            maker: None,
            bounds: DEFAULT,
        }
    }

    /// A pool with policies of your own.
    ///
    /// ```
    /// use highwater::{Arena, ArenaPool};
    ///
    /// let pool = ArenaPool::builder()
    ///     .arenas(|| Arena::builder().name("request").limit(64 << 20))
    ///     .idle(4)
    ///     .warm(32 << 20)
    ///     .decay(100)
    ///     .build();
    /// assert!(pool.get().try_alloc_layout(std::alloc::Layout::new::<[u8; 65 << 20]>()).is_err());
    /// ```
    pub fn builder() -> PoolBuilder {
        PoolBuilder { maker: None, bounds: DEFAULT }
    }

    /// The idle list; `None` in a process that was forked while another thread held the lock: that thread does not exist there.
    ///
    /// A poisoned lock is used: no call under it can leave the list in a bad state.
    fn idle_list(&self) -> Option<MutexGuard<'_, IdleList>> {
        if self.process.load(Relaxed) == 0 {
            self.process.store(std::process::id(), Relaxed);
        }
        match self.idle_list.try_lock() {
            Ok(idle_list) => Some(idle_list),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => (self.process.load(Relaxed) == std::process::id())
                .then(|| self.idle_list.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// An arena with nothing in it.
    ///
    /// # Panics
    /// When one has to be made and the system has no address space or memory for it.
    pub fn get(&self) -> PooledArena<'_> {
        match self.try_get() {
            Ok(arena) => arena,
            Err(error) => super::source::panic_with(error),
        }
    }

    /// An arena with nothing in it.
    ///
    /// # Errors
    /// [`OutOfMemory`] when one has to be made and the system has no address space or memory for it.
    pub fn try_get(&self) -> Result<PooledArena<'_>, OutOfMemory> {
        let waiting = self.idle_list().and_then(|mut idle_list| idle_list.take_last());
        let warm = match waiting {
            Some(warm) => warm,
            None => {
                WarmArena::new(self.maker.as_ref().map_or_else(Arena::builder, |make| make()).try_build()?)?
            }
        };
        Ok(PooledArena { id: warm.arena.id(), warm: ManuallyDrop::new(warm), pool: self })
    }

    /// [`get`](ArenaPool::get) for a function that fills its caller's arena and needs another one for
    /// intermediate results: the arena is none of `conflicts`, as no arena is handed out twice at a time.
    ///
    /// # Panics
    /// Where [`get`](ArenaPool::get) does.
    ///
    /// ```
    /// use highwater::{ArenaPool, Scope};
    ///
    /// fn joined<'a>(words: &[&str], pool: &ArenaPool, out: &Scope<'a>) -> &'a str {
    ///     let scratch = pool.scratch(&[out]);
    ///     let upper = scratch.alloc_iter(words.iter().map(|word| word.to_uppercase()));
    ///     out.alloc_str(&upper.concat())
    /// }
    ///
    /// let (pool, mut arena) = (ArenaPool::new(), highwater::Arena::new());
    /// assert_eq!(joined(&["a", "b"], &pool, &arena.scope()), "AB");
    /// ```
    pub fn scratch(&self, conflicts: &[&dyn Conflict]) -> PooledArena<'_> {
        let arena = self.get();
        assert_distinct(&arena, conflicts);
        arena
    }

    /// How many arenas are idle.
    ///
    /// ```
    /// let pool = highwater::ArenaPool::new();
    /// drop(pool.get());
    /// assert_eq!(pool.idle(), 1);
    /// assert!(pool.warm_bytes() > 0);
    /// pool.clear();
    /// assert_eq!((pool.idle(), pool.warm_bytes()), (0, 0));
    /// ```
    pub fn idle(&self) -> usize {
        self.idle_list().map_or(0, |idle_list| idle_list.waiting.len())
    }

    /// The bytes that they have committed.
    pub fn warm_bytes(&self) -> usize {
        self.idle_list().map_or(0, |idle_list| idle_list.committed)
    }

    /// Drops all idle arenas.
    pub fn clear(&self) {
        // Unmapping takes its time: not under the lock.
        let waiting = {
            let Some(mut idle_list) = self.idle_list() else { return };
            idle_list.committed = 0;
            core::mem::take(&mut idle_list.waiting)
        };
        drop(waiting);
    }

    /// Adds an arena to the idle ones, if there is room for it, and decommits one that has been idle for long.
    fn put(&self, mut warm: Box<WarmArena>) {
        let decay = self.bounds.decay;
        if !warm.rest(self.bounds.each, decay) {
            return;
        }
        // The system's calls take their time: none of them under the lock.
        let (refused, unused) = {
            let Some(mut idle_list) = self.idle_list() else { return };
            idle_list.returns += 1;
            let waiting = IdleArena { warm, since: idle_list.returns };
            (self.put_on(&mut idle_list, waiting, true), idle_list.take_unused(decay))
        };
        if let Some((mut waiting, room)) = refused {
            waiting.warm.cut(room);
            let refused =
                self.idle_list().and_then(|mut idle_list| self.put_on(&mut idle_list, waiting, true));
            drop(refused);
        }
        if let Some(mut waiting) = unused {
            waiting.warm.cut(0);
            let refused =
                self.idle_list().and_then(|mut idle_list| self.put_on(&mut idle_list, waiting, false));
            drop(refused);
        }
    }

    /// Adds an arena to the idle list. Without room for it, it is returned, with the bytes of committed memory that there is
    /// room for.
    fn put_on(&self, idle_list: &mut IdleList, waiting: IdleArena, last: bool) -> Option<(IdleArena, usize)> {
        let room = self.bounds.warm.saturating_sub(idle_list.committed);
        let committed = waiting.warm.committed();
        // (An arena that the list has no memory for is dropped.)
        if idle_list.waiting.len() >= self.bounds.idle
            || committed > room
            || idle_list.waiting.try_reserve(1).is_err()
        {
            return Some((waiting, room));
        }
        idle_list.committed += committed;
        if last {
            idle_list.waiting.push_back(waiting);
        } else {
            idle_list.waiting.push_front(waiting);
        }
        None
    }
}

impl IdleList {
    fn take_last(&mut self) -> Option<Box<WarmArena>> {
        let waiting = self.waiting.pop_back()?;
        self.committed -= waiting.warm.committed();
        Some(waiting.warm)
    }

    /// One that has memory and has not been used for `decay` returns.
    fn take_unused(&mut self, decay: u32) -> Option<IdleArena> {
        let returns = self.returns;
        let is_unused = |waiting: &IdleArena| {
            returns - waiting.since >= u64::from(decay.max(1)) && waiting.warm.committed() > 0
        };
        let at = self.waiting.iter().position(is_unused)?;
        let waiting = self.waiting.remove(at)?;
        self.committed -= waiting.warm.committed();
        Some(waiting)
    }
}

impl fmt::Debug for ArenaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaPool")
            .field("idle", &self.idle())
            .field("warm_bytes", &self.warm_bytes())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

/// The policies of an [`ArenaPool`].
///
/// ```
/// let pool = highwater::ArenaPool::builder().idle(2).warm_each(1 << 20).build();
/// let arenas = [pool.get(), pool.get(), pool.get()];
/// drop(arenas);
/// assert_eq!(pool.idle(), 2);
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct PoolBuilder {
    maker: Option<BuilderFn>,
    bounds: PoolLimits,
}

impl PoolBuilder {
    /// A function that returns the builder of each arena.
    pub fn arenas(mut self, make: impl Fn() -> Builder<Arena> + Send + Sync + 'static) -> Self {
        self.maker = Some(Box::new(make));
        self
    }

    /// How many arenas may be idle. Default 16; with 0 each arena is made for its use and unmapped afterwards.
    pub fn idle(mut self, arenas: usize) -> Self {
        self.bounds.idle = arenas;
        self
    }

    /// How many bytes one idle arena may have committed. Default 16 MiB.
    pub fn warm_each(mut self, bytes: usize) -> Self {
        self.bounds.each = bytes;
        self
    }

    /// How many bytes all idle arenas together may have committed. Default 256 MiB.
    pub fn warm(mut self, bytes: usize) -> Self {
        self.bounds.warm = bytes;
        self
    }

    /// After how many returns unused memory is decommitted. Default 64; with 1 after each return.
    pub fn decay(mut self, returns: u32) -> Self {
        self.bounds.decay = returns;
        self
    }

    /// The pool, without arenas.
    pub fn build(self) -> ArenaPool {
        ArenaPool { maker: self.maker, bounds: self.bounds, ..ArenaPool::new() }
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolBuilder").field(&self.bounds).finish()
    }
}

/// An arena of an [`ArenaPool`]; dropping it resets the arena and returns it to the pool.
///
/// ```
/// let pool = highwater::ArenaPool::new();
/// let mut arena = pool.get();
/// arena.alloc(1);
/// assert_eq!(arena.scope().alloc_str("a scope of it"), "a scope of it");
/// ```
#[must_use = "dropping the guard gives the arena back"]
pub struct PooledArena<'p> {
    pub(super) warm: ManuallyDrop<Box<WarmArena>>,
    /// The arena that was handed out: another one, swapped in through `DerefMut`, has other policies and does
    /// not go to the pool.
    id: u64,
    pool: &'p ArenaPool,
}

impl Drop for PooledArena<'_> {
    fn drop(&mut self) {
        // SAFETY: taken once; the guard is gone afterwards.
        let warm = unsafe { ManuallyDrop::take(&mut self.warm) };
        if warm.arena.id() == self.id {
            self.pool.put(warm);
        }
    }
}

warm_guard!(PooledArena<'_>);
