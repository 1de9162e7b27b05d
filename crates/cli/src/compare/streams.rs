//! The output of a run: files for it, and its last lines.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How many of the last lines of a failed run are shown.
const MAX_LINES: usize = 10;
/// How many of the last bytes are read for them.
const MAX_BYTES: u64 = 4096;

/// The files of one run.
pub struct Streams {
    out: File,
    err: File,
}

impl Streams {
    /// Opens files of this name in a directory, or an unnamed temporary file for both streams.
    pub fn open(dir: Option<&Path>, name: &str) -> io::Result<Self> {
        let Some(dir) = dir else {
            let out = tempfile::tempfile()?;
            return Ok(Self { err: out.try_clone()?, out });
        };
        let open = |extension: &str| {
            let path: PathBuf = dir.join(format!("{}.{extension}", file_name(name)));
            File::options().read(true).write(true).create(true).truncate(true).open(path)
        };
        Ok(Self { out: open("out")?, err: open("err")? })
    }

    /// Redirects the command's output to the files, and its input from /dev/null.
    pub fn connect(&self, command: &mut Command) -> io::Result<()> {
        command.stdin(Stdio::null()).stdout(self.out.try_clone()?).stderr(self.err.try_clone()?);
        Ok(())
    }

    /// The last lines of stderr, or of stdout if stderr is empty.
    pub fn last_lines(&self) -> Vec<String> {
        let lines = last_lines(&self.err);
        if lines.is_empty() { last_lines(&self.out) } else { lines }
    }
}

fn last_lines(file: &File) -> Vec<String> {
    let length = file.metadata().map_or(0, |data| data.len());
    let start = length.saturating_sub(MAX_BYTES);
    let mut bytes = vec![0; usize::try_from(length - start).unwrap_or(0)];
    if file.read_exact_at(&mut bytes, start).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<_> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(MAX_LINES).collect();
    lines.reverse();
    lines.into_iter().map(str::to_owned).collect()
}

/// The name with characters replaced that a file name should not have.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "-._".contains(c) { c } else { '-' }).collect()
}

/// Refuses a directory that cannot be written to.
pub fn check(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    tempfile::tempfile_in(dir).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(streams: &Streams, script: &str) {
        let mut command = Command::new("/bin/sh");
        streams.connect(&mut command).unwrap();
        command.args(["-c", script]).status().unwrap();
    }

    #[test]
    fn without_a_directory_only_the_last_lines_are_kept() {
        let streams = Streams::open(None, "x").unwrap();
        run(&streams, "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i + 1)); done; echo; echo bad >&2");
        let lines = streams.last_lines();
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(
            (lines[0].as_str(), lines[8].as_str(), lines[9].as_str()),
            ("line 991", "line 999", "bad")
        );
    }

    #[test]
    fn files_of_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new");
        check(&dir).unwrap();
        let streams = Streams::open(Some(&dir), "highwater:bump:grain=8-1").unwrap();
        run(&streams, "echo good; echo bad >&2");
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(read("highwater-bump-grain-8-1.out"), "good\n");
        assert_eq!(read("highwater-bump-grain-8-1.err"), "bad\n");
        assert_eq!(streams.last_lines(), ["bad"]);
        assert!(check(Path::new("/proc/none")).is_err());
    }
}
