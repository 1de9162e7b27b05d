//! Which way is best when, in words drawn from the figures. By processor time, which other programs disturb least.

use super::{
    median,
    way::{Engine, Way, step_name},
};
use crate::lab::{Case, Unit, Verdict, unit::three_digits};

const METRIC: &str = "cpu";
/// A larger step that saves less than this share of the time is not worth its memory.
const WORTH: f64 = 0.1;

/// Of one size.
pub fn of(case: &Case, ways: &[Way]) -> Vec<String> {
    let mut said = Vec::new();
    let fastest = |among: &dyn Fn(&Way) -> bool| {
        let some = ways.iter().copied().filter(|way| way.is_ours() && among(way));
        let timed = some.filter_map(|way| Some((way, median(case, way, METRIC)?)));
        timed.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    if let Some((best, ns)) = fastest(&|_| true) {
        said.push(format!(
            "{}: by processor time the fastest of ours is \"{}\" ({}){}.",
            case.key,
            best.name(),
            Unit::Ns.show(ns),
            ties(case, ways, best)
        ));
    }
    if let Some((best, ns)) = fastest(&|way| !way.huge) {
        let peers = ways.iter().filter(|way| !way.is_ours()).filter_map(|peer| against(case, *peer, best));
        let mut text =
            format!("{}: without huge pages it is \"{}\" ({})", case.key, best.name(), Unit::Ns.show(ns));
        for peer in peers {
            text.push_str("; ");
            text.push_str(&peer);
        }
        said.push(text + ".");
    }
    if let Some(default) = ways.iter().find(|way| **way == Way::DEFAULT)
        && let Some((best, _)) = fastest(&|_| true).filter(|(best, _)| best != default)
    {
        said.extend(
            against(case, *default, best)
                .map(|text| format!("{}: of the fastest's time, the default {text}.", case.key)),
        );
    }
    for (huge, pages) in [(false, "without"), (true, "with")] {
        said.extend(enough(case, ways, huge).map(|step| {
            format!(
                "{}: {pages} huge pages, steps beyond {} save less than {:.0} % of the time.",
                case.key,
                step_name(step),
                WORTH * 100.0
            )
        }));
    }
    said.extend(least_memory(case, ways));
    said
}

/// Whose time cannot be told from the best's.
fn ties(case: &Case, ways: &[Way], best: Way) -> String {
    let others = ways.iter().filter(|way| way.is_ours() && **way != best);
    let tied = others.filter(|way| {
        let ratio = case.ratio(&way.name(), &best.name(), METRIC);
        ratio.is_some_and(|ratio| ratio.verdict == Verdict::Tie)
    });
    match tied.count() {
        0 => String::new(),
        1 => "; 1 other ties with it".into(),
        n => format!("; {n} others tie with it"),
    }
}

fn against(case: &Case, way: Way, best: Way) -> Option<String> {
    let ratio = case.ratio(&way.name(), &best.name(), METRIC)?;
    Some(match ratio.verdict {
        Verdict::Tie => format!("{} ties with it", way.name()),
        verdict => {
            format!("{} takes {} times that{}", way.name(), three_digits(ratio.times), verdict.doubt())
        }
    })
}

/// The smallest step that takes hardly longer than the best one.
fn enough(case: &Case, ways: &[Way], huge: bool) -> Option<usize> {
    let mut times: Vec<_> = ways
        .iter()
        .filter(|way| way.populate && way.huge == huge)
        .filter_map(|way| match way.engine {
            Engine::Fixed(step) => Some((step, median(case, *way, METRIC)?)),
            _ => None,
        })
        .collect();
    times.sort_unstable_by_key(|(step, _)| *step);
    let best = times.iter().map(|(_, ns)| *ns).min_by(f64::total_cmp).filter(|_| times.len() > 1)?;
    times.iter().find(|(_, ns)| *ns * (1.0 - WORTH) <= best).map(|(step, _)| *step)
}

/// Who takes the least memory, and what the default costs.
fn least_memory(case: &Case, ways: &[Way]) -> Option<String> {
    let peaks = ways
        .iter()
        .filter(|way| way.is_ours())
        .filter_map(|way| Some((*way, median(case, *way, "peak-rss")?)));
    let (way, least) = peaks.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let mut text = format!(
        "{}: the least memory of ours takes \"{}\" ({})",
        case.key,
        way.name(),
        Unit::Bytes.show(least)
    );
    if let Some(default) = median(case, Way::DEFAULT, "peak-rss") {
        text.push_str(&format!("; the default takes {}", Unit::Bytes.show(default)));
    }
    Some(text + ".")
}
