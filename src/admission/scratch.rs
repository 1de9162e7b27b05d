//! Buffers to read the system's files with.

use crate::sys::{TryLock, TryLockGuard, try_lock_any};

const BYTES: usize = 16 << 10;

/// A buffer, for as long as this lives.
type Borrowed = TryLockGuard<'static, [u8; BYTES]>;

/// Whoever has this looks at what memory there is; nobody else may hold it.
static LOOK: TryLock<[u8; BYTES]> = TryLock::new([0; BYTES]);
/// For reports and explanations.
static OTHERS: [TryLock<[u8; BYTES]>; 3] = [const { TryLock::new([0; BYTES]) }; 3];

/// The buffer of whoever looks, if nobody does. Signal-safe; nobody waits.
pub(super) fn to_look() -> Option<Borrowed> {
    LOOK.try_lock()
}

/// Another one, if there is one. It is to be given back before anything is written anywhere. Signal-safe.
pub(crate) fn borrow() -> Option<Borrowed> {
    try_lock_any(&OTHERS)
}

/// Another one, for which a little patience is shown: without it a cause would not be found. Signal-safe.
pub(super) fn borrow_soon() -> Option<Borrowed> {
    (0..1000).find_map(|_| {
        borrow().or_else(|| {
            std::thread::yield_now();
            None
        })
    })
}
