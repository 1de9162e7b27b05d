//! Dumps of a live process on a signal.
#![cfg(target_os = "linux")]

use super::report::{MIB, refused, scene};
use crate::support;
use highwater::{ReportFormat, oom};
use support::oom::{child, parsed};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("dump", dump), ("dump as json", dump_as_json)];

pub fn raise() {
    // SAFETY: raise takes any number.
    unsafe { libc::raise(libc::SIGUSR1) };
}

fn dump() {
    let arena = scene();
    oom::dump_on_signal(libc::SIGUSR1).unwrap();
    raise();
    // It goes on.
    oom::set_process_limit(None);
    refused(&arena);
}

#[test]
fn a_signal_has_a_live_process_told() {
    let ended = child("dump").expect("it runs anywhere");
    ended.assert_success();
    let first = ended.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("highwater: arena \"told\": used ≥ ") && first.contains("committed 3 MiB"));
    for section in ["\n  regions      number ", "\n  last growth  by ", "\n  process      regions have 3 MiB"]
    {
        assert!(ended.stderr.contains(section), "{section:?} in {ended:#?}");
    }
    assert!(!ended.stderr.contains("out of memory"), "{ended:#?}");
}

fn dump_as_json() {
    let arena = scene();
    oom::set_report_format(ReportFormat::Json);
    oom::dump_on_signal(libc::SIGUSR1).unwrap();
    raise();
    oom::set_report_format(ReportFormat::Text);
    raise();
    drop(arena);
}

#[test]
fn a_live_process_is_told_as_json_too() {
    let ended = child("dump as json").expect("it runs anywhere");
    ended.assert_success();
    let mut lines = ended.stderr.lines();
    let report = parsed(lines.next().unwrap_or_default());
    assert_eq!(
        (report["highwater"].as_str(), report["regions"][0]["name"].as_str()),
        (Some("dump"), Some("told"))
    );
    assert_eq!(report["regions"][0]["committed"].as_u64(), Some(3 * MIB as u64));
    assert!(report["message"].is_null() && report["process"]["regions_have"].is_u64());
    assert!(lines.next().is_some_and(|line| line.starts_with("highwater: arena \"told\"")), "{ended:#?}");
}
