//! `highwater guard`: every kind is reported and ends as expected, and the output shows what happened.

use std::{
    fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    process::{Output, Stdio},
};

use crate::common::{guard, has_faults, highwater, number, refused, skip, stderr, stdout, succeeds};
use highwater::guard::ViolationKind;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;

/// The mechanisms of this kernel.
fn mechanisms() -> Vec<&'static str> {
    const MADV_GUARD_INSTALL: i32 = 102;
    let mut page = memmap2::MmapMut::map_anon(1).expect("a page can be had");
    // SAFETY: the page belongs to this mapping, has no references to it, and is unmapped without being read.
    let has_advice = unsafe { libc::madvise(page.as_mut_ptr().cast(), 1, MADV_GUARD_INSTALL) } == 0;
    if has_advice { vec!["auto", "advice", "protect"] } else { vec!["auto", "protect"] }
}

/// `guard … --json`, which must succeed and print one JSON value.
#[track_caller]
fn json(args: &[&str]) -> Value {
    let output = guard(args.iter().chain(&["--json"]));
    succeeds(&output);
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON value")
}

#[track_caller]
fn is_as_expected(result: &Value, kind: &str, access: &str, signal: &str) {
    let report = &result["report"];
    assert_eq!(result["verdict"], "as expected", "{result:#}");
    assert_eq!(result["differences"].as_array().map(Vec::len), Some(0), "{result:#}");
    assert_eq!(result["provoked"]["kind"], kind);
    assert_eq!(result["expected"]["kind"], kind);
    assert_eq!(report["kind"], kind);
    assert_eq!(report["offset"], result["layout"]["touched"]);
    assert_eq!(report["arena"]["committed"], result["layout"]["frontier"], "{result:#}");
    assert_eq!(report["arena"]["reserved"], result["layout"]["reserved"], "{result:#}");
    let address = |value: &Value| i64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
    let offset = address(&report["address"]) - address(&result["layout"]["base"]);
    assert_eq!(report["offset"], offset, "{result:#}");
    assert_eq!(result["ended"]["signal"], signal, "{result:#}");
    assert!(result["ended"]["status"].is_null());
    assert!(report["access"] == access || report["access"] == "unknown", "{result:#}");
}

/// Checks that the parts are contiguous, and the byte is in one of them.
#[track_caller]
fn is_whole(layout: &Value) {
    let parts = layout["parts"].as_array().unwrap();
    let ends = |part: &Value| (number(part, "start"), number(part, "end"));
    assert!(parts.iter().all(|part| ends(part).0 < ends(part).1), "{layout:#}");
    assert!(parts.windows(2).all(|pair| ends(&pair[0]).1 == ends(&pair[1]).0), "{layout:#}");
    let touched = number(layout, "touched");
    assert!(parts.iter().any(|part| ends(part).0 <= touched && touched < ends(part).1), "{layout:#}");
    assert!(parts.iter().any(|part| part["end"] == layout["frontier"]), "{layout:#}");
    assert!(parts.iter().any(|part| part["end"] == layout["reserved"]), "{layout:#}");
}

#[test]
fn every_kind_under_every_mechanism() {
    if !has_faults() {
        return;
    }
    for mechanism in mechanisms() {
        for kind in ViolationKind::ALL {
            let (kind, detected_later) = (kind.name(), kind == ViolationKind::Underflow);
            for (options, access, signal) in [
                (&[][..], "write", "SIGSEGV"),
                (&["--abort"], "write", "SIGABRT"),
                (&["--read", "--by", "7"], "read", "SIGSEGV"),
            ] {
                if detected_later && options.contains(&"--read") {
                    continue;
                }
                let result = json(&[&[kind, "--mechanism", mechanism], options].concat());
                let signal = if detected_later { "SIGABRT" } else { signal };
                is_as_expected(&result, kind, access, signal);
                is_whole(&result["layout"]);
                assert_eq!(result["provoked"]["mechanism"], mechanism);
            }
        }
    }
}

