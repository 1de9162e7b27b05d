//! `highwater grow SIZE`.

use crate::common::{grow, grow_json, is_refused, number, positive, stderr, stdout, succeeds};

#[test]
fn a_table_for_people() {
    let output = grow(["8MiB"]);
    succeeds(&output);
    let table = stdout(&output);
    for row in [
        "used",
        "committed",
        "reserved",
        "growth steps",
        "faults",
        "time in growth",
        "ns per allocation",
        "peak RSS",
        "8.00 MiB",
    ] {
        assert!(table.contains(row), "{row:?} in\n{table}");
    }
    // Progress is in lines, since stderr is not a terminal.
    let printed = stderr(&output);
    assert!(printed.contains("8.00 MiB of 8.00 MiB (100 %)"), "{printed}");
    assert!(!printed.contains('\r') && !printed.contains('\x1b'), "{printed:?}");
}

#[test]
fn figures_are_consistent() {
    let run = grow_json(["8MiB"]);
    assert_eq!(run["job"], "nodes");
    assert_eq!(run["allocator"], "highwater");
    assert_eq!(run["partial"], false);
    assert_eq!(run["verified"], true);
    assert_eq!(number(&run, "used"), 8388608.0);
    assert_eq!(number(&run, "total_bytes"), 8388608.0);
    for key in ["elapsed_ns", "ns_per_allocation", "allocations", "growth_ns", "page_faults"] {
        positive(&run, key);
    }
    assert!(positive(&run, "committed") >= number(&run, "used"));
    assert!(positive(&run, "reserved") >= number(&run, "committed"));
    let steps = positive(&run, "growth_steps");
    assert!((2.0..200.0).contains(&steps));
    if run["engine"] == "fault" {
        positive(&run, "faults");
    }
    if run["peak_rss"].is_number() {
        assert!(number(&run, "peak_rss") >= number(&run, "used"));
    }
}

#[test]
fn a_size_is_reached_to_the_byte() {
    for (size, used) in [("1", 8.0), ("24", 24.0), ("1_000_000", 1e6), ("1e6", 1e6), ("64k", 65536.0)] {
        let run = grow_json([size]);
        assert_eq!(number(&run, "used"), used, "{size}");
        positive(&run, "allocations");
        positive(&run, "ns_per_allocation");
    }
}

#[test]
fn every_growth_policy() {
    for growth in ["upfront", "fixed:256k", "geometric", "geometric:64k,1MiB", "stress:7", "stress:0xff"] {
        let run = grow_json(["4MiB", "--growth", growth, "--reserve", "64MiB"]);
        assert_eq!(run["options"]["growth"], growth);
        assert_eq!(number(&run, "used"), 4194304.0);
        assert_eq!(number(&run, "reserved"), 67108864.0);
        assert!(number(&run, "committed") >= 4194304.0, "{growth}");
        if growth == "upfront" {
            assert_eq!(number(&run, "growth_steps"), 0.0);
        } else {
            positive(&run, "growth_steps");
        }
    }
}

#[test]
fn options_reach_the_arena() {
    let dir = tempfile::tempdir().unwrap();
    let temp = format!("temp:{}", dir.path().display());
    for (option, key, value) in [
        ("--huge-pages", "huge_pages", "never"),
        ("--huge-pages", "huge_pages", "advise"),
        ("--head", "head", "1MiB"),
        ("--reserve", "reserve", "physical"),
        ("--backing", "backing", "anonymous"),
        ("--backing", "backing", "temp"),
        ("--backing", "backing", &temp),
    ] {
        let run = grow_json(["2MiB", option, value]);
        assert_eq!(number(&run, "used"), 2097152.0, "{option} {value}");
        assert_eq!(run["options"][key], value);
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0, "the file has no name in the directory");

    // One node needs less than the head: what is committed is the head.
    assert_eq!(number(&grow_json(["24", "--head", "1MiB"]), "committed"), 1048576.0);
    assert_eq!(number(&grow_json(["24", "--reserve", "32MiB"]), "reserved"), 33554432.0);
    let physical = number(&grow_json(["24", "--reserve", "physical"]), "reserved");
    if let Ok(meminfo) = std::fs::read_to_string("/proc/meminfo") {
        let total =
            meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.strip_suffix("kB")).unwrap();
        let total = total.trim().parse::<f64>().unwrap() * 1024.0;
        assert!((total..total + 2097152.0).contains(&physical), "{physical} of {total} in whole pages");
        // No file can be created there.
        is_refused(["2MiB", "--backing", "temp:/proc"], "/proc");
    }
}

#[test]
fn a_warmed_run_is_the_same_run() {
    let run = grow_json(["2MiB", "--warm"]);
    assert_eq!(run["allocator"], "highwater");
    assert_eq!(number(&run, "used"), 2097152.0);
}

#[test]
fn threads_divide_a_size() {
    for threads in ["1", "2", "3"] {
        let run = grow_json(["6MiB", "--threads", threads]);
        assert_eq!(number(&run, "used"), 6291456.0);
        assert_eq!(number(&run, "threads").to_string(), threads);
        assert!(positive(&run, "thread_ns") >= positive(&run, "ns_per_allocation"));
    }
    let output = grow(["6MiB", "--threads", "2"]);
    succeeds(&output);
    assert!(stdout(&output).contains("2 threads"));
}

#[test]
fn all_allocators_are_compared() {
    let all = grow_json(["2MiB", "--compare"]);
    assert_eq!(all["partial"], false);
    assert_eq!(all["failed"].as_array().unwrap().len(), 0, "{all}");
    let runs = all["runs"].as_array().unwrap();
    let names: Vec<_> = runs.iter().map(|run| run["allocator"].as_str().unwrap()).collect();
    assert_eq!(names, ["highwater", "bumpalo", "bump-scope", "vec-of-boxes", "malloc"]);
    for run in runs {
        assert_eq!(run["verified"], true);
        assert_eq!(run["allocations"], runs[0]["allocations"], "the same job");
        assert_eq!(run["asked"], runs[0]["asked"]);
        for key in ["elapsed_ns", "ns_per_allocation", "used"] {
            positive(run, key);
        }
    }
    let ratios = all["ratios"].as_array().unwrap();
    assert_eq!(ratios.len(), 4);
    for (ratio, run) in ratios.iter().zip(&runs[1..]) {
        assert_eq!(ratio["allocator"], run["allocator"]);
        for (key, of) in [("time", "elapsed_ns"), ("ns_per_allocation", "ns_per_allocation")] {
            let expected = number(run, of) / number(&runs[0], of);
            assert!((positive(ratio, key) / expected - 1.0).abs() < 1e-9, "{key} of the same run");
        }
    }
}

#[test]
fn a_comparison_for_people() {
    let output = grow(["1MiB", "--compare", "--threads", "2"]);
    succeeds(&output);
    let table = stdout(&output);
    for name in ["highwater", "bumpalo", "bump-scope", "vec-of-boxes", "malloc", "peak RSS"] {
        assert!(table.contains(name), "{name:?} in\n{table}");
    }
}
