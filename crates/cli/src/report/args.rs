//! The command line of `report`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::sections::Section;
use crate::{allocators, failure::Failure};

const LONG: &str = "\
Runs a selection of the experiments and puts what they find on one page.

The page is one file of HTML with its charts inside: it needs no network, no script and nothing beside it. Each \
section says which command repeats it, with which medians, spreads and ratios, on which machine.";

const AFTER: &str = "\
Examples:
  highwater report --quick
  highwater report page.html --quick --only malloctest,grow --markdown tables.md
  highwater report --help

Each section runs one round first, and then as many as its share of the budget has time for, up to nine; one round \
alone makes no verdict. A section that takes longer than twice its share is stopped, and shows the part that was done. \
What there is no time left for is named on the page.

--markdown writes the same tables for a page of documentation. A file that exists must have the lines \
`<!-- highwater report: begin -->` and `<!-- highwater report: end -->`; what is between them is replaced, and the \
rest stays as it is.

The page is written after each section. After Ctrl-C it has what was done, and says on top that it is partial.

Exit status: 0 done, 1 a section failed (the page says why), 2 refused, 130 interrupted by Ctrl-C.";

/// Run a selection of the experiments and write one HTML page about them
#[derive(Args)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater report --quick")]
pub struct ReportArgs {
    /// The page
    #[arg(value_name = "FILE.html", default_value = "highwater-report.html")]
    pub file: PathBuf,

    /// Write the tables for a page of documentation, too
    #[arg(long, value_name = "FILE.md")]
    pub markdown: Option<PathBuf>,

    /// Write the figures as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// How long it may take, about: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "8m", value_parser = duration)]
    pub budget: Duration,

    /// Sections, parted by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Small sizes and one round each: to see that it works, not to compare
    #[arg(long)]
    pub quick: bool,

    /// Where libhighwater_malloc.so is
    #[arg(long, value_name = "FILE")]
    pub malloc_lib: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) { Err("at least a second".into()) } else { Ok(duration) }
}

impl ReportArgs {
    /// The sections that were asked for, in the page's order.
    pub fn sections(&self) -> Result<Vec<&'static Section>, Failure> {
        let all = super::sections::ALL;
        let known = || all.iter().map(|section| section.key).collect::<Vec<_>>().join(", ");
        if let Some(name) = self.only.iter().find(|name| !all.iter().any(|section| section.key == **name)) {
            return Err(Failure::asked(format!(
                "--only {name}: no section is called that (there are {})",
                known()
            )));
        }
        let asked =
            |section: &&Section| self.only.is_empty() || self.only.iter().any(|name| name == section.key);
        Ok(all.iter().filter(asked).collect())
    }

    /// What was named can be used.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.malloc_lib {
            Some(path) => allocators::library(Some(path)).map(drop),
            None => Ok(()),
        }
    }
}
