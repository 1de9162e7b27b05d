//! One buffer to read the system's files with: a handler's stack has no room for one.

use crate::sys;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const BYTES: usize = 16 << 10;

struct Buffer {
    /// The process that has it, 0 for none: a child that was forked while another thread had it finds nobody there
    /// who would give it back.
    taken: AtomicU32,
    bytes: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: only whoever set `taken` touches the bytes.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer { taken: AtomicU32::new(0), bytes: UnsafeCell::new([0; BYTES]) };

/// The buffer, for as long as this lives.
pub(crate) struct Borrowed(());

/// The buffer, if nobody has it. Signal-safe; nobody waits.
pub(crate) fn borrow() -> Option<Borrowed> {
    let process = sys::process_id();
    let take = |from| BUFFER.taken.compare_exchange(from, process, Acquire, Relaxed);
    match take(0) {
        Ok(_) => Some(Borrowed(())),
        Err(holder) if holder != process => take(holder).ok().map(|_| Borrowed(())),
        Err(_) => None,
    }
}

impl Deref for Borrowed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: ours while `taken` is set.
        unsafe { &*BUFFER.bytes.get() }
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { &mut *BUFFER.bytes.get() }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        BUFFER.taken.store(0, Release);
    }
}
