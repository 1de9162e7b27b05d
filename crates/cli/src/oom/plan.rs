//! What one child is to do, and what it says about that.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cells::{What, Who};

/// One cell. The child gets it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub who: Who,
    pub what: What,
    /// How much to allocate, in bytes.
    pub size: usize,
    /// How much there is of what runs out, in bytes.
    pub memory: usize,
    /// Use the arena's calls that return errors.
    pub tries: bool,
    /// The most CPU time.
    pub seconds: u64,
    /// The process without which the child has no business.
    pub parent: u32,
    /// The file that puts a process into the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// Where a file may be put.
    pub spill_dir: PathBuf,
}

impl Plan {
    /// The child's own argument.
    pub fn parse(text: &str) -> Result<Plan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// How the work came to its end, as seen from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// All bytes are there.
    Completed,
    /// A call returned an error.
    Error,
    /// A call panicked.
    Panic,
    /// What was written is not what was read.
    Damaged,
    /// The scene could not be set.
    Cannot,
}

/// The child's last words, where it has the chance: one line of JSON on stdout, after a line for each step with the
/// bytes so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub end: End,
    /// The name of the cause, where one was named.
    #[serde(default)]
    pub cause: Option<String>,
    #[serde(default)]
    pub message: String,
}

impl Told {
    /// Without a cause.
    pub fn of(end: End, message: impl ToString) -> Self {
        Told { end, cause: None, message: message.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_reads_what_the_parent_writes() {
        let plan = Plan {
            who: Who::Headroom,
            what: What::Cgroup,
            size: 2,
            memory: 1,
            tries: true,
            seconds: 3,
            parent: 4,
            cgroup: Some("/sys".into()),
            spill_dir: "/tmp".into(),
        };
        assert_eq!(Plan::parse(&serde_json::to_string(&plan).unwrap()), Ok(plan));
        assert!(Plan::parse("{}").is_err());
    }
}
