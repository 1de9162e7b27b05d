//! `highwater bench rk4` and `highwater bench physics`, on small sizes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::common::{highwater, positive, refused, skip, stderr, stdout, succeeds};
use serde_json::Value;

const BENCHES: [&str; 2] = ["rk4", "physics"];

fn bench(name: &str, args: &[&str]) -> Output {
    highwater().args(["bench", name]).args(args).output().expect("the command starts")
}

fn json(output: &Output) -> Value {
    succeeds(output);
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON value")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is a list in {value}"))
}

fn words(found: &Value) -> String {
    list(found, "words").iter().map(|word| word.as_str().expect("a sentence")).collect::<Vec<_>>().join("\n")
}

/// The keys of the cases; checks each case.
fn cases(found: &Value) -> Vec<&str> {
    let cases = list(found, "cases");
    cases.iter().for_each(is_consistent);
    cases.iter().map(|case| case["key"].as_str().expect("a key")).collect()
}

/// Checks that every row ran, computed the same, and has the ratio of its samples to the baseline's.
fn is_consistent(case: &Value) {
    let rows = list(case, "rows");
    let baseline: Vec<f64> = samples(&rows[0]);
    assert_eq!(case["baseline"], rows[0]["contender"]);
    for row in rows {
        assert_eq!(row["checksum"], rows[0]["checksum"], "{case}");
        assert!(row["checksum"].is_string() && row["reason"].is_null(), "{row}");
        let figure = &row["figures"][0];
        let [min, median, max] = ["min", "median", "max"].map(|key| positive(figure, key));
        assert!(min <= median && median <= max, "{row}");
        if row["contender"] == rows[0]["contender"] {
            continue;
        }
        let mut ratios: Vec<f64> = samples(row).iter().zip(&baseline).map(|(own, base)| own / base).collect();
        ratios.sort_by(f64::total_cmp);
        let times = positive(&figure["ratio"], "times");
        assert!((times / ratios[ratios.len() / 2] - 1.0).abs() < 1e-9, "the median of {ratios:?} is {times}");
    }
}

fn samples(row: &Value) -> Vec<f64> {
    let samples = list(&row["figures"][0], "samples");
    assert_eq!(samples.len(), 3);
    samples.iter().map(|sample| sample.as_f64().expect("a number")).collect()
}

fn contenders(found: &Value, case: usize) -> Vec<&str> {
    let rows = list(&found["cases"][case], "rows");
    rows.iter().map(|row| row["contender"].as_str().expect("a name")).collect()
}

/// Builds the C library and returns its directory, which is also that of the C library's own tests.
fn library() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the project has a directory");
    let engine = match highwater::engine() {
        highwater::Engine::Fault => "fault",
        highwater::Engine::Explicit => "explicit",
    };
    let target = root.join(format!("target/for-tests/capi-{engine}"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "-p", "highwater-capi"]).current_dir(root);
    cargo.env("CARGO_TARGET_DIR", &target);
    if std::env::var_os("HIGHWATER_ENGINE").is_none() {
        cargo.env("HIGHWATER_ENGINE", engine);
    }
    let output = cargo.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(target.join("release")) } else { Err(stderr(&output)) }
}

fn has_compiler() -> bool {
    let mut cc = Command::new("cc");
    let has = cc.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !has {
        skip("no cc here");
    }
    has
}

