//! `HIGHWATER_INJECT`: injected refusals in the processes of this command. The library itself reads no environment.

use std::env;

use highwater::{
    Cause,
    oom::{self, Injection},
};

use crate::{failure::Failure, size};

/// The environment variable.
pub const VARIABLE: &str = "HIGHWATER_INJECT";

/// Applies the injection the environment asks for, if any, to all regions made from now on.
pub fn from_environment() -> Result<(), Failure> {
    let injection = requested()?;
    if injection.is_some() {
        oom::inject(injection);
    }
    Ok(())
}

/// The injection the environment asks for. An empty variable asks for none.
pub fn requested() -> Result<Option<Injection>, Failure> {
    let Some(text) = env::var_os(VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = text.to_string_lossy();
    parse(&text).map(Some).map_err(|reason| Failure::refused(format!("{VARIABLE}={text:?}: {reason}")))
}

/// Reads `nth=3`, `after=10`, `above=1MiB` or `rate=1000,seed=7`, with `,cause=NAME` behind it if wanted.
fn parse(text: &str) -> Result<Injection, String> {
    let (mut rule, mut rate, mut seed, mut cause) = (None, None, None, None);
    for part in text.split(',') {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not KEY=VALUE"))?;
        let count = || value.parse::<u64>().map_err(|_| format!("{key}={value}: not a number of admissions"));
        let is_rule = matches!(key, "nth" | "after" | "above" | "rate");
        if is_rule && (rule.is_some() || rate.is_some()) {
            return Err(format!(
                "{part:?} is a second rule: only one of nth, after, above and rate can be set"
            ));
        }
        match key {
            "nth" => match count()? {
                0 => return Err("nth=0: admissions are counted from 1".into()),
                n => rule = Some(Injection::nth(n)),
            },
            "after" => rule = Some(Injection::after(count()?)),
            "above" => {
                let bytes = size::parse(value).map_err(|error| format!("above={value}: {error}"))?;
                rule = Some(Injection::above(bytes));
            }
            "rate" => match value.parse() {
                Ok(per_million @ 1..=1_000_000) => rate = Some(per_million),
                _ => {
                    return Err(format!(
                        "rate={value}: not a number of refusals per million, from 1 to 1000000"
                    ));
                }
            },
            "seed" if seed.is_none() => {
                let number = value.parse::<u64>();
                seed = Some(number.map_err(|_| format!("seed={value}: not a number below 2^64"))?);
            }
            "cause" if cause.is_none() => {
                cause = Some(cause_named(value).ok_or_else(|| {
                    format!("cause={value}: no cause has that name (the causes are {})", cause_names())
                })?);
            }
            "seed" | "cause" => return Err(format!("{part:?}: {key} is already set")),
            _ => return Err(format!("{key:?} is none of nth, after, above, rate, seed and cause")),
        }
    }
    let injection = match (rule, rate, seed) {
        (None, Some(per_million), seed) => Injection::rate(per_million, seed.unwrap_or(0)),
        (Some(_), _, Some(seed)) => return Err(format!("seed={seed} is only for rate")),
        (Some(rule), _, None) => rule,
        (None, None, _) => return Err("one of nth, after, above and rate is needed".into()),
    };
    Ok(match cause {
        Some(cause) => injection.cause(cause),
        None => injection,
    })
}

fn cause_named(name: &str) -> Option<Cause> {
    Cause::ALL.into_iter().find(|cause| cause.name() == name)
}

fn cause_names() -> String {
    Cause::ALL.map(Cause::name).join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rules_of_the_help_are_read() {
        for (text, injection) in [
            ("nth=3", Injection::nth(3)),
            ("after=0", Injection::after(0)),
            ("after=10", Injection::after(10)),
            ("above=1MiB", Injection::above(1 << 20)),
            ("above=0", Injection::above(0)),
            ("rate=1000,seed=7", Injection::rate(1000, 7)),
            ("seed=7,rate=1000", Injection::rate(1000, 7)),
            ("rate=1000000", Injection::rate(1_000_000, 0)),
            ("nth=1,cause=rlimit-data", Injection::nth(1).cause(Cause::RlimitData)),
            ("cause=kernel,after=2", Injection::after(2).cause(Cause::Kernel(libc::ENOMEM))),
        ] {
            assert_eq!(parse(text), Ok(injection), "{text}");
        }
    }

    #[test]
    fn errors_name_the_wrong_part() {
        for (text, expected) in [
            ("nth", "\"nth\""),
            ("nth=", "nth="),
            ("nth=0", "nth=0"),
            ("nth=-1", "nth=-1"),
            ("nth=3x", "nth=3x"),
            ("after=ten", "after=ten"),
            ("above=1XB", "above=1XB"),
            ("rate=0", "rate=0"),
            ("rate=1000001", "rate=1000001"),
            ("rate=5,seed=x", "seed=x"),
            ("rate=5,seed=1,seed=2", "\"seed=2\""),
            ("nth=1,after=2", "\"after=2\""),
            ("rate=1,nth=2", "\"nth=2\""),
            ("nth=1,seed=5", "seed=5"),
            ("cause=rlimit-data", "one of nth"),
            ("nth=1,cause=rlimit", "cause=rlimit"),
            ("nth=1,because=x", "\"because\""),
            ("nth=1,", "\"\""),
            ("nth = 1", "\"nth \""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        for cause in Cause::ALL {
            assert_eq!(cause_named(cause.name()), Some(cause));
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(nth|after|above|rate|seed|cause|[a-z]{0,3})?=?[0-9a-z,=-]{0,20}") {
            let _ = parse(&text);
        }
    }
}
