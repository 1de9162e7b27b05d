//! One buffer to read the system's files with: a handler's stack has no room for one.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};

const BYTES: usize = 16 << 10;

struct Buffer {
    taken: AtomicBool,
    bytes: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: only whoever set `taken` touches the bytes.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer { taken: AtomicBool::new(false), bytes: UnsafeCell::new([0; BYTES]) };

/// The buffer, for as long as this lives.
pub(crate) struct Borrowed(());

/// The buffer, if nobody has it. Signal-safe; nobody waits.
pub(crate) fn borrow() -> Option<Borrowed> {
    // Not `then_some`: a value that is made and not wanted is dropped, which would give the buffer back.
    (!BUFFER.taken.swap(true, Acquire)).then(|| Borrowed(()))
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
        BUFFER.taken.store(false, Release);
    }
}
