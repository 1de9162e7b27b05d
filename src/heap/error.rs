//! The errors of a heap.

use crate::admission::OutOfMemory;
use crate::fallible;
use crate::region::BuildError;
use core::fmt;

/// Why a call to a [`Heap`](crate::heap::Heap) failed. The heap is unchanged.
///
/// The text is one line and names the value. `address` is the address that was passed to the call.
///
/// ```
/// use highwater::heap::{Heap, HeapError, Stack};
///
/// let heap = Heap::builder().limit(1 << 20).policy(Stack::new()).build();
/// match heap.allocate(2 << 20, 16) {
///     Err(HeapError::OutOfMemory(error)) => assert!(error.to_string().contains("out of memory")),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeapError {
    /// A block of 0 bytes was requested.
    ZeroSize,
    /// The alignment is not a power of two.
    Alignment {
        /// The requested alignment.
        align: usize,
    },
    /// The size, rounded up to the alignment, is more than `isize::MAX` bytes.
    TooLarge {
        /// The requested bytes.
        size: usize,
    },
    /// An option of the heap's policy has an invalid value.
    Option {
        /// The option and its valid values.
        expected: &'static str,
        /// Its value.
        value: usize,
    },
    /// The region could not grow.
    OutOfMemory(OutOfMemory),
    /// The block was freed before.
    DoubleFree {
        /// Its address.
        address: usize,
    },
    /// The address is below the heap's first block.
    BelowHeap {
        /// The address.
        address: usize,
        /// Where the heap's blocks begin.
        start: usize,
    },
    /// The address is at or above the end of what the heap uses.
    AboveHeap {
        /// The address.
        address: usize,
        /// The end.
        end: usize,
    },
    /// The address is inside a block, not at its start.
    InsideBlock {
        /// The address.
        address: usize,
        /// Where the block starts.
        block: usize,
    },
    /// The address is in the heap, but no block ever started there.
    NotABlock {
        /// The address.
        address: usize,
    },
    /// The heap's data about a block was overwritten: the program wrote beyond the end of a block, before the start of one, or
    /// to a freed one.
    Corrupt {
        /// The address of the overwritten data.
        address: usize,
        /// What the data should have been.
        what: &'static str,
    },
}

impl fmt::Display for HeapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeapError::ZeroSize => f.write_str("a block cannot have 0 bytes"),
            HeapError::Alignment { align } => write!(f, "alignment {align} is not a power of two"),
            HeapError::TooLarge { size } => {
                write!(f, "a block of {size} bytes, rounded up to its alignment, is larger than isize::MAX")
            }
            HeapError::Option { expected, value } => write!(f, "{value} is no {expected}"),
            HeapError::OutOfMemory(error) => error.fmt(f),
            HeapError::DoubleFree { address } => write!(f, "double free: the block at {address:#x} is free"),
            HeapError::BelowHeap { address, start } => {
                write!(f, "invalid pointer: {address:#x} is below the heap, which starts at {start:#x}")
            }
            HeapError::AboveHeap { address, end } => {
                write!(f, "invalid pointer: {address:#x} is above the heap, which ends at {end:#x}")
            }
            HeapError::InsideBlock { address, block } => {
                let inside = address - block;
                write!(f, "invalid pointer: {address:#x} is {inside} bytes inside the block at {block:#x}")
            }
            HeapError::NotABlock { address } => write!(f, "invalid pointer: no block starts at {address:#x}"),
            HeapError::Corrupt { address, what } => {
                write!(f, "heap corrupted: {what} at {address:#x} was overwritten")
            }
        }
    }
}

impl std::error::Error for HeapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            HeapError::OutOfMemory(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OutOfMemory> for HeapError {
    fn from(error: OutOfMemory) -> Self {
        HeapError::OutOfMemory(error)
    }
}

impl From<HeapError> for BuildError {
    /// A heap that could not be made.
    fn from(error: HeapError) -> Self {
        match fallible::boxed(error) {
            Ok(error) => BuildError::Over(error),
            Err(exhausted) => exhausted.into(),
        }
    }
}
