//! The suite of arenas, for `DebugArena`: all of it that does not speak of contiguity.

/// What the bodies test.
mod kind {
    use highwater::{Builder, OutOfMemory};

    pub type Arena<const MIN: usize = 8> = highwater::Arena<MIN, true>;
    pub type Scope<'a, const MIN: usize = 8> = highwater::Scope<'a, MIN, true>;

    /// Where memory can be protected every block has pages of its own, committed when it is allocated, and what
    /// is given up is not handed out again soon.
    pub const CONTIGUOUS: bool = false;

    pub fn new() -> Arena {
        Arena::default()
    }

    pub fn builder() -> Builder<Arena> {
        highwater::Arena::builder().checked()
    }

    pub fn try_with_capacity(capacity: usize) -> Result<Arena, OutOfMemory> {
        Arena::try_with_min_align_and_capacity(capacity)
    }
}

#[path = "suite/mod.rs"]
mod suite;
