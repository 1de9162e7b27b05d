//! The suite of arenas, for `DebugArena` with guards by `mprotect`, as on kernels without guards by advice.

/// What the bodies test.
mod kind {
    use highwater::{Builder, GuardMechanism, GuardPolicy, OutOfMemory};

    pub type Arena<const MIN: usize = 8> = highwater::Arena<MIN, true>;
    pub type Scope<'a, const MIN: usize = 8> = highwater::Scope<'a, MIN, true>;

    /// Where memory can be protected every block has pages of its own, committed when it is allocated, and what
    /// is given up is not handed out again soon.
    pub const CONTIGUOUS: bool = false;

    pub fn new() -> Arena {
        builder().build()
    }

    pub fn builder() -> Builder<Arena> {
        let guard = GuardPolicy::default().mechanism(GuardMechanism::Protect);
        highwater::Arena::builder().guard(guard).checked()
    }

    pub fn try_with_capacity(capacity: usize) -> Result<Arena, OutOfMemory> {
        let builder = if capacity == 0 { builder() } else { builder().head(capacity) };
        Ok(builder.try_build()?)
    }
}

#[path = "suite/mod.rs"]
mod suite;
