//! The settings of an arena, and the parsers of the options for them.

use std::{env, path::PathBuf};

use clap::ValueEnum;
use highwater::{Arena, Backing, Growth, HugePages, Reserve};

use crate::size;

/// The value of an option with its text, which is shown in results.
#[derive(Clone)]
pub struct ParsedOption<T> {
    /// The text.
    pub text: String,
    /// The value.
    pub value: T,
}

impl<T> ParsedOption<T> {
    fn new(text: &str, value: T) -> Self {
        Self { text: text.to_owned(), value }
    }
}

/// `--growth`.
pub fn growth(text: &str) -> Result<ParsedOption<Growth>, String> {
    let value = match text.split_once(':') {
        None if text == "upfront" => Growth::Upfront,
        None if text == "geometric" => Growth::default(),
        Some(("fixed", step)) => Growth::Fixed(size::parse_positive(step)?),
        Some(("geometric", steps)) => {
            let (first, max) = steps.split_once(',').ok_or("expected geometric:FIRST,MAX")?;
            let (first, max) = (size::parse_positive(first)?, size::parse_positive(max)?);
            if first > max {
                return Err("the first step is larger than the largest".into());
            }
            Growth::Geometric { first, max }
        }
        Some(("stress", seed)) => {
            let seed = match seed.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16),
                None => seed.parse(),
            };
            Growth::Stress { seed: seed.map_err(|_| "the seed is a number below 2^64")? }
        }
        _ => return Err("expected upfront, fixed:SIZE, geometric, geometric:FIRST,MAX or stress:SEED".into()),
    };
    Ok(ParsedOption::new(text, value))
}

/// `--reserve`.
pub fn reserve(text: &str) -> Result<ParsedOption<Reserve>, String> {
    let value = match text {
        "physical" => Reserve::Physical,
        _ => Reserve::Bytes(size::parse_positive(text)?),
    };
    Ok(ParsedOption::new(text, value))
}

/// `--head`; 0 is allowed.
pub fn head(text: &str) -> Result<ParsedOption<usize>, String> {
    size::parse(text).map(|bytes| ParsedOption::new(text, bytes)).map_err(|error| error.to_string())
}

/// `--backing`.
pub fn backing(text: &str) -> Result<ParsedOption<Backing>, String> {
    let dir = match text {
        "anonymous" => return Ok(ParsedOption::new(text, Backing::Anonymous)),
        "temp" => env::temp_dir(),
        _ => match text.strip_prefix("temp:") {
            Some(dir) => PathBuf::from(dir),
            None => return Err("expected anonymous, temp or temp:DIR".into()),
        },
    };
    if !dir.is_dir() {
        return Err(format!("{} is not a directory", dir.display()));
    }
    Ok(ParsedOption::new(text, Backing::Temp(dir)))
}

/// `--huge-pages`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HugePagesOption {
    /// Advise the kernel to use them for the whole reservation.
    Advise,
    /// Do not use them.
    Never,
}

/// The settings of one arena.
#[derive(Clone)]
pub struct ArenaSettings {
    pub growth: Growth,
    pub reserve: Reserve,
    pub head: usize,
    pub huge_pages: HugePagesOption,
    pub backing: Backing,
    /// An estimate of the bytes the arena will hold.
    pub estimated_memory: usize,
}

/// The reservation for an arena that will hold this many bytes, unless the option says otherwise.
pub fn reserve_for(option: Option<Reserve>, estimated_memory: usize) -> Reserve {
    match option {
        Some(reserve) => reserve,
        // The default is for everyday use; a larger job reserves an eighth more than it is estimated to need.
        None if estimated_memory > 60 << 30 => {
            Reserve::Bytes(estimated_memory.saturating_add(estimated_memory / 8))
        }
        None => Reserve::Default,
    }
}

impl ArenaSettings {
    /// Makes the arena. An error is one line.
    pub fn build(&self) -> Result<Arena, String> {
        let huge_pages = match self.huge_pages {
            HugePagesOption::Advise => HugePages::Advise,
            HugePagesOption::Never => HugePages::Never,
        };
        let arena = Arena::builder()
            .name("grow")
            .reserve(self.reserve)
            .head(self.head)
            .growth(self.growth)
            .huge_pages(huge_pages)
            .backing(self.backing.clone())
            .try_build()
            .map_err(|error| error.to_string())?;
        Ok(arena)
    }

    /// The directory of the file that backs the memory, if any.
    pub fn dir(&self) -> Option<&std::path::Path> {
        match &self.backing {
            Backing::Temp(dir) => Some(dir),
            _ => None,
        }
    }
}
