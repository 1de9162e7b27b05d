//! Help, plots, interruption and closed pipes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use crate::common::{grow, grow_json, highwater, stdout, succeeds};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

#[test]
fn help_has_examples_that_work() {
    for args in [&["--help"][..], &["grow", "--help"], &["grow", "-h"], &["help", "grow"]] {
        let output = highwater().args(args).output().unwrap();
        succeeds(&output);
        let help = stdout(&output);
        let examples: Vec<_> = help
            .lines()
            .filter_map(|line| line.trim().strip_prefix("highwater grow "))
            // After two blanks follows an explanation.
            .filter_map(|line| line.split("  ").next())
            .collect();
        assert!(!examples.is_empty(), "an example in\n{help}");
        for example in examples {
            let dir = tempfile::tempdir().unwrap();
            let mut command = highwater();
            command.current_dir(dir.path()).arg("grow").args(example.split_whitespace());
            succeeds(&command.output().unwrap());
        }
    }
    let help = stdout(&highwater().args(["grow", "--help"]).output().unwrap());
    for word in ["1024", "1000", "Exit status", "--growth", "--compare", "./4GiB"] {
        assert!(help.contains(word), "{word:?} in\n{help}");
    }
    assert!(!help.contains("--measure"), "hidden");
    let version = stdout(&highwater().arg("--version").output().unwrap());
    assert!(version.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn plots_are_well_formed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("frontier.svg");
    for options in [
        &["--growth", "geometric"][..],
        &["--growth", "fixed:4k"],
        &["--growth", "upfront", "--reserve", "64MiB"],
        &["--threads", "3", "--growth", "stress:1"],
        &["--compare"],
    ] {
        let output =
            highwater().args(["grow", "8MiB", "--json", "--plot"]).arg(&file).args(options).output().unwrap();
        succeeds(&output);
        let text = fs::read_to_string(&file).unwrap();
        let svg = roxmltree::Document::parse(&text).expect("well-formed");
        assert_eq!(svg.root_element().tag_name().name(), "svg");
        let texts: Vec<_> = svg
            .descendants()
            .filter(|node| node.tag_name().name() == "text")
            .filter_map(|node| node.text())
            .map(str::trim)
            .collect();
        assert!(texts.iter().any(|text| text.starts_with("time since the start (")), "{texts:?}");
        assert!(texts.iter().any(|text| text.starts_with("frontier (")), "{texts:?}");
        assert!(texts.contains(&"0"), "zero-based: {texts:?}");
        assert!(svg.descendants().any(|node| node.tag_name().name() == "polyline"));
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn each_growth_step_has_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("frontier.svg");
    let args =
        ["8MiB".as_ref(), "--growth".as_ref(), "fixed:1MiB".as_ref(), "--plot".as_ref(), file.as_os_str()];
    let run = grow_json(args);
    assert_eq!(run["plot"], file.to_str().unwrap());
    let text = fs::read_to_string(&file).unwrap();
    let svg = roxmltree::Document::parse(&text).unwrap();
    let marks = svg.descendants().filter(|node| node.tag_name().name() == "circle").count();
    assert_eq!(run["growth_steps"], marks);
}

/// A long run that is interrupted after a line of progress.
fn interrupted(args: &[&str], after: &str) -> (Option<i32>, String) {
    let mut child =
        highwater().arg("grow").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut printed = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(after) {
        line.clear();
        assert!(printed.read_line(&mut line).unwrap() > 0, "it printed {after:?}");
    }
    // Two signals at once, as from a program that signals the process and its group, are one Ctrl-C.
    for _ in 0..2 {
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    }
    let mut rest = String::new();
    printed.read_to_string(&mut rest).unwrap();
    let mut result = String::new();
    child.stdout.take().unwrap().read_to_string(&mut result).unwrap();
    (child.wait().unwrap().code(), result)
}

#[test]
fn ctrl_c_shows_a_partial_result() {
    let dir = tempfile::tempdir().unwrap();
    // One word many times: the input is large and the index small.
    fs::write(dir.path().join("text"), "again ".repeat(12_000_000)).unwrap();
    let path = dir.path().to_str().unwrap();

    let (status, result) = interrupted(&[path, "--json"], "highwater: ");
    assert_eq!(status, Some(130), "{result}");
    let run: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(run["partial"], true);
    assert!(run["done_bytes"].as_u64() < run["total_bytes"].as_u64());

    let (status, result) = interrupted(&[path], "highwater: ");
    assert_eq!(status, Some(130));
    assert!(result.contains("PARTIAL"), "{result}");
}

#[test]
fn ctrl_c_reaches_the_run_of_a_comparison() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "again ".repeat(12_000_000)).unwrap();
    let path = dir.path().to_str().unwrap();
    let (status, result) = interrupted(&[path, "--json", "--compare"], "highwater: 0 B of");
    assert_eq!(status, Some(130), "{result}");
    let all: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(all["partial"], true);
    assert_eq!(all["runs"].as_array().unwrap().len(), 1);
    assert_eq!(all["runs"][0]["partial"], true);
    assert_eq!(all["ratios"].as_array().unwrap().len(), 0);
}

#[test]
fn a_closed_pipe_is_no_error() {
    for args in [&["1MiB"][..], &["1MiB", "--json"], &["--help"]] {
        let mut child =
            highwater().arg("grow").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut printed = String::new();
        child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{printed}");
        assert!(!printed.contains("panicked") && !printed.contains("error"), "{printed}");
    }
}

#[test]
fn a_closed_stderr_is_no_error() {
    let mut child = highwater()
        .args(["grow", "1MiB", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let mut result = String::new();
    child.stdout.take().unwrap().read_to_string(&mut result).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(serde_json::from_str::<Value>(&result).is_ok());
}

#[test]
fn stdout_has_only_json() {
    let output = grow(["1MiB", "--json"]);
    succeeds(&output);
    let text = stdout(&output);
    assert!(text.starts_with('{') && text.trim_end().ends_with('}'));
    assert!(!text.contains("NaN"));
}
