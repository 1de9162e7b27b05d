//! The job of paths: an index of the words in their files.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher as _, Hasher as _},
    io::{self, ErrorKind, Read as _},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Instant,
};

use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table::Entry as Found};

use super::{
    inputs::{self, Inputs},
    job::{Done, Job, Share},
    report::{Frequent, IndexFacts},
    words,
};
use crate::{interrupt, lab::Alloc};

/// Read at a time; also the longest run that is sure to be one word.
/// Postings that are checked between two looks at whether Ctrl-C came.
const CHECKED_AT_ONCE: u64 = 1 << 16;
const BUFFER: usize = 256 << 10;
/// The most frequent words that are shown.
const SHOWN: usize = 10;

/// A distinct word.
struct Entry<'a> {
    word: &'a str,
    hash: u64,
    count: u64,
    places: Option<&'a Place<'a>>,
}

/// A posting: one place of a word.
struct Place<'a> {
    before: Option<&'a Place<'a>>,
    /// Which word of the file it is.
    at: u64,
    file: u32,
}

/// Reads files in turn, whichever thread is free.
pub struct IndexJob<'i> {
    inputs: &'i Inputs,
    next: AtomicUsize,
    unreadable: AtomicU64,
}

impl<'i> IndexJob<'i> {
    /// Of these files.
    pub fn new(inputs: &'i Inputs) -> Self {
        Self { inputs, next: AtomicUsize::new(0), unreadable: AtomicU64::new(inputs.unreadable) }
    }
}

/// What one thread has read.
pub struct Index<'a> {
    /// In the allocator's memory; the table itself is on the global heap.
    table: HashTable<&'a mut Entry<'a>>,
    files: u64,
    binary: u64,
    bytes: u64,
    words: u64,
    /// Of the distinct words.
    text: u64,
}

impl<'a> Index<'a> {
    fn add<A: Alloc<'a>>(&mut self, alloc: &A, word: &str, file: u32, at: u64) {
        // The state is fixed: every run of a comparison does the same work.
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write(word.as_bytes());
        let hash = hasher.finish();
        let found = self.table.entry(hash, |entry| entry.word == word, |entry| entry.hash);
        let mut found = match found {
            Found::Occupied(found) => found,
            Found::Vacant(free) => {
                let word = alloc.put_str(word);
                self.text += word.len() as u64;
                free.insert(alloc.put(Entry { word, hash, count: 0, places: None }))
            }
        };
        let entry = found.get_mut();
        entry.count += 1;
        entry.places = Some(alloc.put(Place { before: entry.places, at, file }));
        self.words += 1;
    }

    fn read<A: Alloc<'a>>(
        &mut self,
        alloc: &A,
        mut file: File,
        number: u32,
        buffer: &mut [u8],
        done: &Done,
    ) -> io::Result<()> {
        let (mut held, mut at, mut first) = (0, 0, true);
        loop {
            let read = match file.read(&mut buffer[held..]) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let filled = held + read;
            if first && inputs::is_binary(&buffer[..filled]) {
                self.binary += 1;
                done.add(file.metadata()?.len());
                return Ok(());
            }
            first = false;
            done.add(read as u64);
            self.bytes += read as u64;
            let cut = match words::settled(&buffer[..filled]) {
                _ if read == 0 => filled,
                // One run fills the buffer: it has to be taken as it is.
                0 if filled == buffer.len() => words::whole_characters(&buffer[..filled]),
                cut => cut,
            };
            for word in words::words(&buffer[..cut]) {
                self.add(alloc, word, number, at);
                at += 1;
            }
            if read == 0 || interrupt::requested() {
                self.files += 1;
                return Ok(());
            }
            buffer.copy_within(cut..filled, 0);
            held = filled - cut;
        }
    }

    /// Every word's postings must be as many as were counted, and lead back in order. False if Ctrl-C came
    /// before all of them were seen.
    fn check(&self) -> Result<bool, String> {
        let mut words = 0;
        for entry in &self.table {
            let mut places = 0;
            let mut at = entry.places;
            while let Some(place) = at {
                places += 1;
                if places % CHECKED_AT_ONCE == 0 && interrupt::requested() {
                    return Ok(false);
                }
                if let Some(before) = place.before
                    && before.file == place.file
                    && before.at >= place.at
                {
                    return Err(format!("the postings of {:?} are out of order", entry.word));
                }
                at = place.before;
            }
            if places != entry.count {
                return Err(format!("{:?} has {places} postings instead of {}", entry.word, entry.count));
            }
            words += places;
        }
        if words == self.words { Ok(true) } else { Err(format!("{words} postings for {} words", self.words)) }
    }
}

impl Job for IndexJob<'_> {
    const NAME: &'static str = "index";
    type Made<'a> = Index<'a>;

    fn run<'a, A: Alloc<'a>>(&self, alloc: A, _: usize, done: &Done) -> Result<Share<'a, Self>, String> {
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
                let before = self.unreadable.fetch_add(1, Ordering::Relaxed);
                inputs::tell_unreadable(before, &format!("{}: {error}", input.path.display()));
            }
        }
        let end = Instant::now();

        let checked = index.check()?;
        let distinct = index.table.len() as u64;
        Ok(Share {
            allocations: index.words + 2 * distinct,
            asked: index.words * size_of::<Place<'_>>() as u64
                + distinct * size_of::<Entry<'_>>() as u64
                + index.text,
            used: alloc.used(),
            checked,
            time: (start, end),
            made: index,
        })
    }

    fn total(&self) -> u64 {
        self.inputs.bytes
    }

    fn facts(&self, made: &[Index<'_>]) -> Option<IndexFacts> {
        let mut counts: HashMap<&str, u64, FixedState> = HashMap::default();
        for entry in made.iter().flat_map(|index| &index.table) {
            *counts.entry(entry.word).or_default() += entry.count;
        }
        let distinct_words = counts.len() as u64;
        let mut frequent: Vec<_> = counts.into_iter().collect();
        // Equally frequent words by name, so that the answer is always the same.
        let rank = |&(word, count): &(&str, u64)| (std::cmp::Reverse(count), word.to_owned());
        if frequent.len() > SHOWN {
            frequent.select_nth_unstable_by(SHOWN, |a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            frequent.truncate(SHOWN);
        }
        frequent.sort_by_key(rank);
        let sum = |field: fn(&Index<'_>) -> u64| made.iter().map(field).sum();
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
