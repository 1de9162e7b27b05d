//! `highwater run`: the command is what it was without, and what its heap did is told.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use common::{compiled, highwater, positive, preloading, refused, stderr, stdout};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

fn run(args: &[&str]) -> Output {
    preloading().arg("run").args(args).output().expect("the command starts")
}

/// The run's status, and what it told of itself.
fn told(args: &[&str]) -> (Option<i32>, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("told.json");
    let output = preloading().args(["run", "--json"]).arg(&file).args(args).output().unwrap();
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    (output.status.code(), serde_json::from_str(&text).unwrap())
}

#[track_caller]
fn counts(told: &Value) -> [u64; 4] {
    ["records", "exited", "replaced", "cut_short"].map(|key| told["merged"][key].as_u64().unwrap())
}

#[test]
fn its_output_is_its_own() {
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
    let said = stderr(&output);
    for words in
        ["highwater run: cat ended with status 0", "growth steps", "peak RSS", "1 process left 1 record"]
    {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    let output = run(&["--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(7), "out\n"));
    assert!(stderr(&output).starts_with("err\n"), "{}", stderr(&output));
}

#[test]
fn every_policy_serves_and_tells() {
    for (number, policy) in
        ["general", "stack:align=32", "bump:slice=1MiB,grain=8", "blocks:fit=first"].iter().enumerate()
    {
        let (status, told) = told(&["--policy", policy, "--", "sort", "/etc/passwd"]);
        assert_eq!(status, Some(0), "{told:#}");
        assert_eq!(told["policy"], *policy);
        let process = &told["processes"][0];
        assert_eq!(process["policy"], ["general", "stack", "bump", "blocks"][number], "{told:#}");
        assert_eq!(
            (&process["name"], &process["end"]),
            (&Value::from("sort"), &Value::from("exited")),
            "{told:#}"
        );
        for key in
            ["growths", "committed", "peak_committed", "peak_live_bytes", "minor_faults", "peak_resident"]
        {
            positive(process, key);
            assert!(positive(&told["merged"], key) >= positive(process, key));
        }
        assert!(positive(process, "peak_committed") >= positive(process, "peak_live_bytes"), "{told:#}");
        assert!(positive(&told, "peak_resident") >= positive(process, "peak_resident"), "{told:#}");
        positive(&told, "wall_ns");
    }
}

#[test]
fn one_that_was_killed_is_told() {
    let (status, told) = told(&["--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(
        (status, &told["signal"], &told["ended"]),
        (Some(137), &Value::from(9), &Value::from("SIGKILL"))
    );
    assert_eq!(counts(&told), [1, 0, 0, 1], "{told:#}");
    assert_eq!(told["processes"][0]["end"], "cut-short");
}

#[test]
fn programs_that_follow_each_other_in_a_process() {
    let (status, told) = told(&["--", "sh", "-c", "exec sh -c 'exec sort /etc/passwd'"]);
    assert_eq!(status, Some(0));
    assert_eq!(counts(&told), [3, 1, 2, 0], "{told:#}");
    let processes = told["processes"].as_array().unwrap();
    assert!(processes.iter().all(|process| process["process"] == processes[0]["process"]), "{told:#}");
}

#[test]
fn a_tree_is_merged() {
    let script = "for i in 1 2 3; do sort /etc/passwd >/dev/null & done; wait; exit 3";
    let (status, told) = told(&["--", "bash", "-c", script]);
    if status == Some(127) {
        return common::skip("no bash here");
    }
    assert_eq!(status, Some(3), "{told:#}");
    let processes = told["processes"].as_array().unwrap();
    let sorted: Vec<_> = processes.iter().filter(|process| process["name"] == "sort").collect();
    assert_eq!(sorted.len(), 3, "{told:#}");
    let sum = |key: &str| processes.iter().filter_map(|process| process[key].as_u64()).sum::<u64>();
    let most = |key: &str| processes.iter().filter_map(|process| process[key].as_u64()).max();
    let merged = &told["merged"];
    for key in ["growths", "committed", "live_blocks", "minor_faults"] {
        assert_eq!(merged[key], sum(key), "{key} in {told:#}");
    }
    for key in ["peak_committed", "peak_live_bytes", "peak_resident"] {
        assert_eq!(merged[key].as_u64(), most(key), "{key} in {told:#}");
    }
    assert!(merged["peak_live_bytes_together"].as_u64() >= merged["peak_live_bytes"].as_u64());
    assert!(merged["peak_committed_together"].as_u64() <= Some(sum("peak_committed")));
}

#[test]
fn json_goes_to_stderr() {
    let output = run(&["--json", "--", "echo", "said"]);
    assert_eq!(stdout(&output), "said\n");
    let told: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(told["program"], serde_json::json!(["echo", "said"]));
}

#[test]
fn limits_hold() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdlib.h>\n#include <string.h>\n\
                  int main(void) { char *p = malloc(64 << 20); if (p) memset(p, 1, 64 << 20); return p ? 0 : 9; }\n";
    let Some(program) = compiled(dir.path(), "large", source, &["-O0"]) else { return };
    let program = program.to_str().unwrap();
    let status = |args: &[&str]| told(&[args, &["--", program]].concat()).0;
    assert_eq!(status(&[]), Some(0));
    assert_eq!(status(&["--limit", "16MiB"]), Some(9));
    assert_eq!(status(&["--reserve", "16MiB"]), Some(9));
}

#[test]
fn hardened_finds_what_is_freed_twice() {
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
    // Without a C library nothing returns from main: it ends by a signal.
    let output = run(&["--", program.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(128 + 11), "{}", stderr(&output));
    assert!(stderr(&output).contains("no process left a record"), "{}", stderr(&output));
}

#[test]
fn a_preload_that_was_there_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let Some(other) = compiled(dir.path(), "other.so", "int other;\n", &["-shared", "-fPIC"]) else { return };
    let script = "echo $LD_PRELOAD; grep -c other.so /proc/self/maps";
    let output =
        preloading().args(["run", "--", "sh", "-c", script]).env("LD_PRELOAD", &other).output().unwrap();
    let said = stdout(&output);
    let (value, count) = said.split_once('\n').unwrap();
    let expected = format!("libhighwater_malloc.so:{}", other.display());
    assert!(value.ends_with(&expected), "{value}");
    assert!(count.trim().parse::<u32>().unwrap() > 0, "{said}");
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
fn the_environment_chooses_where_no_option_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("told.json");
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
        let told: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        told["policy"].as_str().unwrap().to_owned()
    };
    assert_eq!(policy(&[], "stack:errno"), "stack:errno");
    assert_eq!(policy(&["--policy", "bump"], "stack:errno"), "bump");
    let output = preloading().args(["run", "--", "true"]).env("HIGHWATER_MALLOC", "heap").output().unwrap();
    refused(&output, "HIGHWATER_MALLOC: no policy is called \"heap\"");
}

#[test]
fn what_is_refused() {
    let is_refused = |args: &[&str], why: &str| refused(&run(args), why);
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
    // Alone in a directory, the executable has nothing beside it.
    let dir = tempfile::tempdir().unwrap();
    let alone = dir.path().join("bin/highwater");
    fs::create_dir(dir.path().join("bin")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_highwater"), &alone).unwrap();
    let run = || {
        Command::new(&alone)
            .args(["run", "--", "echo", "ran"])
            .env_remove("HIGHWATER_MALLOC_LIB")
            .output()
            .unwrap()
    };
    refused(&run(), "cargo build --profile malloc -p highwater-malloc");
    fs::create_dir(dir.path().join("lib")).unwrap();
    fs::copy(common::malloc_library(), dir.path().join("lib/libhighwater_malloc.so")).unwrap();
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
        let output =
            shell.current_dir(&dir).env("HIGHWATER_MALLOC_LIB", common::malloc_library()).output().unwrap();
        assert!(output.status.success(), "{example}: {}", stderr(&output));
    }
    assert!(dir.path().join("heap.json").exists());
}
