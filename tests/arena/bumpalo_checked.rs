//! The programs of `bumpalo` with `DebugArena`, here with the minimum alignment as a parameter again.

mod library {
    pub use highwater::{AllocErr, AllocOrInitError};
    pub type Bump<const MIN: usize = 8> = highwater::Arena<MIN, true>;
    /// A rewind does not go back to the same addresses.
    pub const SAME_MEMORY: bool = false;
}

#[path = "bumpalo/mod.rs"]
mod programs;
