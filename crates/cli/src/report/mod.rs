//! `highwater report`: a selection of the experiments, and one page about them.
//!
//! A section is a line in [`sections::ALL`]: what it is about, and the command that measures it.

pub mod args;
mod chapter;
mod child;
mod grid;
mod grow;
mod html;
mod markdown;
mod plan;
mod sections;
mod xml;

use std::{
    env,
    fs::{self, OpenOptions},
    path::Path,
    process::ExitCode,
};

use serde::Serialize;

use self::{
    args::ReportArgs,
    chapter::{Chapter, Outcome},
    html::Head,
    plan::Budget,
};
use crate::{
    failure::{Failure, INTERRUPTED},
    interrupt::{self, Second},
    lab::Facts,
    output,
};

/// What is written as JSON.
#[derive(Serialize)]
struct Whole<'w> {
    command: &'w str,
    machine: &'w Facts,
    partial: bool,
    quick: bool,
    sections: &'w [Chapter],
}

/// Does what the command line says.
pub fn run(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let sections = args.sections()?;
    args.check()?;
    for file in [Some(&args.file), args.json.as_ref()].into_iter().flatten() {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| Failure::asked(format!("cannot write {}: {error}", file.display())))?;
    }
    args.markdown.as_deref().map(markdown::check).transpose()?;
    // A second one would leave the page of the section before.
    interrupt::install(Second::Exits)?;
    let command = command();
    let machine = Facts::gather();
    let budget = Budget::new(args.budget);
    let mut chapters = Vec::new();
    for (number, section) in sections.iter().enumerate() {
        let outcome = if interrupt::requested() {
            Outcome::interrupted()
        } else {
            output::note(&format!("section {} of {}: {}", number + 1, sections.len(), section.key));
            let measured = plan::measure(section, args, &budget, sections.len() - number);
            Outcome::of(measured, interrupt::requested())
        };
        let (key, title, about) = (section.key, section.title, section.about);
        chapters.push(Chapter { key, title, about, outcome });
        let head = Head {
            command: &command,
            machine: &machine,
            quick: args.quick,
            interrupted: interrupt::requested(),
            to_come: sections.len() - chapters.len(),
        };
        write(args, &head, &chapters)?;
    }
    let status = if interrupt::requested() { INTERRUPTED } else { 0 };
    let failed: Vec<_> = chapters
        .iter()
        .filter(|chapter| matches!(chapter.outcome, Outcome::Failed { .. }))
        .filter_map(|chapter| Some(format!("{}: {}", chapter.key, chapter.outcome.shortcoming()?)))
        .collect();
    let partial = if chapters.iter().any(|chapter| chapter.outcome.is_partial()) { " (PARTIAL)" } else { "" };
    output::print(&format!("the report is in {}{partial}", args.file.display()), ExitCode::from(status))?;
    if status == 0 && !failed.is_empty() {
        return Err(Failure::during(failed.join("; ")));
    }
    Ok(ExitCode::from(status))
}

/// As it was given.
fn command() -> String {
    let words = env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    ["highwater".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./=,:+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Everything that there is by now.
fn write(args: &ReportArgs, head: &Head<'_>, chapters: &[Chapter]) -> Result<(), Failure> {
    replace(&args.file, &html::page(head, chapters))?;
    if let Some(file) = &args.markdown {
        markdown::write(file, &markdown::page(head, chapters))?;
    }
    if let Some(file) = &args.json {
        let partial = head.to_come > 0 || chapters.iter().any(|chapter| chapter.outcome.is_partial());
        let whole = Whole {
            command: head.command,
            machine: head.machine,
            partial,
            quick: head.quick,
            sections: chapters,
        };
        replace(file, &(serde_json::to_string_pretty(&whole).map_err(Failure::during)? + "\n"))?;
    }
    Ok(())
}

fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text)
        .map_err(|error| Failure::during(format!("cannot write {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(quoted("--only=a,b"), "--only=a,b");
        assert_eq!(quoted("my page.html"), "'my page.html'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
