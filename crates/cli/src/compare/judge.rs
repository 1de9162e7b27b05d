//! Whether a preloaded library really was at work in the programs of a run.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::opened::Opened;
use crate::elf::{self, Form};

/// Programs that are named where the library was not at work.
const NAMED: usize = 3;

/// What a look at a process showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The library is mapped.
    With,
    /// It is not, and the loader is past the point where it would have done so.
    Without,
    /// The program has only begun, or nobody may look.
    Unknown,
}

/// What was seen of a library over all runs with it.
#[derive(Debug)]
pub struct Judge {
    library: PathBuf,
    /// What the command is.
    root: Option<PathBuf>,
    /// Tells that the library was opened, however soon the program ended.
    opened: Option<Opened>,
    /// Programs of the run that is under way: a process may become another one.
    looks: HashMap<(u32, PathBuf), Look>,
    reasons: HashMap<PathBuf, Reason>,
    seen: Effect,
    examples: BTreeMap<String, Reason>,
}

/// Why a program would not use the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Static,
    OwnMalloc,
    Privileged,
    None,
}

impl Reason {
    fn of(program: &Path) -> Self {
        match elf::look(program) {
            Ok(Form::Static) => Self::Static,
            Ok(Form::Dynamic { has_malloc: true }) => Self::OwnMalloc,
            _ if is_privileged(program) => Self::Privileged,
            _ => Self::None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Static => "is statically linked",
            Self::OwnMalloc => "brings its own malloc",
            Self::Privileged => "is setuid or setgid, so nothing is preloaded",
            Self::None => "did not have it mapped",
        }
    }
}

/// The loader believes nothing that such a program's environment says. Of file capabilities nothing is known here.
fn is_privileged(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|data| data.permissions().mode() & 0o6000 != 0)
}

/// Programs that were looked at, all runs together; a process counts once for each program that it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// It was mapped, and its malloc was the one that counts.
    pub with: u64,
    /// It was not, or could not be at work.
    pub without: u64,
    /// They ended before that could be seen, or belong to somebody else.
    pub unknown: u64,
}

/// Whether the library took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// In every program that could be judged.
    Yes,
    /// In some of them.
    Partly,
    /// In none.
    No,
    /// None could be judged.
    Unknown,
}

impl Effect {
    pub fn verdict(self) -> Verdict {
        match self {
            Self { with: 0, without: 0, .. } => Verdict::Unknown,
            Self { with: 0, .. } => Verdict::No,
            Self { without: 0, .. } => Verdict::Yes,
            _ => Verdict::Partly,
        }
    }
}

impl Judge {
    /// `root` is the program that is run.
    pub fn new(library: &Path, root: Option<PathBuf>) -> Self {
        Self {
            library: library.to_owned(),
            root,
            opened: Opened::watch(library),
            looks: HashMap::new(),
            reasons: HashMap::new(),
            seen: Effect::default(),
            examples: BTreeMap::new(),
        }
    }

    /// Whether it is still to be looked at.
    pub fn is_open(&self, id: u32, program: &Path) -> bool {
        let look = self.looks.get(&(id, program.to_owned()));
        look.is_none_or(|look| *look == Look::Unknown)
    }

    /// What is mapped into a process.
    pub fn look(&mut self, id: u32, program: PathBuf, mapped: Option<&[PathBuf]>) {
        let look = match mapped {
            None => Look::Unknown,
            Some(files) if files.contains(&self.library) => Look::With,
            Some(files) if files.iter().any(|file| is_c_library(file)) => Look::Without,
            // A static program never maps one.
            Some(_) if self.reason(&program) == Reason::Static => Look::Without,
            Some(_) => Look::Unknown,
        };
        self.looks.insert((id, program), look);
    }

    /// A run begins: who opened the library before does not count.
    pub fn begin(&self) {
        self.was_opened();
    }

    /// Whether somebody opened the library since this was asked last.
    fn was_opened(&self) -> bool {
        self.opened.as_ref().is_some_and(Opened::since)
    }

    /// The run is over.
    pub fn settle(&mut self) {
        let was_opened = self.was_opened();
        let before = self.seen;
        let looks: Vec<_> = self.looks.drain().collect();
        let known: HashSet<u32> =
            looks.iter().filter(|(_, look)| *look != Look::Unknown).map(|((id, _), _)| *id).collect();
        for ((id, program), look) in looks {
            let reason = self.reason(&program);
            match look {
                Look::With if reason != Reason::OwnMalloc => self.seen.with += 1,
                // Between two programs a process has neither.
                Look::Unknown if known.contains(&id) => {}
                Look::Unknown => self.seen.unknown += 1,
                _ => {
                    self.seen.without += 1;
                    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    self.examples.entry(name).or_insert(reason);
                }
            }
        }
        // It was over too soon to be looked at. The loader opens what it maps.
        let is_judged = (before.with, before.without) != (self.seen.with, self.seen.without);
        if was_opened
            && !is_judged
            && let Some(root) = self.root.clone()
            && self.reason(&root) == Reason::None
        {
            self.seen.with += 1;
            self.seen.unknown = before.unknown;
        }
    }

