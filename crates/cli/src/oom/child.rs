//! Running a child, and watching how far it comes.

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

use super::plan::{Plan, Told};
use crate::interrupt;

/// Between two looks.
const TICK: Duration = Duration::from_millis(2);
/// No report is longer.
const MOST_STDERR: u64 = 1 << 20;

/// What is known of a child that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// What it had by then, as far as it told.
    pub bytes: u64,
    /// From the first allocation to the end.
    pub elapsed: Duration,
    pub told: Option<Told>,
    pub stderr: String,
    /// It was killed because it took too long.
    pub is_overdue: bool,
    /// The OOM killer was there, if that is known.
    pub oom_killed: Option<bool>,
}

/// Runs one to its end, at most for so long; `None` if Ctrl-C was pressed meanwhile.
pub fn run(plan: &Plan, patience: Duration, mut seen: impl FnMut(u64)) -> Result<Option<Ended>, String> {
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
    let listener = child.stdout.take().map(|stdout| listen(stdout, Arc::clone(&bytes)));
    let stderr = child.stderr.take().map(collect);
    let (status, is_overdue) = wait(&mut child, start + patience, || seen(bytes.load(Relaxed)));
    let heard = listener.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let stderr = stderr.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let Some(status) = status else { return Ok(None) };
    // Without last words its end is that of the pipe.
    let ended = if heard.told.is_some() { heard.last_ns } else { heard.closed_ns };
    let elapsed = match heard.began_ns {
        Some(began) => Duration::from_nanos(ended.saturating_sub(began)),
        None => start.elapsed(),
    };
    let bytes = bytes.load(Relaxed);
    Ok(Some(Ended { status, bytes, elapsed, told: heard.told, stderr, is_overdue, oom_killed: None }))
}

/// Waits, and kills what takes too long or is not wanted any more; then there is no status.
fn wait(child: &mut Child, end: Instant, mut tick: impl FnMut()) -> (Option<ExitStatus>, bool) {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return (Some(status), false);
        }
        let (is_unwanted, is_overdue) = (interrupt::requested(), Instant::now() >= end);
        if is_unwanted || is_overdue {
            // It may have ended by itself.
            let _ = child.kill();
            let status = child.wait().ok();
            return (status.filter(|_| !is_unwanted), is_overdue);
        }
        tick();
        thread::sleep(TICK);
    }
}

/// What was heard on a child's stdout. Times are monotonic, and the same clock is everybody's.
#[derive(Default)]
struct Heard {
    began_ns: Option<u64>,
    last_ns: u64,
    closed_ns: u64,
    told: Option<Told>,
}

impl Heard {
    /// Two numbers say how far it is and when, JSON how it ended.
    fn line(&mut self, line: &str) -> Option<u64> {
        if let Some((bytes, ns)) = line.split_once(' ')
            && let (Ok(bytes), Ok(ns)) = (bytes.parse(), ns.parse())
        {
            self.began_ns.get_or_insert(ns);
            self.last_ns = ns;
            return Some(bytes);
        }
        self.told = serde_json::from_str(line).ok().or(self.told.take());
        None
    }
}

fn listen(stdout: ChildStdout, bytes: Arc<AtomicU64>) -> JoinHandle<Heard> {
    thread::spawn(move || {
        let mut heard = Heard::default();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(reached) = heard.line(&line) {
                bytes.store(reached, Relaxed);
            }
        }
        heard.closed_ns = now_ns();
        heard
    })
}

fn collect(pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut pipe = pipe.take(MOST_STDERR);
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oom::plan::End;

    #[test]
    fn lines_of_a_child() {
        let mut heard = Heard::default();
        assert_eq!(heard.line("0 100"), Some(0));
        assert_eq!(heard.line("65536 300"), Some(65536));
        assert_eq!(heard.line("memory allocation failed"), None);
        assert!(heard.told.is_none());
        assert_eq!(heard.line("{\"end\":\"panic\",\"cause\":\"region-limit\"}"), None);
        assert_eq!(heard.line("655"), None, "cut short by SIGKILL");
        assert_eq!((heard.began_ns, heard.last_ns), (Some(100), 300));
        let told = Told { end: End::Panic, cause: Some("region-limit".into()), message: String::new() };
        assert_eq!(heard.told, Some(told));
    }
}
