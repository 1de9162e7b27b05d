//! Arenas kept warm: mapping one costs as much as ten thousand allocations.

use super::arena_type::Arena;
use super::scope::Scope;
use crate::oom::OutOfMemory;
use core::cell::RefCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Committed bytes that an arena keeps while it waits.
const KEEP: usize = 16 << 20;
/// Arenas that wait at most, of a pool and of a thread's scratch arenas.
const WAITING: usize = 16;

/// An arena that goes from hand to hand: moving one word is faster than moving an arena whose position was
/// just written (a copy by large words waits for the small store).
type Boxed = Box<Arena>;

/// Reservations kept warm, for arenas that live shortly.
///
/// [`get`](ArenaPool::get) takes an arena that waits, or makes one; dropping the guard resets it and gives
/// it back. At most 16 arenas wait, each with at most 16 MiB committed. Any thread may use the pool.
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
#[derive(Debug, Default)]
pub struct ArenaPool {
    waiting: Mutex<Vec<Boxed>>,
}

impl ArenaPool {
    /// A pool without arenas.
    pub const fn new() -> Self {
        ArenaPool { waiting: Mutex::new(Vec::new()) }
    }

    /// No call under the lock can leave the list in a bad state, so a panic elsewhere is no reason to stop.
    fn waiting(&self) -> MutexGuard<'_, Vec<Boxed>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An arena with nothing in it.
    ///
    /// # Panics
    /// When one has to be made and the system has no address space or memory for it.
    pub fn get(&self) -> PooledArena<'_> {
        match self.try_get() {
            Ok(arena) => arena,
            Err(error) => super::cursor::panic_with(error),
        }
    }

    /// An arena with nothing in it.
    ///
    /// # Errors
    /// [`OutOfMemory`] when one has to be made and the system has no address space or memory for it.
    pub fn try_get(&self) -> Result<PooledArena<'_>, OutOfMemory> {
        let waiting = self.waiting().pop();
        let arena = waiting.map_or_else(|| Arena::try_new().map(Box::new), Ok)?;
        Ok(PooledArena { id: arena.id(), arena: ManuallyDrop::new(arena), pool: self })
    }

    /// [`get`](ArenaPool::get) for whoever fills somebody else's arena and needs another one for
    /// intermediate results: the arena is none of `conflicts`, as no arena is handed out twice at a time.
    ///
    /// # Panics
    /// As [`get`](ArenaPool::get).
    pub fn scratch(&self, conflicts: &[&dyn Conflict]) -> PooledArena<'_> {
        let arena = self.get();
        assert_distinct(&arena, conflicts);
        arena
    }

    /// How many arenas wait.
    pub fn idle(&self) -> usize {
        self.waiting().len()
    }
}

/// Makes an arena ready to wait; false if it is not fit for strangers, because somebody placed a guard in it.
fn prepare(arena: &mut Arena) -> bool {
    if arena.region().slot().first_guard() != usize::MAX {
        return false;
    }
    arena.reset();
    arena.set_allocation_limit(None);
    if arena.committed_bytes() > KEEP {
        arena.trim(KEEP);
    }
    true
}

/// An arena of an [`ArenaPool`], which gets it back, reset, when this is dropped.
#[must_use = "dropping the guard gives the arena back"]
pub struct PooledArena<'p> {
    arena: ManuallyDrop<Boxed>,
    /// The arena that was handed out: another one, swapped in through `DerefMut`, has other policies and is
    /// not kept for strangers.
    id: u64,
    pool: &'p ArenaPool,
}

