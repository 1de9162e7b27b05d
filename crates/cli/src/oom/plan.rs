//! The plan of one child, and its report.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cells::{LimitKind, OomSubject};

/// The plan of one cell. The child gets it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomPlan {
    pub who: OomSubject,
    pub what: LimitKind,
    /// How much to allocate, in bytes.
    pub size: usize,
    /// How much it gets of the limited resource, in bytes.
    pub memory: usize,
    /// Use the arena's calls that return errors.
    pub tries: bool,
    /// The limit of CPU time.
    pub seconds: u64,
    /// The process with which the child dies.
    pub parent: u32,
    /// The file that moves a process into the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// The directory for files.
    pub spill_dir: PathBuf,
}

impl OomPlan {
    /// Parses the argument of the child.
    pub fn parse(text: &str) -> Result<OomPlan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// How the work of a child ended, as it reports itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChildEnd {
    /// Everything was allocated.
    Completed,
    /// A call returned an error.
    Error,
    /// A call panicked.
    Panic,
    /// The contents were not those that were written.
    Damaged,
    /// The limits could not be set up.
    SetupFailed,
}

/// The final report of a child that was not killed: one line of JSON on stdout, after a line for each step with the
/// bytes so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildReport {
    pub end: ChildEnd,
    /// The name of the cause, if one was named.
    #[serde(default)]
    pub cause: Option<String>,
    #[serde(default)]
    pub message: String,
}

impl ChildReport {
    /// A report without a cause.
    pub fn of(end: ChildEnd, message: impl ToString) -> Self {
        ChildReport { end, cause: None, message: message.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_reads_what_the_parent_writes() {
        let plan = OomPlan {
            who: OomSubject::Headroom,
            what: LimitKind::Cgroup,
            size: 2,
            memory: 1,
            tries: true,
            seconds: 3,
            parent: 4,
            cgroup: Some("/sys".into()),
            spill_dir: "/tmp".into(),
        };
        assert_eq!(OomPlan::parse(&serde_json::to_string(&plan).unwrap()), Ok(plan));
        assert!(OomPlan::parse("{}").is_err());
    }
}
