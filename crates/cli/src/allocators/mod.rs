//! Which allocators there are to run a program on: the system's, this project's, and those that are installed.

mod list;
mod ours;
mod peers;
pub mod policy;
mod preload;
pub mod probe;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::Serialize;

pub use self::{
    list::{DEFAULT, parse_list},
    ours::library,
    policy::Policy,
};
use crate::{failure::Failure, output};

/// Where an allocator comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "of")]
pub enum Kind {
    /// The C library's own: nothing is preloaded.
    System,
    /// This project's library, with this policy.
    Highwater(Policy),
    /// One that was found, of this family (`mimalloc`).
    Peer(String),
    /// One whose path was given.
    Path,
}

/// An allocator that a program can be run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allocator {
    /// As it is written in results and may be asked for: `system`, `highwater:stack`, `mimalloc`. No two of a list are
    /// the same.
    pub name: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub kind: Kind,
    /// What is preloaded: absolute, without symbolic links. `None` for the system's.
    pub library: Option<PathBuf>,
    /// What it is told by the environment, besides `LD_PRELOAD`.
    pub environment: Vec<(&'static str, String)>,
    /// What it says of itself (`mimalloc 2.0.9`), or what its file is called.
    pub version: String,
}

impl Allocator {
    /// Has the command run on this allocator: it is preloaded in front of what was to be preloaded already.
    pub fn prepare(&self, command: &mut Command) {
        // What is set for this project's library is in the environment of those that it is meant for.
        for (name, _) in std::env::vars_os().filter(|(name, _)| preload::is_protocol(name)) {
            command.env_remove(name);
        }
        if let Some(library) = &self.library {
            preload(command, library);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Whether it is the one that others are compared with.
    pub fn is_system(&self) -> bool {
        self.kind == Kind::System
    }
}

/// Has the command preload a library, in front of what is to be preloaded already.
pub fn preload(command: &mut Command, library: &Path) {
    command.env(preload::VARIABLE, preload::in_front(library, std::env::var_os(preload::VARIABLE)));
}

/// What was asked for and found.
#[derive(Debug)]
pub struct Found {
    /// In the order of the request; the system's first where nothing was requested.
    pub allocators: Vec<Allocator>,
    /// What could have been there as well, and how to get it: a line each.
    pub missing: Vec<String>,
}

impl Found {
    /// Says on stderr what is missing.
    pub fn tell(&self) {
        for line in &self.missing {
            output::note(line);
        }
    }
}

/// Finds the allocators of a list as `--allocators` has it ([`parse_list`]), each once.
///
/// | name | means |
/// |---|---|
/// | `default` | `system,highwater,peers`; what is missing is told |
/// | `system` | the C library's |
/// | `highwater`, `highwater:POLICY` | this project's; `general`, `stack`, … are short for it |
/// | `policies` | this project's, every policy |
/// | `peers` | every other that is found |
/// | `mimalloc`, … | the first of that family that is found, or the one of that very name |
/// | `PATH`, `NAME=PATH` | a library (with a `/` in it) |
///
/// `malloc_lib` is where this project's library is, if somebody said so. Each library is tried once, by a process of
/// this very command that does nothing else.
pub fn find(names: &[String], malloc_lib: Option<&Path>) -> Result<Found, Failure> {
    list::find(names, malloc_lib)
}
