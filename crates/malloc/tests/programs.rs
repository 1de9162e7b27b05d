//! Programs that were written for another malloc run to their normal output.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::{POLICIES, Setting, child::succeeds, has, here, run_within, set, skip};

const LONG: Duration = Duration::from_secs(300);

/// A file in `tests/programs`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

/// A command that these tests run, in an environment that says nothing of its own.
fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("PYTHONMALLOC", "malloc").env("LC_ALL", "C");
    command
}

/// Runs a command with glibc's malloc, and with each of these settings to the same end. Gives what it printed.
#[track_caller]
fn same(settings: &[Setting], make: impl Fn() -> Command) -> String {
    let run = |setting| {
        let mut command = make();
        set(&mut command, setting);
        run_within(command, LONG)
    };
    let first = run("glibc");
    first.assert_success();
    for setting in settings {
        let ended = run(setting);
        assert_eq!(ended.assert_success().stdout, first.stdout, "{setting}");
        assert_eq!(ended.stderr, first.stderr, "{setting}");
    }
    first.stdout
}

/// Runs a script, which takes a scale, so that it does much or little.
#[track_caller]
fn script(interpreter: &str, name: &str, settings: &[Setting], scale: &str) {
    if here() && has(interpreter) {
        let script = file(name);
        let printed = same(settings, || command(interpreter, &[script.to_str().unwrap(), scale]));
        assert!(!printed.is_empty());
    }
}

/// Python itself: what is found first may be a script that looks for it.
fn python() -> Option<String> {
    let is_here = here() && has("python3");
    is_here.then(|| {
        succeeds(&mut command("python3", &["-c", "import sys; print(sys.executable)"])).trim_end().to_string()
    })
}

#[test]
fn python_with_every_policy() {
    if let Some(python) = python() {
        script(&python, "words.py", POLICIES, "2");
        script(&python, "words.py", &["default HIGHWATER_HARDENED=1", "default HIGHWATER_GUARDS=1000"], "2");
    }
}

/// Python's own tests of these modules.
#[track_caller]
fn python_tests(settings: &[Setting], modules: &[&str]) {
    let Some(python) = python() else { return };
    let names: Vec<String> = modules.iter().map(|module| format!("test.test_{module}")).collect();
    if !command(&python, &["-c", &format!("import {}", names.join(", "))])
        .output()
        .is_ok_and(|it| it.status.success())
    {
        return skip("no tests of python here");
    }
    for setting in settings {
        let directory = tempfile::tempdir().expect("there is a directory for temporary files");
        let mut command = command(&python, &["-m", "unittest", "-q"]);
        set(command.args(&names).current_dir(directory.path()), setting);
        let ended = run_within(command, LONG);
        ended.assert_success();
        assert!(ended.stderr.contains("\nOK"), "{ended:#?}");
    }
}

#[test]
fn pythons_own_tests() {
    python_tests(&["default"], &["list", "dict", "sort", "struct", "array", "deque", "thread", "re"]);
}

#[test]
#[ignore = "long: .ci/deep runs it"]
fn all_of_pythons_own_tests() {
    let modules = [
        "list", "dict", "set", "json", "array", "bytes", "deque", "sort", "struct", "thread", "zlib", "re",
        "ctypes",
    ];
    python_tests(&["default", "general:checked", "default HIGHWATER_HARDENED=1"], &modules);
    // What keeps memory that others give back needs more of it.
    for module in modules {
        python_tests(&["stack", "bump", "blocks"], &[module]);
    }
}

#[test]
fn perl() {
    script("perl", "words.pl", POLICIES, "2");
}

#[test]
fn node() {
    script("node", "words.js", POLICIES, "2");
}

#[test]
fn lua() {
    let names = ["lua5.4", "lua5.3", "lua"];
    let is_there = |name: &&&str| Command::new(name).arg("-v").output().is_ok();
    match names.iter().find(is_there) {
        Some(lua) => script(lua, "words.lua", POLICIES, "1"),
        None => skip("no lua here"),
    }
}