#[test]
fn the_allocation_has_the_requested_size_and_alignment() {
    if !has_faults() {
        return;
    }
    let page = page_size();
    for (size, align, slack) in
        [(100, 1, 0), (100, 16, 12), (1, page, page - 1), (page + 900, 2 * page, page - 900)]
    {
        let (size_text, align_text) = (size.to_string(), align.to_string());
        let allocation = ["overflow", "--size", &size_text, "--align", &align_text];
        let (last, first) = (slack.to_string(), (slack + 1).to_string());
        let result = json(&[&allocation[..], &["--by", &first]].concat());
        is_as_expected(&result, "overflow", "write", "SIGSEGV");
        assert_eq!(result["report"]["distance"], slack + 1);
        assert_eq!(result["report"]["allocation"]["size"], size);
        assert_eq!(result["report"]["allocation"]["align"], align);
        if slack > 0 {
            // The last byte of the pattern is checked when the allocation is freed.
            let result = json(&[&allocation[..], &["--by", &last]].concat());
            is_as_expected(&result, "overflow", "write", "SIGABRT");
            assert_eq!(result["report"]["distance"], slack);
            refused(&guard([&allocation[..], &["--by", &last, "--read"]].concat()), &format!("--by {first}"));
        }
    }
    let last = json(&["use-after-reset", "--size", "33", "--by", "33", "--read"]);
    is_as_expected(&last, "use-after-reset", "read", "SIGSEGV");
    assert_eq!(last["report"]["allocation"]["size"], 33);
}

fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}

#[test]
fn far_past_the_border() {
    if !has_faults() {
        return;
    }
    for kind in
        ["overflow", "unallocated", "beyond-reach", "end-of-reservation", "before-head", "placed-guard"]
    {
        is_as_expected(&json(&[kind, "--by", "3MiB"]), kind, "write", "SIGSEGV");
    }
}

#[test]
fn all_kinds_at_once() {
    if !has_faults() {
        return;
    }
    let all = json(&["all", "--read"]);
    let all = all.as_array().expect("an array");
    assert_eq!(all.len(), ViolationKind::ALL.len());
    for (result, kind) in all.iter().zip(ViolationKind::ALL) {
        let later = kind == ViolationKind::Underflow;
        let (access, signal) = if later { ("write", "SIGABRT") } else { ("read", "SIGSEGV") };
        is_as_expected(result, kind.name(), access, signal);
    }
}

#[test]
fn the_drawing_shows_the_figures_of_the_report() {
    if !has_faults() {
        return;
    }
    for kind in ViolationKind::ALL.map(ViolationKind::name) {
        let layout = json(&[kind])["layout"].clone();
        let output = guard([kind]);
        succeeds(&output);
        let text = stdout(&output);
        assert!(!text.contains('\u{1b}'), "no colour in {text}");
        let (drawing, report) = text.split_once("\nhighwater: ").expect("a report");
        assert!(drawing.contains("offset   not to scale; in bytes"), "{drawing}");
        for line in drawing.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let borders: Vec<_> = drawing
            .lines()
            .filter(|line| line.contains('─') && !line.contains('◄'))
            .map(|line| line.split_whitespace().next().unwrap())
            .collect();
        let parts = layout["parts"].as_array().unwrap();
        let mut ends: Vec<_> = parts.iter().map(|part| part["start"].to_string()).collect();
        ends.extend(parts.last().map(|part| part["end"].to_string()));
        assert_eq!(borders, ends, "{drawing}");
        assert!(drawing.contains(&format!("◄── write at {}\n", layout["touched"])), "{drawing}");
        // The report has the same offset, and the last line is how the child ended.
        assert!(report.contains(&format!("offset {}", layout["touched"])), "{report}");
        let end = match kind {
            "underflow" => "ended by SIGABRT in highwater_guard_underflow",
            _ => "ended by SIGSEGV at the faulting instruction",
        };
        assert_eq!(report.lines().last(), Some(end));
        for line in ["  region", "  thread", "  next"] {
            assert!(report.contains(line), "{report}");
        }
    }
    let text = stdout(&guard(["placed-guard", "--abort"]));
    assert!(text.ends_with("\nended by SIGABRT in highwater_guard_placed_guard\n"), "{text}");
}

#[test]
fn a_list_of_kinds() {
    for args in [&[][..], &["--list"]] {
        let output = guard(args);
        succeeds(&output);
        let text = stdout(&output);
        for kind in ViolationKind::ALL {
            let lines = text.lines().filter(|line| line.starts_with(&format!("{} ", kind.name()))).count();
            assert_eq!(lines, 1, "one line for {kind} in\n{text}");
        }
    }
    let listed = json(&["--list"]);
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    assert_eq!(names, ViolationKind::ALL.map(ViolationKind::name));
}