impl Drop for PooledArena<'_> {
    fn drop(&mut self) {
        // SAFETY: taken once; the guard is gone afterwards.
        let mut arena = unsafe { ManuallyDrop::take(&mut self.arena) };
        if arena.id() != self.id || !prepare(&mut arena) {
            return;
        }
        let mut waiting = self.pool.waiting();
        if waiting.len() < WAITING {
            waiting.push(arena);
        } else {
            drop(waiting); // unmapping takes its time: not under the lock
            drop(arena);
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Boxed>> = const { RefCell::new(Vec::new()) };
}

/// A scratch arena of this thread that is none of `conflicts`, and none that is in use: for intermediate
/// results of a function whose caller says where the final ones go. The guard resets it and gives it back.
///
/// The idea, the name and the list of conflicts are the scratch arenas of Ryan Fleury's C code base. There
/// one of two arenas is handed out again and again, and the list keeps a function from being handed its
/// caller's; here no arena is handed out twice at a time, so a forgotten conflict is no bug. The list is
/// checked all the same.
///
/// ```
/// use highwater::{Scope, scratch};
///
/// fn sorted<'a>(words: &[&str], out: &Scope<'a>) -> &'a str {
///     let scratch = scratch(&[out]);
///     let copy = scratch.alloc_slice_copy(words);
///     copy.sort();
///     out.alloc_fmt(format_args!("{}", copy.join(" ")))
/// }
///
/// let mut arena = highwater::Arena::new();
/// assert_eq!(sorted(&["b", "a"], &arena.scope()), "a b");
/// ```
///
/// # Panics
/// When an arena has to be made and the system has no address space or memory for it.
pub fn scratch(conflicts: &[&dyn Conflict]) -> Scratch {
    // While the thread is being torn down its list is gone; an arena can still be made.
    let waiting = SCRATCH.try_with(|list| list.borrow_mut().pop()).ok().flatten();
    let arena = waiting.unwrap_or_else(|| Box::new(Arena::builder().name("scratch").build()));
    assert_distinct(&arena, conflicts);
    Scratch { id: arena.id(), arena: ManuallyDrop::new(arena) }
}

/// A scratch arena of a thread, which gets it back, reset, when this is dropped. See [`scratch`].
#[must_use = "dropping the guard gives the arena back"]
pub struct Scratch {
    arena: ManuallyDrop<Boxed>,
    /// As in [`PooledArena`].
    id: u64,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: taken once; the guard is gone afterwards.
        let mut arena = unsafe { ManuallyDrop::take(&mut self.arena) };
        if arena.id() != self.id || !prepare(&mut arena) {
            return;
        }
        let mut arena = Some(arena);
        let _ = SCRATCH.try_with(|list| {
            let mut list = list.borrow_mut();
            if list.len() < WAITING {
                list.extend(arena.take());
            }
        });
    }
}

/// What a scratch arena must not be: arenas, scopes and guards of either kind.
pub trait Conflict {
    /// The number of the region underneath.
    fn region_id(&self) -> u64;
}

fn assert_distinct(arena: &Arena, conflicts: &[&dyn Conflict]) {
    let id = arena.id();
    assert!(conflicts.iter().all(|other| other.region_id() != id), "an arena was handed out twice");
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Conflict for Arena<MIN_ALIGN, CHECKED> {
    fn region_id(&self) -> u64 {
        self.id()
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Conflict for Scope<'_, MIN_ALIGN, CHECKED> {
    fn region_id(&self) -> u64 {
        self.id()
    }
}

/// Both guards are the arena they guard.
macro_rules! guards {
    ($($guard:ident $(<$life:lifetime>)?),+) => {$(
        impl Deref for $guard $(<$life>)? {
            type Target = Arena;

            #[inline]
            fn deref(&self) -> &Arena {
                &self.arena
            }
        }

        impl DerefMut for $guard $(<$life>)? {
            #[inline]
            fn deref_mut(&mut self) -> &mut Arena {
                &mut self.arena
            }
        }

        impl Conflict for $guard $(<$life>)? {
            fn region_id(&self) -> u64 {
                self.arena.id()
            }
        }

        impl fmt::Debug for $guard $(<$life>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($guard)).field(&*self.arena).finish()
            }
        }
    )+};
}

guards!(PooledArena<'_>, Scratch);
