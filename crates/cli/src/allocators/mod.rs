//! The allocators a program can be run on: the system's, this project's, and other installed ones.

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
    policy::MallocPolicy,
};
use crate::{failure::Failure, output};

/// Where an allocator comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "of")]
pub enum AllocatorKind {
    /// The C library's own: nothing is preloaded.
    System,
    /// This project's malloc library, with this policy.
    Highwater(MallocPolicy),
    /// An installed one of this family (`mimalloc`).
    Peer(String),
    /// A library given by its path.
    Path,
}

/// An allocator that a program can be run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allocator {
    /// As in results and in `--allocators`: `system`, `highwater:stack`, `mimalloc`. Unique within a list.
    pub name: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub kind: AllocatorKind,
    /// The library to preload, as an absolute path without symbolic links. `None` for the system's.
    pub library: Option<PathBuf>,
    /// The environment variables it reads, besides `LD_PRELOAD`.
    pub environment: Vec<(&'static str, String)>,
    /// The version it reports (`mimalloc 2.0.9`), or the name of its file.
    pub version: String,
}

impl Allocator {
    /// Makes a command run on this allocator: preloads it before any library that is preloaded already.
    pub fn prepare(&self, command: &mut Command) {
        // Variables for this project's library are set only for the allocators that are meant to read them.
        for (name, _) in std::env::vars_os().filter(|(name, _)| preload::is_library_variable(name)) {
            command.env_remove(name);
        }
        if let Some(library) = &self.library {
            preload(command, library);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Whether it is the system's, which others are compared with.
    pub fn is_system(&self) -> bool {
        self.kind == AllocatorKind::System
    }
}

/// Makes a command preload a library, before any that is preloaded already.
pub fn preload(command: &mut Command, library: &Path) {
    command.env(preload::VARIABLE, preload::in_front(library, std::env::var_os(preload::VARIABLE)));
}

/// The allocators that a list selects and that were found.
#[derive(Debug)]
pub struct AllocatorSet {
    /// In the order of the list.
    pub allocators: Vec<Allocator>,
    /// Known allocators that are not installed, and how to install them: a line each.
    pub missing: Vec<String>,
}

impl AllocatorSet {
    /// Prints on stderr what is missing.
    pub fn print_missing(&self) {
        for line in &self.missing {
            output::note(line);
        }
    }
}

/// Finds the allocators of a list such as that of `--allocators` ([`parse_list`]), each once.
///
/// | name | means |
/// |---|---|
/// | `default` | `system,highwater,peers`; missing peers are reported |
/// | `system` | the C library's malloc |
/// | `highwater`, `highwater:POLICY` | this project's; `general`, `stack`, … are short forms |
/// | `policies` | this project's, with every policy |
/// | `peers` | every other allocator that is found |
/// | `mimalloc`, … | the first of that family that is found, or the one with exactly that name |
/// | `PATH`, `NAME=PATH` | a library (with a `/` in it) |
///
/// `malloc_lib` is the path of this project's library, if one was given. Each library is tried once, in a child process
/// of this command.
pub fn find(names: &[String], malloc_lib: Option<&Path>) -> Result<AllocatorSet, Failure> {
    list::find(names, malloc_lib)
}
