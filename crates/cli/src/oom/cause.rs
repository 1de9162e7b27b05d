//! Finds the cause that a message names. (A panic has only its message.)

use serde_json::Value;

/// How the reason in the first line of a report starts, after the figures, and the cause it stands for.
const PHRASES: [(&str, &str); 17] = [
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
    ("the global allocator has no memory", "allocator"),
];

/// The cause that the first line of a report names.
pub fn of_message(line: &str) -> Option<&'static str> {
    // A name can contain anything, so the figures are searched for from the end.
    let (_, figures) = line.rsplit_once(", reserved ")?;
    let (_, reason) = figures.split_once(": ")?;
    PHRASES.iter().find(|(phrase, _)| reason.starts_with(phrase)).map(|(_, cause)| *cause)
}

/// The report in a child's stderr, which may contain other lines.
pub fn find_report(stderr: &str) -> Option<Value> {
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
    fn messages_of_the_library_name_their_cause() {
        for injected in Cause::ALL {
            let injection = Injection::nth(1).cause(injected);
            let arena = Arena::builder().name(", reserved 1: disk full").inject(injection).build();
            let error = arena.try_alloc_slice_fill_copy(1 << 20, 1_u8).unwrap_err();
            assert_eq!(of_message(&error.to_string()), Some(injected.name()), "{error}");
            assert_eq!(
                find_report(&format!("noise\n{}\n{{}}\n", error.report().to_json())).unwrap()["cause"],
                injected.name()
            );
        }
    }

    #[test]
    fn other_messages_name_no_cause() {
        assert_eq!(of_message("index out of bounds"), None);
        assert_eq!(of_message("x, reserved 1 GiB: unknown reason"), None);
        assert_eq!(find_report("memory allocation of 65536 bytes failed\n{\"kind\":\"overflow\"}"), None);
    }
}
