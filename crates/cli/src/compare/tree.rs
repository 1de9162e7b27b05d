//! Reads the processes of a run from `/proc`.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process,
};

use crate::machine::ProcessMemory;

/// All descendants of this process, including orphans of a run, which become children of this process. `None` if the
/// kernel does not list children.
pub fn descendants(proc: &Path) -> Option<Vec<u32>> {
    let this = process::id();
    let mut known = HashSet::from([this]);
    let mut all = Vec::new();
    let mut next = children(proc, this)?;
    while let Some(id) = next.pop() {
        if known.insert(id) {
            all.push(id);
            // The process may have ended meanwhile.
            next.extend(children(proc, id).unwrap_or_default());
        }
    }
    Some(all)
}

/// The children of a process; each thread has a list of those it started.
fn children(proc: &Path, id: u32) -> Option<Vec<u32>> {
    let tasks = fs::read_dir(proc.join(id.to_string()).join("task")).ok()?;
    let mut is_listed = false;
    let mut all = Vec::new();
    for task in tasks.flatten() {
        if let Ok(text) = fs::read_to_string(task.path().join("children")) {
            is_listed = true;
            all.extend(text.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
    }
    is_listed.then_some(all)
}

/// The resident memory of a process in bytes, including shared pages.
pub fn resident(proc: &Path, id: u32) -> Option<u64> {
    ProcessMemory::of(&proc.join(id.to_string())).map(|memory| memory.resident)
}

/// The program that a process runs.
pub fn program(proc: &Path, id: u32) -> Option<PathBuf> {
    fs::read_link(proc.join(id.to_string()).join("exe")).ok()
}

/// The files that are mapped into a process, each once; `None` for a process of another user, or one that has ended.
pub fn mapped(proc: &Path, id: u32) -> Option<Vec<PathBuf>> {
    let text = fs::read_to_string(proc.join(id.to_string()).join("maps")).ok()?;
    let files = files(&text);
    (!files.is_empty()).then_some(files)
}

/// The paths in a maps file: `7f…-7f… r-xp 00001000 fe:00 1234      /lib/x.so`
fn files(text: &str) -> Vec<PathBuf> {
    let paths = text.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    let mut files: Vec<_> = paths.map(PathBuf::from).collect();
    files.sort_unstable();
    files.dedup();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::page_size;

    fn process(proc: &Path, id: u32, children: &str) {
        let task = proc.join(format!("{id}/task/{id}"));
        fs::create_dir_all(&task).unwrap();
        fs::write(task.join("children"), children).unwrap();
    }

    #[test]
    fn descendants_of_this_process() {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path();
        assert_eq!(descendants(proc), None, "nothing is listed");
        process(proc, process::id(), "11 12 ");
        process(proc, 11, "13");
        process(proc, 13, "");
        let mut found = descendants(proc).unwrap();
        found.sort_unstable();
        assert_eq!(found, [11, 12, 13], "12 has ended");
    }

    #[test]
    fn figures_of_a_process() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("7")).unwrap();
        fs::write(dir.path().join("7/statm"), "1000 25 10 1 0 100 0\n").unwrap();
        assert_eq!(resident(dir.path(), 7), Some(25 * page_size() as u64));
        assert_eq!(resident(dir.path(), 8), None);
        assert_eq!(mapped(dir.path(), 7), None);
    }

    #[test]
    fn mapped_files() {
        let text = "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/a b\n\
                    00e03000-00e24000 rw-p 00000000 00:00 0           [heap]\n\
                    7f00-7f01 r--p 00000000 08:02 1 /lib/x.so\n\
                    7f01-7f02 r-xp 00001000 08:02 1 /lib/x.so\n\
                    7f02-7f03 rw-p 00000000 00:00 0 \n";
        assert_eq!(files(text), [PathBuf::from("/lib/x.so"), PathBuf::from("/usr/bin/a b")]);
    }
}
