//! `highwater bench growth` and `highwater bench scratch`, and what all benches have in common.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::common::{has_run, highwater, interrupted, number, positive, refused, stderr, stdout, succeeds};
use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    highwater().arg("bench").args(args).output().expect("the command starts")
}

/// Runs a bench in a temporary directory with all outputs; returns its findings, CSV and charts.
fn all_of(name: &str, args: &[&str]) -> (Value, String, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let files = ["--csv", "figures.csv", "--charts", "charts", "--json"];
    let output =
        highwater().current_dir(dir.path()).args(["bench", name]).args(args).args(files).output().unwrap();
    succeeds(&output);
    let findings: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON value");
    let printed = stderr(&output);
    assert!(
        printed.contains(&format!("bench {name}: 0 of ")) && !printed.contains('\x1b'),
        "progress in lines: {printed}"
    );
    let charts = findings["charts"].as_array().unwrap();
    let chart =
        |file: &Value| fs::read_to_string(dir.path().join("charts").join(file.as_str().unwrap())).unwrap();
    let charts = charts.iter().map(chart).collect();
    (findings, fs::read_to_string(dir.path().join("figures.csv")).unwrap(), charts)
}

fn rows(case: &Value) -> &[Value] {
    case["rows"].as_array().unwrap()
}

/// The samples of a metric of a row, if there are any.
fn samples(row: &Value, metric: usize) -> Option<Vec<f64>> {
    let samples = row["figures"][metric]["samples"].as_array()?;
    Some(samples.iter().map(|sample| sample.as_f64().expect("a number")).collect())
}

/// Checks that figures are numbers, results are equal, and ratios are those of the same rounds.
fn is_sound(findings: &Value) {
    assert_eq!((&findings["partial"], &findings["quick"]), (&Value::Bool(false), &Value::Bool(true)));
    let machine = &findings["machine"];
    for fact in ["kernel", "architecture", "version", "engine"] {
        assert!(!machine[fact].as_str().unwrap().is_empty(), "{fact}");
    }
    positive(machine, "cores");
    assert!(!findings["words"].as_array().unwrap().is_empty());
    for case in findings["cases"].as_array().unwrap() {
        let (metrics, baseline) = (case["metrics"].as_array().unwrap(), &case["baseline"]);
        let base =
            rows(case).iter().find(|row| row["contender"] == *baseline).expect("the baseline is there");
        for row in rows(case).iter().filter(|row| row["figures"].as_array().is_some_and(|f| !f.is_empty())) {
            assert_eq!((&row["failed"], &row["checksum"]), (&Value::Bool(false), &base["checksum"]), "{row}");
            for (column, metric) in metrics.iter().enumerate() {
                let figure = &row["figures"][column];
                let Some(own) = samples(row, column) else { continue };
                assert_eq!(own.len() as f64, number(case, "rounds"));
                // Overshoot, steps and page faults may be zero.
                if !["overshoot", "steps", "page-faults"].contains(&metric["key"].as_str().unwrap()) {
                    positive(figure, "min");
                }
                assert!(number(figure, "min") <= number(figure, "median"), "{figure}");
                assert!(number(figure, "median") <= number(figure, "max"), "{figure}");
                if row["contender"] == *baseline {
                    assert!(figure["ratio"].is_null());
                } else if let Some(base) = samples(base, column).filter(|base| base.iter().all(|n| *n > 0.0))
                {
                    let mut ratios: Vec<_> = own.iter().zip(base).map(|(own, base)| own / base).collect();
                    ratios.sort_by(f64::total_cmp);
                    let ratio = &figure["ratio"];
                    assert_eq!(ratio["to"], *baseline);
                    assert!((number(ratio, "times") - ratios[ratios.len() / 2]).abs() < 1e-9, "{figure}");
                    let spread = number(ratio, "high") - number(ratio, "low");
                    if (number(ratio, "times") - 1.0).abs() <= spread {
                        assert_eq!(ratio["verdict"], "tie", "{ratio}");
                    }
                }
            }
        }
    }
}

/// Checks that a chart is well-formed and labelled, and can be embedded in a page.
fn is_drawn(svg: &str, label: &str) {
    let svg = roxmltree::Document::parse(svg).expect("well-formed");
    assert_eq!(svg.root_element().tag_name().name(), "svg");
    let texts: Vec<_> = svg
        .descendants()
        .filter(|node| node.tag_name().name() == "text")
        .filter_map(|node| node.text())
        .collect();
    assert!(texts.iter().any(|text| text.contains(label)), "{label:?} in {texts:?}");
    assert!(
        !svg.descendants().any(|node| node.attribute("id").is_some() || node.tag_name().name() == "script")
    );
}

