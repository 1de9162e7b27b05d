//! How a cell ended, and whether that is as guaranteed.

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;
use serde::Serialize;

use super::{
    cause,
    cells::{Guarantee, LimitKind, OomSubject},
    child::OomChildOutput,
    plan::ChildEnd,
};
use crate::failure::one_line;

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Completed,
    CatchableError,
    Panic,
    ReportAndAbort,
    /// An abort without a report.
    Abort,
    OomKiller,
    /// SIGKILL from an unknown sender.
    Killed,
    Sigbus,
    Sigsegv,
    Hang,
    /// The contents were not those that were written.
    Damaged,
    /// Another way, given in the reason.
    Otherwise,
    NotApplicable,
    CannotBeDoneHere,
}

impl Ending {
    /// The ending in words.
    pub fn describe(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::CatchableError => "catchable error",
            Ending::Panic => "panic",
            Ending::ReportAndAbort => "report and abort",
            Ending::Abort => "abort",
            Ending::OomKiller => "SIGKILL (OOM killer)",
            Ending::Killed => "SIGKILL",
            Ending::Sigbus => "SIGBUS",
            Ending::Sigsegv => "SIGSEGV",
            Ending::Hang => "hang",
            Ending::Damaged => "contents damaged",
            Ending::Otherwise => "otherwise",
            Ending::NotApplicable => "not applicable",
            Ending::CannotBeDoneHere => "cannot be done here",
        }
    }

    /// Whether a child ran.
    pub fn has_run(self) -> bool {
        !matches!(self, Ending::NotApplicable | Ending::CannotBeDoneHere)
    }

    fn is_refusal(self) -> bool {
        matches!(self, Ending::CatchableError | Ending::Panic | Ending::ReportAndAbort)
    }
}

/// Whether an ending is as guaranteed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromiseVerdict {
    AsPromised,
    NotAsPromised,
    /// The library guarantees nothing for this cell.
    NoPromise,
}

/// One cell of the matrix.
#[derive(Clone, Debug, Serialize)]
pub struct CellOutcome {
    pub who: OomSubject,
    pub what: LimitKind,
    /// (`how` in JSON.)
    #[serde(rename = "how")]
    pub ending: Ending,
    /// Why it did not run, or further information.
    pub reason: Option<String>,
    /// The bytes it had allocated at the end.
    pub bytes: Option<u64>,
    pub elapsed_ns: Option<u64>,
    /// The cause that was named.
    pub cause: Option<String>,
    /// Whether that is the expected one, if a cause is guaranteed.
    pub named_correctly: Option<bool>,
    /// The first line of the report, or the error's text.
    pub message: Option<String>,
    pub verdict: PromiseVerdict,
}

impl CellOutcome {
    /// A cell that did not run.
    pub fn without(who: OomSubject, what: LimitKind, ending: Ending, reason: impl Into<String>) -> Self {
        CellOutcome {
            who,
            what,
            ending,
            reason: Some(one_line(&reason.into())),
            bytes: None,
            elapsed_ns: None,
            cause: None,
            named_correctly: None,
            message: None,
            verdict: PromiseVerdict::NoPromise,
        }
    }

    /// A cell that ran. With `tries` a refusal must be an error.
    pub fn of(
        who: OomSubject,
        what: LimitKind,
        guarantee: Guarantee,
        tries: bool,
        output: &OomChildOutput,
    ) -> Self {
        let report = cause::find_report(&output.stderr);
        let ending = ending(output, report.is_some());
        let child_report = output.report.clone();
        let text = |value: &str| Some(value.to_owned()).filter(|text| !text.is_empty());
        let (cause, message) = match (&report, child_report) {
            (Some(report), _) if ending == Ending::ReportAndAbort => {
                let of = |key: &str| report[key].as_str().and_then(text);
                (of("cause"), of("message"))
            }
            (_, Some(child)) => (child.cause, text(&child.message)),
            (_, None) => (None, text(&one_line(&output.stderr))),
        };
        if ending == Ending::CannotBeDoneHere {
            return Self::without(who, what, ending, message.unwrap_or_default());
        }
        let (verdict, named_correctly) = judge(guarantee, ending, cause.as_deref(), tries);
        let reason = (ending == Ending::Otherwise).then(|| output.status.to_string());
        CellOutcome {
            who,
            what,
            ending,
            reason,
            bytes: Some(output.bytes),
            elapsed_ns: u64::try_from(output.elapsed.as_nanos()).ok(),
            cause,
            named_correctly,
            message,
            verdict,
        }
    }

