//! From an address to its region, inside a signal: a radix tree over the address space.
//!
//! Four levels of 512 entries, as in a page table: an entry is empty, a region's block (the region covers
//! all of the entry's range), or a further table. A lookup is at most four dependent loads and never
//! waits, whatever a writer is doing. Writers take no lock either: the entries inside a region's range
//! belong to the owner of the mapping, and a table is installed by one compare-and-swap. Tables are never
//! freed; the address ranges they stand for are soon mapped again.

use super::atomic::AtomicUsize;
use super::control::ControlBlock;
use crate::sys;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const FANOUT: usize = 512;
/// log2 of the bytes that an entry of each level stands for; the root's first.
const SHIFTS: [u32; 4] = [39, 30, 21, 12];
/// Addresses are below this: 48 bits. Nothing of ours is mapped above.
const SPACE: u64 = 1 << 48;

#[repr(align(4096))]
struct RegistryTable([AtomicPtr<ControlBlock>; FANOUT]);

static ROOT: RegistryTable = RegistryTable([const { AtomicPtr::new(null_mut()) }; FANOUT]);

enum RegistryEntry {
    Empty,
    Region(&'static ControlBlock),
    Table(&'static RegistryTable),
}

/// The low bit of an entry says that it is a table; both things are aligned.
fn read(entry: *mut ControlBlock) -> RegistryEntry {
    let plain = entry.map_addr(|address| address & !1);
    match NonNull::new(plain) {
        None => RegistryEntry::Empty,
        // SAFETY: entries hold blocks and tagged tables only, neither of which is ever freed.
        Some(table) if entry != plain => RegistryEntry::Table(unsafe { table.cast().as_ref() }),
        // SAFETY: entries hold blocks and tagged tables only, neither of which is ever freed.
        Some(control) => RegistryEntry::Region(unsafe { control.as_ref() }),
    }
}

fn tagged(table: NonNull<RegistryTable>) -> *mut ControlBlock {
    table.as_ptr().cast::<ControlBlock>().map_addr(|address| address | 1)
}

/// The region that `address` lies in, guards included. Signal-safe, wait-free.
pub(crate) fn find(address: usize) -> Option<&'static ControlBlock> {
    let address = address as u64;
    if address >= SPACE {
        return None;
    }
    let mut table = &ROOT;
    for shift in SHIFTS {
        // The mask keeps the index below the length: no bounds check, no panic.
        let entry = table.0[(address >> shift) as usize & (FANOUT - 1)].load(Acquire);
        match read(entry) {
            RegistryEntry::Empty => return None,
            RegistryEntry::Region(control) => return Some(control),
            RegistryEntry::Table(next) => table = next,
        }
    }
    None
}

/// Makes `control` the block of `[start, start + len)`, a mapping of the caller's made of 4 KiB units.
pub(crate) fn insert(start: usize, len: usize, control: &'static ControlBlock) -> Result<(), sys::Errno> {
    let (start, end) = (start as u64, start as u64 + len as u64);
    debug_assert!(start.is_multiple_of(4096) && end.is_multiple_of(4096), "regions are made of pages");
    if end > SPACE {
        return Err(sys::Errno::ENOMEM);
    }
    fill(&ROOT, &SHIFTS, 0, start, end, control).inspect_err(|_| remove(start as usize, len, control))
}

/// Takes `control` out again. The mapping must still exist: afterwards its addresses may have another use.
pub(crate) fn remove(start: usize, len: usize, control: &'static ControlBlock) {
    clear(&ROOT, &SHIFTS, 0, start as u64, start as u64 + len as u64, control);
}

/// The entries of a table at `base` that `[start, end)` touches, each with the address it begins at.
fn entries(
    table: &'static RegistryTable,
    shift: u32,
    base: u64,
    start: u64,
    end: u64,
) -> impl Iterator<Item = (&'static AtomicPtr<ControlBlock>, u64)> {
    let first = ((start.max(base) - base) >> shift) as usize;
    let last = ((end - 1 - base) >> shift).min(FANOUT as u64 - 1) as usize;
    (first..=last).map(move |i| (&table.0[i], base + ((i as u64) << shift)))
}

fn fill(
    table: &'static RegistryTable,
    shifts: &[u32],
    base: u64,
    start: u64,
    end: u64,
    control: &'static ControlBlock,
) -> Result<(), sys::Errno> {
    let Some((&shift, deeper)) = shifts.split_first() else { return Ok(()) };
    for (entry, at) in entries(table, shift, base, start, end) {
        let whole = start <= at && at + (1 << shift) <= end;
        let below = match read(entry.load(Acquire)) {
            RegistryEntry::Table(below) => below,
            _ if whole => {
                entry.store(core::ptr::from_ref(control).cast_mut(), Release);
                continue;
            }
            _ => split(entry)?,
        };
        fill(below, deeper, at, start, end, control)?;
    }
    Ok(())
}

fn clear(
    table: &'static RegistryTable,
    shifts: &[u32],
    base: u64,
    start: u64,
    end: u64,
    control: &'static ControlBlock,
) {
    let Some((&shift, deeper)) = shifts.split_first() else { return };
    for (entry, at) in entries(table, shift, base, start, end) {
        match read(entry.load(Acquire)) {
            RegistryEntry::Table(below) => clear(below, deeper, at, start, end, control),
            // The entry is ours for as long as the mapping is: a store will do, and a large region has a thousand. (In
            // a forked child another region may stand where one was not inherited; it is left alone.)
            RegistryEntry::Region(found) if core::ptr::eq(found, control) => entry.store(null_mut(), Release),
            _ => {}
        }
    }
}

/// Puts a table in the place of an entry; what stood there stands in all of the table's entries.
fn split(entry: &'static AtomicPtr<ControlBlock>) -> Result<&'static RegistryTable, sys::Errno> {
    let table = fresh_table()?;
    loop {
        let value = entry.load(Acquire);
        if let RegistryEntry::Table(theirs) = read(value) {
            SPARE.store(table.as_ptr(), Release);
            return Ok(theirs);
        }
        // SAFETY: the table is ours alone until the exchange below.
        let fresh: &'static RegistryTable = unsafe { table.as_ref() };
        fresh.0.iter().for_each(|below| below.store(value, Relaxed));
        if entry.compare_exchange(value, tagged(table), AcqRel, Acquire).is_ok() {
            return Ok(fresh);
        }
    }
}

/// A table that lost the race for its place; at most one is kept, the rare second is forgotten.
static SPARE: AtomicPtr<RegistryTable> = AtomicPtr::new(null_mut());

/// Tables are cut from chunks like this; the chunk's own place in the first table's space counts them.
const TABLES: usize = 64;

#[repr(C)]
struct TableChunk {
    taken: AtomicUsize,
    rest: [u8; 4096 - size_of::<usize>()],
    tables: [RegistryTable; TABLES - 1],
}

/// What a chunk takes of the system.
pub(super) const CHUNK_BYTES: usize = size_of::<TableChunk>();

static CHUNK: AtomicPtr<TableChunk> = AtomicPtr::new(null_mut());

fn fresh_table() -> Result<NonNull<RegistryTable>, sys::Errno> {
    if let Some(spare) = NonNull::new(SPARE.swap(null_mut(), AcqRel)) {
        return Ok(spare);
    }
    loop {
        let chunk = CHUNK.load(Acquire);
        if let Some(chunk) = NonNull::new(chunk) {
            // SAFETY: chunks are zeroed, which is valid for all their fields, and never given back.
            let chunk = unsafe { chunk.as_ref() };
            if let Some(table) = chunk.tables.get(chunk.taken.fetch_add(1, Relaxed)) {
                return Ok(NonNull::from(table));
            }
        }
        let fresh = sys::reserve(CHUNK_BYTES, sys::Protection::ReadWrite)?;
        if CHUNK.compare_exchange(chunk, fresh.cast().as_ptr(), AcqRel, Acquire).is_err() {
            // SAFETY: the chunk was not published, so no other thread has its address.
            unsafe { sys::release(fresh, size_of::<TableChunk>()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool;
    use super::*;

    /// Addresses that no mapping of a test process has: the tree knows nothing of mappings.
    const FREE_SPACE: usize = 1 << 46;

    #[test]
    fn finds_exactly_the_range_at_every_size() {
        let control = pool::acquire().unwrap();
        let (huge, giant) = (2 << 20, 1 << 30);
        for (start, len) in [
            (0, 4096),
            (huge - 4096, 8192),
            (4096, huge),
            (huge, huge),
            (giant - 8192, giant + 3 * 4096),
            (giant, 64 * giant),
            (512 * giant - 4096, 513 * giant),
        ] {
            let start = FREE_SPACE + start;
            insert(start, len, control).unwrap();
            for inside in [start, start + 1, start + len / 2, start + len - 1] {
                assert!(find(inside).is_some_and(|found| core::ptr::eq(found, control)), "{inside:x}");
            }
            for outside in [start - 1, start + len] {
                assert!(find(outside).is_none(), "{outside:x}");
            }
            remove(start, len, control);
            for inside in [start, start + len / 2, start + len - 1] {
                assert!(find(inside).is_none());
            }
        }
        assert!(find(usize::MAX).is_none() && find(0).is_none());
        pool::free(control);
    }

    #[test]
    fn neighbours_share_a_granule() {
        let base = FREE_SPACE + (3 << 39);
        let controls: Vec<_> = (0..100).map(|_| pool::acquire().unwrap()).collect();
        let len = 3 * 4096;
        for (i, control) in controls.iter().enumerate() {
            insert(base + i * len, len, control).unwrap();
        }
        for (i, control) in controls.iter().enumerate() {
            assert!(core::ptr::eq(find(base + i * len + len - 1).unwrap(), *control));
        }
        for (i, control) in controls.iter().enumerate().step_by(2) {
            remove(base + i * len, len, control);
        }
        for i in 0..controls.len() {
            assert_eq!(find(base + i * len).is_some(), i % 2 == 1);
        }
        for (i, control) in controls.into_iter().enumerate() {
            remove(base + i * len, len, control);
            pool::free(control);
        }
    }

    #[test]
    fn a_leaf_that_a_fork_left_behind_is_split_around_a_newcomer() {
        let base = FREE_SPACE + (5 << 39);
        let (stale, new) = (pool::acquire().unwrap(), pool::acquire().unwrap());
        insert(base, 1 << 30, stale).unwrap();
        insert(base + (4 << 20), 8192, new).unwrap();
        assert!(core::ptr::eq(find(base + (4 << 20)).unwrap(), new));
        assert!(core::ptr::eq(find(base + (8 << 20)).unwrap(), stale));
        remove(base, 1 << 30, stale);
        assert!(find(base + (8 << 20)).is_none());
        assert!(core::ptr::eq(find(base + (4 << 20) + 8191).unwrap(), new));
        remove(base + (4 << 20), 8192, new);
        pool::free(stale);
        pool::free(new);
    }

    #[test]
    fn threads_insert_and_remove_beside_each_other() {
        let base = FREE_SPACE + (9 << 39);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let control = pool::acquire().unwrap();
                    // Interleaved ranges: every granule is shared by all four.
                    for i in 0..2000usize {
                        let start = base + (i * 4 + thread) * 8192;
                        insert(start, 8192, control).unwrap();
                        assert!(core::ptr::eq(find(start + 8191).unwrap(), control));
                    }
                    for i in 0..2000usize {
                        let start = base + (i * 4 + thread) * 8192;
                        remove(start, 8192, control);
                        assert!(find(start).is_none());
                    }
                    pool::free(control);
                });
            }
        });
    }
}
