//! `highwater compare`: every allocator runs the same command, and the figures are consistent.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::common::{
    compiled, highwater, number, positive, preloading, refused, skip, stderr, stdout, succeeds,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

const METRICS: [&str; 6] = ["wall", "cpu", "peak-process", "peak-tree", "page-faults", "context-switches"];

fn compare<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    preloading().arg("compare").args(args).output().expect("the command starts")
}

/// A comparison, which must succeed, as JSON.
#[track_caller]
fn json<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Value {
    let output = preloading().args(["compare", "--json"]).args(args).output().expect("the command starts");
    succeeds(&output);
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON value")
}

fn row<'v>(report: &'v Value, allocator: &str) -> &'v Value {
    let rows = report["cases"][0]["rows"].as_array().unwrap();
    rows.iter()
        .find(|row| row["contender"] == allocator)
        .unwrap_or_else(|| panic!("{allocator} in {report:#}"))
}

fn details<'v>(report: &'v Value, allocator: &str) -> &'v Value {
    let all = report["details"]["allocators"].as_array().unwrap();
    all.iter().find(|one| one["name"] == allocator).unwrap_or_else(|| panic!("{allocator} in {report:#}"))
}

/// Checks the number and order of the figures, and that ratios are those of the rounds.
#[track_caller]
fn is_sound(report: &Value, allocators: &[&str], runs: usize) {
    let case = &report["cases"][0];
    let metrics: Vec<_> = case["metrics"].as_array().unwrap().iter().map(|metric| &metric["key"]).collect();
    assert_eq!(metrics, METRICS);
    assert_eq!(case["baseline"], allocators[0]);
    let samples = |allocator: &str, metric: usize| -> Vec<f64> {
        let figure = &row(report, allocator)["figures"][metric];
        let samples: Vec<_> =
            figure["samples"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
        assert_eq!(samples.len(), runs, "{figure:#}");
        // Involuntary context switches may be zero.
        assert!(metric == 5 || samples.iter().all(|n| n.is_finite() && *n > 0.0), "{allocator}: {figure:#}");
        let (min, median, max) = (number(figure, "min"), number(figure, "median"), number(figure, "max"));
        assert!(min <= median && median <= max, "{figure:#}");
        assert!(samples.contains(&min) && samples.contains(&max), "{figure:#}");
        samples
    };
    for allocator in allocators {
        for (metric, key) in METRICS.iter().enumerate() {
            let (own, base) = (samples(allocator, metric), samples(allocators[0], metric));
            let ratio = &row(report, allocator)["figures"][metric]["ratio"];
            if *allocator == allocators[0] || metric == 5 && ratio.is_null() {
                assert!(ratio.is_null(), "{ratio:#}");
                continue;
            }
            let ratios: Vec<_> = own.iter().zip(base).map(|(own, base)| own / base).collect();
            let (least, most) = ratios.iter().fold((f64::MAX, 0.0), |(a, b), n| (n.min(a), n.max(b)));
            let times = number(ratio, "times");
            // (The geometric mean of equal ratios may differ from them in the last digit.)
            let rounding = 1e-12 * most;
            assert!(least - rounding <= times && times <= most + rounding, "{allocator}, {key}: {ratio:#}");
        }
        // The largest process has no more than all together.
        let [process, tree] = [2, 3].map(|metric| samples(allocator, metric));
        assert!(process.iter().zip(tree).all(|(process, tree)| *process <= tree), "{allocator}");
    }
}

/// A program of a dozen files with templates, and the commands that build it.
fn project(dir: &Path) -> Option<[&'static str; 2]> {
    const FILES: usize = 12;
    let has = |tool: &str| {
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    if !has("g++") {
        skip("no g++ here");
        return None;
    }
    for n in 0..FILES {
        let text = format!(
            "#include <vector>\n\
             template <class... T> struct List {{ static constexpr int size = sizeof...(T); }};\n\
             template <int N, class... T> struct Grow : Grow<N - 1, T..., List<T...>> {{}};\n\
             template <class... T> struct Grow<0, T...> {{ using Type = List<T...>; }};\n\
             template <int N> struct Step {{\n\
             \x20 static int run(std::vector<int> &all) {{\n\
             \x20   all.push_back(int(Grow<N % 8>::Type::size));\n\
             \x20   return all.back() + Step<N - 1>::run(all);\n\
             \x20 }}\n}};\n\
             template <> struct Step<-1> {{ static int run(std::vector<int> &) {{ return 0; }} }};\n\
             int part{n}() {{ std::vector<int> all; return Step<{}>::run(all); }}\n",
            60 + n
        );
        fs::write(dir.join(format!("part{n}.cpp")), text).unwrap();
    }
    let declared: String = (0..FILES).map(|n| format!("int part{n}();\n")).collect();
    let sum = (0..FILES).map(|n| format!("part{n}()")).collect::<Vec<_>>().join(" + ");
    fs::write(dir.join("main.cpp"), format!("{declared}int main() {{ return ({sum}) % 7; }}\n")).unwrap();
    let parts: Vec<_> = (0..FILES).map(|n| format!("part{n}")).chain(["main".into()]).collect();
    if has("ninja") {
        let mut text =
            "rule cc\n  command = g++ -O0 -c $in -o $out\nrule link\n  command = g++ $in -o $out\n"
                .to_owned();
        parts.iter().for_each(|part| text.push_str(&format!("build {part}.o: cc {part}.cpp\n")));
        text.push_str(&format!("build program: link {}.o\n", parts.join(".o ")));
        fs::write(dir.join("build.ninja"), text).unwrap();
        return Some(["ninja -j2", "ninja -t clean"]);
    }
    if has("make") {
        let objects = format!("{}.o", parts.join(".o "));
        let text = format!("program: {objects}\n\tg++ $^ -o $@\n%.o: %.cpp\n\tg++ -O0 -c $< -o $@\n");
        fs::write(dir.join("Makefile"), text).unwrap();
        return Some(["make -j2", "rm -f program *.o"]);
    }
    Some(["for part in *.cpp; do g++ -O0 -c $part || exit 1; done; g++ *.o -o program", "rm -f program *.o"])
}

/// A third allocator: one that is installed, or else another policy.
fn third() -> &'static str {
    let peers = compare(["--allocators", "mimalloc", "--quick", "--runs", "1", "--", "true"]);
    if peers.status.success() { "mimalloc" } else { "highwater:blocks" }
}

#[test]
fn a_build() {
    let dir = tempfile::tempdir().unwrap();
    let Some([build, clean]) = project(dir.path()) else { return };
    let third = third();
    let list = format!("system,highwater,{third}");
    let script = format!("{build} || exit 9; ./program; test $? -lt 7");
    let report = {
        let mut command = preloading();
        command.current_dir(&dir).args([
            "compare",
            "--json",
            "--allocators",
            &list,
            "--runs",
            "2",
            "--warmup",
            "0",
        ]);
        command.args(["--prepare", clean, "--csv", "build.csv", "--charts", "charts", "--output", "output"]);
        let output = command.args(["--", "sh", "-c", &script]).output().unwrap();
        succeeds(&output);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let allocators = ["system", "highwater", third];
    is_sound(&report, &allocators, 2);
    for allocator in allocators {
        let about = details(&report, allocator);
        assert_eq!(about["ends"], serde_json::json!({ "status 0": 2 }), "{about:#}");
        assert_eq!(about["processes_left"], 0, "{about:#}");
        positive(about, "mean_interval_ns");
        if allocator == "system" {
            assert!(about["preload"].is_null() && about["library"].is_null(), "{about:#}");
            continue;
        }
        // Twelve compilers, two at a time, run longer than the interval of samples.
        let preload = &about["preload"];
        assert_eq!(preload["verdict"], "yes", "{about:#}");
        assert!(positive(preload, "with") >= 12.0 && preload["without"] == 0, "{about:#}");
        assert!(row(&report, allocator)["reason"].is_null(), "{report:#}");
    }
    // A C++ compiler uses more than this.
    let figure = |metric: usize| number(&row(&report, "system")["figures"][metric], "min");
    assert!(figure(2) > 16e6 && figure(3) > figure(2), "{report:#}");
    assert!(dir.path().join("program").exists());
    let lines = fs::read_to_string(dir.path().join("build.csv")).unwrap();
    assert_eq!(lines.lines().count(), 1 + 3 * METRICS.len(), "{lines}");
    assert!(dir.path().join("output/system-2.out").exists());
    charts_are_there(&dir.path().join("charts"), &allocators);
}

/// Checks the three charts: each is well-formed, with the name of every allocator and a unit.
fn charts_are_there(dir: &Path, allocators: &[&str]) {
    for name in ["wall", "cpu", "memory"] {
        let svg = fs::read_to_string(dir.join(format!("compare-{name}.svg"))).unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<_> = document.descendants().filter_map(|node| node.text()).map(str::trim).collect();
        for allocator in allocators {
            assert!(texts.contains(allocator), "{allocator} in {texts:?}");
        }
        // On a busy machine it takes minutes.
        let units: &[&str] = if name == "memory" { &["(MiB)"] } else { &["(ms)", "(s)", "(min)"] };
        let has_unit = |text: &&str| units.iter().any(|unit| text.ends_with(unit));
        assert!(texts.iter().any(has_unit), "{units:?} in {texts:?}");
    }
}

#[test]
fn all_policies_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let order = dir.path().join("order");
    let script = format!("echo ${{HIGHWATER_MALLOC-none}} >> {}", order.display());
    let report =
        json(["--allocators", "system,policies", "--runs", "2", "--warmup", "1", "--", "sh", "-c", &script]);
    let allocators = ["system", "highwater", "highwater:stack", "highwater:bump", "highwater:blocks"];
    is_sound(&report, &allocators, 2);
    // The warm-up comes first, and the order rotates.
    let expected =
        "none general stack bump blocks general stack bump blocks none stack bump blocks none general";
    let order = fs::read_to_string(order).unwrap();
    assert_eq!(order.split_whitespace().collect::<Vec<_>>().join(" "), expected);
    for allocator in &allocators[1..] {
        assert_eq!(details(&report, allocator)["ends"]["status 0"], 3);
        assert_eq!(details(&report, allocator)["preload"]["without"], 0, "{report:#}");
    }
}

#[test]
fn a_preload_without_effect_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let own = "#include <stdlib.h>\n#include <unistd.h>\nstatic char room[1 << 20]; static size_t used;\n\
               void *malloc(size_t n) { void *p = room + used; used += (n + 15) & ~15ul; return p; }\n\
               void free(void *p) { (void)p; }\n\
               int main(void) { free(malloc(9)); usleep(400000); return 0; }\n";
    let fixed = "int main(void) { return 0; }\nvoid _start(void) {\n\
                 #ifdef __x86_64__\n\
                 struct { long s, ns; } time = { 0, 400000000 }; long result;\n\
                 __asm__ volatile(\"syscall\" : \"=a\"(result) : \"a\"(35), \"D\"(&time), \"S\"(0) : \"rcx\", \"r11\", \"memory\");\n\
                 __asm__ volatile(\"syscall\" : : \"a\"(231), \"D\"(0));\n\
                 #endif\n}\n";
    let cases: [(&str, &str, &[&str], &str); 2] = [
        ("own", own, &["-O0", "-w", "-rdynamic"], "own has its own malloc"),
        ("fixed", fixed, &["-O0", "-w", "-static", "-nostdlib"], "fixed is statically linked"),
    ];
    for (name, source, flags, expected) in cases {
        if name == "fixed" && !cfg!(target_arch = "x86_64") {
            continue;
        }
        let Some(program) = compiled(dir.path(), name, source, flags) else { return };
        let args = ["--allocators", "system,highwater", "--runs", "1", "--warmup", "0", "--"];
        let report = json(args.iter().map(OsStr::new).chain([program.as_os_str()]));
        let preload = &details(&report, "highwater")["preload"];
        assert_eq!((&preload["verdict"], &preload["with"]), (&"no".into(), &0.into()), "{report:#}");
        let reason = row(&report, "highwater")["reason"].as_str().unwrap();
        assert!(reason.contains("NOT PRELOADED") && reason.contains(expected), "{reason}");
        assert!(row(&report, "system")["reason"].is_null());
    }
}

