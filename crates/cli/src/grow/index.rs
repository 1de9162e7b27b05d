//! The job for paths: an index of the words in their files.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher as _, Hasher as _},
    io::{self, ErrorKind, Read as _},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Instant,
};

use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table::Entry as TableEntry};

use super::{
    inputs::{self, Inputs},
    job::{GrowJob, ProgressCount, Share},
    report::{Frequent, IndexFacts},
    tokenizer,
};
use crate::{interrupt, lab::BenchAlloc};

/// How many postings are checked between two checks for Ctrl-C.
const CHECK_INTERVAL: u64 = 1 << 16;
/// Size of the read buffer; a run of letters up to this length is always one word.
const BUFFER: usize = 256 << 10;
/// How many of the most frequent words are shown.
const SHOWN: usize = 10;

/// A distinct word.
struct IndexEntry<'a> {
    word: &'a str,
    hash: u64,
    count: u64,
    postings: Option<&'a Posting<'a>>,
}

/// A posting: one occurrence of a word.
struct Posting<'a> {
    previous: Option<&'a Posting<'a>>,
    /// The index of the word in the file.
    position: u64,
    file: u32,
}

/// Indexes files; each goes to the next free thread.
pub struct IndexJob<'i> {
    inputs: &'i Inputs,
    next: AtomicUsize,
    unreadable: AtomicU64,
}

impl<'i> IndexJob<'i> {
    /// A job for these files.
    pub fn new(inputs: &'i Inputs) -> Self {
        Self { inputs, next: AtomicUsize::new(0), unreadable: AtomicU64::new(inputs.unreadable) }
    }
}

/// The index of the files that one thread has read.
pub struct Index<'a> {
    /// Entries are in the allocator's memory; the table itself is on the global heap.
    table: HashTable<&'a mut IndexEntry<'a>>,
    files: u64,
    binary: u64,
    bytes: u64,
    words: u64,
    /// Bytes of the distinct words.
    text: u64,
}

impl<'a> Index<'a> {
    fn add<A: BenchAlloc<'a>>(&mut self, alloc: &A, word: &str, file: u32, position: u64) {
        // The seed is fixed, so that every run of a comparison does the same work.
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write(word.as_bytes());
        let hash = hasher.finish();
        let entry = self.table.entry(hash, |entry| entry.word == word, |entry| entry.hash);
        let mut entry = match entry {
            TableEntry::Occupied(occupied) => occupied,
            TableEntry::Vacant(vacant) => {
                let word = alloc.alloc_text(word);
                self.text += word.len() as u64;
                vacant.insert(alloc.alloc_value(IndexEntry { word, hash, count: 0, postings: None }))
            }
        };
        let entry = entry.get_mut();
        entry.count += 1;
        entry.postings = Some(alloc.alloc_value(Posting { previous: entry.postings, position, file }));
        self.words += 1;
    }

    fn read<A: BenchAlloc<'a>>(
        &mut self,
        alloc: &A,
        mut file: File,
        number: u32,
        buffer: &mut [u8],
        done: &ProgressCount,
    ) -> io::Result<()> {
        let (mut kept, mut position, mut first) = (0, 0, true);
        loop {
            let read = match file.read(&mut buffer[kept..]) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let filled = kept + read;
            if first && inputs::is_binary(&buffer[..filled]) {
                self.binary += 1;
                done.add(file.metadata()?.len());
                return Ok(());
            }
            first = false;
            done.add(read as u64);
            self.bytes += read as u64;
            let cut = match tokenizer::complete_words(&buffer[..filled]) {
                _ if read == 0 => filled,
                // One run of letters fills the buffer: it is split here.
                0 if filled == buffer.len() => tokenizer::complete_characters(&buffer[..filled]),
                cut => cut,
            };
            for word in tokenizer::words(&buffer[..cut]) {
                self.add(alloc, word, number, position);
                position += 1;
            }
            if read == 0 || interrupt::requested() {
                self.files += 1;
                return Ok(());
            }
            buffer.copy_within(cut..filled, 0);
            kept = filled - cut;
        }
    }

    /// Checks that every word has as many postings as were counted, in order. Returns false if Ctrl-C was pressed before
    /// all of them were checked.
    fn check(&self) -> Result<bool, String> {
        let mut words = 0;
        for entry in &self.table {
            let mut postings = 0;
            let mut next = entry.postings;
            while let Some(posting) = next {
                postings += 1;
                if postings % CHECK_INTERVAL == 0 && interrupt::requested() {
                    return Ok(false);
                }
                if let Some(previous) = posting.previous
                    && previous.file == posting.file
                    && previous.position >= posting.position
                {
                    return Err(format!("the postings of {:?} are out of order", entry.word));
                }
                next = posting.previous;
            }
            if postings != entry.count {
                return Err(format!("{:?} has {postings} postings instead of {}", entry.word, entry.count));
            }
            words += postings;
        }
        if words == self.words { Ok(true) } else { Err(format!("{words} postings for {} words", self.words)) }
    }
}

