//! The pool of control blocks. Blocks are numbered; block n lies in chunk k, which has `FIRST << k` of them. A chunk is
//! mapped when it is needed and never unmapped: a handler may read a block at any time.

use super::atomic::{AtomicU32, AtomicU64};
use super::control::ControlBlock;
use super::free::FreeList;
use crate::sys::{self, Errno};
use core::ptr::NonNull;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// The blocks of the first chunk.
pub(super) const FIRST: u32 = 64;
pub(super) const CHUNKS: usize = 20;
pub(super) static CHUNK: [AtomicPtr<ControlBlock>; CHUNKS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; CHUNKS];
/// How many blocks there are, free ones included.
pub(super) static NUMBERED: AtomicU32 = AtomicU32::new(0);
static FREE: FreeList = FreeList(AtomicU64::new(0));

/// The chunk of a block and its index there.
fn locate(number: u32) -> Option<(usize, usize)> {
    let chunk = (number / FIRST + 1).ilog2();
    let first_of_chunk = FIRST.checked_mul((1 << chunk) - 1)?;
    Some((chunk as usize, (number - first_of_chunk) as usize))
}

fn get(number: u32) -> Option<&'static ControlBlock> {
    let (chunk, index) = locate(number)?;
    let controls = NonNull::new(CHUNK.get(chunk)?.load(Acquire))?;
    // SAFETY: a published chunk holds `FIRST << chunk` initialised blocks and is never unmapped; `index` is below that.
    Some(unsafe { controls.add(index).as_ref() })
}

/// A free block, or the system's error when there is no memory for more.
pub(super) fn acquire() -> Result<&'static ControlBlock, Errno> {
    if let Some(control) = FREE.pop(|number| get(number).map(|control| &control.next_free)).and_then(get) {
        return Ok(control);
    }
    let number = NUMBERED.fetch_add(1, Relaxed);
    let (chunk, index) = locate(number).filter(|&(chunk, _)| chunk < CHUNKS).ok_or(Errno::ENOMEM)?;
    let mut controls = CHUNK[chunk].load(Acquire);
    if controls.is_null() {
        let count = FIRST << chunk;
        let bytes = count as usize * size_of::<ControlBlock>();
        let fresh = sys::reserve(bytes, sys::Protection::ReadWrite)?.cast::<ControlBlock>();
        for i in 0..count {
            // SAFETY: the range is ours, writable, page-aligned, and has room for `count` blocks.
            unsafe { fresh.add(i as usize).write(ControlBlock::new(number - index as u32 + i)) };
        }
        controls = match CHUNK[chunk].compare_exchange(controls, fresh.as_ptr(), AcqRel, Acquire) {
            Ok(_) => fresh.as_ptr(),
            Err(published) => {
                // SAFETY: this chunk was not published, so no other thread has a reference into it.
                unsafe { sys::release(fresh.cast(), bytes) };
                published
            }
        };
    }
    // SAFETY: a published chunk holds `FIRST << chunk` initialised blocks and is never unmapped; `index` is below that.
    Ok(unsafe { &*controls.add(index) })
}

/// Puts a block back whose region has ended. No region is registered with it any more.
pub(super) fn free(control: &'static ControlBlock) {
    debug_assert!(!control.is_live(), "a live region keeps its block");
    FREE.push(control.index.load(Relaxed), &control.next_free);
}

/// The blocks of all live regions. Signal-safe.
pub(crate) fn live() -> impl Iterator<Item = &'static ControlBlock> {
    let mut numbers = 0..NUMBERED.load(Acquire);
    // (One function: a chain of adapters is compiled again for everything that runs through it.)
    core::iter::from_fn(move || {
        loop {
            match get(numbers.next()?) {
                Some(control) if control.is_live() => return Some(control),
                _ => {}
            }
        }
    })
}

/// The bytes of all regions that are committed and not known to be resident. Signal-safe.
pub(crate) fn committed_untouched() -> u64 {
    let mut sum = 0u64;
    for control in live() {
        if !control.needs_no_headroom() {
            let committed = control.in_memory(control.frontier.get());
            sum = sum.saturating_add(committed.saturating_sub(control.resident.load(Relaxed)) as u64);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_to_chunks_without_gaps() {
        let mut expected = (0, 0);
        for number in 0..100_000 {
            assert_eq!(locate(number), Some(expected), "{number}");
            expected.1 += 1;
            if expected.1 == (FIRST as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }
}
