//! How a cell ended, and whether that is what was promised.

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;
use serde::Serialize;

use super::{
    cells::{Promise, What, Who},
    child::Ended,
    naming,
    plan::End,
};
use crate::failure::one_line;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    Completed,
    CatchableError,
    Panic,
    ReportAndAbort,
    /// Without a report.
    Abort,
    OomKiller,
    /// SIGKILL by nobody knows whom.
    Killed,
    Sigbus,
    Sigsegv,
    Hang,
    /// What was written is not what was read.
    Damaged,
    /// Some other way, which the reason tells.
    Otherwise,
    NotApplicable,
    CannotBeDoneHere,
}

impl How {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            How::Completed => "completed",
            How::CatchableError => "catchable error",
            How::Panic => "panic",
            How::ReportAndAbort => "report and abort",
            How::Abort => "abort",
            How::OomKiller => "SIGKILL (OOM killer)",
            How::Killed => "SIGKILL",
            How::Sigbus => "SIGBUS",
            How::Sigsegv => "SIGSEGV",
            How::Hang => "hang",
            How::Damaged => "contents damaged",
            How::Otherwise => "otherwise",
            How::NotApplicable => "not applicable",
            How::CannotBeDoneHere => "cannot be done here",
        }
    }

    /// Whether there was a child that did its work.
    pub fn has_run(self) -> bool {
        !matches!(self, How::NotApplicable | How::CannotBeDoneHere)
    }

    fn is_refusal(self) -> bool {
        matches!(self, How::CatchableError | How::Panic | How::ReportAndAbort)
    }
}

/// Beside what was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    AsPromised,
    NotAsPromised,
    /// There is nothing to compare with.
    NoPromise,
}

/// One cell of the matrix.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub who: Who,
    pub what: What,
    pub how: How,
    /// Why it did not run, or what is known besides.
    pub reason: Option<String>,
    /// What it had by then.
    pub bytes: Option<u64>,
    pub elapsed_ns: Option<u64>,
    /// The cause that was named.
    pub cause: Option<String>,
    /// Whether that is the right one, where one was to be named.
    pub named_correctly: Option<bool>,
    /// The first line of the report, or the error's text.
    pub message: Option<String>,
    pub verdict: Verdict,
}

impl Outcome {
    /// One that did not run.
    pub fn without(who: Who, what: What, how: How, reason: impl Into<String>) -> Self {
        Outcome {
            who,
            what,
            how,
            reason: Some(one_line(&reason.into())),
            bytes: None,
            elapsed_ns: None,
            cause: None,
            named_correctly: None,
            message: None,
            verdict: Verdict::NoPromise,
        }
    }

    /// One that did. With `tries` a refusal has to be an error.
    pub fn of(who: Who, what: What, promise: Promise, tries: bool, ended: &Ended) -> Self {
        let report = naming::report(&ended.stderr);
        let how = how(ended, report.is_some());
        let told = ended.told.clone();
        let text = |value: &str| Some(value.to_owned()).filter(|text| !text.is_empty());
        let (cause, message) = match (&report, told) {
            (Some(report), _) if how == How::ReportAndAbort => {
                let of = |key: &str| report[key].as_str().and_then(text);
                (of("cause"), of("message"))
            }
            (_, Some(told)) => (told.cause, text(&told.message)),
            (_, None) => (None, text(&one_line(&ended.stderr))),
        };
        if how == How::CannotBeDoneHere {
            return Self::without(who, what, how, message.unwrap_or_default());
        }
        let (verdict, named_correctly) = judge(promise, how, cause.as_deref(), tries);
        let reason = (how == How::Otherwise).then(|| ended.status.to_string());
        Outcome {
            who,
            what,
            how,
            reason,
            bytes: Some(ended.bytes),
            elapsed_ns: u64::try_from(ended.elapsed.as_nanos()).ok(),
            cause,
            named_correctly,
            message,
            verdict,
        }
    }

    /// What is wrong, in one line.
    pub fn failure(&self) -> Option<String> {
        (self.verdict == Verdict::NotAsPromised).then(|| {
            let cause = self.cause.as_ref().map_or(String::new(), |cause| format!(" ({cause})"));
            let message = self.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
            let (what, who) = (self.what.name(), self.who.name());
            format!("{what}, {who}: not as promised: {}{cause}{message}", self.how.words())
        })
    }
}

fn how(ended: &Ended, has_report: bool) -> How {
    if ended.is_overdue {
        return How::Hang;
    }
    let signal = ended.status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match (signal, ended.told.as_ref().map(|told| told.end)) {
        (Some(Signal::SIGABRT), _) if has_report => How::ReportAndAbort,
        (Some(Signal::SIGABRT), _) => How::Abort,
        (Some(Signal::SIGKILL), _) if ended.oom_killed == Some(true) => How::OomKiller,
        (Some(Signal::SIGKILL), _) => How::Killed,
        (Some(Signal::SIGBUS), _) => How::Sigbus,
        (Some(Signal::SIGSEGV), _) => How::Sigsegv,
        (Some(Signal::SIGXCPU), _) => How::Hang,
        (None, Some(end)) if ended.status.success() => match end {
            End::Completed => How::Completed,
            End::Error => How::CatchableError,
            End::Panic => How::Panic,
            End::Damaged => How::Damaged,
            End::Cannot => How::CannotBeDoneHere,
        },
        _ => How::Otherwise,
    }
}

