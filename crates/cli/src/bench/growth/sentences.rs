//! Sentences about the figures: which strategy is best, by processor time, which other programs affect least.

use super::{
    median,
    strategy::{GrowthMethod, GrowthStrategy, step_name},
};
use crate::lab::{Case, RatioVerdict, Unit, unit::three_digits};

const METRIC: &str = "cpu";
/// A larger step that saves less than this fraction of the time is not worth its memory.
const MIN_SAVING: f64 = 0.1;

/// The sentences about one size.
pub fn of_case(case: &Case, strategies: &[GrowthStrategy]) -> Vec<String> {
    let mut sentences = Vec::new();
    let fastest = |among: &dyn Fn(&GrowthStrategy) -> bool| {
        let candidates = strategies.iter().copied().filter(|strategy| strategy.is_ours() && among(strategy));
        let timed = candidates.filter_map(|strategy| Some((strategy, median(case, strategy, METRIC)?)));
        timed.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    if let Some((best, ns)) = fastest(&|_| true) {
        sentences.push(format!(
            "{}: by processor time the fastest of this project's is \"{}\" ({}){}.",
            case.key,
            best.name(),
            Unit::Ns.show(ns),
            ties(case, strategies, best)
        ));
    }
    if let Some((best, ns)) = fastest(&|strategy| !strategy.huge) {
        let peers = strategies
            .iter()
            .filter(|strategy| !strategy.is_ours())
            .filter_map(|peer| compare_to(case, *peer, best));
        let mut text =
            format!("{}: without huge pages it is \"{}\" ({})", case.key, best.name(), Unit::Ns.show(ns));
        for peer in peers {
            text.push_str("; ");
            text.push_str(&peer);
        }
        sentences.push(text + ".");
    }
    if let Some(default) = strategies.iter().find(|strategy| **strategy == GrowthStrategy::DEFAULT)
        && let Some((best, _)) = fastest(&|_| true).filter(|(best, _)| best != default)
    {
        sentences.extend(
            compare_to(case, *default, best)
                .map(|text| format!("{}: compared with the fastest, the default {text}.", case.key)),
        );
    }
    for (huge, pages) in [(false, "without"), (true, "with")] {
        sentences.extend(smallest_good_step(case, strategies, huge).map(|step| {
            format!(
                "{}: {pages} huge pages, steps beyond {} save less than {:.0} % of the time.",
                case.key,
                step_name(step),
                MIN_SAVING * 100.0
            )
        }));
    }
    sentences.extend(lowest_memory(case, strategies));
    sentences
}

/// How many others tie with the best.
fn ties(case: &Case, strategies: &[GrowthStrategy], best: GrowthStrategy) -> String {
    let others = strategies.iter().filter(|strategy| strategy.is_ours() && **strategy != best);
    let tied = others.filter(|strategy| {
        let ratio = case.ratio(&strategy.name(), &best.name(), METRIC);
        ratio.is_some_and(|ratio| ratio.verdict == RatioVerdict::Tie)
    });
    match tied.count() {
        0 => String::new(),
        1 => "; 1 other ties with it".into(),
        n => format!("; {n} others tie with it"),
    }
}

fn compare_to(case: &Case, strategy: GrowthStrategy, best: GrowthStrategy) -> Option<String> {
    let ratio = case.ratio(&strategy.name(), &best.name(), METRIC)?;
    Some(match ratio.verdict {
        RatioVerdict::Tie => format!("{} ties with it", strategy.name()),
        verdict => {
            format!(
                "{} takes {} times as long{}",
                strategy.name(),
                three_digits(ratio.times),
                verdict.doubt()
            )
        }
    })
}

/// The smallest step that is hardly slower than the best one.
fn smallest_good_step(case: &Case, strategies: &[GrowthStrategy], huge: bool) -> Option<usize> {
    let mut times: Vec<_> = strategies
        .iter()
        .filter(|strategy| strategy.populate && strategy.huge == huge)
        .filter_map(|strategy| match strategy.engine {
            GrowthMethod::Fixed(step) => Some((step, median(case, *strategy, METRIC)?)),
            _ => None,
        })
        .collect();
    times.sort_unstable_by_key(|(step, _)| *step);
    let best = times.iter().map(|(_, ns)| *ns).min_by(f64::total_cmp).filter(|_| times.len() > 1)?;
    times.iter().find(|(_, ns)| *ns * (1.0 - MIN_SAVING) <= best).map(|(step, _)| *step)
}

/// The strategy with the lowest peak memory, and the default's peak.
fn lowest_memory(case: &Case, strategies: &[GrowthStrategy]) -> Option<String> {
    let peaks = strategies
        .iter()
        .filter(|strategy| strategy.is_ours())
        .filter_map(|strategy| Some((*strategy, median(case, *strategy, "peak-rss")?)));
    let (strategy, lowest) = peaks.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let mut text = format!(
        "{}: of this project's, \"{}\" uses the least memory ({})",
        case.key,
        strategy.name(),
        Unit::Bytes.show(lowest)
    );
    if let Some(default) = median(case, GrowthStrategy::DEFAULT, "peak-rss") {
        text.push_str(&format!("; the default uses {}", Unit::Bytes.show(default)));
    }
    Some(text + ".")
}
