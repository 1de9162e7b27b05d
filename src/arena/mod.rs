//! Bump allocation over a region.

// One macro writes the allocation calls of arenas and scopes: the same names and the same bodies, with the
// lifetime that each of them can promise.
#[macro_use]
mod calls;
#[macro_use]
mod figures;

/// The atomics of the shared arena's counter, in one place so that the same file runs under loom.
#[cfg(feature = "shared")]
mod atomic {
    pub(super) use core::sync::atomic::{AtomicUsize, Ordering};
}

#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
mod allocator;
mod arena_type;
mod body;
mod boxed;
mod brand;
mod checkpoint;
#[cfg(feature = "shared")]
#[macro_use]
mod conflict;
#[cfg(feature = "shared")]
mod counter;
mod cursor;
#[cfg(feature = "internal")]
pub(crate) mod cursor_region;
#[cfg(feature = "debug-arena")]
mod debug;
mod frame;
mod grower;
mod handle;
#[cfg(feature = "shared")]
mod local;
#[cfg(feature = "shared")]
mod pool;
mod scope;
#[cfg(feature = "shared")]
mod scratch;
#[cfg(feature = "shared")]
mod shared;
#[cfg(feature = "shared")]
mod shared_cursor;
mod source;
#[cfg(feature = "shared")]
mod warm;
#[cfg_attr(not(feature = "debug-arena"), path = "unwatched.rs")]
mod watch;

pub use arena_type::Arena;
pub use boxed::ArenaBox;
pub use brand::Branded;
pub use checkpoint::Checkpoint;
#[cfg(feature = "shared")]
pub use conflict::Conflict;
#[cfg(feature = "debug-arena")]
pub use debug::DebugArena;
pub use frame::Frame;
pub use handle::{Handle, Rel, SliceHandle, StrHandle};
#[cfg(feature = "shared")]
pub use local::LocalArena;
#[cfg(feature = "shared")]
pub use pool::{ArenaPool, PoolBuilder, PooledArena};
pub use scope::Scope;
#[cfg(feature = "shared")]
pub use scratch::{Scratch, scratch};
#[cfg(feature = "shared")]
pub use shared::SharedArena;
