//! Measures the processor time of a computation, which other programs do not affect.

use crate::machine;

/// Runs a computation, and returns its processor time in nanoseconds. (Never zero, so that it can be a divisor.)
pub fn time<R>(run: impl FnOnce() -> R) -> (f64, R) {
    let start = machine::thread_cpu_ns();
    let result = run();
    let elapsed = machine::thread_cpu_ns().saturating_sub(start);
    (elapsed.max(1) as f64, result)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sleeping_takes_no_time() {
        let nap = Duration::from_millis(50);
        let (elapsed, ()) = time(|| std::thread::sleep(nap));
        assert!(elapsed >= 1.0 && elapsed < nap.as_nanos() as f64, "{elapsed}");
    }
}
