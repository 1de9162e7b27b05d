//! Scratch arenas of a thread.

use super::arena_type::Arena;
use super::conflict::{Conflict, assert_distinct};
use super::warm::{DECAY, MAX_COMMITTED, MAX_IDLE, WarmArena};
use core::cell::RefCell;
use core::mem::ManuallyDrop;

thread_local! {
    #[allow(clippy::vec_box, reason = "one word is moved faster than an arena")]
    static SCRATCH: RefCell<Vec<Box<WarmArena>>> = const { RefCell::new(Vec::new()) };
}

/// A scratch arena of this thread, for the intermediate results of a function whose caller says where the final ones go.
/// It is none of `conflicts`, and none that is in use. Dropping the guard resets it and returns it to the thread.
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
    let make = || match WarmArena::new(Arena::builder().name("scratch").build()) {
        Ok(warm) => warm,
        Err(exhausted) => super::source::panic_with(exhausted.into()),
    };
    let arena = waiting.unwrap_or_else(make);
    assert_distinct(&arena.arena, conflicts);
    Scratch { id: arena.arena.id(), warm: ManuallyDrop::new(arena) }
}

/// A scratch arena of a thread; dropping it resets the arena and returns it to the thread. See [`scratch`].
///
/// ```
/// let mut scratch = highwater::scratch(&[]);
/// let words = scratch.alloc_slice_copy(&["a", "b"]);
/// assert_eq!(words.len(), 2);
/// scratch.reset();
/// ```
#[must_use = "dropping the guard gives the arena back"]
pub struct Scratch {
    warm: ManuallyDrop<Box<WarmArena>>,
    /// The arena that was handed out: another one, swapped in through `DerefMut`, has other policies and is
    /// not kept.
    id: u64,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: taken once; the guard is gone afterwards.
        let mut warm = unsafe { ManuallyDrop::take(&mut self.warm) };
        if warm.arena.id() != self.id || !warm.rest(MAX_COMMITTED, DECAY) {
            return;
        }
        let mut warm = Some(warm);
        let _ = SCRATCH.try_with(|list| {
            let mut list = list.borrow_mut();
            if list.len() < MAX_IDLE && list.try_reserve(1).is_ok() {
                list.extend(warm.take());
            }
        });
    }
}

warm_guard!(Scratch);
