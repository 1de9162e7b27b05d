//! The malloc library's policies and their text form: `general`, `stack:align=32,errno`.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::size;

/// The policies, in the order of their numbers in a record.
pub const NAMES: [&str; 4] = ["general", "stack", "bump", "blocks"];

/// A valid policy with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MallocPolicy {
    /// The text it was parsed from.
    text: String,
    /// The same with sizes in bytes, as the library reads them.
    plain: String,
}

impl MallocPolicy {
    /// The default.
    pub fn general() -> Self {
        Self { text: NAMES[0].into(), plain: NAMES[0].into() }
    }

    /// The value for `HIGHWATER_MALLOC`.
    pub fn as_str(&self) -> &str {
        &self.plain
    }
}

impl fmt::Display for MallocPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for MallocPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, options) = match text.split_once(':') {
            Some((name, options)) => (name, options.split(',').collect()),
            None => (text, Vec::new()),
        };
        let known = options_of(name)
            .ok_or_else(|| format!("no policy is called {name:?} (known are {})", NAMES.join(", ")))?;
        let options: Vec<_> =
            options.into_iter().map(|option| plain_option(name, known, option)).collect::<Result<_, _>>()?;
        let plain = if options.is_empty() { name.into() } else { format!("{name}:{}", options.join(",")) };
        Ok(Self { text: text.into(), plain })
    }
}

impl Serialize for MallocPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Whether a text after a comma is an option of this policy.
pub fn is_option(policy: &str, text: &str) -> bool {
    options_of(policy).is_some_and(|known| known.iter().any(|(name, _)| *name == key(text).0))
}

/// What value an option value_kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OptionValue {
    Nothing,
    /// A size that is a power of two, with its min and max.
    Power(usize, usize),
    /// Any size.
    Size,
    /// One of these.
    Word(&'static [&'static str]),
}

type KnownOptions = &'static [(&'static str, OptionValue)];

fn options_of(policy: &str) -> Option<KnownOptions> {
    use OptionValue::{Nothing, Power, Size, Word};
    Some(match policy {
        "general" => &[("checked", Nothing)],
        "stack" => &[("align", Power(16, 4096)), ("errno", Nothing), ("single-threaded", Nothing)],
        "bump" => &[
            ("slice", Power(64 << 10, 1 << 30)),
            ("grain", Word(&["8", "16"])),
            ("diagnose", Nothing),
            ("single-threaded", Nothing),
        ],
        "blocks" => &[("fit", Word(&["best", "first"])), ("margin", Size), ("single-threaded", Nothing)],
        _ => return None,
    })
}

fn key(option: &str) -> (&str, Option<&str>) {
    option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value)))
}

/// The option in the form the library reads.
fn plain_option(policy: &str, known: KnownOptions, option: &str) -> Result<String, String> {
    let (name, value) = key(option);
    let Some((_, value_kind)) = known.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        return Err(format!("{policy} has no option {name:?} (it has {})", known.join(", ")));
    };
    let bad = |reason: &str| format!("{policy}:{option}: {reason}");
    let size = |text: &str| size::parse(text).map_err(|error| bad(&error.to_string()));
    match (value_kind, value) {
        (OptionValue::Nothing, None) => Ok(name.into()),
        (OptionValue::Nothing, Some(_)) => Err(bad("takes no value")),
        (_, None) => Err(bad("needs a value")),
        (OptionValue::Word(words), Some(value)) if words.contains(&value) => Ok(option.into()),
        (OptionValue::Word(words), Some(_)) => Err(bad(&format!("expected one of {}", words.join(", ")))),
        (OptionValue::Size, Some(value)) => Ok(format!("{name}={}", size(value)?)),
        (OptionValue::Power(min, max), Some(value)) => match size(value)? {
            bytes if bytes.is_power_of_two() && (*min..=*max).contains(&bytes) => {
                Ok(format!("{name}={bytes}"))
            }
            _ => {
                let [min, max] = [*min, *max].map(|bytes| size::human(bytes as u64));
                Err(bad(&format!("expected a power of two from {min} to {max}")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_policies() {
        for text in [
            "general",
            "general:checked",
            "stack:align=32,single-threaded,errno",
            "bump:slice=1MiB,grain=8,diagnose,single-threaded",
            "bump:slice=65536",
            "blocks:fit=first,margin=1MiB,single-threaded",
            "blocks:margin=0",
        ] {
            assert_eq!(text.parse::<MallocPolicy>().map(|policy| policy.to_string()), Ok(text.to_owned()));
        }
        assert!(NAMES.iter().all(|name| name.parse::<MallocPolicy>().is_ok()));
    }

    #[test]
    fn sizes_are_passed_on_in_bytes() {
        let plain = |text: &str| text.parse::<MallocPolicy>().unwrap().as_str().to_owned();
        assert_eq!(plain("bump:slice=0.5MiB,grain=8"), "bump:slice=524288,grain=8");
        assert_eq!(plain("blocks:margin=1e3"), "blocks:margin=1000");
        assert_eq!(plain("general"), "general");
    }

    #[test]
    fn invalid_policies() {
        for (text, expected) in [
            ("", "no policy"),
            ("arena", "no policy is called \"arena\" (known are general, stack, bump, blocks)"),
            ("General", "no policy"),
            ("general:", "no option \"\""),
            ("general:align=32", "general has no option \"align\" (it has checked)"),
            ("general:checked=1", "takes no value"),
            ("stack:align", "needs a value"),
            ("stack:align=24", "power of two from 16 B to 4.00 KiB"),
            ("stack:align=8192", "power of two"),
            ("stack:align=x", "not a size"),
            ("bump:grain=32", "one of 8, 16"),
            ("bump:slice=4096", "power of two from 64.00 KiB to 1.00 GiB"),
            ("blocks:fit=worst", "one of best, first"),
            ("blocks:margin=-1", "negative"),
            ("blocks:fit=first,,errno", "no option \"\""),
        ] {
            let error = text.parse::<MallocPolicy>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn options_after_a_comma() {
        assert!(is_option("stack", "errno"));
        assert!(is_option("blocks", "margin=1MiB"));
        assert!(!is_option("blocks", "mimalloc"));
        assert!(!is_option("mimalloc", "errno"));
    }
}
