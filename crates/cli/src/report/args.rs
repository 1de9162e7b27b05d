//! The command line of `report`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::sections::Section;
use crate::{allocators, failure::Failure};

const LONG: &str = "\
Runs a selection of the benches and writes one page with the results.

The page is one HTML file that contains its charts: it needs no network, no scripts and no other files. Each section \
shows medians, spreads and ratios, and the command that repeats it; the page also describes the machine.";

const AFTER: &str = "\
Examples:
  highwater report --quick
  highwater report page.html --quick --only malloctest,grow --markdown tables.md
  highwater report --help

Each section first runs one round, and then as many as fit in its share of the budget, up to nine; one round alone \
gives no verdict. A section that takes longer than twice its share is stopped, and shows the part that was done. \
Sections that there is no time left for are named on the page.

--markdown writes the same tables for a page of documentation. An existing file must have the lines \
`<!-- highwater report: begin -->` and `<!-- highwater report: end -->`; the text between them is replaced, and the \
rest is kept.

The page is written after each section. After Ctrl-C it has the sections so far, and says at the top that it is partial.

Exit status: 0 done; 1 a section failed (the page says why); 2 refused; 130 interrupted by Ctrl-C.";

/// Run a selection of the benches and write one HTML page with the results
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater report --quick")]
pub struct ReportArgs {
    /// The page to write
    #[arg(value_name = "FILE.html", default_value = "highwater-report.html")]
    pub file: PathBuf,

    /// Also write the tables for a page of documentation
    #[arg(long, value_name = "FILE.md")]
    pub markdown: Option<PathBuf>,

    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// How long it may take, roughly: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "8m", value_parser = duration)]
    pub budget: Duration,

    /// Sections, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Use small sizes and one round each: to see that it works, not to compare
    #[arg(long)]
    pub quick: bool,

    /// Path of libhighwater_malloc.so
    #[arg(long, value_name = "FILE")]
    pub malloc_lib: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) { Err("at least a second".into()) } else { Ok(duration) }
}

impl ReportArgs {
    /// The selected sections, in the order of the page.
    pub fn sections(&self) -> Result<Vec<&'static Section>, Failure> {
        let all = super::sections::ALL;
        let known = || all.iter().map(|section| section.key).collect::<Vec<_>>().join(", ");
        if let Some(name) = self.only.iter().find(|name| !all.iter().any(|section| section.key == **name)) {
            return Err(Failure::refused(format!(
                "--only {name}: no section is called that (known are {})",
                known()
            )));
        }
        let selected =
            |section: &&Section| self.only.is_empty() || self.only.iter().any(|name| name == section.key);
        Ok(all.iter().filter(selected).collect())
    }

    /// Checks that the given malloc library can be used.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.malloc_lib {
            Some(path) => allocators::library(Some(path)).map(drop),
            None => Ok(()),
        }
    }
}
