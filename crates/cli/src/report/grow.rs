//! The section of `highwater grow`.

use std::{fs, process::Stdio};

use serde::Deserialize;

use super::sections::{Asked, Measured};
use crate::{
    failure::Failure,
    interrupt,
    lab::{
        Case, Contest, Findings, Lab, LabArgs, Metric, Sample, Unit, Verdict, Warming,
        chart::{Bars, Picture},
        process,
        unit::three,
    },
};

/// Who does it, as `grow --compare` calls them; the first is whom ratios are to.
const WHO: [&str; 5] = ["highwater", "bumpalo", "bump-scope", "vec-of-boxes", "malloc"];

/// What `grow --json` prints, as far as it is used here.
#[derive(Deserialize)]
struct Run {
    partial: bool,
    verified: bool,
    elapsed_ns: u64,
    ns_per_allocation: Option<f64>,
    peak_rss: Option<u64>,
    page_faults: u64,
}

/// Everybody's list of nodes, round after round.
pub fn measure(asked: &Asked) -> Result<Measured, Failure> {
    let (size, bytes) = if asked.quick { ("4MiB", 4 << 20) } else { ("256MiB", 256 << 20) };
    let args =
        LabArgs { runs: Some(asked.runs), warmup: asked.warmup, quick: asked.quick, ..LabArgs::default() };
    let metrics = vec![
        Metric::new("time", "time", Unit::Ns),
        Metric::new("ns-per-allocation", "time per allocation", Unit::Ns),
        Metric::new("peak-rss", "peak RSS", Unit::Bytes),
        Metric::new("page-faults", "page faults", Unit::Count),
    ];
    // Boxes take more than twice what they hold.
    let mut contest = Contest::new("nodes", format!("{size} of nodes"), metrics, Warming::EachRun(3 * bytes));
    for who in WHO {
        contest.contender(who, move || sample(who, size));
    }
    let lab = Lab::new("grow", &args, asked.runs, 0, contest.len());
    let title = format!("grow {size}: a list of small nodes, made from empty");
    let mut findings = Findings::new("grow", &title, format!("highwater grow {size} --compare"), asked.quick);
    let case = contest.run(&lab)?;
    findings.words.extend(WHO[1..].iter().filter_map(|who| word(&case, who)));
    findings.push(case);
    for (name, title, metric) in
        [("time", "A list of nodes: time", "time"), ("peak-rss", "A list of nodes: peak memory", "peak-rss")]
    {
        if let Some(bars) = Bars::of_cases(name, title, &findings.cases, metric, false) {
            findings.pictures.push(bars.draw()?);
        }
    }
    if !interrupt::requested() {
        findings.pictures.push(frontier(size)?);
    }
    Ok(Measured { findings, stopped: false })
}

fn sample(who: &str, size: &str) -> Result<Sample, String> {
    let mut command =
        process::again(["grow", size, "--json", "--measure", who]).map_err(|error| error.to_string())?;
    // How far each is, is told by the contest.
    let run: Run = process::json(command.stderr(Stdio::null()))?;
    if run.partial || !run.verified {
        return Err("it did not come to its end".into());
    }
    Ok(Sample::of_some([
        Some(run.elapsed_ns as f64),
        run.ns_per_allocation,
        run.peak_rss.map(|bytes| bytes as f64),
        Some(run.page_faults as f64),
    ]))
}

fn word(case: &Case, who: &str) -> Option<String> {
    let (time, memory) = (case.ratio(who, WHO[0], "time")?, case.ratio(who, WHO[0], "peak-rss")?);
    let said = match time.verdict {
        Verdict::Tie => "takes as long as highwater".to_owned(),
        Verdict::TooFewRuns => {
            format!("takes {} times highwater's time, of too few runs to be sure", three(time.times))
        }
        Verdict::Less | Verdict::More => format!("takes {} times highwater's time", three(time.times)),
    };
    Some(format!("{who} {said}, and {} times its memory.", three(memory.times)))
}

/// One more run, which draws where the frontier is over time.
fn frontier(size: &str) -> Result<Picture, Failure> {
    let cannot =
        |why: &dyn std::fmt::Display| Failure::during(format!("highwater grow {size} --plot: {why}"));
    let dir = tempfile::tempdir().map_err(|error| cannot(&error))?;
    let file = dir.path().join("frontier.svg");
    let mut command = process::again(["grow", size, "--json", "--plot"]).map_err(|error| cannot(&error))?;
    let _: Run = process::json(command.arg(&file).stderr(Stdio::null())).map_err(|error| cannot(&error))?;
    let svg = fs::read_to_string(&file).map_err(|error| cannot(&error))?;
    Ok(Picture { name: "frontier".into(), title: format!("grow {size}: the frontier over time"), svg })
}
