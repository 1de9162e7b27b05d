//! Determines whether a preloaded library took effect in the programs of a run.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::open_watch::OpenWatch;
use crate::elf::{self, FileKind};

/// How many programs are named in which the library did not take effect.
const MAX_NAMED: usize = 3;

/// What the mappings of a process showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Observation {
    /// The library is mapped.
    With,
    /// It is not mapped, and the loader is past the point at which it maps preloaded libraries.
    Without,
    /// The program has only just started, or its mappings cannot be read.
    Unknown,
}

/// The observations of a library over all runs with it.
#[derive(Debug)]
pub struct PreloadJudge {
    library: PathBuf,
    /// The program of the command.
    root: Option<PathBuf>,
    /// Reports whether the library was opened, even if the program ended too soon to be observed.
    opened: Option<OpenWatch>,
    /// The observations of the current run, by process and program: a process can execute another program.
    observations: HashMap<(u32, PathBuf), Observation>,
    reasons: HashMap<PathBuf, NoEffectReason>,
    effect: PreloadEffect,
    examples: BTreeMap<String, NoEffectReason>,
}

/// Why a program does not use the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoEffectReason {
    Static,
    OwnMalloc,
    Privileged,
    None,
}

impl NoEffectReason {
    fn of(program: &Path) -> Self {
        match elf::file_kind(program) {
            Ok(FileKind::Static) => Self::Static,
            Ok(FileKind::Dynamic { has_malloc: true }) => Self::OwnMalloc,
            _ if is_privileged(program) => Self::Privileged,
            _ => Self::None,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Static => "is statically linked",
            Self::OwnMalloc => "has its own malloc",
            Self::Privileged => "is setuid or setgid, so nothing is preloaded",
            Self::None => "did not have it mapped",
        }
    }
}

/// Whether a program is setuid or setgid; the loader ignores LD_PRELOAD for such programs. (File capabilities are not
/// checked.)
fn is_privileged(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|data| data.permissions().mode() & 0o6000 != 0)
}

/// The number of programs in all runs by whether the library took effect; a process counts once for each program that it
/// executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PreloadEffect {
    /// It was mapped, and its malloc was used.
    pub with: u64,
    /// It was not mapped, or its malloc could not be used.
    pub without: u64,
    /// They ended before they could be observed, or belong to another user.
    pub unknown: u64,
}

/// Whether the library took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreloadVerdict {
    /// In every program that could be observed.
    Yes,
    /// In some of them.
    Partly,
    /// In none.
    No,
    /// None could be observed.
    Unknown,
}

impl PreloadEffect {
    pub fn verdict(self) -> PreloadVerdict {
        match self {
            Self { with: 0, without: 0, .. } => PreloadVerdict::Unknown,
            Self { with: 0, .. } => PreloadVerdict::No,
            Self { without: 0, .. } => PreloadVerdict::Yes,
            _ => PreloadVerdict::Partly,
        }
    }
}

impl PreloadJudge {
    /// `root` is the program that is run.
    pub fn new(library: &Path, root: Option<PathBuf>) -> Self {
        Self {
            library: library.to_owned(),
            root,
            opened: OpenWatch::watch(library),
            observations: HashMap::new(),
            reasons: HashMap::new(),
            effect: PreloadEffect::default(),
            examples: BTreeMap::new(),
        }
    }

    /// Whether a program of a process has not been observed yet.
    pub fn needs_observation(&self, id: u32, program: &Path) -> bool {
        let observation = self.observations.get(&(id, program.to_owned()));
        observation.is_none_or(|observation| *observation == Observation::Unknown)
    }

    /// Records which files are mapped into a process.
    pub fn observe(&mut self, id: u32, program: PathBuf, mapped: Option<&[PathBuf]>) {
        let observation = match mapped {
            None => Observation::Unknown,
            Some(files) if files.contains(&self.library) => Observation::With,
            Some(files) if files.iter().any(|file| is_c_library(file)) => Observation::Without,
            // A static program never maps a C library.
            Some(_) if self.reason(&program) == NoEffectReason::Static => Observation::Without,
            Some(_) => Observation::Unknown,
        };
        self.observations.insert((id, program), observation);
    }

    /// Starts a run: earlier openings of the library do not count.
    pub fn begin(&self) {
        self.was_opened();
    }

    /// Whether the library was opened since the last call.
    fn was_opened(&self) -> bool {
        self.opened.as_ref().is_some_and(OpenWatch::was_opened)
    }

    /// Ends a run and counts its observations.
    pub fn end(&mut self) {
        let was_opened = self.was_opened();
        let before = self.effect;
        let observations: Vec<_> = self.observations.drain().collect();
        let known: HashSet<u32> = observations
            .iter()
            .filter(|(_, observation)| *observation != Observation::Unknown)
            .map(|((id, _), _)| *id)
            .collect();
        for ((id, program), observation) in observations {
            let reason = self.reason(&program);
            match observation {
                Observation::With if reason != NoEffectReason::OwnMalloc => self.effect.with += 1,
                // An unknown program of an observed process was replaced before it had mapped anything.
                Observation::Unknown if known.contains(&id) => {}
                Observation::Unknown => self.effect.unknown += 1,
                _ => {
                    self.effect.without += 1;
                    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    self.examples.entry(name).or_insert(reason);
                }
            }
        }
        // The command ended too soon to be observed, but the loader opens what it maps.
        let is_observed = (before.with, before.without) != (self.effect.with, self.effect.without);
        if was_opened
            && !is_observed
            && let Some(root) = self.root.clone()
            && self.reason(&root) == NoEffectReason::None
        {
            self.effect.with += 1;
            self.effect.unknown = before.unknown;
        }
    }

