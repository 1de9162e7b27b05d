//! `highwater guard`: provoke a violation, and show its report.

pub mod args;
mod child;
mod drawing;
mod kinds;
mod layout;
mod outcome;
mod plan;
mod provoke;
mod told;

use std::process::ExitCode;

use highwater::{Engine, guard::Kind};
use serde::Serialize;

pub use self::plan::page_size;
use self::{
    args::{ALL, GuardArgs},
    outcome::Outcome,
    plan::Plan,
};
use crate::{failure::Failure, output};

/// Does what the command line says.
pub fn run(args: &GuardArgs) -> Result<ExitCode, Failure> {
    if let Some(plan) = &args.provoke {
        return provoke::provoke(plan, args.json);
    }
    let Some(name) = &args.kind else { return list(args.json) };
    let plans = Plan::all(args, name)?;
    if highwater::engine() != Engine::Fault {
        return Err(Failure::during(format!(
            "this build of highwater has no fault engine (its engine is {}): a touch of a guard is never \
             reported there, so there is nothing to show",
            highwater::engine()
        )));
    }
    let outcomes = plans
        .iter()
        .map(|plan| Ok(Outcome::of(plan, args.json, child::run(plan, args.json)?)))
        .collect::<Result<Vec<_>, _>>()?;
    let text = match (args.json, outcomes.as_slice()) {
        (true, [one]) if name != ALL => json(one)?,
        (true, all) => json(&all)?,
        (false, all) => all.iter().map(Outcome::human).collect::<Vec<_>>().join("\n\n\n"),
    };
    let status = output::print(&text, ExitCode::SUCCESS)?;
    let wrong: Vec<_> = outcomes.iter().filter_map(Outcome::failure).collect();
    if wrong.is_empty() { Ok(status) } else { Err(Failure::during(wrong.join("; "))) }
}

fn list(as_json: bool) -> Result<ExitCode, Failure> {
    #[derive(Serialize)]
    struct Listed {
        kind: &'static str,
        what: &'static str,
        how: &'static str,
    }
    if as_json {
        let listed = Kind::ALL.map(|kind| {
            let kinds::Words { what, how } = kinds::words(kind);
            Listed { kind: kind.name(), what, how }
        });
        return output::print(&json(&listed)?, ExitCode::SUCCESS);
    }
    let text = format!(
        "{}\n\nN is what --by says, 1 if it says nothing. `highwater guard KIND` provokes one in\n\
         a child process and shows its report; `highwater guard {ALL}` provokes all.",
        kinds::list()
    );
    output::print(&text, ExitCode::SUCCESS)
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::during)
}
