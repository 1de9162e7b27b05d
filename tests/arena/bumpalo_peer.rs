//! The programs of `bumpalo` with bumpalo itself: what the other binaries show about ours is bumpalo's
//! behaviour and not our idea of it.

mod library {
    pub use bumpalo::{AllocErr, AllocOrInitError, Bump};
    pub const SAME_MEMORY: bool = true;
}

#[path = "bumpalo/constructors.rs"]
mod constructors;
#[path = "bumpalo/mod.rs"]
mod programs;
