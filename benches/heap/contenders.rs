//! Who takes part: the heap's policies in this program, the system's malloc, and shared objects that a program is run
//! with. Each contender works in processes of its own, one for each row, so that allocators which would replace each
//! other's functions meet the same program, and the memory that a process gets is one contender's.

use super::support::measures_cpu_time;
use std::ffi::CStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// What tells a process of ours what to do: who it is, the row's number, the sizes, and the clock.
pub const JOB: &str = "HIGHWATER_BENCH_HEAP";

/// What runs in the program itself.
pub const POLICIES: [&str; 4] = ["general", "stack", "bump", "blocks"];
/// `General` as it would be if it gave a page back at the moment that it is empty.
pub const AT_ONCE: &str = "general, page retired at once";
/// A bump arena of the program's own.
pub const ARENA: &str = "arena in the program";
/// The functions that the process has.
const MALLOC: &str = "malloc";

/// A contender.
#[derive(Clone)]
pub struct Contender {
    pub name: String,
    /// What the process does: a policy, or the functions that it has.
    works_as: &'static str,
    preloads: Option<PathBuf>,
    policy: Option<&'static str>,
}

impl Contender {
    /// Of this program: one of [`POLICIES`], [`AT_ONCE`] or [`ARENA`].
    pub fn ours(works_as: &'static str) -> Self {
        Contender { name: format!("highwater {works_as}"), works_as, preloads: None, policy: None }
    }

    fn preloaded(name: String, library: &Path) -> Self {
        Contender { name, works_as: MALLOC, preloads: Some(library.into()), policy: None }
    }
}

/// The system's malloc, and the peers that are found.
pub fn peers() -> Vec<Contender> {
    // SAFETY: a constant text.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) }.to_string_lossy();
    let system =
        Contender { name: format!("glibc {version}"), works_as: MALLOC, preloads: None, policy: None };
    let mut found = match std::env::var_os("HIGHWATER_PEERS") {
        Some(directory) => in_directory(Path::new(&directory)),
        None => in_system(),
    };
    found.sort_by(|one, other| one.name.cmp(&other.name));
    if found.is_empty() {
        println!(
            "no peers but the system's: benches/peers.sh DIR makes them, HIGHWATER_PEERS=DIR names them"
        );
    }
    [system].into_iter().chain(found).collect()
}

/// Files that are called `libNAME-VERSION.so`, as `benches/peers.sh` does.
fn in_directory(directory: &Path) -> Vec<Contender> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let named = |path: PathBuf| {
        let name =
            path.file_name()?.to_str()?.strip_prefix("lib")?.strip_suffix(".so")?.replacen('-', " ", 1);
        Some(Contender::preloaded(name, &path))
    };
    files.filter_map(named).collect()
}

/// Debian's packages.
fn in_system() -> Vec<Contender> {
    const DIRECTORIES: [&str; 4] =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/local/lib"];
    let files = ["libmimalloc.so.2.0", "libjemalloc.so.2", "libtcmalloc_minimal.so.4"];
    let named = |file: &str| {
        let path = DIRECTORIES.iter().map(|directory| Path::new(directory).join(file));
        let path = path.filter_map(|path| path.canonicalize().ok()).next()?;
        let name = path.file_name()?.to_str()?.strip_prefix("lib")?.replacen(".so.", " ", 1);
        Some(Contender::preloaded(name, &path))
    };
    files.into_iter().filter_map(named).collect()
}

/// Our malloc library with a policy, if it was built (`cargo build --profile malloc -p highwater-malloc`).
pub fn library(policy: &'static str) -> Option<Contender> {
    let file = "libhighwater_malloc.so";
    let named = std::env::var_os("HIGHWATER_MALLOC_LIB").map(PathBuf::from);
    let target = std::env::current_exe().ok().and_then(|this| Some(this.ancestors().nth(3)?.to_owned()));
    let path = named.or_else(|| target.map(|target| target.join("malloc").join(file)))?;
    path.exists().then(|| Contender {
        policy: Some(policy),
        ..Contender::preloaded(format!("highwater {policy}, preloaded"), &path)
    })
}

/// What a process answers to one round.
#[derive(Clone, Copy, Default)]
pub struct Answer {
    pub nanoseconds: f64,
    /// How much more memory it was resident with, at most, than before its first round: MiB.
    pub growth: f64,
}

/// A contender's process for a row.
pub struct Session {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Session {
    pub fn start(contender: &Contender, row: usize, quick: bool) -> Self {
        let this = std::env::current_exe().expect("this program has a file");
        let mut command = Command::new(this);
        let job = format!("{};{row};{quick};{}", contender.works_as, measures_cpu_time());
        command.env(JOB, job).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(library) = &contender.preloads {
            command.env("LD_PRELOAD", library);
        }
        if let Some(policy) = contender.policy {
            command.env("HIGHWATER_MALLOC", policy);
        }
        let mut process = command.spawn().expect("this program can be run again");
        let answers = BufReader::new(process.stdout.take().expect("it is a pipe"));
        Session { process, answers }
    }

    /// One round; `None` if the process has ended.
    pub fn round(&mut self) -> Option<Answer> {
        self.process.stdin.as_mut()?.write_all(b"\n").ok()?;
        let words = self.line()?;
        let mut figures = words.split(' ').map(|word| word.parse().ok());
        Some(Answer { nanoseconds: figures.next()??, growth: figures.next()?? })
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        (!line.is_empty()).then(|| line.trim_end().to_owned())
    }

    /// Ends it; what else it has to say.
    pub fn end(mut self) -> Option<String> {
        drop(self.process.stdin.take());
        let last = self.line();
        let _ = self.process.wait();
        last
    }
}
