//! Writes findings to stdout and files.

use std::{
    fs::{self, OpenOptions},
    path::Path,
    process::ExitCode,
};

use super::{csv, findings::Findings, options::LabArgs};
use crate::{
    failure::{Failure, INTERRUPTED},
    output,
};

/// Refuses output files that cannot be written, before anything is measured.
pub fn check(args: &LabArgs) -> Result<(), Failure> {
    let cannot = |path: &Path, error| Failure::refused(format!("cannot write {}: {error}", path.display()));
    for file in [args.json.as_ref().and_then(Option::as_ref), args.csv.as_ref()].into_iter().flatten() {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| cannot(file, error))?;
    }
    if let Some(dir) = &args.charts {
        let made = fs::create_dir_all(dir).and_then(|()| tempfile::tempfile_in(dir).map(drop));
        made.map_err(|error| cannot(dir, error))?;
    }
    Ok(())
}

/// Writes and prints the requested formats; the status says whether Ctrl-C cut the bench short. A contender's failure is
/// shown in its row, and makes the command fail at the end.
pub fn deliver(mut findings: Findings, args: &LabArgs) -> Result<ExitCode, Failure> {
    if findings.partial && !findings.has_figures() {
        return Err(Failure::interrupted());
    }
    // If a file cannot be written, the result is printed all the same, so that it is not lost.
    let written = write_files(&mut findings, args);
    let text = match &args.json {
        Some(None) => json(&findings)?,
        _ => findings.tables(),
    };
    let status = output::print(&text, ExitCode::from(if findings.partial { INTERRUPTED } else { 0 }))?;
    written?;
    match findings.failures() {
        Some(failures) if !findings.partial => Err(Failure::runtime(failures)),
        _ => Ok(status),
    }
}

fn write_files(findings: &mut Findings, args: &LabArgs) -> Result<(), Failure> {
    if let Some(dir) = &args.charts {
        for picture in &findings.pictures {
            let name = format!("{}-{}.svg", findings.bench, picture.name);
            write(&dir.join(&name), &picture.svg)?;
            findings.charts.push(name);
        }
    }
    if let Some(file) = &args.csv {
        write(file, &csv::format(findings).map_err(Failure::runtime)?)?;
    }
    match &args.json {
        Some(Some(file)) => write(file, &(json(findings)? + "\n")),
        _ => Ok(()),
    }
}

fn json(findings: &Findings) -> Result<String, Failure> {
    serde_json::to_string_pretty(findings).map_err(Failure::runtime)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text)
        .map_err(|error| Failure::runtime(format!("cannot write {}: {error}", file.display())))
}
