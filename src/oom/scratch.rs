//! Buffers to read the system's files with: a handler's stack has no room for one.

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

impl Buffer {
    const fn new() -> Self {
        Buffer { taken: AtomicU32::new(0), bytes: UnsafeCell::new([0; BYTES]) }
    }

    fn take(&'static self) -> Option<Borrowed> {
        let process = sys::process_id();
        let take = |from| self.taken.compare_exchange(from, process, Acquire, Relaxed);
        match take(0) {
            Ok(_) => Some(Borrowed(self)),
            Err(holder) if holder != process => take(holder).ok().map(|_| Borrowed(self)),
            Err(_) => None,
        }
    }
}

/// Whoever has this looks at what memory there is; nobody else may hold it.
static LOOK: Buffer = Buffer::new();
/// For reports and explanations.
static OTHERS: [Buffer; 3] = [const { Buffer::new() }; 3];

/// A buffer, for as long as this lives.
pub(crate) struct Borrowed(&'static Buffer);

/// The buffer of whoever looks, if nobody does. Signal-safe; nobody waits.
pub(super) fn to_look() -> Option<Borrowed> {
    LOOK.take()
}

/// Another one, if there is one. It is to be given back before anything is written anywhere. Signal-safe.
pub(crate) fn borrow() -> Option<Borrowed> {
    OTHERS.iter().find_map(Buffer::take)
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

impl Deref for Borrowed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: ours while `taken` is set.
        unsafe { &*self.0.bytes.get() }
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { &mut *self.0.bytes.get() }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.0.taken.store(0, Release);
    }
}
