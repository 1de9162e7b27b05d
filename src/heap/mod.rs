//! Malloc-style blocks over a region: [`Heap`] and its policies. The page [heap](crate::guide::heap) says which policy to choose.
//!
//! ```
//! use highwater::heap::Heap;
//!
//! let heap = Heap::builder().name("blocks").build();
//! let block = heap.allocate(100, 16)?;
//! // SAFETY: the block has at least 100 bytes, and this is the only pointer to it.
//! unsafe {
//!     block.write_bytes(7, 100);
//!     let block = heap.reallocate(block, 1000, 16)?;
//!     assert_eq!(block.add(99).read(), 7);
//!     heap.deallocate(block)?;
//! }
//! assert_eq!(heap.stats().live_blocks, 0);
//! # Ok::<(), highwater::heap::HeapError>(())
//! ```

mod backing;
mod block;
mod bump;
mod error;
mod general;
#[cfg(feature = "global-alloc")]
mod global;
mod header_secret;
mod heap_type;
mod inspect;
#[cfg(feature = "internal")]
mod internal;
mod placement_policy;
#[cfg(feature = "internal")]
pub mod record;
mod stack;
mod stats;

pub use crate::policy::{Blocks, Bump, Fit, General, HeapPolicy, MIN_ALIGN, Stack};
pub use error::HeapError;
#[cfg(feature = "internal")]
pub use general::{ThreadHeap, ThreadSlot};
#[cfg(feature = "global-alloc")]
pub use global::Global;
pub use heap_type::Heap;
pub use stats::HeapStats;

/// The former name of [`HeapPolicy`].
#[deprecated(since = "0.1.0", note = "renamed to `HeapPolicy`")]
pub type Kind = HeapPolicy;
