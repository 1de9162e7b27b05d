//! Parses sizes.
//!
//! `K`, `M`, `G`, `T`, `P`, `E` and `KiB`, `MiB`, … are powers of 1024; `kB`, `MB`, … are powers of
//! 1000. Case does not matter, underscores separate digits, and fractions are rounded down to whole bytes.
//!
//! This is not `parse-size`, which has one base for both `K` and `kB`, and one error for all that is not a size: `grow`
//! must distinguish a path from an invalid size.

use std::fmt;

use indicatif::BinaryBytes;

/// Why a text is not a valid size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeError {
    /// Only white space.
    Empty,
    /// It does not have the form of a size; it may be a path.
    NotASize,
    /// A negative size.
    Negative,
    /// A size that is larger than an address space.
    TooLarge,
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a size cannot be empty",
            Self::NotASize => "not a size (sizes are written 4GiB, 512M, 1e6 or 1_000_000)",
            Self::Negative => "a size cannot be negative",
            Self::TooLarge => "larger than any address space",
        })
    }
}

impl std::error::Error for SizeError {}

/// Parses a size in bytes.
pub fn parse(text: &str) -> Result<usize, SizeError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(SizeError::Empty);
    }
    if let Some(positive) = text.strip_prefix('-') {
        return Err(match magnitude(positive) {
            Err(SizeError::NotASize) => SizeError::NotASize,
            _ => SizeError::Negative,
        });
    }
    magnitude(text)
}

/// Parses a size of at least one byte.
pub fn parse_positive(text: &str) -> Result<usize, String> {
    match parse(text) {
        Ok(0) => Err("must be at least one byte".into()),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

/// A size in a suitable unit.
pub fn human(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

fn magnitude(text: &str) -> Result<usize, SizeError> {
    let (whole, rest) = digits(text);
    if whole.is_empty() {
        return Err(SizeError::NotASize);
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => digits(after),
        None => ("", rest),
    };
    if rest.starts_with('.') || fraction.starts_with('_') {
        return Err(SizeError::NotASize);
    }
    let (exponent, rest) = exponent(rest);
    let unit = unit(rest.trim_start()).ok_or(SizeError::NotASize)?;

    let mut mantissa: u128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit) {
        mantissa = mantissa
            .checked_mul(10)
            .and_then(|m| m.checked_add(u128::from(digit - b'0')))
            .ok_or(SizeError::TooLarge)?;
    }
    if mantissa == 0 {
        return Ok(0);
    }
    let decimals = fraction.bytes().filter(u8::is_ascii_digit).count();
    let shift = exponent.saturating_sub(i64::try_from(decimals).unwrap_or(i64::MAX));
    let ten = |power: i64| u32::try_from(power).ok().and_then(|power| 10_u128.checked_pow(power));
    let bytes = mantissa.checked_mul(unit).ok_or(SizeError::TooLarge)?;
    let bytes = if shift >= 0 {
        ten(shift).and_then(|by| bytes.checked_mul(by)).ok_or(SizeError::TooLarge)?
    } else {
        // With a divisor beyond u128 the result is less than a byte.
        ten(-shift).map_or(0, |by| bytes / by)
    };
    usize::try_from(bytes).ok().filter(|&n| isize::try_from(n).is_ok()).ok_or(SizeError::TooLarge)
}

/// Splits off leading digits and underscores, which start with a digit.
fn digits(text: &str) -> (&str, &str) {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return ("", text);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// Parses an exponent, `e6` or `E+6`; an `E` that no digit follows is a unit.
fn exponent(text: &str) -> (i64, &str) {
    let Some(after) = text.strip_prefix(['e', 'E']) else { return (0, text) };
    let (sign, after) = match after.strip_prefix('-') {
        Some(after) => (-1, after),
        None => (1, after.strip_prefix('+').unwrap_or(after)),
    };
    let (number, rest) = digits(after);
    if number.is_empty() {
        return (0, text);
    }
    // These are digits, so an error means that the exponent is far beyond any size.
    (sign * number.replace('_', "").parse::<u32>().map_or(i64::from(u32::MAX), i64::from), rest)
}

fn unit(text: &str) -> Option<u128> {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "" | "b" | "byte" | "bytes") {
        return Some(1);
    }
    let power = 1 + u32::try_from("kmgtpe".find(lower.chars().next()?)?).ok()?;
    match &lower[1..] {
        "" | "i" | "ib" => Some(1024_u128.pow(power)),
        "b" => Some(1000_u128.pow(power)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SizeError::*, *};

    #[test]
    fn valid_sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("4GiB", 4 << 30),
            ("4gib", 4 << 30),
            ("4Gi", 4 << 30),
            ("512M", 512 << 20),
            ("512MiB", 512 << 20),
            ("512MB", 512_000_000),
            ("1e6", 1_000_000),
            ("1E+6", 1_000_000),
            ("2.5e3k", 2_560_000),
            ("25e-1k", 2560),
            ("1_000_000", 1_000_000),
            ("64k", 65536),
            ("64kB", 64000),
            ("1.5GiB", 3 << 29),
            ("0.1k", 102),
            (" 7 MiB ", 7 << 20),
            ("12 bytes", 12),
            ("12B", 12),
            ("1E", 1 << 60),
            ("7EiB", 7 << 60),
            ("0e999999999999", 0),
            ("1e-999999999999", 0),
            ("007", 7),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text:?}");
        }
    }

    #[test]
    fn invalid_sizes() {
        for (text, expected) in [
            ("", Empty),
            ("  ", Empty),
            ("-1", Negative),
            ("-4GiB", Negative),
            ("-x", NotASize),
            ("GiB", NotASize),
            ("./4GiB", NotASize),
            ("4GiBs", NotASize),
            ("4XB", NotASize),
            ("1..5G", NotASize),
            ("1.5.2", NotASize),
            ("1._5", NotASize),
            ("_1", NotASize),
            (".5G", NotASize),
            ("0x10", NotASize),
            ("4 4", NotASize),
            ("４GiB", NotASize),
            ("4é", NotASize),
            ("8EiB", TooLarge),
            ("1e19", TooLarge),
            ("1e99999999999999999999", TooLarge),
            ("99999999999999999999999999999999999999999", TooLarge),
        ] {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_positive_size_has_at_least_one_byte() {
        assert!(parse_positive("0").is_err());
        assert!(parse_positive("0.0001k").is_err());
        assert_eq!(parse_positive("1"), Ok(1));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_on_what_looks_like_a_size(text in "-?[0-9_.]{0,45}[eE]?[-+]?[0-9]{0,20} ?[kMGTPE]?i?B?") {
            let _ = parse(&text);
        }

        #[test]
        fn plain_numbers_are_bytes(n in 0..=isize::MAX.cast_unsigned()) {
            prop_assert_eq!(parse(&n.to_string()), Ok(n));
        }

        #[test]
        fn units_multiply(n in 0..8_usize << 20, power in 1..=4_u32) {
            let letter = ["k", "M", "G", "T"][power as usize - 1];
            let binary = n.checked_mul(1024_usize.pow(power)).unwrap();
            let decimal = n.checked_mul(1000_usize.pow(power)).unwrap();
            prop_assert_eq!(parse(&format!("{n}{letter}")), Ok(binary));
            prop_assert_eq!(parse(&format!("{n}{letter}iB")), Ok(binary));
            prop_assert_eq!(parse(&format!("{n}{letter}B")), Ok(decimal));
        }

        #[test]
        fn quarters_are_exact(n in 0..1_usize << 20) {
            prop_assert_eq!(parse(&format!("{n}.25k")), Ok(n * 1024 + 256));
        }
    }
}
