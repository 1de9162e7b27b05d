//! The programs of `bumpalo_body` after `use highwater::Arena as Bump`.

mod library {
    pub use highwater::{AllocErr, AllocOrInitError, Arena as Bump};
    pub const SAME_MEMORY: bool = true;
}

mod bumpalo_body;
#[path = "bumpalo_body/constructors.rs"]
mod constructors;
