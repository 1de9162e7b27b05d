//! From the options to the settings of an arena.

use std::{env, path::PathBuf};

use highwater::{Arena, Backing, Growth, HugePages, Reserve};

use super::args;
use crate::size;

/// A value and how it was written, which is how it is shown again.
#[derive(Clone)]
pub struct Given<T> {
    /// As it was written.
    pub text: String,
    /// What that means.
    pub value: T,
}

impl<T> Given<T> {
    fn new(text: &str, value: T) -> Self {
        Self { text: text.to_owned(), value }
    }
}

/// `--growth`.
pub fn growth(text: &str) -> Result<Given<Growth>, String> {
    let value = match text.split_once(':') {
        None if text == "upfront" => Growth::Upfront,
        None if text == "geometric" => Growth::default(),
        Some(("fixed", step)) => Growth::Fixed(size::parse_positive(step)?),
        Some(("geometric", steps)) => {
            let (first, max) = steps.split_once(',').ok_or("geometric wants FIRST,MAX")?;
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
    Ok(Given::new(text, value))
}

/// `--reserve`.
pub fn reserve(text: &str) -> Result<Given<Reserve>, String> {
    let value = match text {
        "physical" => Reserve::Physical,
        _ => Reserve::Bytes(size::parse_positive(text)?),
    };
    Ok(Given::new(text, value))
}

/// `--head`; none at all is fine.
pub fn head(text: &str) -> Result<Given<usize>, String> {
    size::parse(text).map(|bytes| Given::new(text, bytes)).map_err(|error| error.to_string())
}

/// `--backing`.
pub fn backing(text: &str) -> Result<Given<Backing>, String> {
    let dir = match text {
        "anonymous" => return Ok(Given::new(text, Backing::Anonymous)),
        "temp" => env::temp_dir(),
        _ => match text.strip_prefix("temp:") {
            Some(dir) => PathBuf::from(dir),
            None => return Err("expected anonymous, temp or temp:DIR".into()),
        },
    };
    if !dir.is_dir() {
        return Err(format!("{} is not a directory", dir.display()));
    }
    Ok(Given::new(text, Backing::Temp(dir)))
}

/// What one arena is made with.
#[derive(Clone)]
pub struct Settings {
    growth: Growth,
    reserve: Reserve,
    head: usize,
    huge_pages: args::HugePages,
    backing: Backing,
    needs: usize,
}

impl Settings {
    /// `needs`: the bytes one arena will have to hold, at a guess.
    pub fn new(args: &args::GrowArgs, needs: usize) -> Self {
        let reserve = match &args.reserve {
            Some(given) => given.value,
            // The default is for everyday use; what is larger reserves what it needs and some air.
            None if needs > 60 << 30 => Reserve::Bytes(needs.saturating_add(needs / 8)),
            None => Reserve::Default,
        };
        Self {
            growth: args.growth.value,
            reserve,
            head: args.head.value,
            huge_pages: args.huge_pages,
            backing: args.backing.value.clone(),
            needs,
        }
    }

    /// Makes the arena, or says in one line why not.
    pub fn build(&self) -> Result<Arena, String> {
        let huge_pages = match self.huge_pages {
            args::HugePages::Advise => HugePages::Advise,
            args::HugePages::Never => HugePages::Never,
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

    /// The bytes one arena will have to hold, at a guess.
    pub fn needs(&self) -> usize {
        self.needs
    }

    /// The directory of the file behind the memory, if there is one.
    pub fn dir(&self) -> Option<&std::path::Path> {
        match &self.backing {
            Backing::Temp(dir) => Some(dir),
            _ => None,
        }
    }
}