impl GrowJob for IndexJob<'_> {
    const NAME: &'static str = "index";
    type Product<'a> = Index<'a>;

    fn run<'a, A: BenchAlloc<'a>>(
        &self,
        alloc: A,
        _: usize,
        done: &ProgressCount,
    ) -> Result<Share<'a, Self>, String> {
        let mut index = Index { table: HashTable::new(), files: 0, binary: 0, bytes: 0, words: 0, text: 0 };
        let mut buffer = vec![0; BUFFER];
        let start = Instant::now();
        while !interrupt::requested() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = self.inputs.files.get(number) else { break };
            let number = u32::try_from(number).map_err(|_| "too many files")?;
            let read =
                File::open(&input.path).and_then(|file| index.read(&alloc, file, number, &mut buffer, done));
            if let Err(error) = read {
                let count = self.unreadable.fetch_add(1, Ordering::Relaxed);
                inputs::report_unreadable(count, &format!("{}: {error}", input.path.display()));
            }
        }
        let end = Instant::now();

        let checked = index.check()?;
        let distinct = index.table.len() as u64;
        Ok(Share {
            allocations: index.words + 2 * distinct,
            asked: index.words * size_of::<Posting<'_>>() as u64
                + distinct * size_of::<IndexEntry<'_>>() as u64
                + index.text,
            used: alloc.used(),
            checked,
            time: (start, end),
            product: index,
        })
    }

    fn total(&self) -> u64 {
        self.inputs.bytes
    }

    fn facts(&self, products: &[Index<'_>]) -> Option<IndexFacts> {
        let mut counts: HashMap<&str, u64, FixedState> = HashMap::default();
        for entry in products.iter().flat_map(|index| &index.table) {
            *counts.entry(entry.word).or_default() += entry.count;
        }
        let distinct_words = counts.len() as u64;
        let mut frequent: Vec<_> = counts.into_iter().collect();
        // Equally frequent words are sorted by name, so that the result is deterministic.
        let rank = |&(word, count): &(&str, u64)| (std::cmp::Reverse(count), word.to_owned());
        if frequent.len() > SHOWN {
            frequent.select_nth_unstable_by(SHOWN, |a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            frequent.truncate(SHOWN);
        }
        frequent.sort_by_key(rank);
        let sum = |field: fn(&Index<'_>) -> u64| products.iter().map(field).sum();
        Some(IndexFacts {
            files: sum(|index| index.files),
            bytes: sum(|index| index.bytes),
            words: sum(|index| index.words),
            distinct_words,
            binary: sum(|index| index.binary),
            unreadable: self.unreadable.load(Ordering::Relaxed),
            passed_over: self.inputs.passed_over,
            frequent: frequent
                .into_iter()
                .map(|(word, count)| Frequent { word: word.to_owned(), count })
                .collect(),
        })
    }
}
