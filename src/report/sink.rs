//! The one writer that may be used inside the signal.
//!
//! A line is put together in one of a few static buffers, so that it reaches the descriptor in one piece
//! and takes none of the little stack that a handler has. Whoever finds all buffers taken writes piece by
//! piece instead: nobody waits.

use crate::sys;
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};

const BYTES: usize = 1024;

struct Buffer {
    taken: AtomicBool,
    text: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: only whoever set `taken` touches the text.
unsafe impl Sync for Buffer {}

static BUFFERS: [Buffer; 4] =
    [const { Buffer { taken: AtomicBool::new(false), text: UnsafeCell::new([0; BYTES]) } }; 4];

struct Sink {
    fd: i32,
    buffer: Option<&'static Buffer>,
    len: usize,
}

impl Sink {
    fn flush(&mut self) {
        if let Some(buffer) = self.buffer {
            // SAFETY: the buffer is ours while `taken` is set.
            let text = unsafe { &*buffer.text.get() };
            sys::write(self.fd, text.get(..self.len).unwrap_or_default());
            self.len = 0;
        }
    }
}

impl Write for Sink {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let Some(buffer) = self.buffer else {
            sys::write(self.fd, piece.as_bytes());
            return Ok(());
        };
        for chunk in piece.as_bytes().chunks(BYTES) {
            if BYTES - self.len < chunk.len() {
                self.flush();
            }
            // SAFETY: the buffer is ours while `taken` is set.
            let text = unsafe { &mut *buffer.text.get() };
            if let Some(room) = text.get_mut(self.len..self.len + chunk.len()) {
                room.copy_from_slice(chunk);
                self.len += chunk.len();
            }
        }
        Ok(())
    }
}

/// Writes `text` and a line feed to a descriptor. Signal-safe.
pub(crate) fn line(fd: i32, text: fmt::Arguments<'_>) {
    let buffer = BUFFERS.iter().find(|buffer| !buffer.taken.swap(true, Acquire));
    let mut sink = Sink { fd, buffer, len: 0 };
    let _ = sink.write_fmt(text);
    let _ = sink.write_str("\n");
    sink.flush();
    if let Some(buffer) = buffer {
        buffer.taken.store(false, Release);
    }
}