#[test]
#[ignore = "long: .ci/deep runs it"]
fn longer_scripts() {
    let settings = ["default", "general:checked", "default HIGHWATER_HARDENED=1", "blocks"];
    if let Some(python) = python() {
        script(&python, "words.py", &settings, "30");
    }
    script("perl", "words.pl", &settings, "40");
    script("node", "words.js", &settings, "20");
    script("lua5.4", "words.lua", &settings, "20");
}

#[test]
fn sqlite() {
    if !here() || !has("sqlite3") {
        return;
    }
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let read = format!(".read {}", file("words.sql").display());
    let printed = same(POLICIES, || command("sqlite3", &[":memory:", &read]));
    assert!(printed.ends_with("ok\n"), "{printed}");
    let base = directory.path().join("base");
    let in_a_file = || {
        let _ = std::fs::remove_file(&base);
        command("sqlite3", &[base.to_str().unwrap(), &read])
    };
    assert_eq!(same(&["default"], in_a_file), printed);
}

/// A repository with so many commits.
fn repository(at: &Path, commits: usize) {
    let git = |arguments: &[&str]| succeeds(git_in(at).args(arguments));
    git(&["init", "-q"]);
    for commit in 0..commits {
        for number in 0..5 {
            let lines: Vec<String> =
                (0..300).map(|line| format!("line {}", line * (commit + number) % 97)).collect();
            std::fs::write(at.join(format!("file{number}")), lines.join("\n"))
                .expect("a file can be written");
        }
        git(&["add", "."]);
        git(&["commit", "-q", "-m", &format!("commit {commit}")]);
    }
    git(&["repack", "-q", "-a", "-d"]);
}

fn git_in(directory: &Path) -> Command {
    let mut command = command("git", &["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]);
    command.args(["-c", "gc.auto=0"]).current_dir(directory);
    command.env("HOME", directory).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_PAGER", "cat");
    command
}

fn git_runs(settings: &[Setting], commits: usize) {
    if !here() || !has("git") {
        return;
    }
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    repository(directory.path(), commits);
    let git = |arguments: &[&str]| {
        same(settings, || {
            let mut command = git_in(directory.path());
            command.args(arguments);
            command
        })
    };
    git(&["fsck", "--full", "--no-progress"]);
    let log = git(&["log", "--stat", "-M"]);
    assert!(log.contains("commit 0\n") && log.contains(" changed, "), "{log}");
    git(&["repack", "-q", "-a", "-d", "-f", "--depth=50"]);
    git(&["blame", "file3"]);
}

#[test]
fn git() {
    git_runs(POLICIES, 8);
}

#[test]
#[ignore = "long: .ci/deep runs it"]
fn git_with_a_history() {
    git_runs(&["default", "default HIGHWATER_HARDENED=1", "blocks", "bump"], 200);
}

/// The compiler makes the same file.
#[test]
fn a_compiler_of_cpp() {
    if !here() || !has("g++") {
        return;
    }
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let object = directory.path().join("words.o");
    let compile = |setting: Setting| {
        let mut command = command("g++", &["-std=gnu++17", "-O1", "-c", "-o"]);
        set(command.arg(&object).arg(file("words.cpp")), setting);
        run_within(command, LONG).assert_quiet();
        std::fs::read(&object).expect("it was made")
    };
    let first = compile("glibc");
    for setting in ["default", "bump"] {
        assert!(compile(setting) == first, "{setting}: another object file");
    }
}

/// A program of Rust's, and what every system has: tools with threads, and a shell with many children.
#[test]
fn smaller_tools() {
    if !here() {
        return;
    }
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let lines: Vec<String> = (0..30_000).map(|line| format!("{}", line * 7919 % 30_011)).collect();
    std::fs::write(directory.path().join("lines"), lines.join("\n")).expect("a file can be written");
    let script = "sort --parallel=4 -S 8M lines | uniq -c | sort -n | tail -n 20; sed 's/7/seven/g' lines | grep -c seven; \
                  tar -cf - lines | tar -tf -; for i in 1 2 3 4 5; do echo $(ls | wc -l); done";
    same(POLICIES, || {
        let mut command = command("sh", &["-c", script]);
        command.current_dir(directory.path());
        command
    });
    let this = std::env::current_exe().expect("a test binary has a path");
    assert!(same(POLICIES, || command(this.to_str().unwrap(), &["--list"])).contains("smaller_tools: test"));
}