#[test]
fn scratch_runs_all_jobs() {
    let (findings, csv, charts) = all_of("scratch", &["--quick"]);
    is_sound(&findings);
    let cases = findings["cases"].as_array().unwrap();
    let keys: Vec<_> = cases.iter().map(|case| case["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["trees", "strings", "maps", "requests"]);
    for case in cases {
        let names: Vec<_> = rows(case).iter().map(|row| row["contender"].as_str().unwrap()).collect();
        let all = [
            "highwater",
            "highwater, no huge pages",
            "highwater, Scope",
            "bumpalo",
            "bump-scope",
            "blink-alloc",
            "typed-arena",
            "malloc",
        ];
        assert_eq!(names, all);
        for row in rows(case) {
            let did_run = row["contender"] != "typed-arena"
                || ["trees", "strings"].contains(&case["key"].as_str().unwrap());
            assert_eq!(samples(row, 0).is_some(), did_run, "{row}");
            assert!(row["checksum"].is_string() || row["reason"].is_string(), "{row}");
        }
    }
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].starts_with("bench,case,contender,metric,unit,rounds,min,median,max,ratio,"));
    assert_eq!(lines.len(), 1 + 3 * 30, "a line for each contender and metric");
    assert!(lines.iter().any(|line| line.starts_with("scratch,maps,bumpalo,time,ns,3,")), "{csv}");
    assert_eq!(charts.len(), 3);
    for (chart, label) in
        charts.iter().zip(["time of a cycle (", "processor time of a cycle (", "peak RSS ("])
    {
        is_drawn(chart, label);
    }
}

#[test]
fn growth_measures_all_strategies() {
    let only = ["default", "upfront", "geometric", "64 KiB", "1 MiB", "Vec", "bumpalo", "malloc"]
        .map(|text| ["--only", text]);
    let args = [&["--quick", "--sizes", "1MiB,2MiB"][..], only.as_flattened()].concat();
    let (findings, _, charts) = all_of("growth", &args);
    is_sound(&findings);
    let cases = findings["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    let has_faults = highwater::engine() == highwater::Engine::Fault;
    for (case, size) in cases.iter().zip([1048576.0, 2097152.0]) {
        let metric =
            |key: &str| case["metrics"].as_array().unwrap().iter().position(|m| m["key"] == key).unwrap();
        let median = |name: &str, key: &str| {
            let row =
                rows(case).iter().find(|row| row["contender"] == name).unwrap_or_else(|| panic!("{name}"));
            row["figures"][metric(key)]["median"].as_f64()
        };
        for name in
            ["upfront", "upfront, physical", "explicit 64 KiB", "Vec", "bumpalo", "malloc, size known"]
        {
            assert!(median(name, "time").unwrap() > 0.0);
            assert!(median(name, "peak-rss").is_none_or(|peak| peak > size), "{name} has it in memory");
        }
        assert_eq!(median("upfront", "steps"), Some(0.0));
        let steps = (size - 65536.0) / 65536.0;
        assert_eq!(median("explicit 64 KiB", "steps"), Some(steps), "each step, but for the head");
        assert_eq!(median("explicit 64 KiB", "overshoot"), Some(0.0));
        assert_eq!(median("Vec", "steps"), None, "nobody tells");
        assert_eq!(case["baseline"], if has_faults { "default" } else { "upfront" });
        if has_faults {
            assert_eq!(median("fixed 64 KiB, populated", "steps"), Some(steps));
            assert!(median("geometric", "steps").unwrap() < steps);
        } else {
            assert_eq!(median("fixed 64 KiB", "time"), None);
        }
    }
    assert_eq!(charts.len(), 5);
    for (chart, label) in
        charts.iter().zip(["growth step", "growth step", "size that is", "size that is", "resident memory ("])
    {
        is_drawn(chart, label);
    }
}

#[test]
fn tables_have_labels_and_a_legend() {
    let output = bench(&["scratch", "--quick", "--job", "requests", "--runs", "1"]);
    succeeds(&output);
    let printed = stdout(&output);
    for word in [
        "QUICK",
        "Request scopes",
        "bump-scope",
        "(baseline)",
        "its arenas hold values of one type",
        "?: fewer than 3",
    ] {
        assert!(printed.contains(word), "{word:?} in\n{printed}");
    }
}

#[test]
fn help_has_examples_that_work() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["growth", "scratch"] {
        let output = bench(&[name, "--help"]);
        succeeds(&output);
        let help = stdout(&output);
        assert!(
            help.contains("Exit status") && help.contains("--runs") && !help.contains("--child"),
            "{help}"
        );
        let start = format!("highwater bench {name} ");
        let examples: Vec<_> = help.lines().filter_map(|line| line.trim().strip_prefix(&start)).collect();
        assert_eq!(examples.len(), 3, "{help}");
        // Other tests run the first example.
        for example in &examples[1..] {
            let mut command = highwater();
            command.current_dir(dir.path()).args(["bench", name]).args(example.split_whitespace());
            succeeds(&command.output().unwrap());
        }
    }
    for file in ["charts/growth-time-by-step.svg", "growth.json", "charts/scratch-time.svg", "scratch.csv"] {
        let exists = dir.path().join(file).exists();
        assert_eq!(exists, file != "charts/growth-time-by-step.svg", "{file}: nothing to draw by step");
    }
    let short = stdout(&bench(&["--help"]));
    assert!(short.contains("growth") && short.contains("scratch"), "{short}");
}

