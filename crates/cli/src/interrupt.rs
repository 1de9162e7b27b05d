//! Ctrl-C: the run stops at the next convenient point and shows what it has.

use std::{
    process,
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::failure::{Failure, INTERRUPTED};

static REQUESTED: AtomicBool = AtomicBool::new(false);
static CHILD: AtomicI32 = AtomicI32::new(0);

/// A SIGINT that follows the first one faster than this is the same Ctrl-C: sent to the process and to its group,
/// as `timeout` does, or forwarded by a parent.
const SAME_PRESS: Duration = Duration::from_millis(500);

/// How long the flag may take to be set after a child has failed.
const GRACE: Duration = Duration::from_millis(200);

/// Whether a second Ctrl-C ends the process at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SecondCtrlC {
    Exit,
    /// For a child of a run, which gets the terminal's SIGINT and the one its parent forwards, and for a run that
    /// must not leave anything behind.
    Ignore,
}

/// Installs the handler: from here on Ctrl-C only sets a flag.
pub fn install(second: SecondCtrlC) -> Result<(), Failure> {
    let mut first = None;
    ctrlc::set_handler(move || {
        REQUESTED.store(true, Ordering::Relaxed);
        let since = first.get_or_insert_with(Instant::now).elapsed();
        if since > SAME_PRESS && second == SecondCtrlC::Exit {
            process::exit(INTERRUPTED.into());
        }
        let child = CHILD.load(Ordering::Relaxed);
        if child > 0 {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(child), Signal::SIGINT);
        }
    })
    .map_err(|error| Failure::runtime(format!("cannot handle Ctrl-C: {error}")))
}

/// Whether Ctrl-C has been pressed.
#[inline]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Whether Ctrl-C has been pressed, asked after a child has failed. The terminal sends SIGINT to the child as well, and
/// its end may be noticed here before another thread has set the flag; so this waits briefly for it.
pub fn requested_soon() -> bool {
    set_within(GRACE, &REQUESTED)
}

fn set_within(limit: Duration, flag: &AtomicBool) -> bool {
    let start = Instant::now();
    while !flag.load(Ordering::Relaxed) && start.elapsed() < limit {
        thread::sleep(Duration::from_millis(1));
    }
    flag.load(Ordering::Relaxed)
}

/// Sets the process that Ctrl-C is forwarded to. `None` before it is waited for, since its id can be reused then.
pub fn forward_to(child: Option<u32>) {
    let id = child.and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
    CHILD.store(id, Ordering::Relaxed);
    if requested() && id > 0 {
        // Ctrl-C was pressed between the start of the child and this call.
        let _ = kill(Pid::from_raw(id), Signal::SIGINT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_is_set_late() {
        static LATE: AtomicBool = AtomicBool::new(false);
        assert!(!set_within(Duration::from_millis(2), &LATE));
        let setter = thread::spawn(|| {
            thread::sleep(Duration::from_millis(5));
            LATE.store(true, Ordering::Relaxed);
        });
        assert!(set_within(Duration::from_secs(60), &LATE));
        setter.join().unwrap();
    }
}
