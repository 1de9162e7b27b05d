//! Compares what a child did with what was expected.

use highwater::guard::ViolationKind;
use serde::Serialize;
use serde_json::Value;

use super::{child::GuardChildOutput, drawing, kinds, layout::Layout, plan::GuardPlan};

/// The outcome of one provoked violation.
#[derive(Serialize)]
pub struct GuardOutcome {
    provoked: GuardPlan,
    layout: Layout,
    expected: ExpectedReport,
    /// The child's report, if it is JSON.
    report: Option<Value>,
    ended: ExitSummary,
    verdict: &'static str,
    /// What differs from the expectation.
    differences: Vec<String>,
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct ExpectedReport {
    kind: String,
    offset: i64,
    distance: Option<usize>,
    signal: &'static str,
}

#[derive(Serialize)]
struct ExitSummary {
    /// The signal that ended the child; `None` if it exited.
    signal: Option<String>,
    /// The exit status.
    status: Option<i32>,
    #[serde(skip)]
    words: String,
}

impl GuardOutcome {
    /// Compares the output of the child with the plan.
    pub fn of(plan: &GuardPlan, json: bool, ended: GuardChildOutput) -> Self {
        let expected = ExpectedReport {
            kind: plan.kind.clone(),
            offset: ended.layout.touched,
            distance: plan.distance(),
            signal: plan.signal().as_str(),
        };
        let report = if json { serde_json::from_str::<Value>(ended.stderr.trim()).ok() } else { None };
        let mut differences = Vec::new();
        let mut differs = |what: &str, is: String, expected: String| {
            if is != expected {
                differences.push(format!("{what} is {is}, expected {expected}"));
            }
        };
        match &ended.hook_report {
            None => differs("the report", "missing".into(), format!("one of {}", plan.kind)),
            Some(hook_report) => {
                differs("the kind", hook_report.kind.clone(), plan.kind.clone());
                differs("the offset", hook_report.offset.to_string(), expected.offset.to_string());
                if let Some(distance) = expected.distance {
                    differs("the distance", hook_report.distance.to_string(), distance.to_string());
                }
                if !plan.is_detected_later() && !plan.access.matches(&hook_report.access) {
                    differs("the access", hook_report.access.clone(), plan.access.name().into());
                }
                let reported = match &report {
                    Some(report) => report["kind"].as_str() == Some(&plan.kind),
                    None => !json && ended.stderr.starts_with("highwater: "),
                };
                if !reported {
                    differs("what is on stderr", "something else".into(), "the report".into());
                }
            }
        }
        let signal = ended.signal().map(|signal| signal.as_str().to_owned());
        let end = signal.clone().unwrap_or_else(|| ended.status.to_string());
        differs("the end", end.clone(), expected.signal.into());
        let verdict = if differences.is_empty() { "as expected" } else { "not as expected" };
        let words = match (expected.signal, differences.is_empty()) {
            ("SIGSEGV", true) => "ended by SIGSEGV at the faulting instruction".to_owned(),
            (signal, true) => {
                format!("ended by {signal} in highwater_guard_{}", plan.kind.replace('-', "_"))
            }
            (_, false) => format!("ended by {end}"),
        };
        GuardOutcome {
            provoked: plan.clone(),
            expected,
            report,
            ended: ExitSummary { signal, status: ended.status.code(), words },
            verdict,
            differences,
            text: ended.stderr,
            layout: ended.layout,
        }
    }

    /// The differences in one line; `None` if there are none.
    pub fn failure(&self) -> Option<String> {
        let wrong = self.differences.join("; ");
        (!wrong.is_empty()).then(|| format!("{}: not as expected: {wrong}", self.provoked.kind))
    }

    /// The outcome as text: what was done, the drawing, the report and the end.
    pub fn human(&self) -> String {
        let plan = &self.provoked;
        let what = kinds::named(&plan.kind).map_or("", |kind: ViolationKind| kinds::description(kind).what);
        let drawing = drawing::draw(&self.layout, plan.access.name());
        let report = self.text.trim_end();
        let report = if report.is_empty() { "(there is no report)" } else { report };
        format!("{}: {what}\n\n{drawing}\n\n{report}\n\n{}", plan.kind, self.ended.words)
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

    use super::*;
    use crate::guard::hook::ViolationReport;

    const PLAN: &str =
        r#"{"kind":"placed-guard","access":"read","mechanism":"auto","on_violation":"die","by":1}"#;

    /// The output of a child that did everything as expected.
    fn ended() -> GuardChildOutput {
        let mut layout = Layout::new(0x10000, 4096);
        layout.touched = 8192;
        let report =
            ViolationReport { kind: "placed-guard".into(), access: "read".into(), offset: 8192, distance: 1 };
        let stderr = "highwater: arena \"example\": user's guard".to_owned();
        GuardChildOutput {
            layout,
            hook_report: Some(report),
            stderr,
            status: ExitStatus::from_raw(libc::SIGSEGV),
        }
    }

    fn failure(json: bool, ended: GuardChildOutput) -> Option<String> {
        GuardOutcome::of(&GuardPlan::parse(PLAN).unwrap(), json, ended).failure()
    }

    #[test]
    fn each_difference_is_reported() {
        assert_eq!(failure(false, ended()), None);
        let with = |change: fn(&mut ViolationReport)| {
            let mut ended = ended();
            ended.hook_report.as_mut().into_iter().for_each(change);
            failure(false, ended).unwrap_or_default()
        };
        assert!(with(|reported| reported.kind = "overflow".into()).contains("the kind is overflow"));
        assert!(with(|reported| reported.offset = 1).contains("the offset is 1, expected 8192"));
        assert!(with(|reported| reported.distance = 7).contains("the distance is 7, expected 1"));
        assert!(with(|reported| reported.access = "write".into()).contains("the access is write"));
        assert_eq!(
            with(|reported| reported.access = "unknown".into()),
            "",
            "some processors do not report the access"
        );
        let wrong = |changed: GuardChildOutput| failure(false, changed).unwrap_or_default();
        assert!(wrong(GuardChildOutput { hook_report: None, ..ended() }).contains("the report is missing"));
        assert!(wrong(GuardChildOutput { stderr: String::new(), ..ended() }).contains("on stderr"));
        let aborted = ExitStatus::from_raw(libc::SIGABRT);
        assert!(wrong(GuardChildOutput { status: aborted, ..ended() }).contains("the end is SIGABRT"));
        let exited = wrong(GuardChildOutput { status: ExitStatus::from_raw(0), ..ended() });
        assert!(exited.starts_with("placed-guard: not as expected: the end is exit status: 0"), "{exited}");
    }

    #[test]
    fn a_report_in_json_is_read() {
        assert!(failure(true, ended()).unwrap().contains("on stderr"));
        let stderr = r#"{"kind":"overflow"}"#.to_owned();
        assert!(failure(true, GuardChildOutput { stderr, ..ended() }).unwrap().contains("on stderr"));
        let stderr = "{\"kind\":\"placed-guard\"}\n".to_owned();
        assert_eq!(failure(true, GuardChildOutput { stderr, ..ended() }), None);
    }
}