    /// Of all runs so far.
    pub fn effect(&self) -> Effect {
        self.seen
    }

    /// What has to be known about the row; nothing if all is well.
    pub fn note(&self) -> Option<String> {
        let effect = self.seen;
        let examples: Vec<_> = self
            .examples
            .iter()
            .take(NAMED)
            .map(|(name, reason)| format!("{name} {}", reason.words()))
            .collect();
        let more = if self.examples.len() > NAMED { ", and others" } else { "" };
        let examples = format!("{}{more}", examples.join(", "));
        match effect.verdict() {
            Verdict::Yes => None,
            Verdict::Unknown => Some("not seen whether it was preloaded".into()),
            Verdict::No => Some(format!("NOT PRELOADED: {examples}")),
            Verdict::Partly => Some(format!(
                "preloaded in {} of {} processes: {examples}",
                effect.with,
                effect.with + effect.without
            )),
        }
    }

    fn reason(&mut self, program: &Path) -> Reason {
        if let Some(reason) = self.reasons.get(program) {
            return *reason;
        }
        let reason = Reason::of(program);
        self.reasons.insert(program.to_owned(), reason);
        reason
    }
}

/// The loader maps what is preloaded before it.
fn is_c_library(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libc.so") || name.starts_with("libc-") || name.starts_with("libc.musl")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "/lib/liballoc.so";

    fn judged(looks: &[(u32, &str, Option<&[&str]>)]) -> Judge {
        let mut judge = Judge::new(Path::new(LIBRARY), None);
        for (id, program, files) in looks {
            let files: Option<Vec<_>> = files.map(|files| files.iter().map(PathBuf::from).collect());
            assert!(judge.is_open(*id, Path::new(program)));
            judge.look(*id, program.into(), files.as_deref());
        }
        judge.settle();
        judge
    }

    #[test]
    fn all_of_them() {
        let both: Option<&[&str]> = Some(&[LIBRARY, "/lib/libc.so.6"]);
        // The second process was a shell before it had mapped anything.
        let judge =
            judged(&[(1, "/bin/none", both), (2, "/bin/sh2", Some(&["/bin/sh2"])), (2, "/bin/none", both)]);
        assert_eq!(judge.effect(), Effect { with: 2, without: 0, unknown: 0 });
        assert_eq!((judge.effect().verdict(), judge.note()), (Verdict::Yes, None));
    }

    #[test]
    fn some_and_none() {
        let plain: Option<&[&str]> = Some(&["/lib/libc.so.6"]);
        let judge =
            judged(&[(1, "/bin/none", Some(&[LIBRARY])), (2, "/bin/other", plain), (3, "/bin/x", None)]);
        assert_eq!(judge.effect(), Effect { with: 1, without: 1, unknown: 1 });
        let note = judge.note().unwrap();
        assert!(note.contains("1 of 2 processes: other did not have it mapped"), "{note}");
        let judge = judged(&[(2, "/bin/other", plain)]);
        assert!(judge.note().unwrap().starts_with("NOT PRELOADED: other"), "{:?}", judge.note());
        let judge = judged(&[(2, "/bin/other", None)]);
        assert_eq!(judge.effect().verdict(), Verdict::Unknown);
        assert!(judge.note().unwrap().starts_with("not seen"));
    }

    #[test]
    fn one_that_was_over_too_soon() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let judged = |root: Option<&str>, is_opened: bool| {
            let mut judge = Judge::new(file.path(), root.map(PathBuf::from));
            fs::read(file.path()).unwrap();
            judge.begin();
            if is_opened {
                fs::read(file.path()).unwrap();
            }
            judge.look(1, "/bin/x".into(), None);
            judge.settle();
            judge.effect()
        };
        assert_eq!(judged(Some("/no/such"), true), Effect { with: 1, without: 0, unknown: 0 });
        assert_eq!(judged(Some("/no/such"), false), Effect { with: 0, without: 0, unknown: 1 });
        assert_eq!(judged(None, true).verdict(), Verdict::Unknown);
    }

    #[test]
    fn what_is_seen_once_is_not_looked_at_again() {
        let mut judge = Judge::new(Path::new(LIBRARY), None);
        judge.look(1, "/bin/a".into(), Some(&[LIBRARY.into()]));
        assert!(!judge.is_open(1, Path::new("/bin/a")));
        assert!(judge.is_open(1, Path::new("/bin/b")) && judge.is_open(2, Path::new("/bin/a")));
        judge.settle();
        assert!(judge.is_open(1, Path::new("/bin/a")), "another run");
    }
}
