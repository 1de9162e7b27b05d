//! The suite of arenas, for `Arena`.

/// What the bodies test.
mod kind {
    use highwater::{Builder, OutOfMemory};

    pub type Arena<const MIN: usize = 8> = highwater::Arena<MIN>;
    pub type Scope<'a, const MIN: usize = 8> = highwater::Scope<'a, MIN>;

    /// Blocks lie side by side from the region's first byte on, in memory that is committed as it is touched
    /// and used again after a rewind.
    pub const CONTIGUOUS: bool = true;

    pub fn new() -> Arena {
        Arena::new()
    }

    pub fn builder() -> Builder<Arena> {
        Arena::builder()
    }

    pub fn try_with_capacity(capacity: usize) -> Result<Arena, OutOfMemory> {
        Arena::try_with_capacity(capacity)
    }
}

#[path = "suite/plain.rs"]
mod contiguous;
#[path = "suite/mod.rs"]
mod suite;
