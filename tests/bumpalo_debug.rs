//! The programs of `bumpalo_body` with an arena for finding bugs.

mod library {
    pub use highwater::{AllocErr, AllocOrInitError, DebugArena as Bump};
}

mod bumpalo_body;
