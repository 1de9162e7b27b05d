//! `highwater oom`: cells that need no privileges end as guaranteed, and invalid arguments are refused.

use std::{
    fs,
    process::{Child, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::common::{grow, has_faults, highwater, number, positive, refused, skip, stderr, stdout, succeeds};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// `highwater oom …` with small sizes.
fn oom(args: &[&str]) -> Output {
    small(args).output().expect("the command starts")
}

fn small(args: &[&str]) -> std::process::Command {
    let mut command = highwater();
    command.args(["oom", "--size", "48MiB", "--memory", "16MiB"]).args(args);
    command
}

/// Its result as JSON.
#[track_caller]
fn json(args: &[&str]) -> Value {
    let output = oom(&[args, &["--json"]].concat());
    succeeds(&output);
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON value")
}

#[track_caller]
fn cell<'a>(matrix: &'a Value, who: &str, what: &str) -> &'a Value {
    let cells = matrix["cells"].as_array().expect("there are cells");
    let found = cells.iter().find(|cell| cell["who"] == who && cell["what"] == what);
    found.unwrap_or_else(|| panic!("no {who} with {what} in {matrix:#}"))
}

/// Whether it ran; skips the running test otherwise.
fn has_run(cell: &Value) -> bool {
    let has = cell["how"] != "cannot-be-done-here";
    if !has {
        skip(cell["reason"].as_str().unwrap_or("no reason is told"));
    }
    has
}

const MIB: f64 = 1048576.0;

/// Checks that it allocated most of the limit, and not more.
#[track_caller]
fn is_near_16_mib(cell: &Value) {
    let bytes = positive(cell, "bytes");
    assert!((8.0 * MIB..=16.0 * MIB).contains(&bytes), "{cell:#}");
    positive(cell, "elapsed_ns");
}

#[test]
fn a_region_limit_is_named_by_every_arena() {
    let matrix = json(&["--limit", "region"]);
    assert_eq!((number(&matrix, "size"), number(&matrix, "memory")), (48.0 * MIB, 16.0 * MIB));
    assert_eq!((&matrix["as_promised"], &matrix["partial"]), (&Value::Bool(true), &Value::Bool(false)));
    for who in ["upfront", "fault", "headroom"] {
        let cell = cell(&matrix, who, "region");
        assert_eq!((&cell["how"], &cell["verdict"]), (&"panic".into(), &"as-promised".into()), "{cell:#}");
        assert_eq!((&cell["cause"], &cell["named_correctly"]), (&"region-limit".into(), &true.into()));
        assert_eq!(number(cell, "bytes"), 16.0 * MIB, "the limit is exact");
        assert!(cell["message"].as_str().unwrap().contains("region limit 16 MiB reached"), "{cell:#}");
    }
    assert_eq!(cell(&matrix, "bumpalo", "region")["how"], "catchable-error");
    for who in ["malloc", "vec"] {
        let cell = cell(&matrix, who, "region");
        assert_eq!((&cell["how"], &cell["verdict"]), (&"not-applicable".into(), &"no-promise".into()));
        assert!(cell["reason"].as_str().is_some_and(|reason| !reason.is_empty()) && cell["bytes"].is_null());
    }
}

#[test]
fn calls_that_return_errors_do() {
    let matrix = json(&["--only", "upfront,fault,headroom", "--limit", "region,injection", "--try"]);
    assert_eq!(matrix["try"], true);
    for (who, what, cause) in [
        ("upfront", "region", "region-limit"),
        ("fault", "region", "region-limit"),
        ("fault", "injection", "injected"),
        ("headroom", "injection", "injected"),
    ] {
        let cell = cell(&matrix, who, what);
        assert_eq!((&cell["how"], &cell["cause"]), (&"catchable-error".into(), &cause.into()), "{cell:#}");
        is_near_16_mib(cell);
    }
    assert_eq!(cell(&matrix, "upfront", "injection")["how"], "not-applicable");
}

#[test]
fn a_refused_commit_is_reported_and_aborts() {
    if !has_faults() {
        return;
    }
    let matrix = json(&["--only", "fault,headroom", "--limit", "rlimit-data,injection"]);
    for what in ["rlimit-data", "injection"] {
        for who in ["fault", "headroom"] {
            let cell = cell(&matrix, who, what);
            if !has_run(cell) {
                return;
            }
            let cause = if what == "injection" { "injected" } else { what };
            assert_eq!(
                (&cell["how"], &cell["cause"]),
                (&"report-and-abort".into(), &cause.into()),
                "{cell:#}"
            );
            assert!(
                cell["message"]
                    .as_str()
                    .unwrap()
                    .starts_with(&format!("arena \"{who}\" out of memory: growing by "))
            );
            is_near_16_mib(cell);
        }
    }
}

