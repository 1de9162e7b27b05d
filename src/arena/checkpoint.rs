//! Going back, unsafely.

use super::cursor::Cursor;

/// A position of an arena or a scope to rewind to, without a borrow: what [`Scope`](crate::Scope) does safely.
///
/// ```
/// let arena = highwater::Arena::new();
/// let checkpoint = arena.checkpoint();
/// for _ in 0..1000 {
///     arena.alloc([0u8; 1000]);
///     // SAFETY: the array is not used any more.
///     unsafe { arena.reset_to(checkpoint) };
/// }
/// assert_eq!(arena.allocated_bytes(), 0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint {
    position: *mut u8,
    region: u64,
}

// SAFETY: a checkpoint is two numbers; what may be done with it is the contract of `reset_to`.
unsafe impl Send for Checkpoint {}
// SAFETY: a checkpoint is two numbers that do not change.
unsafe impl Sync for Checkpoint {}

impl Checkpoint {
    pub(super) fn new<const M: usize, const C: bool>(cursor: &Cursor<M, C>) -> Self {
        Checkpoint { position: cursor.position(), region: region_of(cursor) }
    }

    pub(super) fn restore<const M: usize, const C: bool>(self, cursor: &Cursor<M, C>) {
        if C || cfg!(debug_assertions) {
            assert_eq!(self.region, region_of(cursor), "a checkpoint of another arena");
            assert!(cursor.start() <= self.position, "a checkpoint that is an ancestor's");
        }
        // A last block that was shrunk or freed meanwhile ends before it: then everything after it is free already.
        if self.position < cursor.position() {
            cursor.set_position(self.position);
        }
    }
}

fn region_of<const M: usize, const C: bool>(cursor: &Cursor<M, C>) -> u64 {
    cursor.control().id.load(core::sync::atomic::Ordering::Relaxed)
}
