//! `highwater grow PATH…`.

use std::{collections::HashMap, fs, os::unix::fs::symlink, path::Path};

use crate::common::{grow, grow_json, number, positive, stderr, stdout, succeeds};
use serde_json::Value;

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn index_of(path: &Path) -> Value {
    grow_json([path])["index"].clone()
}

/// The words counted in another way.
fn counted(texts: &[&str]) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for text in texts {
        let mut word = String::new();
        for c in text.chars().chain([' ']) {
            if c.is_alphanumeric() {
                word.push(c);
            } else if !word.is_empty() {
                *counts.entry(std::mem::take(&mut word)).or_default() += 1;
            }
        }
    }
    counts
}

#[test]
fn words_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    // Larger than the read buffer, with multi-byte characters at its ends.
    let mut long = String::new();
    for n in 0..60_000 {
        long.push_str(["alpha ", "βήτα,", "γ-", "delta42\n", "世界 "][n % 5]);
        if n % 7 == 0 {
            long.push_str(&format!("n{} ", n % 1000));
        }
    }
    let short = "alpha, alpha and omega";
    write(dir.path(), "long.txt", &long);
    write(dir.path(), "sub/deeper/short", short);
    write(dir.path(), "sub/empty", "");

    let expected = counted(&[&long, short]);
    for threads in ["1", "2"] {
        let run = grow_json([dir.path().as_os_str(), "--threads".as_ref(), threads.as_ref()]);
        assert_eq!(run["job"], "index");
        let index = &run["index"];
        assert_eq!(index["files"], 3);
        assert_eq!(index["bytes"], long.len() + short.len());
        assert_eq!(index["words"], expected.values().sum::<u64>());
        assert_eq!(index["distinct_words"], expected.len());
        let frequent = index["frequent"].as_array().unwrap();
        assert_eq!(frequent.len(), 10);
        let mut counts: Vec<_> = expected.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        for (word, count) in frequent.iter().zip(counts) {
            assert_eq!(word["count"], count);
            assert_eq!(expected[word["word"].as_str().unwrap()], count);
        }
        // A posting for each word, and two allocations for each distinct word of a thread.
        let (words, distinct) = (number(index, "words"), number(index, "distinct_words"));
        let threads: f64 = threads.parse().unwrap();
        let allocations = number(&run, "allocations");
        assert!(allocations >= words + 2.0 * distinct);
        assert!(allocations <= words + 2.0 * distinct * threads);
        assert!(positive(&run, "used") >= positive(&run, "asked"));
        positive(&run, "ns_per_allocation");
    }
}

#[test]
fn all_allocators_build_the_same_index() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "text", "to be or not to be ".repeat(2000));
    let all = grow_json([dir.path().as_os_str(), "--compare".as_ref()]);
    let runs = all["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 5);
    for run in runs {
        assert_eq!(run["index"], runs[0]["index"]);
        assert_eq!(run["index"]["words"], 12_000);
        assert_eq!(run["index"]["distinct_words"], 4);
    }
    assert_eq!(all["ratios"].as_array().unwrap().len(), 4);
}

#[test]
fn facts_as_a_table() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "text", "one two two");
    let output = grow([dir.path()]);
    succeeds(&output);
    let table = stdout(&output);
    for fact in ["files", "distinct words", "two 2", "one 1", "ns per allocation"] {
        assert!(table.contains(fact), "{fact:?} in\n{table}");
    }
}

#[test]
fn empty_inputs() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    write(dir.path(), "void", "");
    for path in [dir.path().join("empty"), dir.path().join("void"), dir.path().to_owned()] {
        let run = grow_json([&path]);
        assert_eq!(run["index"]["words"], 0);
        assert_eq!(run["allocations"], 0);
        assert!(run["ns_per_allocation"].is_null());
        let output = grow([&path]);
        succeeds(&output);
        assert!(!stdout(&output).contains("NaN") && !stdout(&output).contains("inf"));
    }
    let all = grow_json([dir.path().as_os_str(), "--compare".as_ref()]);
    assert!(all["ratios"][0]["ns_per_allocation"].is_null());
}

#[test]
fn binary_files_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "binary", b"words\0behind a nul");
    write(dir.path(), "latin1", b"caf\xe9 ol\xe9 caf");
    let index = index_of(dir.path());
    assert_eq!(index["binary"], 1);
    assert_eq!(index["files"], 1);
    assert_eq!(index["words"], 3);
    assert_eq!(index["distinct_words"], 2);
}

#[test]
fn one_word_larger_than_any_buffer() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "huge", "ab".repeat(500_000));
    let index = index_of(dir.path());
    assert_eq!(index["bytes"], 1_000_000);
    assert!(number(&index, "words") <= 8.0);
    succeeds(&grow([dir.path()]));
}

#[test]
fn links_below_a_path_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "real/file", "some words");
    symlink(dir.path(), dir.path().join("real/loop")).unwrap();
    symlink("nowhere", dir.path().join("real/dangling")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    symlink(dir.path().join("real/file"), dir.path().join("filelink")).unwrap();
    let index = index_of(&dir.path().join("real"));
    assert_eq!((index["words"].as_u64(), index["passed_over"].as_u64()), (Some(2), Some(2)));
    assert_eq!(index_of(&dir.path().join("link"))["words"], 2);
    assert_eq!(index_of(&dir.path().join("filelink"))["words"], 2);
}

#[test]
fn unreadable_files_are_counted() {
    // A regular file that can be opened, but not read from the start.
    let mem = Path::new("/proc/self/mem");
    if !mem.exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "fine", "two words");
    let output = grow([mem, dir.path(), Path::new("--json")]);
    succeeds(&output);
    assert!(stderr(&output).contains("/proc/self/mem"), "{}", stderr(&output));
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["index"]["unreadable"], 1);
    assert_eq!(run["index"]["words"], 2);
}

#[test]
fn a_file_named_like_a_size() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "4GiB", "not so large");
    let output = crate::common::highwater()
        .current_dir(dir.path())
        .args(["grow", "./4GiB", "--json"])
        .output()
        .unwrap();
    succeeds(&output);
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["index"]["words"], 3);

    write(dir.path(), "64k", "a file that is not meant");
    let output =
        crate::common::highwater().current_dir(dir.path()).args(["grow", "64k", "--json"]).output().unwrap();
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["job"], "nodes");
}

#[test]
fn names_need_not_be_utf8() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join(OsStr::from_bytes(b"\xff\xfe 4GiB"));
    if fs::write(&odd, "three small words").is_err() {
        return;
    }
    assert_eq!(index_of(&odd)["words"], 3);
}

#[test]
fn several_paths() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", "one two");
    write(dir.path(), "b/c", "three");
    let run = grow_json([dir.path().join("a"), dir.path().join("b")]);
    assert_eq!(run["index"]["words"], 3);
    // Also after `--` and in a comparison.
    let output = crate::common::highwater()
        .current_dir(dir.path())
        .args(["grow", "--json", "--compare", "--", "a", "b"])
        .output()
        .unwrap();
    succeeds(&output);
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all["runs"][4]["index"]["words"], 3);
}
