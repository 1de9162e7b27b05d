//! The course of frontiers over time.

/// A growth step.
#[derive(Debug, Clone, Copy)]
pub struct FrontierStep {
    /// Its start on the monotonic clock.
    pub at_ns: u64,
    /// Its duration.
    pub duration_ns: u64,
    /// The frontier before it.
    pub from: u64,
    /// The bytes by which it moved.
    pub bytes: u64,
}

/// The frontier of one region.
#[derive(Debug, Default)]
pub struct FrontierLine {
    /// Oldest first; the first ones may be missing, since they are recorded in a ring.
    pub steps: Vec<FrontierStep>,
    /// The total number of steps.
    pub all_steps: u64,
    /// Samples taken while the job ran: time and frontier.
    pub samples: Vec<(u64, u64)>,
    /// The frontier at the start.
    pub head: u64,
    /// The frontier at the end.
    pub committed: u64,
}

impl FrontierLine {
    /// Whether every step is recorded.
    pub fn is_complete(&self) -> bool {
        self.steps.len() as u64 >= self.all_steps
    }

    /// The frontier as corners of a line: time relative to `start`, and bytes.
    pub fn corners(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let since = |at: u64| at.saturating_sub(start);
        let known = self.steps.first().map_or(u64::MAX, |step| step.at_ns);
        let mut corners = Vec::with_capacity(2 * self.steps.len() + self.samples.len() + 2);
        corners.push((0, self.head));
        if !self.is_complete() {
            corners.extend(self.samples.iter().filter(|(at, _)| *at < known).map(|&(at, n)| (since(at), n)));
        }
        for step in &self.steps {
            corners.push((since(step.at_ns), step.from));
            corners.push((since(step.at_ns + step.duration_ns), step.from + step.bytes));
        }
        corners.push((since(end), self.committed));
        // Steps of several threads in one region overlap; a frontier never moves back.
        let mut max = 0;
        for (_, bytes) in &mut corners {
            max = max.max(*bytes);
            *bytes = max;
        }
        corners
    }
}

/// The frontiers of all regions of a run.
#[derive(Debug)]
pub struct FrontierTrace {
    /// The start of the job on the monotonic clock.
    pub start_ns: u64,
    /// The end of the job.
    pub end_ns: u64,
    /// One for each thread.
    pub lines: Vec<FrontierLine>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at_ns: u64, from: u64) -> FrontierStep {
        FrontierStep { at_ns, duration_ns: 2, from, bytes: 10 }
    }

    #[test]
    fn complete_lines_are_steps() {
        let line = FrontierLine {
            steps: vec![step(105, 4), step(110, 14)],
            all_steps: 2,
            samples: vec![(100, 4)],
            head: 4,
            committed: 24,
        };
        assert!(line.is_complete());
        assert_eq!(line.corners(100, 120), [(0, 4), (5, 4), (7, 14), (10, 14), (12, 24), (20, 24)]);
    }

    #[test]
    fn samples_stand_in_for_lost_steps() {
        let line = FrontierLine {
            steps: vec![step(110, 14)],
            all_steps: 2,
            samples: vec![(101, 4), (108, 14), (115, 24)],
            head: 4,
            committed: 24,
        };
        assert!(!line.is_complete());
        assert_eq!(line.corners(100, 120), [(0, 4), (1, 4), (8, 14), (10, 14), (12, 24), (20, 24)]);
    }

    #[test]
    fn without_steps_the_line_is_level() {
        let line = FrontierLine { head: 7, committed: 7, ..FrontierLine::default() };
        assert_eq!(line.corners(100, 120), [(0, 7), (20, 7)]);
    }
}
