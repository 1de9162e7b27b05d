//! Cases of a test binary in a memory cgroup, alone and beside each other.

use super::cgroup::Cgroup;
use super::{Ended, oom, spawn_case};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

impl Cgroup {
    /// Starts a case of this test binary in this cgroup, and waits until it has written a line: then it is ready. It is
    /// killed when what is returned is dropped.
    pub fn neighbour(&self, case: &str, change: impl FnOnce(&mut Command)) -> Neighbour {
        let mut child = spawn_case(case, |command| {
            self.join(command);
            change(command);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        });
        let lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.ends_with(READY));
        assert!(ready, "the neighbour {case} did not start: {:?}", child.try_wait());
        Neighbour(child)
    }

    /// Runs a case of this test binary in this cgroup.
    pub fn run(&self, case: &str, change: impl FnOnce(&mut Command)) -> Option<Ended> {
        oom::child_changed(case, |command| {
            self.join(command);
            change(command);
        })
    }
}

/// What a neighbour writes when it is ready.
pub const READY: &str = "ready to be a neighbour";

/// A process in a cgroup beside the one that is tested.
pub struct Neighbour(Child);

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
