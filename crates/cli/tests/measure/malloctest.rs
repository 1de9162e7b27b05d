//! `highwater bench malloctest`.

use std::{collections::BTreeSet, fs, process::Output};

use crate::common::{has_run, highwater, interrupted, number, positive, refused, stderr, stdout, succeeds};
use serde_json::Value;

const IN_THE_PROGRAM: [&str; 4] = ["highwater::Arena", "highwater::Scope", "bumpalo", "the loops alone"];

fn malloctest(args: &[&str]) -> Output {
    highwater().args(["bench", "malloctest"]).args(args).output().expect("the command starts")
}

fn json(args: &[&str]) -> Value {
    let output = malloctest(&[args, &["--json"]].concat());
    succeeds(&output);
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON value")
}

fn samples(row: &Value, metric: usize) -> Vec<f64> {
    row["figures"][metric]["samples"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
}

#[test]
fn figures_are_consistent() {
    // With all allocators of this machine.
    let found = json(&["2", "2", "10000", "10", "1000", "--runs", "3"]);
    assert_eq!((&found["bench"], &found["partial"]), (&"malloctest".into(), &false.into()));
    assert_eq!(found["command"], "highwater bench malloctest 2 2 10000 10 1000 --runs 3");
    let case = &found["cases"][0];
    let rows = case["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["contender"].as_str().unwrap()).collect();
    assert_eq!(names[0], "system");
    assert_eq!(names[names.len() - 4..], IN_THE_PROGRAM);
    let keys: Vec<_> = case["metrics"].as_array().unwrap().iter().map(|metric| &metric["key"]).collect();
    assert_eq!(keys, ["pair", "cpu", "peak-rss", "page-faults"]);
    for row in rows {
        assert!(row["reason"].is_null(), "{row}");
        assert_eq!(row["checksum"], rows[0]["checksum"], "the same blocks for everybody");
        for (metric, key) in keys.iter().enumerate() {
            let figure = &row["figures"][metric];
            let all = samples(row, metric);
            assert_eq!(all.len(), 3);
            assert!(all.iter().all(|n| n.is_finite()));
            // Without system calls there may be no faults, and too little time for the kernel's clock.
            if names[0] == row["contender"] || !["page-faults", "cpu"].contains(&key.as_str().unwrap()) {
                assert!(all.iter().all(|n| *n > 0.0), "{key} of {row}");
            }
            assert!(number(figure, "min") <= number(figure, "median"));
            assert!(number(figure, "median") <= number(figure, "max"));
            if row["contender"] == "system" {
                assert!(figure["ratio"].is_null());
                continue;
            }
            let mut ratios: Vec<_> =
                all.iter().zip(samples(&rows[0], metric)).map(|(own, system)| own / system).collect();
            ratios.sort_by(f64::total_cmp);
            let times = number(&figure["ratio"], "times");
            assert!((times - ratios[1]).abs() <= 1e-9 * ratios[1], "of the same rounds: {row}");
        }
    }
    // The live blocks and the arrays are resident: malloc writes a header before each block.
    let live = 2.0 * 10_000.0 * 500.0;
    let peak = positive(&rows[0]["figures"][2], "median");
    assert!((live..10.0 * live).contains(&peak), "{peak}");
}

#[test]
fn written_blocks_are_resident() {
    let args =
        |what| ["1", "2", "20000", "100", "1000", "--allocators", "system", "--runs", "1", "--write", what];
    let peak = |found: &Value| {
        let rows = found["cases"][0]["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 5, "system, and what is in the program");
        positive(&rows[1]["figures"][2], "median")
    };
    let (nothing, all) = (peak(&json(&args("nothing"))), peak(&json(&args("all"))));
    assert!(all - nothing > 20_000.0 * 500.0, "an arena's memory: {nothing} without, {all} with");
}

#[test]
fn tables_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let charts = dir.path().join("charts");
    let csv = dir.path().join("figures.csv");
    let output = highwater()
        .args(["bench", "malloctest", "1", "2", "1000", "10", "100", "--allocators", "system", "--runs", "2"])
        .arg("--charts")
        .arg(&charts)
        .arg("--csv")
        .arg(&csv)
        .output()
        .unwrap();
    succeeds(&output);
    let table = stdout(&output);
    for word in
        ["time per pair", "peak RSS", "page faults", "system (baseline)", "bumpalo", "blocks not written to"]
    {
        assert!(table.contains(word), "{word:?} in\n{table}");
    }
    for name in ["time", "peak-rss", "by-repeat"] {
        let text = fs::read_to_string(charts.join(format!("malloctest-{name}.svg"))).unwrap();
        let svg = roxmltree::Document::parse(&text).expect("well-formed");
        for label in ["system", "highwater::Arena", "bumpalo"] {
            assert!(
                svg.descendants().any(|node| node.text().map(str::trim) == Some(label)),
                "{label} in {name}"
            );
        }
    }
    let csv = fs::read_to_string(csv).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5 * 4, "{csv}");
}

#[test]
fn help_has_examples_that_work() {
    let mut examples = BTreeSet::new();
    for help in ["--help", "-h"] {
        let help = stdout(&malloctest(&[help]));
        let found = help.lines().filter_map(|line| line.trim().strip_prefix("highwater bench malloctest "));
        let found: Vec<_> = found.map(str::to_owned).collect();
        assert!(!found.is_empty(), "an example in\n{help}");
        examples.extend(found);
    }
    for example in examples {
        let dir = tempfile::tempdir().unwrap();
        let mut command = highwater();
        command.current_dir(dir.path()).args(["bench", "malloctest"]).args(example.split_whitespace());
        succeeds(&command.output().unwrap());
    }
}

#[test]
fn invalid_arguments_are_refused() {
    for (args, expected) in [
        (&["1", "1", "10", "100", "100"][..], "LOWER 100 is not below UPPER 100"),
        (&["0"], "0"),
        (&["1", "0"], "0"),
        (&["1", "1", "0"], "0"),
        (&["1", "1", "10", "0", "10"], "0"),
        (&["1", "1", "ten"], "ten"),
        (&["1", "1", "1e12", "10", "1000"], "would be allocated at the same time"),
        (&["1000", "1", "9e18", "10", "1000"], "would be allocated at the same time"),
        (&["1", "1", "10", "10", "5GiB"], "UPPER 5368709120"),
        (&["--allocators", "nobody"], "nobody"),
        (&["--allocators", "/no/such/library.so"], "/no/such/library.so"),
        (&["--malloc-lib", "/no/such/library.so"], "/no/such/library.so"),
        (&["--write", "twice"], "twice"),
    ] {
        refused(&malloctest(args), expected);
    }
}

#[test]
fn ctrl_c_shows_a_partial_result() {
    let result = interrupted(
        highwater()
            .args(["bench", "malloctest", "1", "1", "1000", "10", "100", "--allocators", "system"])
            .args(["--runs", "10000", "--json"]),
        has_run,
    );
    let found: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(found["partial"], true);
    assert_eq!(found["cases"][0]["partial"], true);
    let runs = samples(&found["cases"][0]["rows"][0], 0).len();
    assert!((1..10_000).contains(&runs), "{runs}");
}

#[test]
fn missing_allocators_are_reported() {
    let output = highwater()
        .env("HIGHWATER_MALLOC_LIB", "/no/such/library.so")
        .args(["bench", "malloctest", "1", "1", "100", "10", "100", "--runs", "1"])
        .output()
        .unwrap();
    succeeds(&output);
    assert!(stderr(&output).contains("/no/such/library.so"), "{}", stderr(&output));
    assert!(!stdout(&output).contains("highwater:stack"));
}