#[test]
fn a_preload_into_a_short_program_is_detected() {
    let report = json(["--allocators", "system,highwater", "--runs", "3", "--warmup", "0", "--", "true"]);
    assert_eq!(details(&report, "highwater")["preload"]["verdict"], "yes", "{report:#}");
    assert!(row(&report, "highwater")["reason"].is_null(), "{report:#}");
}

#[test]
fn memory_of_all_processes_is_added_up() {
    let dir = tempfile::tempdir().unwrap();
    // Four processes with 16 MiB each at the same time.
    let source = "#include <stdlib.h>\n#include <string.h>\n#include <sys/wait.h>\n#include <unistd.h>\n\
                  int main(void) {\n\
                  int there[2], leave[2]; char c; pipe(there); pipe(leave);\n\
                  for (int i = 0; i < 4; i++) if (fork() == 0) {\n\
                  \x20 memset(malloc(16 << 20), 1, 16 << 20); close(leave[1]);\n\
                  \x20 write(there[1], \"x\", 1); read(leave[0], &c, 1); _exit(0); }\n\
                  for (int i = 0; i < 4; i++) read(there[0], &c, 1);\n\
                  usleep(500000); close(leave[1]); while (wait(0) > 0); return 0; }\n";
    let Some(program) = compiled(dir.path(), "four", source, &["-O0", "-w"]) else { return };
    let args = ["--allocators", "system,highwater", "--runs", "1", "--warmup", "0", "--"];
    let report = json(args.iter().map(OsStr::new).chain([program.as_os_str()]));
    for allocator in ["system", "highwater"] {
        let median = |metric: usize| number(&row(&report, allocator)["figures"][metric], "median");
        let (process, tree) = (median(2), median(3));
        assert!((16e6..32e6).contains(&process), "{allocator}: {process}");
        assert!((64e6..100e6).contains(&tree), "{allocator}: {tree}");
    }
}

