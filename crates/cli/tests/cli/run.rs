//! `highwater run`: the command behaves as without, and its heap is reported.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::common::{compiled, highwater, positive, preloading, refused, stderr, stdout};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

fn run(args: &[&str]) -> Output {
    preloading().arg("run").args(args).output().expect("the command starts")
}

/// The status of a run, and its report.
fn report(args: &[&str]) -> (Option<i32>, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.json");
    let output = preloading().args(["run", "--json"]).arg(&file).args(args).output().unwrap();
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    (output.status.code(), serde_json::from_str(&text).unwrap())
}

#[track_caller]
fn counts(report: &Value) -> [u64; 4] {
    ["records", "exited", "replaced", "cut_short"].map(|key| report["merged"][key].as_u64().unwrap())
}

#[test]
fn the_output_of_the_command_is_untouched() {
    let mut child = preloading()
        .args(["run", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a\0b\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"a\0b\n"[..]));
    let printed = stderr(&output);
    for words in
        ["highwater run: cat ended with status 0", "growth steps", "peak RSS", "1 process left 1 record"]
    {
        assert!(printed.contains(words), "{words:?} in {printed}");
    }
    let output = run(&["--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(7), "out\n"));
    assert!(stderr(&output).starts_with("err\n"), "{}", stderr(&output));
}

#[test]
fn every_policy_works_and_is_recorded() {
    for (number, policy) in
        ["general", "stack:align=32", "bump:slice=1MiB,grain=8", "blocks:fit=first"].iter().enumerate()
    {
        let (status, report) = report(&["--policy", policy, "--", "sort", "/etc/passwd"]);
        assert_eq!(status, Some(0), "{report:#}");
        assert_eq!(report["policy"], *policy);
        let process = &report["processes"][0];
        assert_eq!(process["policy"], ["general", "stack", "bump", "blocks"][number], "{report:#}");
        assert_eq!(
            (&process["name"], &process["end"]),
            (&Value::from("sort"), &Value::from("exited")),
            "{report:#}"
        );
        for key in
            ["growths", "committed", "peak_committed", "peak_live_bytes", "minor_faults", "peak_resident"]
        {
            positive(process, key);
            assert!(positive(&report["merged"], key) >= positive(process, key));
        }
        assert!(positive(process, "peak_committed") >= positive(process, "peak_live_bytes"), "{report:#}");
        assert!(positive(&report, "peak_resident") >= positive(process, "peak_resident"), "{report:#}");
        positive(&report, "wall_ns");
    }
}

#[test]
fn a_killed_process_is_reported() {
    let (status, report) = report(&["--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(
        (status, &report["signal"], &report["ended"]),
        (Some(137), &Value::from(9), &Value::from("SIGKILL"))
    );
    assert_eq!(counts(&report), [1, 0, 0, 1], "{report:#}");
    assert_eq!(report["processes"][0]["end"], "cut-short");
}

#[test]
fn programs_that_follow_each_other_in_a_process() {
    let (status, report) = report(&["--", "sh", "-c", "exec sh -c 'exec sort /etc/passwd'"]);
    assert_eq!(status, Some(0));
    assert_eq!(counts(&report), [3, 1, 2, 0], "{report:#}");
    let processes = report["processes"].as_array().unwrap();
    assert!(processes.iter().all(|process| process["process"] == processes[0]["process"]), "{report:#}");
}

#[test]
fn a_tree_is_merged() {
    let script = "for i in 1 2 3; do sort /etc/passwd >/dev/null & done; wait; exit 3";
    let (status, report) = report(&["--", "bash", "-c", script]);
    if status == Some(127) {
        return crate::common::skip("no bash here");
    }
    assert_eq!(status, Some(3), "{report:#}");
    let processes = report["processes"].as_array().unwrap();
    let sorted: Vec<_> = processes.iter().filter(|process| process["name"] == "sort").collect();
    assert_eq!(sorted.len(), 3, "{report:#}");
    let sum = |key: &str| processes.iter().filter_map(|process| process[key].as_u64()).sum::<u64>();
    let max = |key: &str| processes.iter().filter_map(|process| process[key].as_u64()).max();
    let merged = &report["merged"];
    for key in ["growths", "committed", "live_blocks", "minor_faults"] {
        assert_eq!(merged[key], sum(key), "{key} in {report:#}");
    }
    for key in ["peak_committed", "peak_live_bytes", "peak_resident"] {
        assert_eq!(merged[key].as_u64(), max(key), "{key} in {report:#}");
    }
    assert!(merged["peak_live_bytes_together"].as_u64() >= merged["peak_live_bytes"].as_u64());
    assert!(merged["peak_committed_together"].as_u64() <= Some(sum("peak_committed")));
}

#[test]
fn json_goes_to_stderr() {
    let output = run(&["--json", "--", "echo", "printed"]);
    assert_eq!(stdout(&output), "printed\n");
    let report: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(report["program"], serde_json::json!(["echo", "printed"]));
}

#[test]
fn limits_hold() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdlib.h>\n#include <string.h>\n\
                  int main(void) { char *p = malloc(64 << 20); if (p) memset(p, 1, 64 << 20); return p ? 0 : 9; }\n";
    let Some(program) = compiled(dir.path(), "large", source, &["-O0"]) else { return };
    let program = program.to_str().unwrap();
    let status = |args: &[&str]| report(&[args, &["--", program]].concat()).0;
    assert_eq!(status(&[]), Some(0));
    assert_eq!(status(&["--limit", "16MiB"]), Some(9));
    assert_eq!(status(&["--reserve", "16MiB"]), Some(9));
}

#[test]
fn hardened_detects_a_double_free() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdlib.h>\n\
                  int main(void) { void *volatile p = malloc(100); free(p); free(p); return 0; }\n";
    let Some(program) = compiled(dir.path(), "twice", source, &["-O0", "-w"]) else { return };
    let output = run(&["--hardened", "--", program.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(128 + 6), "{}", stderr(&output));
    assert!(stderr(&output).contains("double free"), "{}", stderr(&output));
}

#[test]
fn a_static_program_leaves_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let source = "int main(void) { return 4; }\n";
    let Some(program) =
        compiled(dir.path(), "static", source, &["-static", "-nostartfiles", "-nostdlib", "-Wl,-emain"])
    else {
        return;
    };
    // Without a C library a return from main is a crash.
    let output = run(&["--", program.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(128 + 11), "{}", stderr(&output));
    assert!(stderr(&output).contains("no process left a record"), "{}", stderr(&output));
}

#[test]
fn a_previous_preload_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let Some(other) = compiled(dir.path(), "other.so", "int other;\n", &["-shared", "-fPIC"]) else { return };
    let script = "echo $LD_PRELOAD; grep -c other.so /proc/self/maps";
    let output =
        preloading().args(["run", "--", "sh", "-c", script]).env("LD_PRELOAD", &other).output().unwrap();
    let printed = stdout(&output);
    let (value, count) = printed.split_once('\n').unwrap();
    let expected = format!("libhighwater_malloc.so:{}", other.display());
    assert!(value.ends_with(&expected), "{value}");
    assert!(count.trim().parse::<u32>().unwrap() > 0, "{printed}");
}

#[test]
fn signals_go_to_the_command() {
    let script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done";
    let mut child = preloading()
        .args(["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "caught");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("ended with status 5"), "{}", stderr(&output));
}

#[test]
fn the_environment_sets_the_policy_without_the_option() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.json");
    let policy = |args: &[&str], value: &str| {
        let mut command = preloading();
        command
            .args(["run", "--json"])
            .arg(&file)
            .args(args)
            .args(["--", "true"])
            .env("HIGHWATER_MALLOC", value);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let report: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        report["policy"].as_str().unwrap().to_owned()
    };
    assert_eq!(policy(&[], "stack:errno"), "stack:errno");
    assert_eq!(policy(&["--policy", "bump"], "stack:errno"), "bump");
    let output = preloading().args(["run", "--", "true"]).env("HIGHWATER_MALLOC", "heap").output().unwrap();
    refused(&output, "HIGHWATER_MALLOC: no policy is called \"heap\"");
}

#[test]
fn what_is_refused() {
    let is_refused = |args: &[&str], expected: &str| refused(&run(args), expected);
    is_refused(&["--policy", "heap", "--", "true"], "no policy is called \"heap\"");
    is_refused(&["--policy", "stack:align=3", "--", "true"], "power of two");
    is_refused(&["--reserve", "0", "--", "true"], "--reserve");
    is_refused(&["--limit", "x", "--", "true"], "--limit");
    is_refused(&["--guards", "0", "--", "true"], "--guards");
    is_refused(&[], "COMMAND");
    is_refused(&["true"], "true");
    is_refused(&["--json", "/no/such/dir/file", "--", "true"], "cannot write /no/such/dir/file");
    is_refused(&["--malloc-lib", "/no/such.so", "--", "true"], "/no/such.so");
    let own = env!("CARGO_BIN_EXE_highwater");
    is_refused(&["--malloc-lib", own, "--", "true"], "it has no malloc");
}

#[test]
fn no_library() {
    // A copy of the executable without a library beside it.
    let dir = tempfile::tempdir().unwrap();
    let alone = dir.path().join("bin/highwater");
    fs::create_dir(dir.path().join("bin")).unwrap();
    // By cp: a descriptor of ours that is open for writing may be inherited by another test's child, and then the file is busy.
    let is_copied =
        Command::new("cp").arg(env!("CARGO_BIN_EXE_highwater")).arg(&alone).status().unwrap().success();
    assert!(is_copied);
    let run = || {
        Command::new(&alone)
            .args(["run", "--", "echo", "ran"])
            .env_remove("HIGHWATER_MALLOC_LIB")
            .output()
            .unwrap()
    };
    refused(&run(), "cargo build --profile malloc -p highwater-malloc");
    fs::create_dir(dir.path().join("lib")).unwrap();
    fs::copy(crate::common::malloc_library(), dir.path().join("lib/libhighwater_malloc.so")).unwrap();
    let output = run();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "ran\n"), "{}", stderr(&output));
}

#[test]
fn commands_that_cannot_be_run() {
    let output = run(&["--", "/no/such/command"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(stderr(&output).starts_with("error: cannot run /no/such/command: "), "{}", stderr(&output));
    assert_eq!(run(&["--", "/"]).status.code(), Some(126));
}

#[test]
fn the_examples_of_the_help_work() {
    let help = stdout(&highwater().args(["run", "--help"]).output().unwrap());
    let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  highwater ")).collect();
    assert_eq!(examples.len(), 3, "{help}");
    let dir = tempfile::tempdir().unwrap();
    for example in examples {
        if example.contains("/etc/services") && !Path::new("/etc/services").exists() {
            continue;
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$0\" {example}"), env!("CARGO_BIN_EXE_highwater")]);
        let output = shell
            .current_dir(&dir)
            .env("HIGHWATER_MALLOC_LIB", crate::common::malloc_library())
            .output()
            .unwrap();
        assert!(output.status.success(), "{example}: {}", stderr(&output));
    }
    assert!(dir.path().join("heap.json").exists());
}
