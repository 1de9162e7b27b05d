//! A text's words.

use std::ops::Deref;

use allocator_api2::vec::Vec as ListIn;
use typed_arena::Arena;

use super::{Job, glance, mix};
use crate::bench::scratch::place::Place;

/// Words in a line.
const LINE: usize = 8;
/// Different words.
const VOCABULARY: u64 = 5_000;

/// A text of so many words.
pub struct Strings {
    words: Vec<String>,
}

impl Strings {
    /// As many words, of 1 to 12 letters.
    pub fn new(words: u64) -> Self {
        let word = |number: u64| {
            let chosen = mix(mix(number) % VOCABULARY);
            let letter = |place: u64| char::from(b'a' + (mix(chosen ^ place) % 26) as u8);
            (0..1 + chosen % 12).map(letter).collect()
        };
        Strings { words: (0..words).map(word).collect() }
    }

    /// The words of a cycle begin somewhere else in each.
    fn words(&self, cycle: u64) -> impl Iterator<Item = &str> {
        let from = cycle as usize % self.words.len().max(1);
        let (before, after) = self.words.split_at(from);
        after.iter().chain(before).map(String::as_str)
    }
}

/// Joins words to a line, in memory that is kept from line to line.
fn join<'l>(line: &'l mut String, words: &[impl Deref<Target = str>]) -> &'l str {
    line.clear();
    for word in words {
        line.push_str(word);
        line.push(' ');
    }
    line
}

/// Looks at all of them, in their order.
fn look<T: Deref<Target = str>>(words: &[T], lines: &[T]) -> u64 {
    words.iter().chain(lines).fold(0, |sum, text| mix(sum ^ glance(text)))
}

impl Job for Strings {
    fn cycle<'a, P: Place<'a> + 'a>(&self, place: P, cycle: u64) -> u64 {
        let mut words = ListIn::with_capacity_in(self.words.len(), place);
        words.extend(self.words(cycle).map(|word| place.text(word)));
        let mut line = String::new();
        let mut lines = ListIn::with_capacity_in(self.words.len() / LINE + 1, place);
        lines.extend(words.chunks(LINE).map(|some| place.text(join(&mut line, some))));
        look(&words, &lines)
    }

    fn typed(&self, cycle: u64) -> u64 {
        let arena = Arena::new();
        let mut words: Vec<&str> = Vec::with_capacity(self.words.len());
        words.extend(self.words(cycle).map(|word| &*arena.alloc_str(word)));
        let mut line = String::new();
        let mut lines: Vec<&str> = Vec::with_capacity(self.words.len() / LINE + 1);
        lines.extend(words.chunks(LINE).map(|some| &*arena.alloc_str(join(&mut line, some))));
        look(&words, &lines)
    }
}