#[test]
fn failures() {
    let list = ["--allocators", "system,highwater", "--runs", "2", "--warmup", "0"];
    let script = "echo first; echo last words >&2; exit 6";
    let output = compare(list.iter().chain(&["--", "sh", "-c", script]));
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(6), ""));
    let printed = stderr(&output);
    assert!(printed.contains("system-1: last words\n"), "{printed}");
    assert!(printed.ends_with("error: sh under system ended with status 6\n"), "{printed}");

    // The other allocators continue.
    let script = "test -z \"$LD_PRELOAD\" || exit 6";
    let output = compare(list.iter().chain(&["--json", "--", "sh", "-c", script]));
    let printed = stderr(&output);
    assert_eq!(output.status.code(), Some(6), "{printed}");
    assert!(
        printed.ends_with("error: command: highwater: sh under highwater ended with status 6\n"),
        "{printed}"
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row(&report, "system")["figures"][0]["samples"].as_array().unwrap().len(), 2);
    assert_eq!(row(&report, "highwater")["failed"], true);

    let script = "echo first; echo last words >&2; exit 6";
    let report = json(list.iter().chain(&["--ignore-failure", "--", "sh", "-c", script]));
    is_sound(&report, &["system", "highwater"], 2);
    for allocator in ["system", "highwater"] {
        assert_eq!(details(&report, allocator)["ends"], serde_json::json!({ "status 6": 2 }));
        let reason = row(&report, allocator)["reason"].as_str().unwrap();
        assert!(reason.ends_with("failed: 2 x status 6"), "{reason}");
    }

    let output = compare(list.iter().chain(&["--prepare", "echo bad; exit 3", "--", "true"]));
    assert_eq!(output.status.code(), Some(3));
    let printed = stderr(&output);
    assert!(
        printed.contains("prepare: bad\n")
            && printed.contains("error: --prepare echo bad; exit 3 ended with status 3"),
        "{printed}"
    );

    let output = compare(list.iter().chain(&["--", "/no/such/command"]));
    assert_eq!(output.status.code(), Some(127), "{}", stderr(&output));
    assert!(stderr(&output).contains("error: cannot run /no/such/command: "));
}