    /// The effect in all runs so far.
    pub fn effect(&self) -> PreloadEffect {
        self.effect
    }

    /// A note for the row if the library did not take effect everywhere.
    pub fn note(&self) -> Option<String> {
        let effect = self.effect;
        let examples: Vec<_> = self
            .examples
            .iter()
            .take(MAX_NAMED)
            .map(|(name, reason)| format!("{name} {}", reason.describe()))
            .collect();
        let more = if self.examples.len() > MAX_NAMED { ", and others" } else { "" };
        let examples = format!("{}{more}", examples.join(", "));
        match effect.verdict() {
            PreloadVerdict::Yes => None,
            PreloadVerdict::Unknown => Some("unknown whether it was preloaded".into()),
            PreloadVerdict::No => Some(format!("NOT PRELOADED: {examples}")),
            PreloadVerdict::Partly => Some(format!(
                "preloaded in {} of {} processes: {examples}",
                effect.with,
                effect.with + effect.without
            )),
        }
    }

    fn reason(&mut self, program: &Path) -> NoEffectReason {
        if let Some(reason) = self.reasons.get(program) {
            return *reason;
        }
        let reason = NoEffectReason::of(program);
        self.reasons.insert(program.to_owned(), reason);
        reason
    }
}

/// Whether a file is the C library, which the loader maps after preloaded libraries.
fn is_c_library(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libc.so") || name.starts_with("libc-") || name.starts_with("libc.musl")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "/lib/liballoc.so";

    fn judged(observations: &[(u32, &str, Option<&[&str]>)]) -> PreloadJudge {
        let mut judge = PreloadJudge::new(Path::new(LIBRARY), None);
        for (id, program, files) in observations {
            let files: Option<Vec<_>> = files.map(|files| files.iter().map(PathBuf::from).collect());
            assert!(judge.needs_observation(*id, Path::new(program)));
            judge.observe(*id, program.into(), files.as_deref());
        }
        judge.end();
        judge
    }

    #[test]
    fn all_programs_use_it() {
        let both: Option<&[&str]> = Some(&[LIBRARY, "/lib/libc.so.6"]);
        // The second process was a shell before it had mapped anything.
        let judge =
            judged(&[(1, "/bin/none", both), (2, "/bin/sh2", Some(&["/bin/sh2"])), (2, "/bin/none", both)]);
        assert_eq!(judge.effect(), PreloadEffect { with: 2, without: 0, unknown: 0 });
        assert_eq!((judge.effect().verdict(), judge.note()), (PreloadVerdict::Yes, None));
    }

    #[test]
    fn some_programs_or_none_use_it() {
        let plain: Option<&[&str]> = Some(&["/lib/libc.so.6"]);
        let judge =
            judged(&[(1, "/bin/none", Some(&[LIBRARY])), (2, "/bin/other", plain), (3, "/bin/x", None)]);
        assert_eq!(judge.effect(), PreloadEffect { with: 1, without: 1, unknown: 1 });
        let note = judge.note().unwrap();
        assert!(note.contains("1 of 2 processes: other did not have it mapped"), "{note}");
        let judge = judged(&[(2, "/bin/other", plain)]);
        assert!(judge.note().unwrap().starts_with("NOT PRELOADED: other"), "{:?}", judge.note());
        let judge = judged(&[(2, "/bin/other", None)]);
        assert_eq!(judge.effect().verdict(), PreloadVerdict::Unknown);
        assert!(judge.note().unwrap().starts_with("unknown whether"));
    }

    #[test]
    fn a_command_that_ends_too_soon_is_judged_by_the_opening() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let judged = |root: Option<&str>, is_opened: bool| {
            let mut judge = PreloadJudge::new(file.path(), root.map(PathBuf::from));
            fs::read(file.path()).unwrap();
            judge.begin();
            if is_opened {
                fs::read(file.path()).unwrap();
            }
            judge.observe(1, "/bin/x".into(), None);
            judge.end();
            judge.effect()
        };
        assert_eq!(judged(Some("/no/such"), true), PreloadEffect { with: 1, without: 0, unknown: 0 });
        assert_eq!(judged(Some("/no/such"), false), PreloadEffect { with: 0, without: 0, unknown: 1 });
        assert_eq!(judged(None, true).verdict(), PreloadVerdict::Unknown);
    }

    #[test]
    fn an_observed_program_is_not_observed_again() {
        let mut judge = PreloadJudge::new(Path::new(LIBRARY), None);
        judge.observe(1, "/bin/a".into(), Some(&[LIBRARY.into()]));
        assert!(!judge.needs_observation(1, Path::new("/bin/a")));
        assert!(
            judge.needs_observation(1, Path::new("/bin/b"))
                && judge.needs_observation(2, Path::new("/bin/a"))
        );
        judge.end();
        assert!(judge.needs_observation(1, Path::new("/bin/a")), "another run");
    }
}
