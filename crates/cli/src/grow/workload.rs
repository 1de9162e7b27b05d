//! The workload of `grow`: a size, or the files below some paths.

use std::{ffi::OsString, path::PathBuf};

use super::inputs::Inputs;
use crate::{
    failure::Failure,
    size::{self, SizeError},
};

/// Estimated memory for one byte of input: a posting of 24 bytes for each word, with words of about four letters, and
/// the words themselves.
const BYTES_PER_INPUT_BYTE: u64 = 16;

/// What `SIZE|PATH…` stands for.
pub enum Workload {
    /// This many bytes of nodes.
    Bytes(usize),
    /// An index of these files.
    Inputs(Inputs),
}

impl Workload {
    /// Parses the arguments. What reads as a size is a size, even if a path has the same name.
    pub fn parse(arguments: &[OsString]) -> Result<Self, Failure> {
        let mut sizes = Vec::new();
        let mut paths = Vec::new();
        for argument in arguments {
            let shown = argument.to_string_lossy();
            match argument.to_str().map(size::parse) {
                Some(Ok(0)) => return Err(Failure::refused(format!("{shown}: there is nothing to grow"))),
                Some(Ok(bytes)) => sizes.push((shown, bytes)),
                None | Some(Err(SizeError::NotASize)) => paths.push(PathBuf::from(argument)),
                Some(Err(error @ SizeError::Empty)) => return Err(Failure::refused(error)),
                Some(Err(error)) => return Err(Failure::refused(format!("{shown}: {error}"))),
            }
        }
        match (sizes.as_slice(), paths.as_slice()) {
            ([(_, bytes)], []) => Ok(Self::Bytes(*bytes)),
            ([(first, _), (second, _), ..], _) => {
                Err(Failure::refused(format!("{first} and {second} are two sizes; give one")))
            }
            ([(size, _)], [path, ..]) => Err(Failure::refused(format!(
                "{size} is a size and {} a path; give one or the other (a file named {size} is ./{size})",
                path.display()
            ))),
            ([], _) => Inputs::find(&paths).map(Self::Inputs),
        }
    }

    /// Estimated memory, in bytes.
    pub fn estimated_memory(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => *bytes as u64,
            Self::Inputs(inputs) => inputs.bytes.saturating_mul(BYTES_PER_INPUT_BYTE),
        }
    }

    /// The same without large binary files, which have to be opened to find out.
    pub fn estimated_memory_of_text(&self) -> u64 {
        match self {
            Self::Bytes(_) => self.estimated_memory(),
            Self::Inputs(inputs) => inputs.text_bytes().saturating_mul(BYTES_PER_INPUT_BYTE),
        }
    }
}
