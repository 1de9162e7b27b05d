//! The atomics of the lock-free protocols of this folder. Under loom the tests put loom's own in their place.

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