#[test]
fn help_has_every_kind_and_examples_that_work() {
    let output = highwater().args(["guard", "--help"]).output().unwrap();
    succeeds(&output);
    let help = stdout(&output);
    for kind in ViolationKind::ALL {
        assert!(help.contains(&format!("\n  {} ", kind.name())), "{kind} in\n{help}");
    }
    for word in ["Exit status", "--mechanism", "--abort", "core dump", "fault engine", "all"] {
        assert!(help.contains(word), "{word:?} in\n{help}");
    }
    assert!(!help.contains("--provoke"), "hidden");
    assert!(stdout(&highwater().arg("--help").output().unwrap()).contains("highwater guard overflow"));
    let examples: Vec<_> =
        help.lines().filter_map(|line| line.strip_prefix("  highwater guard ")).map(str::to_owned).collect();
    assert!(examples.len() >= 3, "{help}");
    if has_faults() {
        for example in examples {
            succeeds(&guard(example.split_whitespace()));
        }
    }
}

#[test]
fn what_is_refused() {
    for (args, expected) in [
        (&["nonsense"][..], "'nonsense'"),
        (&["overflow", "underflow"], "underflow"),
        (&["overflow", "--list"], "--list"),
        (&["--list", "--read"], "--list"),
        (&["--by", "3"], "KIND"),
        (&["overflow", "--by", "0"], "--by"),
        (&["overflow", "--by", "2GiB"], "'2GiB'"),
        (&["overflow", "--by", "-1"], "-1"),
        (&["overflow", "--size", "x"], "'x'"),
        (&["overflow", "--size", "0"], "at least one"),
        (&["overflow", "--align", "24"], "'24'"),
        (&["overflow", "--mechanism", "magic"], "'magic'"),
        (&["before-head", "--size", "8"], "--size 8"),
        (&["unallocated", "--align", "8"], "--align 8"),
        (&["underflow", "--read"], "--read"),
        (&["underflow", "--size", "1MiB"], "--size 1048576"),
        (&["underflow", "--by", "1MiB"], "--by 1048576"),
        (&["use-after-reset", "--size", "8", "--by", "9"], "--by 9"),
        (&["all", "--size", "1MiB"], "underflow: --size 1048576"),
        (&["overflow", "--provoke", "{}"], "kind"),
    ] {
        refused(&guard(args), expected);
    }
}

#[track_caller]
fn fails(output: &Output, expected: &str) {
    let printed = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.starts_with("error: ") && printed.lines().count() == 1, "{printed}");
    assert!(printed.contains(expected), "{expected:?} in {printed}");
}

#[test]
fn unsupported_builds_and_mechanisms_are_errors() {
    if highwater::engine() != highwater::Engine::Fault {
        for args in [&["overflow"][..], &["all", "--json"]] {
            let output = guard(args);
            fails(&output, "no fault engine");
            assert!(output.stdout.is_empty());
        }
    } else if !mechanisms().contains(&"advice") {
        fails(&guard(["placed-guard", "--mechanism", "advice"]), "Advice");
    } else {
        skip("this build and this kernel have all there is");
    }
}

#[test]
fn a_child_with_an_invalid_plan() {
    let plan = r#"{"kind":"magic","access":"read","mechanism":"auto","on_violation":"die","by":1}"#;
    refused(&guard(["--provoke", plan]), "\"magic\"");
}

#[test]
fn no_core_dump() {
    if !has_faults() {
        return;
    }
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.starts_with(['|', '/']) {
        return skip("core dumps do not go to the working directory here");
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    if hard == 0 {
        return skip("core dumps are not allowed here");
    }
    let dir = tempfile::tempdir().unwrap();
    for args in [&["overflow"][..], &["overflow", "--abort"]] {
        let mut command = highwater();
        command.arg("guard").args(args).current_dir(dir.path());
        // SAFETY: setrlimit is async-signal-safe, and neither it nor the conversion of its error allocates.
        unsafe { command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_CORE, hard, hard)?)) };
        succeeds(&command.output().unwrap());
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "there is no core dump");
}

#[test]
fn a_closed_pipe_is_no_error() {
    if !has_faults() {
        return;
    }
    for args in [&["overflow"][..], &["--list"], &["all", "--json"]] {
        let mut child = highwater()
            .arg("guard")
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut printed = String::new();
        child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{printed}");
        assert!(printed.is_empty(), "{printed}");
    }
}
