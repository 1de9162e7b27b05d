//! Runs a child and follows its progress.

use std::{
    env,
    io::{BufRead as _, BufReader, Read},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use highwater::stats::now_ns;

use super::plan::{ChildReport, OomPlan};
use crate::interrupt;

/// The interval of checks.
const TICK: Duration = Duration::from_millis(2);
/// A max for stderr; no report is longer.
const MAX_STDERR: u64 = 1 << 20;

/// The output of a child that has ended.
#[derive(Debug)]
pub struct OomChildOutput {
    pub status: ExitStatus,
    /// The bytes it had allocated, as far as it printed them.
    pub bytes: u64,
    /// From the first allocation to the end.
    pub elapsed: Duration,
    pub report: Option<ChildReport>,
    pub stderr: String,
    /// It was killed after the time limit.
    pub is_overdue: bool,
    /// Whether the OOM killer killed it, if that is known.
    pub oom_killed: Option<bool>,
}

/// Runs a child to its end or to the time limit; `None` if Ctrl-C was pressed meanwhile.
pub fn run(
    plan: &OomPlan,
    timeout: Duration,
    mut on_progress: impl FnMut(u64),
) -> Result<Option<OomChildOutput>, String> {
    let cannot = |error| format!("cannot start a child: {error}");
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    let start = Instant::now();
    let mut child = Command::new(env::current_exe().map_err(cannot)?)
        .args(["oom", "--child", &text])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    let bytes = Arc::new(AtomicU64::new(0));
    let reader = child.stdout.take().map(|stdout| read_stdout(stdout, Arc::clone(&bytes)));
    let stderr = child.stderr.take().map(read_stderr);
    let (status, is_overdue) = wait(&mut child, start + timeout, || on_progress(bytes.load(Relaxed)));
    let progress = reader.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let stderr = stderr.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let Some(status) = status else { return Ok(None) };
    // Without a report it ended when the pipe was closed.
    let ended = if progress.report.is_some() { progress.last_ns } else { progress.closed_ns };
    let elapsed = match progress.started_ns {
        Some(started) => Duration::from_nanos(ended.saturating_sub(started)),
        None => start.elapsed(),
    };
    let bytes = bytes.load(Relaxed);
    Ok(Some(OomChildOutput {
        status,
        bytes,
        elapsed,
        report: progress.report,
        stderr,
        is_overdue,
        oom_killed: None,
    }))
}

/// Waits for the child; kills it after the time limit, or after Ctrl-C, and then returns no status.
fn wait(child: &mut Child, end: Instant, mut tick: impl FnMut()) -> (Option<ExitStatus>, bool) {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return (Some(status), false);
        }
        let (is_cancelled, is_overdue) = (interrupt::requested(), Instant::now() >= end);
        if is_cancelled || is_overdue {
            // The child may have ended by itself.
            let _ = child.kill();
            let status = child.wait().ok();
            return (status.filter(|_| !is_cancelled), is_overdue);
        }
        tick();
        thread::sleep(TICK);
    }
}

/// What a child has printed on stdout. Times are of the monotonic clock, which all processes share.
#[derive(Default)]
struct ChildProgress {
    started_ns: Option<u64>,
    last_ns: u64,
    closed_ns: u64,
    report: Option<ChildReport>,
}

impl ChildProgress {
    /// Reads a line: two numbers are the bytes so far and the time; JSON is the final report.
    fn read_line(&mut self, line: &str) -> Option<u64> {
        if let Some((bytes, ns)) = line.split_once(' ')
            && let (Ok(bytes), Ok(ns)) = (bytes.parse(), ns.parse())
        {
            self.started_ns.get_or_insert(ns);
            self.last_ns = ns;
            return Some(bytes);
        }
        self.report = serde_json::from_str(line).ok().or(self.report.take());
        None
    }
}

fn read_stdout(stdout: ChildStdout, bytes: Arc<AtomicU64>) -> JoinHandle<ChildProgress> {
    thread::spawn(move || {
        let mut progress = ChildProgress::default();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(reached) = progress.read_line(&line) {
                bytes.store(reached, Relaxed);
            }
        }
        progress.closed_ns = now_ns();
        progress
    })
}

fn read_stderr(pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut pipe = pipe.take(MAX_STDERR);
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oom::plan::ChildEnd;

    #[test]
    fn lines_of_a_child() {
        let mut progress = ChildProgress::default();
        assert_eq!(progress.read_line("0 100"), Some(0));
        assert_eq!(progress.read_line("65536 300"), Some(65536));
        assert_eq!(progress.read_line("memory allocation failed"), None);
        assert!(progress.report.is_none());
        assert_eq!(progress.read_line("{\"end\":\"panic\",\"cause\":\"region-limit\"}"), None);
        assert_eq!(progress.read_line("655"), None, "cut short by SIGKILL");
        assert_eq!((progress.started_ns, progress.last_ns), (Some(100), 300));
        let report =
            ChildReport { end: ChildEnd::Panic, cause: Some("region-limit".into()), message: String::new() };
        assert_eq!(progress.report, Some(report));
    }
}
