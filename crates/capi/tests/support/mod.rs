//! What the tests of the C library share: the library itself, compilers, and programs that may die.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[path = "../../../../tests/support/skip.rs"]
mod skip;
pub use skip::skip;

/// Whether the library that is tested grows by fault.
pub fn is_fault() -> bool {
    highwater::engine() == highwater::Engine::Fault
}

/// Whether the library that is tested grows by fault; skips the running test otherwise.
pub fn has_faults() -> bool {
    if !is_fault() {
        skip("the explicit engine has no faults");
    }
    is_fault()
}

/// Whether this build reserves inaccessible address space and knows files, as Linux does; skips the running test
/// otherwise.
pub fn reserves() -> bool {
    let reserves = !cfg!(highwater_portable);
    if !reserves {
        skip("portable memory is accessible from the start and belongs to the global allocator");
    }
    reserves
}

/// The project's directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project has a directory")
}

/// The directory of the header.
pub fn include() -> PathBuf {
    root().join("include")
}

/// What the library is called once it is installed: each engine's has a name of its own.
pub fn name(is_fault: bool) -> &'static str {
    if is_fault { "highwater" } else { "highwater_explicit" }
}

/// The file of the dynamic library that is tested.
pub fn shared_library() -> PathBuf {
    library().join(format!("lib{}.so", name(is_fault())))
}

/// Builds `libhighwater.so` and `libhighwater.a`, once per test run, and returns the directory they are in: a test run
/// builds neither.
pub fn library() -> &'static Path {
    library_of(is_fault())
}

/// [`library`], of either engine. An explicit one is there under both names, cargo's and the one it is installed by.
pub fn library_of(is_fault: bool) -> &'static Path {
    static DIRECTORIES: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    DIRECTORIES[usize::from(is_fault)].get_or_init(|| {
        let engine = if is_fault { "fault" } else { "explicit" };
        let target = root().join(format!("target/for-tests/capi-{engine}"));
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "-p", "highwater-capi"]).current_dir(root());
        cargo.env("CARGO_TARGET_DIR", &target);
        if std::env::var_os("HIGHWATER_ENGINE").is_none() || is_fault != self::is_fault() {
            cargo.env("HIGHWATER_ENGINE", engine);
        }
        let output = cargo.output().expect("cargo starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{cargo:?}\n{said}");
        assert!(!said.contains("collision"), "{said}");
        let directory = target.join("release");
        for ending in ["so", "a"].into_iter().filter(|_| !is_fault) {
            let link = directory.join(format!("lib{}.{ending}", name(is_fault)));
            // (It may be there from the last run.)
            let _ = std::os::unix::fs::symlink(format!("libhighwater.{ending}"), link);
        }
        directory
    })
}

/// A compiler and the language it is told to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiler {
    pub command: &'static str,
    pub is_cpp: bool,
}

pub const GCC: Compiler = Compiler { command: "gcc", is_cpp: false };
pub const GXX: Compiler = Compiler { command: "g++", is_cpp: true };
const CLANG: Compiler = Compiler { command: "clang", is_cpp: false };
const CLANGXX: Compiler = Compiler { command: "clang++", is_cpp: true };

fn exists(command: &str) -> bool {
    Command::new(command).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// gcc and g++; skips what is not here.
pub fn compilers() -> Vec<Compiler> {
    [GCC, GXX].into_iter().filter(|compiler| available(*compiler)).collect()
}

/// Those, and clang and clang++ where they are.
pub fn all_compilers() -> Vec<Compiler> {
    let clang = [CLANG, CLANGXX].into_iter().filter(|compiler| exists(compiler.command));
    compilers().into_iter().chain(clang).collect()
}

/// Whether a compiler is here; skips otherwise.
pub fn available(compiler: Compiler) -> bool {
    let is_here = exists(compiler.command);
    if !is_here {
        skip(&format!("no {} here", compiler.command));
    }
    is_here
}

/// How a program gets the library.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    Shared,
    Static,
    /// Not at all.
    Without,
}

/// A fresh path for something a test makes.
pub fn fresh(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi");
    std::fs::create_dir_all(&directory).expect("the directory of the tests can be written");
    directory.join(format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)))
}

/// The compiler with what every program needs.
pub fn compile_command(compiler: Compiler, source: &str) -> Command {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c");
    let mut command = Command::new(compiler.command);
    let (language, standard) = if compiler.is_cpp { ("c++", "-std=gnu++17") } else { ("c", "-std=gnu11") };
    command.args(["-x", language, standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    if !is_fault() {
        command.arg("-DHIGHWATER_EXPLICIT");
    }
    command.arg("-I").arg(include()).arg(sources.join(source)).args(["-x", "none"]);
    command
}

/// Compiles one of the test programs; it is removed when the value is dropped.
pub fn build(compiler: Compiler, source: &str, link: Link, flags: &[&str]) -> Program {
    let path = fresh(source);
    let mut command = compile_command(compiler, source);
    command.args(flags);
    match link {
        Link::Shared => {
            let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
            rpath.push(library());
            command.arg("-L").arg(library()).arg(format!("-l{}", name(is_fault()))).arg(rpath);
        }
        Link::Static => _ = command.arg(library().join("libhighwater.a")),
        Link::Without => {}
    }
    command.arg("-o").arg(&path);
    succeeds(&mut command);
    Program { path, what: format!("{compiler:?} {source} {link:?} {flags:?}") }
}

/// Runs a command that must succeed, and gives what it said on standard output.
#[track_caller]
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A test program.
#[derive(Debug)]
pub struct Program {
    pub path: PathBuf,
    what: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Program {
    /// A command that runs one case.
    pub fn case(&self, case: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(case).env("TEST_DIRECTORY", env!("CARGO_TARGET_TMPDIR"));
        command
    }

    /// Runs a case to its end.
    pub fn run(&self, case: &str) -> Ended {
        Ended { what: format!("{} {case}", self.what), ..run(self.case(case)) }
    }
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ended {
    what: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn assert_success(&self) {
        assert!(self.status.success(), "it failed: {self:#?}");
    }

    /// It ended by a signal and said so on standard error.
    #[track_caller]
    pub fn assert_died(&self, signal: i32, words: &str) {
        assert_eq!(self.status.signal(), Some(signal), "it ended otherwise: {self:#?}");
        assert!(self.stderr.contains(words), "{words:?} in {self:#?}");
    }
}

/// Runs a command to its end, at most two minutes, and keeps what it said.
pub fn run(mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let end = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break Some(status);
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else { panic!("{command:?} did not end in time\n{stdout}\n{stderr}") };
    Ended { what: format!("{command:?}"), status, stdout, stderr }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.expect("the output is piped").read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
