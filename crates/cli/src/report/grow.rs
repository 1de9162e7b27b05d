//! The section of `highwater grow`.

use std::{fs, process::Stdio};

use serde::Deserialize;

use super::measurement::{SectionRequest, SectionResult};
use crate::{
    failure::Failure,
    interrupt,
    lab::{
        Case, Contest, Findings, Lab, LabArgs, Metric, RatioVerdict, RunSample, Unit, Warming,
        chart::{BarChart, Picture},
        process,
        unit::three_digits,
    },
};

/// The allocators, as `grow --compare` names them; ratios are to the first.
const CANDIDATES: [&str; 5] = ["highwater", "bumpalo", "bump-scope", "vec-of-boxes", "malloc"];

/// The fields of `grow --json` that are used here.
#[derive(Deserialize)]
struct GrowOutput {
    partial: bool,
    verified: bool,
    elapsed_ns: u64,
    ns_per_allocation: Option<f64>,
    peak_rss: Option<u64>,
    page_faults: u64,
}

/// Builds the list of nodes on every allocator, round after round.
pub fn measure(request: &SectionRequest) -> Result<SectionResult, Failure> {
    let (size, bytes) = if request.quick { ("4MiB", 4 << 20) } else { ("256MiB", 256 << 20) };
    let args = LabArgs {
        runs: Some(request.runs),
        warmup: request.warmup,
        quick: request.quick,
        ..LabArgs::default()
    };
    let metrics = vec![
        Metric::new("time", "time", Unit::Ns),
        Metric::new("ns-per-allocation", "time per allocation", Unit::Ns),
        Metric::new("peak-rss", "peak RSS", Unit::Bytes),
        Metric::new("page-faults", "page faults", Unit::Count),
    ];
    // Boxes use more than twice the memory of their contents.
    let mut contest = Contest::new("nodes", format!("{size} of nodes"), metrics, Warming::EachRun(3 * bytes));
    for candidate in CANDIDATES {
        contest.contender(candidate, move || sample(candidate, size));
    }
    let lab = Lab::new("grow", &args, request.runs, 0, contest.len());
    let title = format!("grow {size}: a list of small nodes, built from empty");
    let mut findings =
        Findings::new("grow", &title, format!("highwater grow {size} --compare"), request.quick);
    let case = contest.run(&lab)?;
    findings.words.extend(CANDIDATES[1..].iter().filter_map(|candidate| sentence(&case, candidate)));
    findings.push(case);
    for (name, title, metric) in
        [("time", "A list of nodes: time", "time"), ("peak-rss", "A list of nodes: peak memory", "peak-rss")]
    {
        if let Some(bars) = BarChart::of_cases(name, title, &findings.cases, metric, false) {
            findings.pictures.push(bars.draw()?);
        }
    }
    if !interrupt::requested() {
        findings.pictures.push(frontier(size)?);
    }
    Ok(SectionResult { findings, stopped: false })
}

fn sample(candidate: &str, size: &str) -> Result<RunSample, String> {
    let mut command = process::this_command(["grow", size, "--json", "--measure", candidate])
        .map_err(|error| error.to_string())?;
    // The contest shows the progress.
    let run: GrowOutput = process::json(command.stderr(Stdio::null()))?;
    if run.partial || !run.verified {
        return Err("it did not run to its end".into());
    }
    Ok(RunSample::of_some([
        Some(run.elapsed_ns as f64),
        run.ns_per_allocation,
        run.peak_rss.map(|bytes| bytes as f64),
        Some(run.page_faults as f64),
    ]))
}

fn sentence(case: &Case, candidate: &str) -> Option<String> {
    let (time, memory) =
        (case.ratio(candidate, CANDIDATES[0], "time")?, case.ratio(candidate, CANDIDATES[0], "peak-rss")?);
    let comparison = match time.verdict {
        RatioVerdict::Tie => "takes as long as highwater".to_owned(),
        RatioVerdict::TooFewRuns => {
            format!("takes {} times highwater's time (too few runs to be sure)", three_digits(time.times))
        }
        RatioVerdict::Less | RatioVerdict::More => {
            format!("takes {} times highwater's time", three_digits(time.times))
        }
    };
    Some(format!("{candidate} {comparison}, and {} times its memory.", three_digits(memory.times)))
}

/// One more run, which draws the frontier over time.
fn frontier(size: &str) -> Result<Picture, Failure> {
    let cannot =
        |why: &dyn std::fmt::Display| Failure::runtime(format!("highwater grow {size} --plot: {why}"));
    let dir = tempfile::tempdir().map_err(|error| cannot(&error))?;
    let file = dir.path().join("frontier.svg");
    let mut command =
        process::this_command(["grow", size, "--json", "--plot"]).map_err(|error| cannot(&error))?;
    let _: GrowOutput =
        process::json(command.arg(&file).stderr(Stdio::null())).map_err(|error| cannot(&error))?;
    let svg = fs::read_to_string(&file).map_err(|error| cannot(&error))?;
    Ok(Picture { name: "frontier".into(), title: format!("grow {size}: the frontier over time"), svg })
}
