//! The programs of `bumpalo` after `use highwater::Arena as Bump`.

mod library {
    pub use highwater::{AllocErr, AllocOrInitError, Arena as Bump};
    pub const SAME_MEMORY: bool = true;
}

#[path = "bumpalo/constructors.rs"]
mod constructors;
#[path = "bumpalo/mod.rs"]
mod programs;
