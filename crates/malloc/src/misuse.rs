//! What is reported of misuse before the process ends.

use core::ptr::NonNull;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;
use highwater::heap::HeapError;
use highwater::internal::sys::{abort_with, each_mapping};

/// Ends the process for a call that the heap cannot serve, or for data of the heap that was overwritten.
#[cold]
pub(crate) fn die_of(error: &HeapError) -> ! {
    match error {
        HeapError::InsideBlock { address, block } => abort_with(format_args!(
            "interior pointer: {address:#x} is {} bytes inside the block at {block:#x}",
            address - block
        )),
        _ => abort_with(format_args!("{error}")),
    }
}

/// Ends the process because bytes behind a block changed: its size, and how far behind that the first such byte is; `None`
/// where the size itself was overwritten.
#[cold]
pub(crate) fn die_of_overflow(block: NonNull<u8>, found: Option<(usize, usize)>) -> ! {
    match found {
        Some((size, at)) => abort_with(format_args!(
            "heap overflow: the program wrote {at} bytes past the end of the block of {size} bytes at {block:p}"
        )),
        None => {
            abort_with(format_args!("heap overflow: the size behind the block at {block:p} was overwritten"))
        }
    }
}

/// Ends the process unless an address that is not this library's looks like a block of the system's malloc.
#[cold]
pub(crate) fn die_unless_foreign_block(block: NonNull<u8>) {
    let address = block.addr().get();
    let here = core::ptr::from_ref(&address).addr();
    // SAFETY: the address lies in a mapping that was readable when it was looked up, 16 bytes or more behind its start.
    if is_remembered(address) && unsafe { looks_like_block(block) } {
        return;
    }
    let mut name = [0; 256];
    let Some(found) = mapping_of(address, here, &mut name) else {
        abort_with(format_args!("foreign pointer: {address:#x} is no address of this process"));
    };
    let name = name.get(..found.name_len).unwrap_or_default();
    if found.is_this_stack {
        abort_with(format_args!("stack pointer: {address:#x} is on this thread's stack"));
    }
    if name == b"[stack]" {
        abort_with(format_args!("stack pointer: {address:#x} is on the main thread's stack"));
    }
    if !name.is_empty() && name != b"[heap]" {
        abort_with(format_args!("foreign pointer: {address:#x} is in {}", name.escape_ascii()));
    }
    // SAFETY: the address lies in a mapping that is readable, 16 bytes or more behind its start.
    if address - found.start < 16 || !unsafe { looks_like_block(block) } {
        abort_with(format_args!(
            "foreign pointer: {address:#x} is no block of this malloc or of the system's"
        ));
    }
    REMEMBERED[0].store(found.start + 16, Relaxed);
    REMEMBERED[1].store(found.end, Relaxed);
}

/// Where the last block of the system's malloc was: a range that is looked up once.
static REMEMBERED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn is_remembered(address: usize) -> bool {
    (REMEMBERED[0].load(Relaxed)..REMEMBERED[1].load(Relaxed)).contains(&address)
}

/// Whether there is a size before it, as before a block of glibc's: with three flags. Blocks are aligned to two words.
///
/// # Safety
/// The word before the address is readable.
unsafe fn looks_like_block(block: NonNull<u8>) -> bool {
    block.addr().get().is_multiple_of(16) && {
        // SAFETY: the word before the address is readable: this function's contract. It is aligned, since the address is.
        let size = unsafe { block.cast::<usize>().sub(1).read() } & !7;
        size >= 32 && size.is_multiple_of(16)
    }
}

/// The mapping that an address lies in.
struct ForeignMapping {
    start: usize,
    end: usize,
    name_len: usize,
    is_this_stack: bool,
}

/// Looks an address up in the mappings of the process, without allocating; `None` where it cannot be read. `here` is an
/// address on this thread's stack; the mapping's name is written to `name`.
fn mapping_of(address: usize, here: usize, name: &mut [u8; 256]) -> Option<ForeignMapping> {
    let mut found = None;
    each_mapping(&mut [0; 4096], |entry| {
        if !entry.contains(address) {
            return true;
        }
        let name_len = entry.name.len().min(name.len());
        name[..name_len].copy_from_slice(&entry.name[..name_len]);
        found = entry.permissions.starts_with(b"r").then_some(ForeignMapping {
            start: entry.start,
            end: entry.end,
            name_len,
            is_this_stack: entry.contains(here),
        });
        false
    });
    found
}
