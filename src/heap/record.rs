//! The record that a process on the malloc library leaves about its heap: a small file, mapped while the process runs, so
//! that a process that ends abruptly leaves its figures as well.
//!
//! `libhighwater_malloc.so` writes it, `highwater run` reads it. Both have the same version; a record of another version is
//! refused.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// The length of a record in bytes: a page.
pub const BYTES: usize = 4096;

const MAGIC: u64 = u64::from_le_bytes(*b"highwatr");
const VERSION: u64 = 1;
/// Where the name begins, in words.
const NAME: usize = 32;
/// The maximum length of the name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The index of a figure in a record. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum RecordField {
    /// The process's id.
    Process = 2,
    /// Its parent's id.
    Parent = 3,
    /// 1 while it runs, 2 after a regular exit.
    State = 4,
    /// Which policy: 0 general, 1 stack, 2 bump, 3 blocks.
    Policy = 5,
    /// Bytes the region reserves.
    Reserved = 6,
    /// Bytes committed.
    Committed = 7,
    /// The maximum of bytes committed.
    PeakCommitted = 8,
    /// How often it grew.
    Growths = 9,
    /// How often growth was refused.
    Refusals = 10,
    /// Blocks that were live at the end.
    LiveBlocks = 11,
    /// Their usable bytes.
    LiveBytes = 12,
    /// The maximum of live bytes.
    PeakLiveBytes = 13,
    /// Page faults that needed no I/O.
    MinorFaults = 14,
    /// Page faults that needed I/O.
    MajorFaults = 15,
    /// The maximum resident set of the process.
    PeakResident = 16,
    /// When the heap was made, in nanoseconds of the monotonic clock.
    Started = 17,
    /// When the record was last written to, by the same clock.
    Written = 18,
}

/// The figures of one process.
#[repr(C)]
#[derive(Debug)]
pub struct HeapRecord {
    words: [AtomicU64; BYTES / 8],
}

const _: () = assert!(size_of::<HeapRecord>() == BYTES);

impl HeapRecord {
    /// Begins a record in zeroed memory.
    pub fn begin(&self, name: &[u8]) {
        for (index, byte) in name.iter().take(MAX_NAME_BYTES).enumerate() {
            let word = &self.words[NAME + index / 8];
            word.store(word.load(Relaxed) | u64::from(*byte) << (index % 8 * 8), Relaxed);
        }
        self.words[1].store(VERSION, Relaxed);
        self.words[0].store(MAGIC, Relaxed);
    }

    /// Sets a figure.
    pub fn set(&self, field: RecordField, value: u64) {
        self.words[field as usize].store(value, Relaxed);
    }

    /// A figure.
    pub fn get(&self, field: RecordField) -> u64 {
        self.words[field as usize].load(Relaxed)
    }

    /// The name of the process's command, as the kernel knows it.
    pub fn name(&self) -> Vec<u8> {
        let words = &self.words[NAME..NAME + MAX_NAME_BYTES / 8];
        let bytes = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes());
        bytes.take_while(|byte| *byte != 0).collect()
    }

    /// Reads a record from the contents of a file; `None` if they are not a record of this version.
    pub fn read(contents: &[u8]) -> Option<Self> {
        let contents = contents.get(..BYTES)?;
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&contents[index * 8..index * 8 + 8]);
            AtomicU64::new(u64::from_ne_bytes(word))
        };
        let record = HeapRecord { words: core::array::from_fn(word) };
        let head = [record.words[0].load(Relaxed), record.words[1].load(Relaxed)];
        (head == [MAGIC, VERSION]).then_some(record)
    }

    /// The contents of a file with this record.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect()
    }
}

impl Default for HeapRecord {
    /// All zero: not a record before [`begin`](HeapRecord::begin).
    fn default() -> Self {
        HeapRecord { words: [const { AtomicU64::new(0) }; BYTES / 8] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let record = HeapRecord::default();
        assert!(HeapRecord::read(&record.to_bytes()).is_none(), "not begun");
        record.begin(b"python3.11");
        record.set(RecordField::PeakLiveBytes, 7 << 40);
        let read = HeapRecord::read(&record.to_bytes()).unwrap();
        assert_eq!(read.name(), b"python3.11");
        assert_eq!((read.get(RecordField::PeakLiveBytes), read.get(RecordField::Written)), (7 << 40, 0));
        assert!(HeapRecord::read(&record.to_bytes()[..100]).is_none());
        let long = HeapRecord::default();
        long.begin(&[b'x'; 200]);
        assert_eq!(long.name().len(), MAX_NAME_BYTES);
    }
}