    /// The failure in one line, if the cell did not end as guaranteed.
    pub fn failure(&self) -> Option<String> {
        (self.verdict == PromiseVerdict::NotAsPromised).then(|| {
            let cause = self.cause.as_ref().map_or(String::new(), |cause| format!(" ({cause})"));
            let message = self.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
            let (what, who) = (self.what.name(), self.who.name());
            format!("{what}, {who}: not as guaranteed: {}{cause}{message}", self.ending.describe())
        })
    }
}

fn ending(output: &OomChildOutput, has_report: bool) -> Ending {
    if output.is_overdue {
        return Ending::Hang;
    }
    let signal = output.status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match (signal, output.report.as_ref().map(|report| report.end)) {
        (Some(Signal::SIGABRT), _) if has_report => Ending::ReportAndAbort,
        (Some(Signal::SIGABRT), _) => Ending::Abort,
        (Some(Signal::SIGKILL), _) if output.oom_killed == Some(true) => Ending::OomKiller,
        (Some(Signal::SIGKILL), _) => Ending::Killed,
        (Some(Signal::SIGBUS), _) => Ending::Sigbus,
        (Some(Signal::SIGSEGV), _) => Ending::Sigsegv,
        (Some(Signal::SIGXCPU), _) => Ending::Hang,
        (None, Some(end)) if output.status.success() => match end {
            ChildEnd::Completed => Ending::Completed,
            ChildEnd::Error => Ending::CatchableError,
            ChildEnd::Panic => Ending::Panic,
            ChildEnd::Damaged => Ending::Damaged,
            ChildEnd::SetupFailed => Ending::CannotBeDoneHere,
        },
        _ => Ending::Otherwise,
    }
}