fn judge(promise: Promise, how: How, cause: Option<&str>, tries: bool) -> (Verdict, Option<bool>) {
    let verdict = |is_kept| if is_kept { Verdict::AsPromised } else { Verdict::NotAsPromised };
    match promise {
        Promise::Nothing => (Verdict::NoPromise, None),
        Promise::Completion => (verdict(how == How::Completed), None),
        Promise::Refusal(causes) => {
            let is_named = cause.is_some_and(|cause| causes.contains(&cause));
            let is_refusal = if tries { how == How::CatchableError } else { how.is_refusal() };
            (verdict(is_refusal && is_named), Some(is_named))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{process::ExitStatus, time::Duration};

    use super::*;
    use crate::oom::plan::Told;

    fn ended(signal: i32) -> Ended {
        Ended {
            status: ExitStatus::from_raw(signal),
            bytes: 7,
            elapsed: Duration::from_micros(3),
            told: None,
            stderr: String::new(),
            is_overdue: false,
            oom_killed: None,
        }
    }

    fn of(ended: &Ended) -> Outcome {
        let promise = Promise::Refusal(&["rlimit-data"]);
        Outcome::of(Who::Headroom, What::RlimitData, promise, false, ended)
    }

    fn told(end: End, cause: Option<&str>) -> Ended {
        let told = Told { end, cause: cause.map(str::to_owned), message: "why".into() };
        Ended { told: Some(told), ..ended(0) }
    }

    const REPORT: &str = "noise\n{\"highwater\":\"oom\",\"cause\":\"rlimit-data\",\"message\":\"arena\"}\n";

    #[test]
    fn a_report_and_the_right_cause_are_as_promised() {
        let outcome = of(&Ended { stderr: REPORT.into(), ..ended(libc::SIGABRT) });
        assert_eq!((outcome.how, outcome.verdict), (How::ReportAndAbort, Verdict::AsPromised));
        assert_eq!((outcome.cause.as_deref(), outcome.named_correctly), (Some("rlimit-data"), Some(true)));
        assert_eq!((outcome.message.as_deref(), outcome.bytes), (Some("arena"), Some(7)));
        assert_eq!(outcome.failure(), None);
    }

    #[test]
    fn every_way_to_end_has_a_name() {
        for (signal, how) in [
            (libc::SIGABRT, How::Abort),
            (libc::SIGKILL, How::Killed),
            (libc::SIGBUS, How::Sigbus),
            (libc::SIGSEGV, How::Sigsegv),
            (libc::SIGXCPU, How::Hang),
            (libc::SIGTERM, How::Otherwise),
            (3 << 8, How::Otherwise),
            (0, How::Otherwise),
        ] {
            let outcome = of(&ended(signal));
            assert_eq!((outcome.how, outcome.verdict), (how, Verdict::NotAsPromised));
            assert!(outcome.failure().unwrap().starts_with("rlimit-data, headroom: not as promised: "));
        }
        assert_eq!(of(&Ended { oom_killed: Some(true), ..ended(libc::SIGKILL) }).how, How::OomKiller);
        assert_eq!(of(&Ended { is_overdue: true, ..ended(libc::SIGKILL) }).how, How::Hang);
        for (end, how) in [
            (End::Completed, How::Completed),
            (End::Error, How::CatchableError),
            (End::Panic, How::Panic),
            (End::Damaged, How::Damaged),
            (End::Cannot, How::CannotBeDoneHere),
        ] {
            assert_eq!(of(&told(end, None)).how, how);
        }
    }

    #[test]
    fn a_wrong_cause_is_not_as_promised() {
        let outcome = of(&told(End::Error, Some("kernel")));
        assert_eq!((outcome.verdict, outcome.named_correctly), (Verdict::NotAsPromised, Some(false)));
        assert!(outcome.failure().unwrap().ends_with("catchable error (kernel): why"));
        assert_eq!(of(&told(End::Error, Some("rlimit-data"))).verdict, Verdict::AsPromised);
    }

    #[test]
    fn what_could_not_run_is_not_judged() {
        let outcome = of(&told(End::Cannot, None));
        assert_eq!((outcome.verdict, outcome.bytes), (Verdict::NoPromise, None));
        assert_eq!(outcome.reason.as_deref(), Some("why"));
    }

    #[test]
    fn each_promise_has_its_measure() {
        let refusal = Promise::Refusal(&["a"]);
        let kept = |promise, how, cause, tries| judge(promise, how, cause, tries).0;
        assert_eq!(kept(refusal, How::Panic, Some("a"), false), Verdict::AsPromised);
        assert_eq!(kept(refusal, How::Panic, Some("a"), true), Verdict::NotAsPromised);
        assert_eq!(kept(refusal, How::CatchableError, Some("a"), true), Verdict::AsPromised);
        assert_eq!(kept(refusal, How::OomKiller, None, false), Verdict::NotAsPromised);
        assert_eq!(kept(refusal, How::Completed, None, false), Verdict::NotAsPromised);
        assert_eq!(kept(Promise::Completion, How::Completed, None, true), Verdict::AsPromised);
        assert_eq!(kept(Promise::Completion, How::Panic, Some("a"), false), Verdict::NotAsPromised);
        assert_eq!(kept(Promise::Nothing, How::OomKiller, None, false), Verdict::NoPromise);
    }
}
