//! Malloc-style blocks over a region: [`Heap`] and its policies.
//!
//! ```
//! use highwater::heap::Heap;
//!
//! let heap = Heap::builder().name("blocks").build();
//! let block = heap.allocate(100, 16)?;
//! // SAFETY: the block has 100 bytes and more, and nobody else knows of it.
//! unsafe {
//!     block.write_bytes(7, 100);
//!     let block = heap.reallocate(block, 1000, 16)?;
//!     assert_eq!(block.add(99).read(), 7);
//!     heap.deallocate(block)?;
//! }
//! assert_eq!(heap.stats().live_blocks, 0);
//! # Ok::<(), highwater::heap::HeapError>(())
//! ```

mod block;
mod bump;
mod error;
mod front;
mod general;
#[cfg(feature = "global-alloc")]
mod global;
mod ground;
mod options;
pub(crate) mod policy;
#[doc(hidden)]
pub mod record;
mod stack;
mod stamp;
mod stats;

pub use error::HeapError;
pub use front::Heap;
#[doc(hidden)]
pub use general::{Local, Native, ThreadSlot};
#[cfg(feature = "global-alloc")]
pub use global::Global;
pub use options::{Blocks, Bump, Fit, General, Kind, Stack};
pub use stats::HeapStats;

/// What every block is aligned to, in bytes, unless an option of the policy says otherwise.
pub const MIN_ALIGN: usize = 16;
