//! [`Conflict`]: what a scratch arena must differ from.

use super::arena_type::Arena;
use super::scope::Scope;

/// The traits of a guard with a field `warm`, which is the arena that it guards.
macro_rules! warm_guard {
    ($guard:ident $(<$life:lifetime>)?) => {
        impl core::ops::Deref for $guard $(<$life>)? {
            type Target = Arena;

            #[inline]
            fn deref(&self) -> &Arena {
                &self.warm.arena
            }
        }

        impl core::ops::DerefMut for $guard $(<$life>)? {
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

        impl core::fmt::Debug for $guard $(<$life>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_tuple(stringify!($guard)).field(&self.warm.arena).finish()
            }
        }
    };
}

/// What a scratch arena must differ from: arenas, scopes, and the guards of pooled and scratch arenas.
///
/// ```
/// use highwater::{Arena, Conflict, scratch};
///
/// let arena = Arena::new();
/// let temporary = scratch(&[&arena]);
/// assert_ne!(temporary.region_id(), arena.region_id());
/// ```
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
