//! What the tests of the malloc library share: the library itself, C programs, and runs of programs on it.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this")]

pub mod child;
pub mod programs;

pub use child::{Ended, run, run_within};
pub use programs::{Program, build, build_library};

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

#[path = "../../../../tests/support/skip.rs"]
mod skip;
pub use skip::skip;

#[path = "../../../../tests/support/cgroup.rs"]
pub mod cgroup;

/// What is asked before a cgroup is made: see [`here`].
fn reserves() -> bool {
    true
}

/// Whether a command can be started; skips the running test otherwise.
pub fn has(command: &str) -> bool {
    let mut asked = Command::new(command);
    asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let has = asked.status().is_ok();
    if !has {
        skip(&format!("no {command} here"));
    }
    has
}

/// Whether the programs of these tests can be compiled and are to be run: the library is the same with every engine, so
/// that once is enough.
pub fn here() -> bool {
    highwater::engine() == highwater::Engine::Fault && has("gcc")
}

/// The project's directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project has a directory")
}

/// Builds `libhighwater_malloc.so`, once per test run, and returns its path: a test run builds no dynamic library.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .parent()
            .expect("the directory is in the target directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--profile", "malloc", "-p", "highwater-malloc"]).current_dir(root());
        cargo.env("CARGO_TARGET_DIR", target);
        child::succeeds(&mut cargo);
        let library = target.join("malloc/libhighwater_malloc.so");
        assert!(library.is_file(), "{cargo:?} made no {}", library.display());
        library
    })
}

/// How a program gets its memory: `glibc`, to check the tests themselves, or a policy, or `default`, followed by
/// assignments of further variables.
pub type Setting = &'static str;

/// Every policy, and options that change what it does.
pub const SETTINGS: &[Setting] = &[
    "default",
    "general:checked",
    "general HIGHWATER_HARDENED=1",
    "general HIGHWATER_GUARDS=7",
    "stack",
    "bump",
    "blocks",
    "blocks:fit=first,margin=64KiB",
];

/// One of each policy.
pub const POLICIES: &[Setting] = &["general", "stack", "bump", "blocks"];

/// Lets a command run with this setting.
pub fn set<'a>(command: &'a mut Command, setting: &str) -> &'a mut Command {
    for name in ["MALLOC", "RESERVE", "LIMIT", "HARDENED", "GUARDS", "STATS", "HEADROOM"] {
        command.env_remove(format!("HIGHWATER_{name}"));
    }
    command.env_remove("LD_PRELOAD");
    let mut words = setting.split(' ');
    let policy = words.next().expect("a setting has a first word");
    if policy != "glibc" {
        command.env("LD_PRELOAD", library());
    }
    if !["glibc", "default"].contains(&policy) {
        command.env("HIGHWATER_MALLOC", policy);
    }
    for word in words {
        let (name, value) = word.split_once('=').expect("an assignment");
        command.env(name, value);
    }
    command
}
