//! What is said of misuse, before the process ends.

use crate::file::File;
use core::ptr::NonNull;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;
use highwater::heap::HeapError;
use highwater::internal::sys::abort_with;

/// A call that the heap cannot make sense of, or a heap that was written over.
#[cold]
pub(crate) fn heap(error: &HeapError) -> ! {
    match error {
        HeapError::InsideBlock { address, block } => abort_with(format_args!(
            "interior pointer: {address:#x} is {} bytes inside the block at {block:#x}",
            address - block
        )),
        _ => abort_with(format_args!("{error}")),
    }
}

/// Something was written behind a block: `size` bytes were asked for, and so many bytes behind them is the first that is
/// not what it was.
#[cold]
pub(crate) fn overflow(block: NonNull<u8>, found: Option<(usize, usize)>) -> ! {
    match found {
        Some((size, at)) => abort_with(format_args!(
            "heap overflow: somebody wrote {at} bytes past the end of the block of {size} bytes at {block:p}"
        )),
        None => {
            abort_with(format_args!("heap overflow: the size behind the block at {block:p} was overwritten"))
        }
    }
}

/// Ends the process unless an address that is none of ours looks like a block of the system's malloc.
#[cold]
pub(crate) fn unless_foreign(block: NonNull<u8>) {
    let address = block.addr().get();
    let here = core::ptr::from_ref(&address).addr();
    if is_remembered(address) && looks_like_one(block) {
        return;
    }
    let mut path = [0; 256];
    let Some(found) = mapping_of(address, here, &mut path) else {
        abort_with(format_args!("foreign pointer: {address:#x} is no address of this process"));
    };
    let path = path.get(..found.path).unwrap_or_default();
    if found.is_this_stack {
        abort_with(format_args!("stack pointer: {address:#x} is on this thread's stack"));
    }
    if path == b"[stack]" {
        abort_with(format_args!("stack pointer: {address:#x} is on the main thread's stack"));
    }
    if !path.is_empty() && path != b"[heap]" {
        abort_with(format_args!("foreign pointer: {address:#x} is in {}", path.escape_ascii()));
    }
    if address - found.start < 16 || !looks_like_one(block) {
        abort_with(format_args!(
            "foreign pointer: {address:#x} is no block of this malloc or of the system's"
        ));
    }
    REMEMBERED[0].store(found.start + 16, Relaxed);
    REMEMBERED[1].store(found.end, Relaxed);
}

/// Where the last block of the system's was: a range that is looked up but once.
static REMEMBERED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn is_remembered(address: usize) -> bool {
    (REMEMBERED[0].load(Relaxed)..REMEMBERED[1].load(Relaxed)).contains(&address)
}

/// Whether there is a size before it, as before a block of glibc's: with three flags. Blocks are aligned to two words.
fn looks_like_one(block: NonNull<u8>) -> bool {
    block.addr().get().is_multiple_of(16) && {
        // SAFETY: it is readable, as the mapping said.
        let size = unsafe { block.cast::<usize>().sub(1).read() } & !7;
        size >= 32 && size.is_multiple_of(16)
    }
}

/// What is mapped where an address is.
struct Mapping {
    start: usize,
    end: usize,
    /// How long its name is.
    path: usize,
    is_this_stack: bool,
}

/// Looks an address up in the maps file, without allocating. `here` is an address on this thread's stack.
fn mapping_of(address: usize, here: usize, path: &mut [u8; 256]) -> Option<Mapping> {
    let mut found = None;
    each_line(|line| {
        let range = line.split(|byte| *byte == b' ').next()?;
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let number = |digits: &[u8]| usize::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok();
        let (start, end) = (number(&range[..dash])?, number(&range[dash + 1..])?);
        if !(start..end).contains(&address) {
            return None;
        }
        let is_readable = line.get(range.len() + 1) == Some(&b'r');
        // (The name is the sixth field, and begins with one of these.)
        let name = line.iter().position(|byte| matches!(byte, b'/' | b'[')).map_or(&[][..], |at| &line[at..]);
        let length = name.len().min(path.len());
        path[..length].copy_from_slice(&name[..length]);
        let is_this_stack = (start..end).contains(&here);
        found = is_readable.then_some(Mapping { start, end, path: length, is_this_stack });
        Some(())
    });
    found
}

/// Calls `look` with every line of the maps file until it returns something. Lines that are longer than a page are cut.
fn each_line(mut look: impl FnMut(&[u8]) -> Option<()>) {
    let Some(file) = File::open(c"/proc/self/maps") else { return };
    let mut buffer = [0u8; 4096];
    let mut length = 0;
    loop {
        match file.read(&mut buffer[length..]) {
            0 => return,
            got => length += got,
        }
        while let Some(end) = buffer[..length].iter().position(|byte| *byte == b'\n') {
            if look(&buffer[..end]).is_some() {
                return;
            }
            buffer.copy_within(end + 1..length, 0);
            length -= end + 1;
        }
        if length == buffer.len() {
            length = 0;
        }
    }
}
