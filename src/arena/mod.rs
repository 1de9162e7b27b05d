//! Bump allocation over a region.

// One macro writes the allocation calls of arenas and scopes: the same names and the same bodies, with the
// lifetime that each of them can promise.
#[macro_use]
mod calls;
#[macro_use]
mod figures;

/// The atomics of this room, in one place so that the shared arena's counter also runs under loom.
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
#[macro_use]
mod conflict;
mod counter;
mod cursor;
mod cursor_region;
mod frame;
mod grower;
mod handle;
mod local;
mod pool;
mod scope;
mod scratch;
mod shared;
mod shared_cursor;
mod source;
mod warm;
mod watch;

pub use arena_type::{Arena, DebugArena};
pub use boxed::ArenaBox;
pub use brand::Branded;
pub use checkpoint::Checkpoint;
pub use conflict::Conflict;
#[doc(hidden)] // for the C library, and no part of the contract
pub use cursor_region::CursorRegion;
pub use frame::Frame;
pub use handle::{Handle, Rel, SliceHandle, StrHandle};
pub use local::LocalArena;
pub use pool::{ArenaPool, PoolBuilder, PooledArena};
pub use scope::Scope;
pub use scratch::{Scratch, scratch};
pub use shared::SharedArena;
