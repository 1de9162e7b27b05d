//! Finds the files below some paths.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use crate::{failure::Failure, interrupt, output};

/// How many bytes at the start of a file decide whether it is text or binary.
pub const SNIFF_LEN: usize = 8 << 10;
/// How many unreadable files are reported one by one; the others are only counted.
const MAX_REPORTED: u64 = 10;

/// A regular file with its size when it was found.
pub struct Input {
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes; files in `/proc` report 0, and files that are being written to change theirs.
    pub bytes: u64,
}

/// The files to be read.
#[derive(Default)]
pub struct Inputs {
    /// In the order of the walk, sorted by name.
    pub files: Vec<Input>,
    /// Their sizes, added up.
    pub bytes: u64,
    /// The number of entries that could not be read.
    pub unreadable: u64,
    /// The number of symbolic links, sockets, pipes and devices.
    pub passed_over: u64,
}

impl Inputs {
    /// Walks the paths. A given path must exist; entries below that cannot be read are counted.
    pub fn find(paths: &[PathBuf]) -> Result<Self, Failure> {
        for path in paths {
            let data = path.metadata().map_err(|error| cannot_read(path, &error))?;
            if !data.is_dir() && !data.is_file() {
                return Err(Failure::refused(format!("{}: neither a file nor a directory", path.display())));
            }
        }
        let mut inputs = Self::default();
        for path in paths {
            for entry in WalkDir::new(path).sort_by_file_name() {
                if interrupt::requested() {
                    return Err(Failure::interrupted());
                }
                match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
                    // A given path that is a symbolic link is followed.
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
                        report_unreadable(inputs.unreadable, &describe(&error));
                        inputs.unreadable += 1;
                    }
                }
            }
        }
        if u32::try_from(inputs.files.len()).is_err() {
            return Err(Failure::refused("more than 2^32 files"));
        }
        Ok(inputs)
    }

    fn add(&mut self, path: PathBuf, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.files.push(Input { path, bytes });
    }

    /// The total size without large binary files.
    pub fn text_bytes(&self) -> u64 {
        let is_text = |input: &&Input| {
            let mut start = Vec::with_capacity(SNIFF_LEN);
            let large = input.bytes > 8 * SNIFF_LEN as u64;
            let read = large
                && File::open(&input.path)
                    .and_then(|file| file.take(SNIFF_LEN as u64).read_to_end(&mut start))
                    .is_ok();
            !(read && is_binary(&start))
        };
        self.files.iter().filter(is_text).map(|input| input.bytes).sum()
    }
}

/// Whether a file is binary by its first bytes: text has no NUL. UTF-16 has, and is not read either.
pub fn is_binary(start: &[u8]) -> bool {
    start[..start.len().min(SNIFF_LEN)].contains(&0)
}

/// Reports a file that could not be read, if only a few (`count`) have been reported before it.
pub fn report_unreadable(count: u64, error: &str) {
    match count {
        ..MAX_REPORTED => output::note(&format!("cannot read {error}")),
        MAX_REPORTED => output::note("more files cannot be read; the result has their number"),
        _ => {}
    }
}

/// The error in the same form as for a file that cannot be opened.
fn describe(error: &walkdir::Error) -> String {
    match (error.path(), error.io_error()) {
        (Some(path), Some(error)) => format!("{}: {error}", path.display()),
        _ => error.to_string(),
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let looks_like_a_size = path.as_os_str().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
    let hint = if looks_like_a_size { "; it is not a valid size either" } else { "" };
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    };
    Failure::refused(format!("{}: {reason}{hint}", path.display()))
}
