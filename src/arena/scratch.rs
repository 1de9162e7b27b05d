//! Scratch arenas of a thread, and what they must not be.

use super::arena_type::Arena;
use super::pool::PooledArena;
use super::scope::Scope;
use super::warm::{Boxed, DECAY, KEEP, WAITING, Warm};
use core::cell::RefCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

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
    let make = || match Warm::new(Arena::builder().name("scratch").build()) {
        Ok(warm) => warm,
        Err(exhausted) => super::cursor::panic_with(exhausted.into()),
    };
    let arena = waiting.unwrap_or_else(make);
    assert_distinct(&arena.arena, conflicts);
    Scratch { id: arena.arena.id(), warm: ManuallyDrop::new(arena) }
}

/// A scratch arena of a thread, which gets it back, reset, when this is dropped. See [`scratch`].
#[must_use = "dropping the guard gives the arena back"]
pub struct Scratch {
    warm: ManuallyDrop<Boxed>,
    /// The arena that was handed out: another one, swapped in through `DerefMut`, has other policies and is not kept
    /// for strangers.
    id: u64,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: taken once; the guard is gone afterwards.
        let mut warm = unsafe { ManuallyDrop::take(&mut self.warm) };
        if warm.arena.id() != self.id || !warm.rest(KEEP, DECAY) {
            return;
        }
        let mut warm = Some(warm);
        let _ = SCRATCH.try_with(|list| {
            let mut list = list.borrow_mut();
            if list.len() < WAITING && list.try_reserve(1).is_ok() {
                list.extend(warm.take());
            }
        });
    }
}

/// What a scratch arena must not be: arenas, scopes and guards of either kind.
pub trait Conflict {
    /// The number of the region underneath.
    fn region_id(&self) -> u64;
}

pub(super) fn assert_distinct(arena: &Arena, conflicts: &[&dyn Conflict]) {
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
                &self.warm.arena
            }
        }

        impl DerefMut for $guard $(<$life>)? {
            #[inline]
            fn deref_mut(&mut self) -> &mut Arena {
                &mut self.warm.arena
            }
        }

        impl Conflict for $guard $(<$life>)? {
            fn region_id(&self) -> u64 {
                self.warm.arena.id()
            }
        }

        impl fmt::Debug for $guard $(<$life>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($guard)).field(&self.warm.arena).finish()
            }
        }
    )+};
}

guards!(PooledArena<'_>, Scratch);
