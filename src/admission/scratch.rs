//! Static buffers to read the system's files with.

use crate::sys::{TryLock, TryLockGuard, try_lock_any};

const BYTES: usize = 16 << 10;

/// A buffer, for as long as this lives.
type ScratchBuffer = TryLockGuard<'static, [u8; BYTES]>;

/// Held by the thread that queries the sources: one at a time.
static QUERY: TryLock<[u8; BYTES]> = TryLock::new([0; BYTES]);
/// For reports and explanations.
static OTHERS: [TryLock<[u8; BYTES]>; 3] = [const { TryLock::new([0; BYTES]) }; 3];

/// The buffer of the thread that queries, if no other thread does. Signal-safe; it never waits.
pub(super) fn try_query_buffer() -> Option<ScratchBuffer> {
    QUERY.try_lock()
}

/// A buffer for reports and explanations, if one is free. The caller drops it before it writes a report. Signal-safe.
pub(crate) fn borrow() -> Option<ScratchBuffer> {
    try_lock_any(&OTHERS)
}

/// The same, tried for a while: without a buffer a cause would not be found. Signal-safe.
pub(super) fn borrow_soon() -> Option<ScratchBuffer> {
    (0..1000).find_map(|_| {
        borrow().or_else(|| {
            std::thread::yield_now();
            None
        })
    })
}
