//! What the other packages of this project take from the library beyond its public interface: the malloc library
//! (`highwater-malloc`), the C library (`highwater-capi`), the command (`highwater-cli`), fuzz targets and tests.
//!
//! **Exempt from semantic versioning**: anything in here may change or disappear in any release. It exists only with the
//! cargo feature `internal`, which adds names and changes nothing else. Programs that need something of it should ask for
//! a public interface instead.
//!
//! - [`sys`]: the layer over the operating system: memory, files, processes, locks, one-line messages
//! - [`heap`]: a thread's part of a heap, and the record that a process on the malloc library leaves
//! - [`capi`]: the region of a cursor of C
//! - [`math`]: the arithmetic of pages, bumps, growth steps and random numbers

pub use crate::report::Bytes;

/// Cursors of C and the arenas that they belong to. One method of [`GuardPolicy`](crate::GuardPolicy) exists only with the
/// feature as well.
pub mod capi {
    use crate::{Arena, Builder};

    pub use crate::arena::cursor_region::CursorRegion;

    /// Makes a builder one of a vector's arena, as reports call it, whose default reservation has `expected` bytes at least.
    pub fn vector_builder(builder: Builder<Arena>, expected: usize) -> Builder<Arena> {
        builder.vector().expect(expected)
    }
}

/// The arithmetic that the rest stands on.
pub mod math {
    pub use crate::math::{bump, page, random, step};
}

/// The layer over the operating system. What is marked *signal-safe* may be called in a signal handler.
pub mod sys {
    pub use crate::sys::{
        BootArena, Errno, MapsEntry, MemInfo, OnceState, Protection, RawFile, ReentrantOnce, Resource,
        SpinGuard, SpinLock, TextBuffer, abort_with, commit, decimal, each_mapping, file_identity, mem_info,
        monotonic_ns, observe_segv, page_size, physical_memory, preserve_errno, process_id, protect, purge,
        reserve, resource_limit, sleep_ns, thread_address, thread_id, thread_name, write_line, write_line_to,
    };
}

/// A heap from the inside. Some methods of [`Heap`](crate::heap::Heap) exist only with the feature as well.
#[cfg(feature = "heap")]
pub mod heap {
    pub use crate::heap::record;
    pub use crate::heap::{ThreadHeap, ThreadSlot};
}
