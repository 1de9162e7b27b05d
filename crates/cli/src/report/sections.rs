//! What a report is made of.

use std::time::Duration;

use super::{child, grow};
use crate::{failure::Failure, lab::Findings};

/// A part of the page: one experiment.
pub struct Section {
    /// `malloctest`.
    pub key: &'static str,
    /// Over it.
    pub title: &'static str,
    /// What it is about, above what was found.
    pub about: &'static str,
    /// How it is measured.
    measure: fn(&Section, &Asked) -> Result<Measured, Failure>,
    /// The words after `highwater` that it is measured by: bounded sizes.
    words: &'static [&'static str],
    /// Its library for preloading can be named.
    takes_library: bool,
}

/// How a section is to be measured this time.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Rounds that count.
    pub runs: u32,
    /// Before them; `None`: as the bench has it.
    pub warmup: Option<u32>,
    /// Small sizes.
    pub quick: bool,
    /// When it is stopped.
    pub limit: Duration,
    /// The library for preloading.
    pub malloc_lib: Option<String>,
}

/// What came of it.
pub struct Measured {
    /// With pictures.
    pub findings: Findings,
    /// It was stopped at its limit.
    pub stopped: bool,
}

/// In the page's order.
pub const ALL: &[Section] = &[
    Section {
        key: "grow",
        title: "A list of small nodes: grow",
        about: "Small linked nodes are allocated from empty until they fill so much memory, each time in a process \
                of its own; then the list is walked and every node is checked.",
        measure: |_, asked| grow::measure(asked),
        words: &["grow"],
        takes_library: false,
    },
    Section {
        key: "growth",
        title: "Ways to grow: growth",
        about: "Memory is filled from empty in every way in which it can grow: with steps of every size, with the \
                kernel's paging, with and without huge pages, and by what others use.",
        measure: by_command,
        words: &["bench", "growth", "--sizes", "1MiB,64MiB"],
        takes_library: false,
    },
    Section {
        key: "scratch",
        title: "What arenas are used for: scratch",
        about: "Trees, strings, hash maps and scopes of requests are made and thrown away, on arenas and on malloc.",
        measure: by_command,
        words: &["bench", "scratch"],
        takes_library: false,
    },
    Section {
        key: "rk4",
        title: "Functions that return vectors and matrices: rk4",
        about: "A differential equation is solved by functions that return their results: in an arena, as values on \
                the heap that their owners free, and on the stack where the length is a constant.",
        measure: by_command,
        words: &["bench", "rk4"],
        takes_library: false,
    },
    Section {
        key: "physics",
        title: "Functions that return vectors: physics",
        about: "Bodies fall, collide and hang on springs, moved by functions that return their results, in the same \
                three ways.",
        measure: by_command,
        words: &["bench", "physics"],
        takes_library: false,
    },
    Section {
        key: "malloctest",
        title: "Blocks of random sizes: malloctest",
        about: "An array of blocks of random sizes is filled and emptied, again and again: by programs whose malloc \
                is another one, and by arenas that are reset instead.",
        measure: by_command,
        words: &["bench", "malloctest", "1", "5", "1000000", "10", "1000"],
        takes_library: true,
    },
];

impl Section {
    /// Runs it.
    pub fn measure(&self, asked: &Asked) -> Result<Measured, Failure> {
        (self.measure)(self, asked)
    }

    /// The command line of it, without `highwater`.
    fn line(&self, asked: &Asked) -> Vec<String> {
        let mut line: Vec<String> = self
            .words
            .iter()
            .take(if asked.quick { 2 } else { usize::MAX })
            .map(|word| (*word).to_owned())
            .collect();
        if asked.quick {
            line.push("--quick".into());
        }
        line.extend(["--runs".into(), asked.runs.to_string()]);
        if let Some(rounds) = asked.warmup {
            line.extend(["--warmup".into(), rounds.to_string()]);
        }
        if let Some(library) = asked.malloc_lib.as_ref().filter(|_| self.takes_library) {
            line.extend(["--malloc-lib".into(), library.clone()]);
        }
        line
    }
}

/// One of the benches, as a process of its own.
fn by_command(section: &Section, asked: &Asked) -> Result<Measured, Failure> {
    child::run(&section.line(asked), asked.limit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_are_called_the_same() {
        let keys: BTreeSet<_> = ALL.iter().map(|section| section.key).collect();
        assert_eq!(keys.len(), ALL.len());
        // They become anchors.
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        assert!(keys.iter().all(|key| key.starts_with(char::is_alphabetic) && key.chars().all(fits)));
    }

    #[test]
    fn command_lines() {
        let section = ALL.iter().find(|section| section.key == "malloctest").unwrap();
        let asked = Asked {
            runs: 3,
            warmup: None,
            quick: false,
            limit: Duration::from_secs(1),
            malloc_lib: Some("/lib/a.so".into()),
        };
        let full = section.line(&asked).join(" ");
        assert_eq!(full, "bench malloctest 1 5 1000000 10 1000 --runs 3 --malloc-lib /lib/a.so");
        let quick = Asked { quick: true, runs: 1, warmup: Some(0), malloc_lib: None, ..asked };
        assert_eq!(section.line(&quick).join(" "), "bench malloctest --quick --runs 1 --warmup 0");
    }
}
