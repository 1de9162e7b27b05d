//! Sentences about the figures.

use super::{
    super::c::CToolchain,
    contests::{ARENA, CONSTANT_ARENA, LANGUAGES, MALLOC, STACK, TIME, key},
};
use crate::lab::{Case, Findings, Ratio, RatioVerdict, unit::three_digits};

/// A sentence for each comparison that was made.
pub fn of_findings(
    findings: &Findings,
    toolchain: &Result<CToolchain, String>,
    bitwise_equal: &[bool],
) -> Vec<String> {
    let mut words = Vec::new();
    for language in LANGUAGES {
        let to_malloc = ratios(findings, language, MALLOC, ARENA);
        if !to_malloc.is_empty() {
            let list = list(&to_malloc);
            let crossing = crossing(&to_malloc, "malloc", "the arena");
            words.push(format!("{language}: malloc takes {list} as long as the arena; {crossing}."));
        }
        let to_stack = ratios(findings, language, CONSTANT_ARENA, STACK);
        if !to_stack.is_empty() {
            let list = list(&to_stack);
            words.push(format!(
                "{language}: with constant lengths the arena takes {list} as long as the stack."
            ));
        }
        let stack_to_arena = ratios(findings, language, STACK, ARENA);
        if !stack_to_arena.is_empty() {
            let list = list(&stack_to_arena);
            let crossing = crossing(&stack_to_arena, "the stack", "that arena");
            words.push(format!(
                "{language}: the stack takes {list} as long as the arena for any length; {crossing}."
            ));
        }
    }
    match toolchain {
        Ok(toolchain) => words.push(format!(
            "C: compiled with {} -O3, against {}.",
            toolchain.version,
            // (Its directory differs between machines.)
            toolchain.library.file_name().unwrap_or_default().display()
        )),
        Err(reason) => words.push(format!("C: not measured: {reason}.")),
    }
    words.push("Within a language all results were equal bit for bit.".into());
    if !bitwise_equal.is_empty() {
        let bits = if bitwise_equal.iter().all(|same| *same) {
            "bit for bit, too"
        } else {
            "by value, within 1e-9 of it"
        };
        words.push(format!("Rust's and C's were equal {bits}."));
    }
    words
}

/// A contender's ratios to another, by length.
pub fn ratios(findings: &Findings, language: &str, contender: &str, to: &str) -> Vec<(usize, Ratio)> {
    let of = |case: &Case| Some((length_of(case, language)?, case.ratio(contender, to, TIME)?));
    findings.cases.iter().filter_map(of).collect()
}

/// The length of a case, if it is of that language.
pub fn length_of(case: &Case, language: &str) -> Option<usize> {
    let length = case.key.rsplit('-').next()?.parse().ok()?;
    (case.key == key(language, length)).then_some(length)
}

/// `2.10 times (length 4), 1.30 times (8)`.
fn list(ratios: &[(usize, Ratio)]) -> String {
    let each = ratios.iter().enumerate().map(|(i, (length, ratio))| {
        let verdict = match ratio.verdict {
            RatioVerdict::Tie => ", a tie",
            RatioVerdict::TooFewRuns => ", too few rounds to be sure",
            RatioVerdict::Less | RatioVerdict::More => "",
        };
        let what = if i == 0 { "length " } else { "" };
        format!("{} times ({what}{length}{verdict})", three_digits(ratio.times))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The lengths between which the faster one changes; `one` is faster if the ratio is below 1.
fn crossing(ratios: &[(usize, Ratio)], one: &str, other: &str) -> String {
    let clear: Vec<_> = ratios
        .iter()
        .filter(|(_, ratio)| matches!(ratio.verdict, RatioVerdict::Less | RatioVerdict::More))
        .map(|(length, ratio)| (*length, if ratio.times < 1.0 { one } else { other }))
        .collect();
    let Some(first) = clear.first() else { return "no length shows a difference".into() };
    let changes: Vec<_> = clear
        .windows(2)
        .filter(|pair| pair[0].1 != pair[1].1)
        .map(|pair| {
            format!("{} is faster from a length between {} and {} on", pair[1].1, pair[0].0, pair[1].0)
        })
        .collect();
    if !changes.is_empty() {
        return format!("{} is faster at first, {}", first.1, changes.join(", "));
    }
    let ties =
        if clear.len() < ratios.len() { "every length that shows a difference" } else { "every length" };
    format!("{} is faster at {ties}, so there is no crossing", first.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(times: f64) -> Ratio {
        Ratio::of("arena", &[(times, 1.0), (times, 1.0), (times, 1.0)]).unwrap()
    }

    #[test]
    fn crossings() {
        let of = |times: &[f64]| {
            let ratios: Vec<_> = times.iter().enumerate().map(|(i, times)| (2 << i, ratio(*times))).collect();
            crossing(&ratios, "malloc", "the arena")
        };
        assert_eq!(of(&[3.0, 2.0, 1.5]), "the arena is faster at every length, so there is no crossing");
        assert_eq!(
            of(&[3.0, 1.0]),
            "the arena is faster at every length that shows a difference, so there is no crossing"
        );
        assert_eq!(
            of(&[3.0, 1.0, 0.8]),
            "the arena is faster at first, malloc is faster from a length between 2 and 8 on"
        );
        assert_eq!(of(&[1.0]), "no length shows a difference");
        let once = Ratio::of("arena", &[(3.0, 1.0)]).unwrap();
        assert_eq!(list(&[(4, once.clone())]), "3.00 times (length 4, too few rounds to be sure)");
        assert_eq!(crossing(&[(4, once)], "malloc", "the arena"), "no length shows a difference");
    }

    #[test]
    fn lists_name_their_lengths() {
        assert_eq!(list(&[(4, ratio(2.0)), (8, ratio(1.0))]), "2.00 times (length 4), 1.00 times (8, a tie)");
    }
}
