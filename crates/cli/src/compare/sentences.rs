//! Sentences about the figures of a comparison.

use crate::lab::{Case, RatioVerdict, unit::three_digits};

/// A sentence for each of these metrics that has a verdict.
pub fn of_case(case: &Case, metrics: &[&str]) -> Vec<String> {
    metrics.iter().filter_map(|metric| sentence(case, metric)).collect()
}

fn sentence(case: &Case, key: &str) -> Option<String> {
    let metric = &case.metrics[case.metric(key)?];
    let mut ratios: Vec<_> = case
        .rows
        .iter()
        .filter_map(|row| Some((row.contender.as_str(), case.figure(&row.contender, key)?.ratio.as_ref()?)))
        .collect();
    ratios.sort_by(|a, b| a.1.times.total_cmp(&b.1.times));
    let list = |verdict: RatioVerdict, words: &str| {
        let all: Vec<_> = ratios.iter().filter(|(_, ratio)| ratio.verdict == verdict).collect();
        let name = |(name, ratio): &&(&str, &crate::lab::Ratio)| match verdict {
            RatioVerdict::Tie => (*name).to_owned(),
            _ => format!("{name} ({} x)", three_digits(ratio.times)),
        };
        (!all.is_empty()).then(|| format!("{words} {}", all.iter().map(name).collect::<Vec<_>>().join(", ")))
    };
    let parts: Vec<_> = [
        list(RatioVerdict::Less, &format!("less than {}:", case.baseline)),
        list(RatioVerdict::Tie, "tie:"),
        list(RatioVerdict::More, "more:"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| format!("{}: {}", metric.label, parts.join("; ")))
}
