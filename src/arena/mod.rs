//! Bump allocation over a region.

// One macro writes the allocation calls of arenas and scopes: the same names and the same bodies, with the
// lifetime that each of them can promise.
#[macro_use]
mod calls;

#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
mod allocator;
mod arena_type;
mod body;
mod checkpoint;
mod cursor;
mod frame;
mod grower;
mod pool;
mod remote;
mod scope;
mod watch;

pub use arena_type::{Arena, DebugArena};
pub use checkpoint::Checkpoint;
pub use frame::Frame;
pub use pool::{ArenaPool, Conflict, PooledArena, Scratch, scratch};
#[doc(hidden)] // for the C library, and no part of the contract
pub use remote::Remote;
pub use scope::Scope;
