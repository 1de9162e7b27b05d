//! What the figures say, in sentences.

use super::{
    super::c::Workshop,
    contests::{ARENA, CONSTANT_ARENA, LANGUAGES, MALLOC, STACK, TIME, key},
};
use crate::lab::{Case, Findings, Ratio, Verdict, unit::three_digits};

/// A sentence for each comparison that was made.
pub fn of(findings: &Findings, workshop: &Result<Workshop, String>, agreed: &[bool]) -> Vec<String> {
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
    match workshop {
        Ok(workshop) => words.push(format!(
            "C: compiled with {} -O3, against {}.",
            workshop.version,
            // (Where it was is the machine's business.)
            workshop.library.file_name().unwrap_or_default().display()
        )),
        Err(reason) => words.push(format!("C: not measured: {reason}.")),
    }
    words.push("Within a language all results were equal bit for bit.".into());
    if !agreed.is_empty() {
        let bits =
            if agreed.iter().all(|same| *same) { "bit for bit, too" } else { "by value, within 1e-9 of it" };
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
            Verdict::Tie => ", a tie",
            Verdict::TooFewRuns => ", too few rounds to be sure",
            Verdict::Less | Verdict::More => "",
        };
        let what = if i == 0 { "length " } else { "" };
        format!("{} times ({what}{length}{verdict})", three_digits(ratio.times))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Between which lengths another one is ahead than before; `one` is ahead where the ratio is below 1.
fn crossing(ratios: &[(usize, Ratio)], one: &str, other: &str) -> String {
    let decided: Vec<_> = ratios
        .iter()
        .filter(|(_, ratio)| matches!(ratio.verdict, Verdict::Less | Verdict::More))
        .map(|(length, ratio)| (*length, if ratio.times < 1.0 { one } else { other }))
        .collect();
    let Some(first) = decided.first() else { return "no length decides between them".into() };
    let turns: Vec<_> = decided
        .windows(2)
        .filter(|pair| pair[0].1 != pair[1].1)
        .map(|pair| {
            format!("{} is ahead from a length between {} and {} on", pair[1].1, pair[0].0, pair[1].0)
        })
        .collect();
    if !turns.is_empty() {
        return format!("{} is ahead at first, {}", first.1, turns.join(", "));
    }
    let ties = if decided.len() < ratios.len() { "every length that decides" } else { "every length" };
    format!("{} is ahead at {ties}, so there is no crossing", first.1)
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
        assert_eq!(of(&[3.0, 2.0, 1.5]), "the arena is ahead at every length, so there is no crossing");
        assert_eq!(
            of(&[3.0, 1.0]),
            "the arena is ahead at every length that decides, so there is no crossing"
        );
        assert_eq!(
            of(&[3.0, 1.0, 0.8]),
            "the arena is ahead at first, malloc is ahead from a length between 2 and 8 on"
        );
        assert_eq!(of(&[1.0]), "no length decides between them");
        let once = Ratio::of("arena", &[(3.0, 1.0)]).unwrap();
        assert_eq!(list(&[(4, once.clone())]), "3.00 times (length 4, too few rounds to be sure)");
        assert_eq!(crossing(&[(4, once)], "malloc", "the arena"), "no length decides between them");
    }

    #[test]
    fn lists_name_their_lengths() {
        assert_eq!(list(&[(4, ratio(2.0)), (8, ratio(1.0))]), "2.00 times (length 4), 1.00 times (8, a tie)");
    }
}
