//! Containers over a region of their own: they grow in place, so nothing in them ever moves for it.

mod append;
mod drain;
mod edit;
mod grow_vec;
mod into_iter;
mod order;
mod push;
mod room;
#[cfg(feature = "serde")]
mod serial;
mod shared_traits;
mod shared_vec;
mod storage;
mod traits;

/// The atomics of this room, in one place so that the order of publication also runs under loom.
mod atomic {
    pub(super) use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

    /// Nothing: the accesses around it are sequentially consistent. (Loom takes such accesses for acquire and release,
    /// so that there it is a fence.)
    #[inline(always)]
    pub(super) fn in_one_order() {}
}

pub use append::AppendVec;
pub use drain::Drain;
pub use grow_vec::GrowVec;
pub use into_iter::IntoIter;
pub use shared_vec::SharedVec;
