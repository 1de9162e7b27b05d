//! What a debugger has to know to list the regions of a process or of a core dump: where the control blocks are, and what
//! is where in them. `share/highwater/highwater.py` reads it.
//!
//! It lies in a section of its own, which outlives `strip` and holds the descriptions of all copies of this crate in an
//! image.

use super::control::ControlBlock;
use super::guard_list::{ENTRY_BYTES, GuardList};
use super::name::NAME_BYTES;
use super::pool::{CHUNK, CHUNKS, FIRST, NUMBERED};
use core::ffi::c_void;
use core::mem::offset_of;

/// Changes with every change of the fields below.
const VERSION: u32 = 1;

#[repr(C)]
pub(super) struct Description {
    magic: [u8; 16],
    version: u32,
    bytes: u32,
    block_bytes: u32,
    /// Chunk k of `chunks` has `first << k` blocks.
    first: u32,
    chunks: u32,
    /// The bytes of a pointer.
    word_bytes: u32,
    chunk: *const c_void,
    numbered: *const c_void,
    /// `highwater_foreign_fault`, null without the fault engine.
    foreign_fault: *const c_void,
    offsets: Offsets,
}

// SAFETY: the pointers are of static things, and only debuggers follow them.
unsafe impl Sync for Description {}

/// Offsets in a control block of words of 64 bits, but for `file` (a signed number of 32) and the name (bytes).
#[repr(C)]
struct Offsets {
    generation: u32,
    id: u32,
    base: u32,
    reserved: u32,
    limit: u32,
    frontier: u32,
    peak: u32,
    used: u32,
    faults: u32,
    commits: u32,
    guards: u32,
    guard_count: u32,
    file: u32,
    name: u32,
    name_bytes: u32,
    guard_bytes: u32,
}

#[cfg(highwater_fault)]
const FOREIGN_FAULT: *const c_void = crate::foreign_fault::FUNCTION as *const c_void;
#[cfg(not(highwater_fault))]
const FOREIGN_FAULT: *const c_void = core::ptr::null();

#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = "highwater_debug"))]
static DESCRIPTION: Description = Description {
    magic: *b"highwater-debug\0",
    version: VERSION,
    bytes: size_of::<Description>() as u32,
    block_bytes: size_of::<ControlBlock>() as u32,
    first: FIRST,
    chunks: CHUNKS as u32,
    word_bytes: size_of::<usize>() as u32,
    chunk: (&raw const CHUNK).cast(),
    numbered: (&raw const NUMBERED).cast(),
    foreign_fault: FOREIGN_FAULT,
    offsets: Offsets {
        generation: offset_of!(ControlBlock, generation) as u32,
        id: offset_of!(ControlBlock, id) as u32,
        base: offset_of!(ControlBlock, base) as u32,
        reserved: offset_of!(ControlBlock, reserved) as u32,
        limit: offset_of!(ControlBlock, limit) as u32,
        frontier: offset_of!(ControlBlock, frontier) as u32,
        peak: offset_of!(ControlBlock, counters.peak) as u32,
        used: offset_of!(ControlBlock, counters.touched) as u32,
        faults: offset_of!(ControlBlock, counters.faults) as u32,
        commits: offset_of!(ControlBlock, counters.commits) as u32,
        guards: (offset_of!(ControlBlock, guards) + GuardList::RANGES_OFFSET) as u32,
        guard_count: (offset_of!(ControlBlock, guards) + GuardList::COUNT_OFFSET) as u32,
        file: offset_of!(ControlBlock, file) as u32,
        name: offset_of!(ControlBlock, name) as u32,
        name_bytes: NAME_BYTES as u32,
        guard_bytes: ENTRY_BYTES as u32,
    },
};

/// Keeps the description in the program: a linker removes sections that nothing refers to.
pub(super) fn keep() {
    core::hint::black_box(&DESCRIPTION);
}
