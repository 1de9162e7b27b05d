//! The words of a text.

use std::ops::Deref;

use allocator_api2::vec::Vec as ListIn;
use typed_arena::Arena;

use super::{ScratchJob, text_checksum};
use crate::bench::scratch::storage::JobStorage;
use crate::random::mix;

/// Words per line.
const LINE: usize = 8;
/// The number of distinct words.
const VOCABULARY: u64 = 5_000;

/// A text.
pub struct Strings {
    words: Vec<String>,
}

impl Strings {
    /// A text of this many words of 1 to 12 letters.
    pub fn new(words: u64) -> Self {
        let word = |number: u64| {
            let chosen = mix(mix(number) % VOCABULARY);
            let letter = |index: u64| char::from(b'a' + (mix(chosen ^ index) % 26) as u8);
            (0..1 + chosen % 12).map(letter).collect()
        };
        Strings { words: (0..words).map(word).collect() }
    }

    /// The words, starting at a different one in each cycle.
    fn words(&self, cycle: u64) -> impl Iterator<Item = &str> {
        let from = cycle as usize % self.words.len().max(1);
        let (before, after) = self.words.split_at(from);
        after.iter().chain(before).map(String::as_str)
    }
}

/// Joins words to a line, in a buffer that is reused.
fn join<'l>(line: &'l mut String, words: &[impl Deref<Target = str>]) -> &'l str {
    line.clear();
    for word in words {
        line.push_str(word);
        line.push(' ');
    }
    line
}

/// The checksum of all words and lines, in order.
fn checksum<T: Deref<Target = str>>(words: &[T], lines: &[T]) -> u64 {
    words.iter().chain(lines).fold(0, |sum, text| mix(sum ^ text_checksum(text)))
}

impl ScratchJob for Strings {
    fn cycle<'a, P: JobStorage<'a> + 'a>(&self, storage: P, cycle: u64) -> u64 {
        let mut words = ListIn::with_capacity_in(self.words.len(), storage);
        words.extend(self.words(cycle).map(|word| storage.text(word)));
        let mut line = String::new();
        let mut lines = ListIn::with_capacity_in(self.words.len() / LINE + 1, storage);
        lines.extend(words.chunks(LINE).map(|some| storage.text(join(&mut line, some))));
        checksum(&words, &lines)
    }

    fn typed(&self, cycle: u64) -> u64 {
        let arena = Arena::new();
        let mut words: Vec<&str> = Vec::with_capacity(self.words.len());
        words.extend(self.words(cycle).map(|word| &*arena.alloc_str(word)));
        let mut line = String::new();
        let mut lines: Vec<&str> = Vec::with_capacity(self.words.len() / LINE + 1);
        lines.extend(words.chunks(LINE).map(|some| &*arena.alloc_str(join(&mut line, some))));
        checksum(&words, &lines)
    }
}