#[test]
fn ctrl_c_shows_a_labelled_partial_result() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("part.json");
    let table = interrupted(
        highwater()
            .args(["bench", "growth", "--sizes", "8MiB", "--only", "malloc", "--only", "explicit 4"])
            .args(["--runs", "10000", "--json"])
            .arg(&json),
        |line| line.starts_with("bench growth: ") && has_run(line),
    );
    assert!(table.contains("PARTIAL"), "{table}");
    let part: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!((&part["partial"], &part["cases"][0]["partial"]), (&Value::Bool(true), &Value::Bool(true)));
    let taken = samples(&part["cases"][0]["rows"][0], 0).map_or(0, |samples| samples.len());
    assert!((1..10_000).contains(&taken), "{taken} of the rounds");
}

#[test]
fn invalid_arguments_are_refused() {
    for (args, expected) in [
        (&["growth", "--sizes", "1"][..], "--sizes 1"),
        (&["growth", "--sizes", "1MiB,100TiB"], "100.00 TiB"),
        (&["growth", "--sizes", "x"], "'x'"),
        (&["growth", "--only", "nobody"], "nobody"),
        (&["growth", "--runs", "0"], "--runs"),
        (&["scratch", "--job", "nothing"], "nothing"),
        (&["scratch", "--csv", "/no/such/directory/x.csv"], "/no/such/directory/x.csv"),
        (&["scratch", "--charts", "/proc/charts"], "/proc/charts"),
        (&["nothing"], "nothing"),
    ] {
        refused(&bench(args), expected);
    }
    assert!(!Path::new("/no/such/directory").exists());
}

/// A full disk at the end, and contenders that fail, must not lose the measurements.
#[test]
fn measurements_are_shown_even_if_something_fails_later() {
    let output = bench(&["scratch", "--quick", "--job", "requests", "--runs", "1", "--csv", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("bumpalo"), "{}", stdout(&output));
    assert!(stderr(&output).contains("error: cannot write /dev/full"), "{}", stderr(&output));

    // The address space is too small for the reservation, but not for malloc.
    let limited = |kib: u32, args: &[&str]| {
        let script = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
        let command = ["-c", &script, env!("CARGO_BIN_EXE_highwater")];
        Command::new("sh").args(command).args(args).output().unwrap()
    };
    let growth = ["bench", "growth", "--quick", "--runs", "1", "--sizes", "128MiB"];
    let output = limited(400_000, &[&growth[..], &["--only", "upfront, huge", "--only", "malloc"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let table = stdout(&output);
    assert!(table.contains("malloc, size known") && table.contains("ended with"), "{table}");
    let printed = stderr(&output);
    let error = "error: 128MiB: upfront, huge pages: ended with exit status: 1 (only ";
    assert!(printed.contains(error) && printed.contains("could be reserved"), "{printed}");
    assert_eq!(printed.matches("error: ").count(), 1, "{printed}");
    // Warming up uses as much as is available.
    succeeds(&limited(200_000, &["warm-up", "4000000000"]));
}
