//! Which cause a text names. A panic has no more than its text.

use serde_json::Value;

/// What comes after the figures, in the first line of a report, and the cause that it names.
const WORDS: [(&str, &str); 16] = [
    ("reservation of ", "reservation-exhausted"),
    ("region limit ", "region-limit"),
    ("process limit ", "process-limit"),
    ("address space: ", "address-space"),
    ("cgroup limit ", "cgroup-limit"),
    ("system memory ", "system-memory"),
    ("RLIMIT_AS ", "rlimit-as"),
    ("RLIMIT_DATA ", "rlimit-data"),
    ("overcommit limit ", "overcommit"),
    ("mappings used up", "map-count"),
    ("RLIMIT_MEMLOCK ", "locked-limit"),
    ("disk full", "disk-full"),
    ("huge pages used up", "huge-pages"),
    ("a region in a file is not inherited", "not-inherited"),
    ("refused by injection", "injected"),
    ("the kernel refused", "kernel"),
];

/// The cause that the first line of a report names.
pub fn cause(line: &str) -> Option<&'static str> {
    // A name may contain anything, so the figures are looked for from behind.
    let (_, figures) = line.rsplit_once(", reserved ")?;
    let (_, reason) = figures.split_once(": ")?;
    WORDS.iter().find(|(words, _)| reason.starts_with(words)).map(|(_, cause)| *cause)
}

/// The report among what a child wrote on stderr; others may have written there too.
pub fn report(stderr: &str) -> Option<Value> {
    stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|report| report["highwater"] == "oom")
}

#[cfg(test)]
mod tests {
    use highwater::{Arena, Cause, oom::Injection};

    use super::*;

    #[test]
    fn texts_of_the_library_are_understood() {
        for injected in Cause::ALL {
            let injection = Injection::nth(1).cause(injected);
            let arena = Arena::builder().name(", reserved 1: disk full").inject(injection).build();
            let error = arena.try_alloc_slice_fill_copy(1 << 20, 1_u8).unwrap_err();
            assert_eq!(cause(&error.to_string()), Some(injected.name()), "{error}");
            assert_eq!(
                report(&format!("noise\n{}\n{{}}\n", error.report().to_json())).unwrap()["cause"],
                injected.name()
            );
        }
    }

    #[test]
    fn other_texts_name_nothing() {
        assert_eq!(cause("index out of bounds"), None);
        assert_eq!(cause("x, reserved 1 GiB: nobody knows"), None);
        assert_eq!(report("memory allocation of 65536 bytes failed\n{\"kind\":\"overflow\"}"), None);
    }
}
