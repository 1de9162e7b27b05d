//! The programs of `bumpalo_body` with bumpalo itself: what the other binaries show about ours is bumpalo's
//! behaviour and not our idea of it.

mod library {
    pub use bumpalo::{AllocErr, AllocOrInitError, Bump};
    pub const SAME_MEMORY: bool = true;
}

mod bumpalo_body;
#[path = "bumpalo_body/constructors.rs"]
mod constructors;
