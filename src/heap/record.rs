//! What a process that runs on the malloc library leaves behind about its heap: a small file that is mapped while it
//! runs, so that a process which ends without a word has left its figures as well.
//!
//! The writer is `libhighwater_malloc.so`, the reader `highwater run`; both are of one version, and a record of another
//! one is refused.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// The length of a record in bytes: a page.
pub const BYTES: usize = 4096;

const MAGIC: u64 = u64::from_le_bytes(*b"highwatr");
const VERSION: u64 = 1;
/// Where the name begins, in words.
const NAME: usize = 32;
/// How long it is at most, in bytes.
pub const NAME_BYTES: usize = 64;

/// A figure's place in a record. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Field {
    /// The process's number.
    Process = 2,
    /// Its parent's.
    Parent = 3,
    /// 1 while it runs, 2 after it has ended in the usual way.
    State = 4,
    /// Which policy: 0 general, 1 stack, 2 bump, 3 blocks.
    Policy = 5,
    /// What its region reserves.
    Reserved = 6,
    /// What is committed.
    Committed = 7,
    /// The most that was committed.
    PeakCommitted = 8,
    /// How often it grew.
    Growths = 9,
    /// How often growth was refused.
    Refusals = 10,
    /// Blocks that were live at the end.
    LiveBlocks = 11,
    /// Their usable bytes.
    LiveBytes = 12,
    /// The most of them there was.
    PeakLiveBytes = 13,
    /// Page faults without and with input.
    MinorFaults = 14,
    /// See there.
    MajorFaults = 15,
    /// The most the process had in memory.
    PeakResident = 16,
    /// When the heap was made, in nanoseconds of the monotonic clock.
    Started = 17,
    /// When the record was last written to, in the same.
    Written = 18,
}

/// The figures of one process.
#[repr(C)]
#[derive(Debug)]
pub struct Record {
    words: [AtomicU64; BYTES / 8],
}

const _: () = assert!(size_of::<Record>() == BYTES);

impl Record {
    /// Makes a record of memory that is zero.
    pub fn begin(&self, name: &[u8]) {
        for (index, byte) in name.iter().take(NAME_BYTES).enumerate() {
            let word = &self.words[NAME + index / 8];
            word.store(word.load(Relaxed) | u64::from(*byte) << (index % 8 * 8), Relaxed);
        }
        self.words[1].store(VERSION, Relaxed);
        self.words[0].store(MAGIC, Relaxed);
    }

    /// Notes a figure.
    pub fn set(&self, field: Field, value: u64) {
        self.words[field as usize].store(value, Relaxed);
    }

    /// A figure.
    pub fn get(&self, field: Field) -> u64 {
        self.words[field as usize].load(Relaxed)
    }

    /// The name of the process's command, as the kernel has it.
    pub fn name(&self) -> Vec<u8> {
        let words = &self.words[NAME..NAME + NAME_BYTES / 8];
        let bytes = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes());
        bytes.take_while(|byte| *byte != 0).collect()
    }

    /// The record that a file's contents are; `None` if they are not one of this version.
    pub fn read(contents: &[u8]) -> Option<Self> {
        let contents = contents.get(..BYTES)?;
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&contents[index * 8..index * 8 + 8]);
            AtomicU64::new(u64::from_ne_bytes(word))
        };
        let record = Record { words: core::array::from_fn(word) };
        let head = [record.words[0].load(Relaxed), record.words[1].load(Relaxed)];
        (head == [MAGIC, VERSION]).then_some(record)
    }

    /// What a file of it contains.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect()
    }
}

impl Default for Record {
    /// All zero, and no record yet.
    fn default() -> Self {
        Record { words: [const { AtomicU64::new(0) }; BYTES / 8] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let record = Record::default();
        assert!(Record::read(&record.to_bytes()).is_none(), "not begun");
        record.begin(b"python3.11");
        record.set(Field::PeakLiveBytes, 7 << 40);
        let read = Record::read(&record.to_bytes()).unwrap();
        assert_eq!(read.name(), b"python3.11");
        assert_eq!((read.get(Field::PeakLiveBytes), read.get(Field::Written)), (7 << 40, 0));
        assert!(Record::read(&record.to_bytes()[..100]).is_none());
        let long = Record::default();
        long.begin(&[b'x'; 200]);
        assert_eq!(long.name().len(), NAME_BYTES);
    }
}
