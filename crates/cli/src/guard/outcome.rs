//! What came of it, beside what was expected.

use highwater::guard::Kind;
use serde::Serialize;
use serde_json::Value;

use super::{child::Ended, drawing, kinds, layout::Layout, plan::Plan};

/// One kind, provoked.
#[derive(Serialize)]
pub struct Outcome {
    provoked: Plan,
    layout: Layout,
    expected: Expected,
    /// The child's, where it was told to write JSON.
    report: Option<Value>,
    ended: End,
    verdict: &'static str,
    /// What is not as expected.
    differences: Vec<String>,
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct Expected {
    kind: String,
    offset: i64,
    distance: Option<usize>,
    signal: &'static str,
}

#[derive(Serialize)]
struct End {
    /// What ended the child; `None` where it exited.
    signal: Option<String>,
    /// What it exited with.
    status: Option<i32>,
    #[serde(skip)]
    words: String,
}

impl Outcome {
    /// Compares.
    pub fn of(plan: &Plan, json: bool, ended: Ended) -> Self {
        let expected = Expected {
            kind: plan.kind.clone(),
            offset: ended.layout.touched,
            distance: plan.distance(),
            signal: plan.signal().as_str(),
        };
        let report = if json { serde_json::from_str::<Value>(ended.stderr.trim()).ok() } else { None };
        let mut differences = Vec::new();
        let mut differs = |what: &str, is: String, wanted: String| {
            if is != wanted {
                differences.push(format!("{what} is {is}, expected {wanted}"));
            }
        };
        match &ended.told {
            None => differs("the report", "missing".into(), format!("one of {}", plan.kind)),
            Some(told) => {
                differs("the kind", told.kind.clone(), plan.kind.clone());
                differs("the offset", told.offset.to_string(), expected.offset.to_string());
                if let Some(distance) = expected.distance {
                    differs("the distance", told.distance.to_string(), distance.to_string());
                }
                if !plan.is_found_later() && !plan.access.matches(&told.access) {
                    differs("the access", told.access.clone(), plan.access.name().into());
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
        Outcome {
            provoked: plan.clone(),
            expected,
            report,
            ended: End { signal, status: ended.status.code(), words },
            verdict,
            differences,
            text: ended.stderr,
            layout: ended.layout,
        }
    }

    /// What went wrong, in one line.
    pub fn failure(&self) -> Option<String> {
        let wrong = self.differences.join("; ");
        (!wrong.is_empty()).then(|| format!("{}: not as expected: {wrong}", self.provoked.kind))
    }

    /// For people: what was done, the drawing, the report and the end.
    pub fn human(&self) -> String {
        let plan = &self.provoked;
        let what = kinds::named(&plan.kind).map_or("", |kind: Kind| kinds::words(kind).what);
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
    use crate::guard::told::Told;

    const PLAN: &str =
        r#"{"kind":"placed-guard","access":"read","mechanism":"auto","on_violation":"die","by":1}"#;

    /// As a child would end that did everything right.
    fn ended() -> Ended {
        let mut layout = Layout::new(0x10000, 4096);
        layout.touched = 8192;
        let told = Told { kind: "placed-guard".into(), access: "read".into(), offset: 8192, distance: 1 };
        let stderr = "highwater: arena \"example\": user's guard".to_owned();
        Ended { layout, told: Some(told), stderr, status: ExitStatus::from_raw(libc::SIGSEGV) }
    }

    fn failure(json: bool, ended: Ended) -> Option<String> {
        Outcome::of(&Plan::parse(PLAN).unwrap(), json, ended).failure()
    }

    #[test]
    fn each_difference_is_told() {
        assert_eq!(failure(false, ended()), None);
        let told = |change: fn(&mut Told)| {
            let mut ended = ended();
            ended.told.as_mut().into_iter().for_each(change);
            failure(false, ended).unwrap_or_default()
        };
        assert!(told(|told| told.kind = "overflow".into()).contains("the kind is overflow"));
        assert!(told(|told| told.offset = 1).contains("the offset is 1, expected 8192"));
        assert!(told(|told| told.distance = 7).contains("the distance is 7, expected 1"));
        assert!(told(|told| told.access = "write".into()).contains("the access is write"));
        assert_eq!(told(|told| told.access = "unknown".into()), "", "some processors do not say");
        let wrong = |changed: Ended| failure(false, changed).unwrap_or_default();
        assert!(wrong(Ended { told: None, ..ended() }).contains("the report is missing"));
        assert!(wrong(Ended { stderr: String::new(), ..ended() }).contains("on stderr"));
        let aborted = ExitStatus::from_raw(libc::SIGABRT);
        assert!(wrong(Ended { status: aborted, ..ended() }).contains("the end is SIGABRT"));
        let exited = wrong(Ended { status: ExitStatus::from_raw(0), ..ended() });
        assert!(exited.starts_with("placed-guard: not as expected: the end is exit status: 0"), "{exited}");
    }

    #[test]
    fn a_report_in_json_is_read() {
        assert!(failure(true, ended()).unwrap().contains("on stderr"));
        let stderr = r#"{"kind":"overflow"}"#.to_owned();
        assert!(failure(true, Ended { stderr, ..ended() }).unwrap().contains("on stderr"));
        let stderr = "{\"kind\":\"placed-guard\"}\n".to_owned();
        assert_eq!(failure(true, Ended { stderr, ..ended() }), None);
    }
}
