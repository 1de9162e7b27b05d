//! The files below some paths.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use crate::{failure::Failure, interrupt, output};

/// Looked at to tell text from binary.
pub const SNIFFED: usize = 8 << 10;
/// Told one by one; the others are only counted.
const TOLD: u64 = 10;

/// A regular file and the size it had when it was found.
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// In bytes; files of `/proc` say 0 and files that are written to change it.
    pub bytes: u64,
}

/// What is there to be read.
#[derive(Default)]
pub struct Inputs {
    /// In the order of the walk, which is that of names.
    pub files: Vec<Input>,
    /// Their sizes, added up.
    pub bytes: u64,
    /// Entries that could not be looked at.
    pub unreadable: u64,
    /// Symbolic links, sockets, pipes and devices.
    pub passed_over: u64,
}

impl Inputs {
    /// Walks down. A path that is given must exist; what is found below may fail, and is counted.
    pub fn find(paths: &[PathBuf]) -> Result<Self, Failure> {
        for path in paths {
            let data = path.metadata().map_err(|error| cannot_read(path, &error))?;
            if !data.is_dir() && !data.is_file() {
                return Err(Failure::asked(format!("{}: neither a file nor a directory", path.display())));
            }
        }
        let mut inputs = Self::default();
        for path in paths {
            for entry in WalkDir::new(path).sort_by_file_name() {
                if interrupt::requested() {
                    return Err(Failure::interrupted());
                }
                match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
                    // The root may itself be a link, which is followed: it was asked for by name.
                    Ok((_, entry)) if entry.depth() == 0 && entry.path_is_symlink() => {
                        if let Ok(data) = entry.path().metadata()
                            && data.is_file()
                        {
                            inputs.add(entry.into_path(), data.len());
                        }
                    }
                    Ok((data, entry)) if data.is_file() => inputs.add(entry.into_path(), data.len()),
                    Ok((data, _)) if data.is_dir() => {}
                    Ok(_) => inputs.passed_over += 1,
                    Err(error) => {
                        tell_unreadable(inputs.unreadable, &plainly(&error));
                        inputs.unreadable += 1;
                    }
                }
            }
        }
        if u32::try_from(inputs.files.len()).is_err() {
            return Err(Failure::asked("more than 2^32 files"));
        }
        Ok(inputs)
    }

    fn add(&mut self, path: PathBuf, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.files.push(Input { path, bytes });
    }

    /// Like `bytes`, without the large files that begin like binary ones.
    pub fn text_bytes(&self) -> u64 {
        let is_text = |input: &&Input| {
            let mut start = Vec::with_capacity(SNIFFED);
            let large = input.bytes > 8 * SNIFFED as u64;
            let read = large
                && File::open(&input.path)
                    .and_then(|file| file.take(SNIFFED as u64).read_to_end(&mut start))
                    .is_ok();
            !(read && is_binary(&start))
        };
        self.files.iter().filter(is_text).map(|input| input.bytes).sum()
    }
}

/// Text has no NUL; UTF-16 has, and is not read either.
pub fn is_binary(start: &[u8]) -> bool {
    start[..start.len().min(SNIFFED)].contains(&0)
}

/// A line for each of the first few of `before` and one.
pub fn tell_unreadable(before: u64, error: &str) {
    match before {
        ..TOLD => output::note(&format!("cannot read {error}")),
        TOLD => output::note("cannot read more files; the result has their number"),
        _ => {}
    }
}

/// In the same words as for a file that cannot be opened.
fn plainly(error: &walkdir::Error) -> String {
    match (error.path(), error.io_error()) {
        (Some(path), Some(error)) => format!("{}: {error}", path.display()),
        _ => error.to_string(),
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let looks_like_a_size = path.as_os_str().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
    let hint = if looks_like_a_size { "; and it is no size either" } else { "" };
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    };
    Failure::asked(format!("{}: {reason}{hint}", path.display()))
}
