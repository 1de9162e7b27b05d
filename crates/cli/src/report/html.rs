//! The page: XHTML that browsers also read as HTML.

use std::time::{Duration, UNIX_EPOCH};

use super::{
    chapter::{Chapter, ChapterOutcome},
    grid::Grid,
    xml::Xml,
};
use crate::lab::{Facts, Findings};

const STYLE: &str = include_str!("style.css");
/// The page loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The header of the page.
pub struct PageHeader<'h> {
    /// The command line.
    pub command: &'h str,
    /// The machine, at the start.
    pub machine: &'h Facts,
    /// Small sizes.
    pub quick: bool,
    /// Ctrl-C was pressed.
    pub interrupted: bool,
    /// The number of sections that are still to be measured.
    pub pending: usize,
}

/// The whole page.
pub fn page(head: &PageHeader<'_>, chapters: &[Chapter]) -> String {
    let mut xml = Xml::default();
    xml.open("html", &[("xmlns", "http://www.w3.org/1999/xhtml"), ("lang", "en"), ("xml:lang", "en")]);
    xml.open("head", &[]);
    xml.empty("meta", &[("charset", "UTF-8")]);
    xml.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    xml.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    xml.element("title", &[], "highwater: measurements");
    // The style has no characters to escape: a browser that reads HTML does not unescape it.
    xml.element("style", &[], STYLE);
    xml.close();
    xml.open("body", &[]);
    top(&mut xml, head, chapters);
    for chapter in chapters {
        section(&mut xml, chapter);
    }
    reading(&mut xml);
    format!("<!DOCTYPE html>\n{}", xml.end())
}

fn top(xml: &mut Xml, head: &PageHeader<'_>, chapters: &[Chapter]) {
    xml.element("h1", &[], "highwater: measurements");
    for notice in notices(head, chapters) {
        xml.element("p", &[("class", "notice")], &notice);
    }
    xml.element("p", &[], "Memory that grows by being touched, compared with its peers, on this machine:");
    xml.open("div", &[("class", "scroll")]);
    xml.open("table", &[("class", "facts")]);
    xml.open("tbody", &[]);
    for (name, value) in facts(head.machine) {
        xml.open("tr", &[]);
        xml.element("th", &[("scope", "row")], name);
        xml.element("td", &[], &value);
        xml.close();
    }
    for _ in 0..3 {
        xml.close();
    }
    xml.element("p", &[], "To repeat this page:");
    command(xml, head.command);
    xml.open("nav", &[]);
    xml.open("ul", &[]);
    for chapter in chapters {
        xml.open("li", &[]);
        xml.element("a", &[("href", &format!("#{}", chapter.key))], chapter.title);
        xml.close();
    }
    xml.open("li", &[]);
    xml.element("a", &[("href", "#reading")], "How to read the tables");
    for _ in 0..3 {
        xml.close();
    }
}

/// The notices at the top of the page.
pub fn notices(head: &PageHeader<'_>, chapters: &[Chapter]) -> Vec<String> {
    let mut notices = Vec::new();
    let partial: Vec<_> =
        chapters.iter().filter(|chapter| chapter.outcome.is_partial()).map(|chapter| chapter.key).collect();
    if head.interrupted {
        notices.push("PARTIAL: interrupted by Ctrl-C; what follows is the part that was done.".into());
    } else if head.pending > 0 {
        notices.push(format!("PARTIAL: {} sections are still being measured.", head.pending));
    } else if !partial.is_empty() {
        notices.push(format!("PARTIAL: not all of {} was measured.", partial.join(", ")));
    }
    if head.quick {
        notices.push("QUICK: small sizes and one round, to see that it works, not to compare.".into());
    }
    if !head.machine.optimised {
        notices.push("NOT OPTIMISED: the figures of a debug build are meaningless.".into());
    }
    if let Some(load) = head.machine.load.filter(|load| *load >= 0.5) {
        notices.push(format!(
            "LOAD {load:.2}: the machine had other work at the start, so figures are larger and spread wider than \
             they should be."
        ));
    }
    notices
}

