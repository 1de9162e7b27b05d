//! The same job on everyone, each in a process of its own.

use std::process::ExitCode;

use clap::ValueEnum as _;

use super::{
    aim::Aim,
    args::{Allocator, GrowArgs},
    child::{self, Ended},
    json, preflight,
    report::{self, Comparison, Failed, Ratio},
    table, warm_up,
};
use crate::{failure::Failure, interrupt, output};

/// All in turn; highwater's failure is the command's, that of another is told and passed over.
pub fn run(aim: &Aim, args: &GrowArgs) -> Result<ExitCode, Failure> {
    let mut all = Comparison {
        command: "grow",
        partial: false,
        runs: Vec::new(),
        ratios: Vec::new(),
        failed: Vec::new(),
    };
    let warmed = preflight::needs_of_all(aim, true);
    for allocator in Allocator::value_variants() {
        if !interrupt::requested() {
            warm_up(*allocator, aim, warmed)?;
        }
        if interrupt::requested() {
            all.partial = true;
            break;
        }
        match child::measure(*allocator)? {
            Ended::Well(run) => {
                all.partial |= run.partial;
                all.runs.push(*run);
            }
            Ended::Badly { status: Some(status), .. } if *allocator == Allocator::Highwater => {
                // It has said why.
                return Ok(ExitCode::from(status));
            }
            Ended::Badly { .. } if interrupt::requested() => {
                all.partial = true;
                break;
            }
            Ended::Badly { reason, .. } => {
                output::note(&format!("{}: {reason}", allocator.name()));
                all.failed.push(Failed { allocator: allocator.name(), reason });
            }
        }
    }
    if let Some((first, others)) = all.runs.split_first()
        && first.allocator == Allocator::Highwater.name()
    {
        all.ratios = others.iter().filter_map(|other| Ratio::of(other, first)).collect();
    }
    if all.runs.is_empty() && all.partial {
        return Err(Failure::interrupted());
    }
    let text = if args.json { json(&all)? } else { table::of_comparison(&all) };
    output::print(&text, ExitCode::from(report::status(all.partial)))
}