#[test]
fn output_is_kept_and_runs_are_prepared() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let count = dir.path().join("count");
    let prepare = format!("echo prepared >> {}", count.display());
    let mut args =
        vec!["--allocators", "system,stack", "--runs", "1", "--warmup", "1", "--prepare", &prepare];
    args.extend(["--output", kept.to_str().unwrap(), "--", "sh", "-c", "echo out; echo err >&2; cat"]);
    let output = compare(args);
    succeeds(&output);
    let printed = stdout(&output);
    for words in [
        "sh -c",
        "system (baseline)",
        "highwater:stack",
        "wall time",
        "largest process",
        "sampled every 20 ms",
    ] {
        assert!(printed.contains(words), "{words:?} in {printed}");
    }
    assert!(!printed.contains("err\n"), "{printed}");
    assert_eq!(fs::read_to_string(count).unwrap().lines().count(), 4);
    for run in ["system-1", "system-2", "highwater-stack-1", "highwater-stack-2"] {
        let read = |ending: &str| fs::read_to_string(kept.join(format!("{run}.{ending}"))).unwrap();
        assert_eq!((read("out").as_str(), read("err").as_str()), ("out\n", "err\n"));
    }
}

#[test]
fn allocators_by_name_and_by_path() {
    // A library that forwards to the C library's malloc is another allocator.
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stddef.h>\nextern void *__libc_malloc(size_t);\n\
                  void *malloc(size_t n) { return __libc_malloc(n); }\n";
    let Some(library) = compiled(dir.path(), "libmimalloc-test.so", source, &["-shared", "-fPIC", "-w"])
    else {
        return;
    };
    let named = format!("system,other={}", library.display());
    let report = json(["--allocators", &named, "--runs", "1", "--warmup", "0", "--", "sleep", "0.4"]);
    assert_eq!(details(&report, "other")["preload"]["verdict"], "yes", "{report:#}");
    let found = |name: &str| {
        let mut command = preloading();
        command
            .env("HIGHWATER_PEERS", dir.path())
            .args(["compare", "--json", "--runs", "1", "--warmup", "0"]);
        command.args(["--allocators", name, "--", "true"]).output().unwrap()
    };
    let output = found("mimalloc-test");
    succeeds(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(details(&report, "mimalloc-test")["of"], "mimalloc");
    refused(&found("mimalloc-none"), "mimalloc-none was not found");
    let output = found("peers");
    succeeds(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["details"]["allocators"][0]["name"], "mimalloc-test",
        "those of HIGHWATER_PEERS come first"
    );
}

#[test]
fn what_is_refused() {
    let is_refused = |args: &[&str], expected: &str| refused(&compare(args), expected);
    is_refused(&["--allocators", "glibc", "--", "true"], "no allocator is called \"glibc\"");
    is_refused(&["--allocators", "stack:align=3", "--", "true"], "power of two");
    is_refused(&["--allocators", "/no/such.so", "--", "true"], "/no/such.so");
    is_refused(&["--allocators", env!("CARGO_BIN_EXE_highwater"), "--", "true"], "it has no malloc");
    is_refused(&["--allocators", "snmalloc-99", "--", "true"], "snmalloc-99 was not found");
    is_refused(&["--runs", "0", "--", "true"], "--runs");
    is_refused(&["--csv", "/no/such/dir/file.csv", "--", "true"], "/no/such/dir/file.csv");
    is_refused(&["--output", "/proc/none", "--", "true"], "/proc/none");
    is_refused(&[], "COMMAND");
    let output = preloading()
        .args(["compare", "--", "true"])
        .env("HIGHWATER_MALLOC_LIB", "/no/such.so")
        .output()
        .unwrap();
    refused(&output, "HIGHWATER_MALLOC_LIB=/no/such.so");
}

#[test]
fn ctrl_c_shows_a_partial_result() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("runs");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("echo run > {}", pipe.display());
    let child = preloading()
        .args(["compare", "--json", "--allocators", "system,highwater", "--runs", "1000", "--warmup", "0"])
        .args(["--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The pipe is opened for reading and writing, so it has no end between runs. When the third run starts, two are done.
    let runs = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    for line in BufReader::new(runs).lines().take(3) {
        assert_eq!(line.unwrap(), "run");
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["partial"], &report["cases"][0]["partial"]), (&true.into(), &true.into()));
    let samples = |allocator| row(&report, allocator)["figures"][0]["samples"].as_array().map_or(0, Vec::len);
    assert!(samples("system") + samples("highwater") >= 2, "{report:#}");
}

/// The command gets the signal as well, and may end before this command has handled its own.
#[test]
fn a_command_that_ctrl_c_ends_has_not_failed() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo >> runs; test $(wc -l < runs) -lt 4 && exit 0; (kill -INT $PPID) & kill -INT $$";
    let output = preloading()
        .current_dir(dir.path())
        .args(["compare", "--allocators", "system", "--runs", "9", "--", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stdout(&output).contains("PARTIAL"), "{}", stdout(&output));
    assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
}

#[test]
fn the_example_of_the_help_works() {
    let help = stdout(&highwater().args(["compare", "--help"]).output().unwrap());
    let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  highwater ")).collect();
    assert_eq!(examples.len(), 3, "{help}");
    let example = examples.iter().find(|example| example.contains("--quick")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("services"), "b\na\n").unwrap();
    let example = example.replace("/etc/services", "services");
    let mut shell = preloading();
    let own = shell.get_program().to_owned();
    shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" {example}")]).arg(own);
    let output = shell
        .current_dir(&dir)
        .env("HIGHWATER_MALLOC_LIB", crate::common::malloc_library())
        .output()
        .unwrap();
    succeeds(&output);
    assert!(stdout(&output).contains("QUICK"), "{}", stdout(&output));
}
