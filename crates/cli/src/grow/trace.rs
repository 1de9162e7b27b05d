//! Where the frontiers were, and when.

/// A growth step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// On the monotonic clock.
    pub at_ns: u64,
    /// It took so long.
    pub duration_ns: u64,
    /// Where the frontier was.
    pub from: u64,
    /// How far it moved.
    pub bytes: u64,
}

/// One region's frontier.
#[derive(Debug, Default)]
pub struct Line {
    /// Oldest first; the ring they come from may have lost the first ones.
    pub steps: Vec<Step>,
    /// How many there were in all.
    pub all_steps: u64,
    /// Looked up now and then while the job ran: time and frontier.
    pub samples: Vec<(u64, u64)>,
    /// Where it began.
    pub head: u64,
    /// Where it ended.
    pub committed: u64,
}

impl Line {
    /// Does the ring still hold every step?
    pub fn is_complete(&self) -> bool {
        self.steps.len() as u64 >= self.all_steps
    }

    /// The frontier as corners of a line, in time relative to `start` and bytes.
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
        // Steps of several threads in one region overlap; a frontier does not go back.
        let mut most = 0;
        for (_, bytes) in &mut corners {
            most = most.max(*bytes);
            *bytes = most;
        }
        corners
    }
}

/// All regions of a run.
#[derive(Debug)]
pub struct Trace {
    /// When the job began, on the monotonic clock.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// One for each thread.
    pub lines: Vec<Line>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at_ns: u64, from: u64) -> Step {
        Step { at_ns, duration_ns: 2, from, bytes: 10 }
    }

    #[test]
    fn complete_lines_are_steps() {
        let line = Line {
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
        let line = Line {
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
    fn no_steps_are_a_level_line() {
        let line = Line { head: 7, committed: 7, ..Line::default() };
        assert_eq!(line.corners(100, 120), [(0, 7), (20, 7)]);
    }
}
