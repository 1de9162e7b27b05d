//! What is to be grown: a size, or what paths hold.

use std::{ffi::OsString, path::PathBuf};

use super::inputs::Inputs;
use crate::{
    failure::Failure,
    size::{self, SizeError},
};

/// Memory one byte of input is expected to need: a posting of 24 bytes for each word, words of four
/// letters or so, and the words themselves.
const FOR_A_BYTE_OF_INPUT: u64 = 16;

/// What `SIZE|PATH…` asks for.
pub enum Aim {
    /// This many bytes of nodes.
    Bytes(usize),
    /// An index of these files.
    Inputs(Inputs),
}

impl Aim {
    /// A size wins over a path of the same name.
    pub fn decide(given: &[OsString]) -> Result<Self, Failure> {
        let mut sizes = Vec::new();
        let mut paths = Vec::new();
        for word in given {
            let shown = word.to_string_lossy();
            match word.to_str().map(size::parse) {
                Some(Ok(0)) => return Err(Failure::asked(format!("{shown}: there is nothing to grow"))),
                Some(Ok(bytes)) => sizes.push((shown, bytes)),
                None | Some(Err(SizeError::NotASize)) => paths.push(PathBuf::from(word)),
                Some(Err(error @ SizeError::Empty)) => return Err(Failure::asked(error)),
                Some(Err(error)) => return Err(Failure::asked(format!("{shown}: {error}"))),
            }
        }
        match (sizes.as_slice(), paths.as_slice()) {
            ([(_, bytes)], []) => Ok(Self::Bytes(*bytes)),
            ([(first, _), (second, _), ..], _) => {
                Err(Failure::asked(format!("{first} and {second} are two sizes; give one")))
            }
            ([(size, _)], [path, ..]) => Err(Failure::asked(format!(
                "{size} is a size and {} a path; give one or the other (a file named {size} is ./{size})",
                path.display()
            ))),
            ([], _) => Inputs::find(&paths).map(Self::Inputs),
        }
    }

    /// The memory this should take, in bytes.
    pub fn needs(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => *bytes as u64,
            Self::Inputs(inputs) => inputs.bytes.saturating_mul(FOR_A_BYTE_OF_INPUT),
        }
    }

    /// The same, looking closer where that costs something.
    pub fn needs_precisely(&self) -> u64 {
        match self {
            Self::Bytes(_) => self.needs(),
            Self::Inputs(inputs) => inputs.text_bytes().saturating_mul(FOR_A_BYTE_OF_INPUT),
        }
    }
}