fn judge(
    guarantee: Guarantee,
    ending: Ending,
    cause: Option<&str>,
    tries: bool,
) -> (PromiseVerdict, Option<bool>) {
    let verdict = |kept| if kept { PromiseVerdict::AsPromised } else { PromiseVerdict::NotAsPromised };
    match guarantee {
        Guarantee::Nothing => (PromiseVerdict::NoPromise, None),
        Guarantee::Completion => (verdict(ending == Ending::Completed), None),
        Guarantee::Refusal(causes) => {
            let is_named = cause.is_some_and(|cause| causes.contains(&cause));
            let is_refusal = if tries { ending == Ending::CatchableError } else { ending.is_refusal() };
            (verdict(is_refusal && is_named), Some(is_named))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{process::ExitStatus, time::Duration};

    use super::*;
    use crate::oom::plan::ChildReport;

    fn child_output(signal: i32) -> OomChildOutput {
        OomChildOutput {
            status: ExitStatus::from_raw(signal),
            bytes: 7,
            elapsed: Duration::from_micros(3),
            report: None,
            stderr: String::new(),
            is_overdue: false,
            oom_killed: None,
        }
    }

    fn of(output: &OomChildOutput) -> CellOutcome {
        let guarantee = Guarantee::Refusal(&["rlimit-data"]);
        CellOutcome::of(OomSubject::Headroom, LimitKind::RlimitData, guarantee, false, output)
    }

    fn with_report(end: ChildEnd, cause: Option<&str>) -> OomChildOutput {
        let report = ChildReport { end, cause: cause.map(str::to_owned), message: "why".into() };
        OomChildOutput { report: Some(report), ..child_output(0) }
    }

    const REPORT: &str = "noise\n{\"highwater\":\"oom\",\"cause\":\"rlimit-data\",\"message\":\"arena\"}\n";

    #[test]
    fn a_report_with_the_expected_cause_is_as_guaranteed() {
        let outcome = of(&OomChildOutput { stderr: REPORT.into(), ..child_output(libc::SIGABRT) });
        assert_eq!((outcome.ending, outcome.verdict), (Ending::ReportAndAbort, PromiseVerdict::AsPromised));
        assert_eq!((outcome.cause.as_deref(), outcome.named_correctly), (Some("rlimit-data"), Some(true)));
        assert_eq!((outcome.message.as_deref(), outcome.bytes), (Some("arena"), Some(7)));
        assert_eq!(outcome.failure(), None);
    }

    #[test]
    fn every_ending_has_a_name() {
        for (signal, ending) in [
            (libc::SIGABRT, Ending::Abort),
            (libc::SIGKILL, Ending::Killed),
            (libc::SIGBUS, Ending::Sigbus),
            (libc::SIGSEGV, Ending::Sigsegv),
            (libc::SIGXCPU, Ending::Hang),
            (libc::SIGTERM, Ending::Otherwise),
            (3 << 8, Ending::Otherwise),
            (0, Ending::Otherwise),
        ] {
            let outcome = of(&child_output(signal));
            assert_eq!((outcome.ending, outcome.verdict), (ending, PromiseVerdict::NotAsPromised));
            assert!(outcome.failure().unwrap().starts_with("rlimit-data, headroom: not as guaranteed: "));
        }
        assert_eq!(
            of(&OomChildOutput { oom_killed: Some(true), ..child_output(libc::SIGKILL) }).ending,
            Ending::OomKiller
        );
        assert_eq!(
            of(&OomChildOutput { is_overdue: true, ..child_output(libc::SIGKILL) }).ending,
            Ending::Hang
        );
        for (end, ending) in [
            (ChildEnd::Completed, Ending::Completed),
            (ChildEnd::Error, Ending::CatchableError),
            (ChildEnd::Panic, Ending::Panic),
            (ChildEnd::Damaged, Ending::Damaged),
            (ChildEnd::SetupFailed, Ending::CannotBeDoneHere),
        ] {
            assert_eq!(of(&with_report(end, None)).ending, ending);
        }
    }

    #[test]
    fn a_wrong_cause_is_not_as_guaranteed() {
        let outcome = of(&with_report(ChildEnd::Error, Some("kernel")));
        assert_eq!((outcome.verdict, outcome.named_correctly), (PromiseVerdict::NotAsPromised, Some(false)));
        assert!(outcome.failure().unwrap().ends_with("catchable error (kernel): why"));
        assert_eq!(
            of(&with_report(ChildEnd::Error, Some("rlimit-data"))).verdict,
            PromiseVerdict::AsPromised
        );
    }

    #[test]
    fn cells_that_could_not_run_are_not_judged() {
        let outcome = of(&with_report(ChildEnd::SetupFailed, None));
        assert_eq!((outcome.verdict, outcome.bytes), (PromiseVerdict::NoPromise, None));
        assert_eq!(outcome.reason.as_deref(), Some("why"));
    }

    #[test]
    fn endings_are_judged_by_the_guarantee() {
        let refusal = Guarantee::Refusal(&["a"]);
        let kept = |guarantee, ending, cause, tries| judge(guarantee, ending, cause, tries).0;
        assert_eq!(kept(refusal, Ending::Panic, Some("a"), false), PromiseVerdict::AsPromised);
        assert_eq!(kept(refusal, Ending::Panic, Some("a"), true), PromiseVerdict::NotAsPromised);
        assert_eq!(kept(refusal, Ending::CatchableError, Some("a"), true), PromiseVerdict::AsPromised);
        assert_eq!(kept(refusal, Ending::OomKiller, None, false), PromiseVerdict::NotAsPromised);
        assert_eq!(kept(refusal, Ending::Completed, None, false), PromiseVerdict::NotAsPromised);
        assert_eq!(kept(Guarantee::Completion, Ending::Completed, None, true), PromiseVerdict::AsPromised);
        assert_eq!(
            kept(Guarantee::Completion, Ending::Panic, Some("a"), false),
            PromiseVerdict::NotAsPromised
        );
        assert_eq!(kept(Guarantee::Nothing, Ending::OomKiller, None, false), PromiseVerdict::NoPromise);
    }
}