/// The facts about the machine, one for each row.
pub fn facts(machine: &Facts) -> Vec<(&'static str, String)> {
    let commit = machine.commit.as_ref().map_or(String::new(), |commit| format!(", built from {commit}"));
    let mut facts = vec![
        ("highwater", format!("{}{commit}, {} engine", machine.version, machine.engine)),
        ("system", format!("{}, {}", machine.kernel, machine.architecture)),
        (
            "processor",
            format!(
                "{}, {} of its cores for this process",
                machine.cpu.as_deref().unwrap_or("unknown"),
                machine.cores
            ),
        ),
    ];
    if let Some(bytes) = machine.memory {
        let free = machine
            .available
            .map_or(String::new(), |bytes| format!(", of which {} was available", crate::size::human(bytes)));
        facts.push(("memory", format!("{}{free}", crate::size::human(bytes))));
    }
    facts.extend(machine.huge_pages.clone().map(|mode| ("transparent huge pages", mode)));
    facts.extend(machine.load.map(|load| ("load average (1 minute) at the start", format!("{load:.2}"))));
    let started = UNIX_EPOCH + Duration::from_secs(machine.unix_time);
    facts.push(("started", humantime::format_rfc3339_seconds(started).to_string()));
    facts
}

fn section(xml: &mut Xml, chapter: &Chapter) {
    xml.open("section", &[("id", chapter.key)]);
    xml.element("h2", &[], chapter.title);
    xml.element("p", &[], chapter.about);
    if let Some(shortcoming) = chapter.outcome.shortcoming() {
        xml.element("p", &[("class", "notice")], &shortcoming);
    }
    if let ChapterOutcome::Measured { findings, .. } = &chapter.outcome {
        results(xml, findings);
    }
    xml.close();
}

fn results(xml: &mut Xml, findings: &Findings) {
    xml.element("p", &[], &format!("{}.", findings.title));
    command(xml, &findings.command);
    if !findings.words.is_empty() {
        xml.open("ul", &[]);
        for sentence in &findings.words {
            xml.element("li", &[], sentence);
        }
        xml.close();
    }
    for picture in &findings.pictures {
        xml.open("figure", &[]);
        xml.document(&picture.svg, "svg");
        xml.close();
    }
    for case in &findings.cases {
        table(xml, &Grid::of(case));
    }
}

fn table(xml: &mut Xml, grid: &Grid) {
    xml.open("div", &[("class", "scroll")]);
    xml.open("table", &[]);
    xml.element("caption", &[], &grid.caption);
    xml.open("thead", &[]);
    xml.open("tr", &[]);
    for cell in &grid.header {
        xml.element("th", &[("scope", "col")], cell);
    }
    xml.close();
    xml.close();
    xml.open("tbody", &[]);
    for row in &grid.rows {
        xml.open("tr", &[]);
        for (column, cell) in row.iter().enumerate() {
            match column {
                0 => xml.element("th", &[("scope", "row")], cell),
                _ => xml.element("td", &[], cell),
            }
        }
        xml.close();
    }
    for _ in 0..3 {
        xml.close();
    }
}

fn command(xml: &mut Xml, line: &str) {
    xml.open("pre", &[]);
    xml.element("code", &[], line);
    xml.close();
}

/// How to read the figures, for all formats of the page.
pub const READING: [&str; 4] = [
    "A figure is the median of the rounds, with min and max in brackets. In a round each contender runs once, in an order \
     that rotates. Before runs that get their memory from the system, as much memory is touched and released, since on \
     a virtual machine the first use of a page can cost ten times what is measured.",
    "x is the ratio to the baseline's figure: the median of the rounds' own ratios. Lower is better.",
    "tie: these ratios (with 7 rounds or more, their interquartile range) spread wider than their distance from 1, so \
     neither is better. ?: fewer than 3 rounds, so no verdict.",
    "Peak RSS is the peak of the process's resident memory, and includes the program itself.",
];

fn reading(xml: &mut Xml) {
    xml.open("section", &[("id", "reading")]);
    xml.element("h2", &[], "How to read the tables");
    for text in READING {
        xml.element("p", &[], text);
    }
    xml.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_has_nothing_to_escape() {
        assert!(!STYLE.contains(['&', '<', '>', '"']));
    }
}
