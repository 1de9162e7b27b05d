//! The one writer that may be used inside the signal.
//!
//! A line is put together in one of a few static buffers, so that it reaches the descriptor in one piece
//! and takes none of the little stack that a handler has. When all buffers are in use the
//! line is written piece by piece instead: a signal handler does not wait.

use crate::sys::{self, TryLock, TryLockGuard, try_lock_any};
use core::fmt::{self, Write};
use core::sync::atomic::Ordering::{Acquire, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr};

const BYTES: usize = 1024;
/// Standard error.
const STDERR: i32 = 2;

static BUFFERS: [TryLock<[u8; BYTES]>; 4] = [const { TryLock::new([0; BYTES]) }; 4];

struct ReportWriter {
    buffer: Option<TryLockGuard<'static, [u8; BYTES]>>,
    len: usize,
}

impl ReportWriter {
    fn flush(&mut self) {
        if let Some(text) = &self.buffer {
            write_out(text.get(..self.len).unwrap_or_default());
            self.len = 0;
        }
    }
}

impl Write for ReportWriter {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.buffer.is_none() {
            write_out(piece.as_bytes());
            return Ok(());
        }
        for chunk in piece.as_bytes().chunks(BYTES) {
            if BYTES - self.len < chunk.len() {
                self.flush();
            }
            let text = self.buffer.as_deref_mut();
            if let Some(room) = text.and_then(|text| text.get_mut(self.len..self.len + chunk.len())) {
                room.copy_from_slice(chunk);
                self.len += chunk.len();
            }
        }
        Ok(())
    }
}

/// Where reports go: a descriptor, and a function that gets the text instead if there is one.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(STDERR);
static FUNCTION: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// A function that reports are given to, piece by piece.
pub(super) type ReportFn = fn(&[u8]);

pub(super) fn set_descriptor(fd: Option<i32>) {
    DESCRIPTOR.store(fd.unwrap_or(STDERR), Release);
}

pub(super) fn set_function(function: Option<ReportFn>) {
    FUNCTION.store(function.map_or(core::ptr::null_mut(), |function| function as *mut ()), Release);
}

fn write_out(text: &[u8]) {
    // SAFETY: only functions and null are stored, and an `Option` of a function is null for `None`.
    let function = unsafe { core::mem::transmute::<*mut (), Option<ReportFn>>(FUNCTION.load(Acquire)) };
    match function {
        Some(function) => function(text),
        None => {
            let fd = DESCRIPTOR.load(Acquire);
            // A descriptor that was closed, a full disk: better there than nowhere.
            if !sys::write_all(fd, text) && fd != STDERR {
                sys::write_all(STDERR, text);
            }
        }
    }
}

/// Writes `text` and a line feed to where reports go. Signal-safe.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut sink = ReportWriter { buffer: try_lock_any(&BUFFERS), len: 0 };
    let _ = sink.write_fmt(text);
    let _ = sink.write_str("\n");
    sink.flush();
}
