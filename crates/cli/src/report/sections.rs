//! The sections of a report.

use super::{
    child, grow,
    measurement::{SectionRequest, SectionResult},
};
use crate::failure::Failure;

/// A section of the page: one bench.
pub struct Section {
    /// Its key: `malloctest`.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// How it is measured.
    measure: fn(&Section, &SectionRequest) -> Result<SectionResult, Failure>,
    /// The arguments of `highwater` that measure it, with bounded sizes.
    arguments: &'static [&'static str],
    /// Whether it has the option --malloc-lib.
    has_malloc_lib: bool,
}

/// All sections, in the order of the page.
pub const ALL: &[Section] = &[
    Section {
        key: "grow",
        title: "A list of small nodes: grow",
        about: "Small linked nodes are allocated until they fill a given amount of memory, each time in a new \
                process; then the list is walked and every node is checked.",
        measure: |_, request| grow::measure(request),
        arguments: &["grow"],
        has_malloc_lib: false,
    },
    Section {
        key: "growth",
        title: "Ways to grow: growth",
        about: "Memory is filled from empty by every growth policy: with steps of many sizes, by the kernel's demand \
                paging, with and without huge pages, and by other allocators.",
        measure: by_command,
        arguments: &["bench", "growth", "--sizes", "1MiB,64MiB"],
        has_malloc_lib: false,
    },
    Section {
        key: "scratch",
        title: "What arenas are used for: scratch",
        about: "Trees, strings, hash maps and request scopes are built and discarded, on arenas and on malloc.",
        measure: by_command,
        arguments: &["bench", "scratch"],
        has_malloc_lib: false,
    },
    Section {
        key: "rk4",
        title: "Functions that return vectors and matrices: rk4",
        about: "A differential equation is solved by functions that return their results: in an arena, as values on \
                the heap that their owners free, and on the stack if the length is a constant.",
        measure: by_command,
        arguments: &["bench", "rk4"],
        has_malloc_lib: false,
    },
    Section {
        key: "physics",
        title: "Functions that return vectors: physics",
        about: "Bodies fall, collide and hang on springs, moved by functions that return their results, in the same \
                three ways.",
        measure: by_command,
        arguments: &["bench", "physics"],
        has_malloc_lib: false,
    },
    Section {
        key: "malloctest",
        title: "Blocks of random sizes: malloctest",
        about: "An array of blocks of random sizes is filled and emptied repeatedly: by programs with different \
                malloc libraries, and by arenas that are reset instead.",
        measure: by_command,
        arguments: &["bench", "malloctest", "1", "5", "1000000", "10", "1000"],
        has_malloc_lib: true,
    },
];

impl Section {
    /// Measures it.
    pub fn measure(&self, request: &SectionRequest) -> Result<SectionResult, Failure> {
        (self.measure)(self, request)
    }

    /// The arguments for this request.
    fn line(&self, request: &SectionRequest) -> Vec<String> {
        let mut line: Vec<String> = self
            .arguments
            .iter()
            .take(if request.quick { 2 } else { usize::MAX })
            .map(|word| (*word).to_owned())
            .collect();
        if request.quick {
            line.push("--quick".into());
        }
        line.extend(["--runs".into(), request.runs.to_string()]);
        if let Some(rounds) = request.warmup {
            line.extend(["--warmup".into(), rounds.to_string()]);
        }
        if let Some(library) = request.malloc_lib.as_ref().filter(|_| self.has_malloc_lib) {
            line.extend(["--malloc-lib".into(), library.clone()]);
        }
        line
    }
}

/// Measures a bench in a separate process.
fn by_command(section: &Section, request: &SectionRequest) -> Result<SectionResult, Failure> {
    child::run(&section.line(request), request.limit)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;

    #[test]
    fn keys_are_unique() {
        let keys: BTreeSet<_> = ALL.iter().map(|section| section.key).collect();
        assert_eq!(keys.len(), ALL.len());
        // They are used as anchors.
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        assert!(keys.iter().all(|key| key.starts_with(char::is_alphabetic) && key.chars().all(fits)));
    }

    #[test]
    fn command_lines() {
        let section = ALL.iter().find(|section| section.key == "malloctest").unwrap();
        let request = SectionRequest {
            runs: 3,
            warmup: None,
            quick: false,
            limit: Duration::from_secs(1),
            malloc_lib: Some("/lib/a.so".into()),
        };
        let full = section.line(&request).join(" ");
        assert_eq!(full, "bench malloctest 1 5 1000000 10 1000 --runs 3 --malloc-lib /lib/a.so");
        let quick = SectionRequest { quick: true, runs: 1, warmup: Some(0), malloc_lib: None, ..request };
        assert_eq!(section.line(&quick).join(" "), "bench malloctest --quick --runs 1 --warmup 0");
    }
}
