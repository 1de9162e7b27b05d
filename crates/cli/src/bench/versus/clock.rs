//! The processor's time of this thread, which is what a computation takes whoever else has work for the processor.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Runs it, and gives how many nanoseconds of the processor it took. (Never zero, so that it may be divided by.)
pub fn time<R>(run: impl FnOnce() -> R) -> Result<(f64, R), String> {
    let start = now()?;
    let result = run();
    let took = now()?.saturating_sub(start);
    Ok((took.as_nanos().max(1) as f64, result))
}

fn now() -> Result<Duration, String> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    now.map(Duration::from).map_err(|error| format!("cannot read the processor's time: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_no_time() {
        let nap = Duration::from_millis(50);
        let (took, ()) = time(|| std::thread::sleep(nap)).unwrap();
        assert!(took >= 1.0 && took < nap.as_nanos() as f64, "{took}");
    }
}
