//! Ctrl-C: the run stops at the next convenient place and shows what it has.

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

/// What follows the first Ctrl-C faster than this is the same one: sent to the process and to its group,
/// as `timeout` does, or passed on by a parent.
const SAME: Duration = Duration::from_millis(500);

/// What the flag gets to be set in when a child has failed.
const MOMENT: Duration = Duration::from_millis(200);

/// Whether a second Ctrl-C ends the process on the spot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Second {
    Exits,
    /// For a run under a parent: it hears the terminal's Ctrl-C and the one its parent passes on. And for one that
    /// must not leave anything behind.
    IsIgnored,
}

/// From here on Ctrl-C only sets a flag.
pub fn install(second: Second) -> Result<(), Failure> {
    let mut first = None;
    ctrlc::set_handler(move || {
        REQUESTED.store(true, Ordering::Relaxed);
        let since = first.get_or_insert_with(Instant::now).elapsed();
        if since > SAME && second == Second::Exits {
            process::exit(INTERRUPTED.into());
        }
        let child = CHILD.load(Ordering::Relaxed);
        if child > 0 {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(child), Signal::SIGINT);
        }
    })
    .map_err(|error| Failure::during(format!("cannot listen for Ctrl-C: {error}")))
}

/// Has Ctrl-C been pressed?
#[inline]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// After a child has failed: has Ctrl-C been pressed? The terminal sends it to the child as well, whose end may be
/// noticed here before the flag is set, by another thread; so it gets a moment.
pub fn settled() -> bool {
    within(MOMENT, &REQUESTED)
}

fn within(moment: Duration, flag: &AtomicBool) -> bool {
    let start = Instant::now();
    while !flag.load(Ordering::Relaxed) && start.elapsed() < moment {
        thread::sleep(Duration::from_millis(1));
    }
    flag.load(Ordering::Relaxed)
}

/// The process a Ctrl-C is passed on to. `None` before it is waited for, since its id is then free
/// for others.
pub fn pass_on_to(child: Option<u32>) {
    let id = child.and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
    CHILD.store(id, Ordering::Relaxed);
    if requested() && id > 0 {
        // Pressed between the start of the child and this call.
        let _ = kill(Pid::from_raw(id), Signal::SIGINT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_comes_late() {
        static LATE: AtomicBool = AtomicBool::new(false);
        assert!(!within(Duration::from_millis(2), &LATE));
        let setter = thread::spawn(|| {
            thread::sleep(Duration::from_millis(5));
            LATE.store(true, Ordering::Relaxed);
        });
        assert!(within(Duration::from_secs(60), &LATE));
        setter.join().unwrap();
    }
}