#[test]
fn programs_in_rust() {
    for name in BENCHES {
        let directory = tempfile::tempdir().unwrap();
        let charts = directory.path().to_str().unwrap();
        let args =
            ["--lengths", "4,70", "--steps", "30", "--runs", "3", "--no-c", "--json", "--charts", charts];
        let found = json(&bench(name, &args));
        assert_eq!(found["bench"], name);
        assert_eq!(
            found["command"],
            format!("highwater bench {name} --lengths 4,70 --steps 30 --no-c --runs 3")
        );
        assert_eq!(cases(&found), ["rust-4", "rust-70"]);
        let constant = ["arena", "malloc", "arena, constant length", "stack, constant length"];
        assert_eq!(contenders(&found, 0), constant);
        assert_eq!(contenders(&found, 1), ["arena", "malloc"], "70 is no constant");
        let words = words(&found);
        assert!(words.contains("Rust: malloc takes ") && words.contains("times (length 4"), "{words}");
        assert!(words.contains("with constant lengths the arena takes"), "{words}");
        assert!(words.contains("C: not measured: left out by --no-c."), "{words}");
        let picture = if name == "rk4" { "trajectory" } else { "motion" };
        for chart in ["time-by-length", "ratio-by-length", picture] {
            let svg = fs::read_to_string(directory.path().join(format!("{name}-{chart}.svg"))).expect(chart);
            let document = roxmltree::Document::parse(&svg).expect("well-formed");
            assert_eq!(document.root_element().tag_name().name(), "svg");
            assert!(document.descendants().filter(|node| node.has_tag_name("text")).count() > 8, "{chart}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{chart}");
        }
        assert_eq!(list(&found, "charts").len(), 3);
    }
}

#[test]
fn programs_in_c() {
    if !has_compiler() {
        return;
    }
    let library = library().expect("the C library can be built");
    for name in BENCHES {
        let library = library.to_str().unwrap();
        let args = ["--lengths", "4,70", "--steps", "30", "--runs", "3", "--c-lib", library, "--json"];
        let found = json(&bench(name, &args));
        assert_eq!(cases(&found), ["rust-4", "c-4", "rust-70", "c-70"]);
        assert_eq!(contenders(&found, 1), contenders(&found, 0));
        assert_eq!(contenders(&found, 3), ["arena", "malloc"]);
        let words = words(&found);
        assert!(words.contains("Rust's and C's were equal"), "{words}");
        assert!(words.contains("C: malloc takes ") && words.contains("C: compiled with "), "{words}");
    }
}

#[test]
fn without_a_compiler_or_library_the_rest_runs() {
    let quick = ["--lengths", "2", "--steps", "5", "--runs", "1", "--warmup", "0"];
    let output = bench("rk4", &[&quick[..], &["--cc", "/no/such/cc"]].concat());
    succeeds(&output);
    let printed = stdout(&output);
    assert!(printed.contains("C: not measured: no C compiler: cannot start /no/such/cc: "), "{printed}");
    assert!(printed.contains("Rust, vectors of 2 numbers, 5 steps"), "{printed}");
    if has_compiler() {
        let output = bench("physics", &[&quick[..], &["--c-lib", "/no/such/lib.a"]].concat());
        succeeds(&output);
        let printed = stdout(&output);
        assert!(printed.contains("C: not measured: no C library: --c-lib is /no/such/lib.a"), "{printed}");
        assert!(printed.contains("Rust, vectors of 2 numbers, 5 steps"), "{printed}");
    }
}

#[test]
fn invalid_lengths_are_refused() {
    for name in BENCHES {
        refused(&bench(name, &["--lengths", "1"]), "1 is not in 2..=131072");
        refused(&bench(name, &["--lengths", "4,x"]), "invalid value 'x'");
        refused(&bench(name, &["--no-c", "--cc", "gcc"]), "cannot be used with");
    }
    refused(&bench("rk4", &["--lengths", "4,7"]), "--lengths 7: a state has two numbers for each mass");
}

#[test]
fn the_example_in_the_help_works() {
    for name in BENCHES {
        let output = bench(name, &["--help"]);
        succeeds(&output);
        let help = stdout(&output);
        let example = help.lines().find_map(|line| line.trim().strip_prefix("highwater bench "));
        let words: Vec<_> = example.expect("an example").split("  ").next().unwrap().split(' ').collect();
        assert_eq!(words, [name, "--quick"]);
        let output = highwater().arg("bench").args(words).arg("--no-c").output().expect("it starts");
        succeeds(&output);
        assert!(stdout(&output).contains("QUICK: small sizes"), "{}", stdout(&output));
    }
}
