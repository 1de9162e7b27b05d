//! What is written to a block, so that every byte says which block it is of and where in it.

use std::ptr::NonNull;

/// A prime, so that what is moved by a round number of bytes is noticed.
const TURN: usize = 251;

/// Rising numbers, so that what any tag begins with is a part of it.
static RAMP: [u8; 256 + TURN] = {
    let mut ramp = [0; 256 + TURN];
    let mut at = 0;
    while at < ramp.len() {
        ramp[at] = (at % TURN) as u8;
        at += 1;
    }
    ramp
};

/// Blocks of more bytes than this may be written to in parts only.
pub const WHOLE: usize = 16 << 10;
const EDGE: usize = 4 << 10;

/// The parts that are written: all of it; or both ends, and a little of every 64 KiB.
fn parts(len: usize, all: bool) -> impl Iterator<Item = (usize, usize)> {
    let is_whole = all || len <= WHOLE;
    let ends = if is_whole { [(0, len), (0, 0)] } else { [(0, EDGE), (len - EDGE, len)] };
    let between = if is_whole { 0..0 } else { 1..len / (64 << 10) };
    ends.into_iter().chain(between.map(|part| (part << 16, (part << 16) + 64)))
}

/// The part of a block from one offset to another, turn by turn: where it is, and what should be there.
fn turns(tag: u8, from: usize, to: usize) -> impl Iterator<Item = (usize, &'static [u8])> {
    (from..to).step_by(TURN).map(move |at| {
        let first = (usize::from(tag) + at) % TURN;
        (at, &RAMP[first..first + TURN.min(to - at)])
    })
}

/// Writes to a block of so many bytes.
///
/// # Safety
/// It is one, and nothing else uses it.
pub unsafe fn fill(block: NonNull<u8>, len: usize, tag: u8, all: bool) {
    for (from, to) in parts(len, all) {
        for (at, bytes) in turns(tag, from, to) {
            // SAFETY: within the block.
            unsafe { block.add(at).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        }
    }
}

/// Whether the first `kept` bytes are what was written to a block of `len` bytes.
///
/// # Safety
/// As for [`fill`], and so many bytes of it are there.
pub unsafe fn holds(block: NonNull<u8>, len: usize, kept: usize, tag: u8, all: bool) -> bool {
    parts(len, all).all(|(from, to)| {
        turns(tag, from, to.min(kept)).all(|(at, bytes)| {
            // SAFETY: within the block, and written before.
            let found = unsafe { std::slice::from_raw_parts(block.as_ptr().wrapping_add(at), bytes.len()) };
            found == bytes
        })
    })
}