#[test]
fn other_allocators_are_shown_too() {
    let matrix = json(&["--only", "malloc,vec,bumpalo", "--limit", "rlimit-as,rlimit-data"]);
    for what in ["rlimit-as", "rlimit-data"] {
        for who in ["malloc", "vec", "bumpalo"] {
            let cell = cell(&matrix, who, what);
            if !has_run(cell) {
                return;
            }
            assert_eq!(
                (&cell["how"], &cell["verdict"]),
                (&"catchable-error".into(), &"no-promise".into()),
                "{cell:#}"
            );
            // A part of the heap existed before the limit was set.
            assert!(positive(cell, "bytes") <= 17.0 * MIB && cell["cause"].is_null(), "{cell:#}");
        }
    }
}

#[test]
fn headroom_refuses_before_the_oom_killer() {
    if !has_faults() {
        return;
    }
    let matrix = json(&["--only", "malloc,headroom,spill", "--limit", "cgroup"]);
    let headroom = cell(&matrix, "headroom", "cgroup");
    if !has_run(headroom) {
        return;
    }
    assert_eq!((&headroom["how"], &headroom["cause"]), (&"report-and-abort".into(), &"cgroup-limit".into()));
    assert!(headroom["message"].as_str().unwrap().contains("highwater-oom-"), "{headroom:#}");
    is_near_16_mib(headroom);
    // With swap that cannot be limited it may continue.
    let malloc = cell(&matrix, "malloc", "cgroup");
    assert!(malloc["how"] == "oom-killer" || malloc["how"] == "completed", "{malloc:#}");
    let spill = cell(&matrix, "spill", "cgroup");
    if has_run(spill) {
        assert_eq!((&spill["how"], number(spill, "bytes")), (&"completed".into(), 48.0 * MIB), "{spill:#}");
    }
    assert_eq!(leftovers(), Vec::<String>::new());
}

#[test]
fn a_full_disk_is_named() {
    if !has_faults() {
        return;
    }
    let matrix = json(&["--limit", "disk"]);
    for who in ["upfront", "fault", "headroom", "spill"] {
        let cell = cell(&matrix, who, "disk");
        if has_run(cell) {
            assert_eq!(cell["cause"], "disk-full", "{cell:#}");
        }
    }
    assert_eq!(cell(&matrix, "malloc", "disk")["how"], "not-applicable");
}

