//! `highwater report`: runs a selection of the benches, and writes one page with the results.
//!
//! A section is an entry in [`sections::ALL`]: what it is about, and the command that measures it.

pub mod args;
mod budget;
mod chapter;
mod child;
mod grid;
mod grow;
mod html;
mod markdown;
mod measurement;
mod sections;
mod xml;

use std::{
    fs::{self, OpenOptions},
    path::Path,
    process::ExitCode,
};

use serde::Serialize;

use self::{
    args::ReportArgs,
    budget::Budget,
    chapter::{Chapter, ChapterOutcome},
    html::PageHeader,
};
use crate::{
    failure::{Failure, INTERRUPTED},
    interrupt::{self, SecondCtrlC},
    lab::Facts,
    output, shell,
};

/// The report as JSON.
#[derive(Serialize)]
struct ReportJson<'w> {
    command: &'w str,
    machine: &'w Facts,
    partial: bool,
    quick: bool,
    sections: &'w [Chapter],
}

/// Runs the subcommand.
pub fn run(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let sections = args.sections()?;
    args.check()?;
    for file in [Some(&args.file), args.json.as_ref()].into_iter().flatten() {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| Failure::refused(format!("cannot write {}: {error}", file.display())))?;
    }
    args.markdown.as_deref().map(markdown::check).transpose()?;
    // A second Ctrl-C ends the command at once; the page then has the sections before.
    interrupt::install(SecondCtrlC::Exit)?;
    let command = shell::command_line();
    let machine = Facts::gather();
    let budget = Budget::new(args.budget);
    let mut chapters = Vec::new();
    for (number, section) in sections.iter().enumerate() {
        let outcome = if interrupt::requested() {
            ChapterOutcome::interrupted()
        } else {
            output::note(&format!("section {} of {}: {}", number + 1, sections.len(), section.key));
            let measured = budget::measure(section, args, &budget, sections.len() - number);
            ChapterOutcome::of(measured, interrupt::requested())
        };
        let (key, title, about) = (section.key, section.title, section.about);
        chapters.push(Chapter { key, title, about, outcome });
        let head = PageHeader {
            command: &command,
            machine: &machine,
            quick: args.quick,
            interrupted: interrupt::requested(),
            pending: sections.len() - chapters.len(),
        };
        write(args, &head, &chapters)?;
    }
    let status = if interrupt::requested() { INTERRUPTED } else { 0 };
    let failed: Vec<_> = chapters
        .iter()
        .filter(|chapter| matches!(chapter.outcome, ChapterOutcome::Failed { .. }))
        .filter_map(|chapter| Some(format!("{}: {}", chapter.key, chapter.outcome.shortcoming()?)))
        .collect();
    let partial = if chapters.iter().any(|chapter| chapter.outcome.is_partial()) { " (PARTIAL)" } else { "" };
    output::print(&format!("the report is in {}{partial}", args.file.display()), ExitCode::from(status))?;
    if status == 0 && !failed.is_empty() {
        return Err(Failure::runtime(failed.join("; ")));
    }
    Ok(ExitCode::from(status))
}

/// Writes everything measured so far.
fn write(args: &ReportArgs, head: &PageHeader<'_>, chapters: &[Chapter]) -> Result<(), Failure> {
    replace(&args.file, &html::page(head, chapters))?;
    if let Some(file) = &args.markdown {
        markdown::write(file, &markdown::page(head, chapters))?;
    }
    if let Some(file) = &args.json {
        let partial = head.pending > 0 || chapters.iter().any(|chapter| chapter.outcome.is_partial());
        let report = ReportJson {
            command: head.command,
            machine: head.machine,
            partial,
            quick: head.quick,
            sections: chapters,
        };
        replace(file, &(serde_json::to_string_pretty(&report).map_err(Failure::runtime)? + "\n"))?;
    }
    Ok(())
}

fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text)
        .map_err(|error| Failure::runtime(format!("cannot write {}: {error}", file.display())))
}