/// The cgroups that an ended run has left.
fn leftovers() -> Vec<String> {
    fn below(dir: &std::path::Path, depth: usize, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            if let Some(id) = name.strip_prefix("highwater-oom-") {
                // The runs of other tests are still alive.
                let is_over = !std::path::Path::new("/proc").join(id).exists();
                found.extend((is_over && path.exists()).then(|| path.display().to_string()));
            } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                below(&path, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    below(std::path::Path::new("/sys/fs/cgroup"), 6, &mut found);
    found
}

/// A long run, and the id of its first child after it has set its limits: before, it may share the process of the run, and
/// stopping it would stop the run.
fn at_work(timeout: u64, memory: &str) -> (Child, Pid) {
    let mut command = highwater();
    command.args(["oom", "--only", "malloc,vec", "--limit", "rlimit-data,cgroup", "--json"]);
    command.args(["--timeout", &timeout.to_string(), "--memory", memory]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let cpu = format!(" {} ", timeout + 1);
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let text = fs::read_to_string(&children).unwrap_or_default();
        if let Some(id) = text.split_whitespace().next() {
            let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap_or_default();
            if limits.lines().any(|line| line.starts_with("Max cpu time") && line.contains(&cpu)) {
                return (run, Pid::from_raw(id.parse().unwrap()));
            }
        }
    }
    let _ = run.kill();
    panic!("it had no child, and ended with {:?}", run.wait());
}

fn tells_children() -> bool {
    let tells = fs::read_to_string("/proc/thread-self/children").is_ok();
    if !tells {
        skip("this kernel does not list children");
    }
    tells
}

#[test]
fn ctrl_c_shows_a_partial_result_and_removes_everything() {
    if !tells_children() {
        return;
    }
    let (run, child) = at_work(70, "200MiB");
    // The child is stopped, so that the run is interrupted in the middle of it.
    let _ = kill(child, Signal::SIGSTOP);
    kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGINT).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let matrix: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(matrix["partial"], true, "{matrix:#}");
    assert!(matrix["cells"].as_array().unwrap().len() < 4, "{matrix:#}");
    assert!(kill(child, None).is_err(), "the child is gone");
    assert_eq!(leftovers(), Vec::<String>::new());
}

#[test]
fn a_child_beyond_its_time_limit_is_a_hang() {
    if !tells_children() {
        return;
    }
    let (run, child) = at_work(2, "200MiB");
    kill(child, Signal::SIGSTOP).unwrap();
    let output = run.wait_with_output().unwrap();
    let matrix: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hung = cell(&matrix, "malloc", "rlimit-data");
    assert_eq!((&hung["how"], &hung["verdict"]), (&"hang".into(), &"no-promise".into()), "{hung:#}");
    assert_ne!(cell(&matrix, "vec", "rlimit-data")["how"], "hang");
    succeeds(&output);
}

#[test]
fn children_die_with_the_run() {
    if !tells_children() {
        return;
    }
    let (mut run, child) = at_work(77, "200MiB");
    let end = Instant::now() + Duration::from_secs(20);
    let _ = kill(child, Signal::SIGSTOP);
    run.kill().unwrap();
    run.wait().unwrap();
    let is_there = || {
        // A zombie is dead.
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    while is_there() {
        assert!(Instant::now() < end, "the child lives on");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_table_and_a_chart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("oom.svg");
    let output =
        oom(&["--only", "bumpalo,headroom", "--limit", "region,overcommit", "--svg", file.to_str().unwrap()]);
    succeeds(&output);
    let text = stdout(&output);
    for word in
        ["48.00 MiB to allocate, 16.00 MiB available", "region-limit", "panic", "yes", "(no guarantee)"]
    {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    let svg = fs::read_to_string(&file).unwrap();
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    let printed: Vec<_> = parsed.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    for word in ["region", "headroom", "bumpalo", "panic", "region-limit", "at 16.00 MiB"] {
        assert!(printed.contains(&word), "{word} in {printed:?}");
    }
    assert!(!printed.contains(&"malloc"), "{printed:?}");
    let output = oom(&["--only", "malloc", "--limit", "region", "--svg", "/no/such/directory/x.svg"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot draw /no/such/directory/x.svg"), "{}", stderr(&output));
}

#[test]
fn cells_that_cannot_run_show_the_reason() {
    let matrix = json(&["--only", "fault", "--limit", "overcommit"]);
    let cell = cell(&matrix, "fault", "overcommit");
    let mode = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    if mode.trim() == "2" {
        return skip("vm.overcommit_memory is 2");
    }
    assert_eq!(cell["how"], "cannot-be-done-here");
    assert!(cell["reason"].as_str().unwrap().contains("vm.overcommit_memory"), "{cell:#}");
}

#[test]
fn wrong_arguments() {
    for (args, expected) in [
        (&["--only", "jemalloc"][..], "jemalloc"),
        (&["--limit", "ram"], "ram"),
        (&["--only", ""], "--only"),
        (&["--memory", "1MiB"], "--memory 1.00 MiB"),
        (&["--memory", "x"], "--memory"),
        (&["--memory", "32MiB"], "--size 48.00 MiB is less than twice"),
        (&["--size", "1TiB"], "--size 1.00 TiB"),
        (&["--size", "0"], "--size"),
        (&["--timeout", "0"], "--timeout"),
        (&["--timeout", "601"], "--timeout"),
        (&["--spill-dir", "/no/such/directory"], "/no/such/directory"),
        (&["--child", "{}"], "--child"),
        (&["region"], "region"),
    ] {
        let mut command = highwater();
        command.arg("oom");
        for (option, default) in [("--size", "48MiB"), ("--memory", "16MiB")] {
            if args[0] != option {
                command.args([option, default]);
            }
        }
        refused(&command.args(args).output().unwrap(), expected);
    }
}

#[test]
fn help_is_complete() {
    let output = highwater().args(["oom", "--help"]).output().unwrap();
    succeeds(&output);
    let help = stdout(&output);
    for word in
        ["HIGHWATER_INJECT", "nth=3", "report and abort", "Exit status", "rlimit-data", "headroom", "--svg"]
    {
        assert!(help.contains(word), "{word} in\n{help}");
    }
    let grow = stdout(&highwater().args(["grow", "--help"]).output().unwrap());
    assert!(grow.contains("HIGHWATER_INJECT"), "{grow}");
    assert!(stdout(&highwater().arg("--help").output().unwrap()).contains("oom"));
}

#[test]
fn refusals_are_injected_by_the_environment() {
    let inject =
        |text: &str, args: &[&str]| highwater().env("HIGHWATER_INJECT", text).args(args).output().unwrap();
    let size = ["oom", "--size", "48MiB", "--memory", "16MiB"];
    let run = [&size[..], &["--only", "headroom", "--limit", "region", "--try", "--json"]].concat();
    // The injection comes before the limit is reached.
    let output = inject("after=2,cause=locked-limit", &run);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("not as guaranteed: catchable error (locked-limit)"),
        "{}",
        stderr(&output)
    );
    for (text, expected) in [("nth=0", "nth=0"), ("often", "often"), ("nth=1,cause=rain", "cause=rain")] {
        for args in [&run[..], &["grow", "1MiB"]] {
            let printed = refused(&inject(text, args), expected);
            assert!(printed.contains("HIGHWATER_INJECT"), "{printed}");
        }
    }
    succeeds(&inject("", &["grow", "1MiB"]));
    succeeds(&inject("above=1GiB", &["grow", "1MiB"]));
    succeeds(&grow(["1MiB"]));
    let output = inject("nth=2,cause=rlimit-data", &["grow", "8MiB"]);
    assert!(!output.status.success());
    let printed = stderr(&output);
    assert!(
        printed.contains("out of memory")
            && printed.contains("RLIMIT_DATA")
            && printed.contains("(injected)"),
        "{printed}"
    );
}
