//! The tables in Markdown, for a page of documentation.

use std::{fs, io::ErrorKind, path::Path};

use super::{
    chapter::{Chapter, ChapterOutcome},
    grid::Grid,
    html::{self, PageHeader},
};
use crate::failure::Failure;

const BEGIN: &str = "<!-- highwater report: begin -->";
const END: &str = "<!-- highwater report: end -->";

/// Checks that the tables can be written: to a new file, or to one that has lines to write between.
pub fn check(file: &Path) -> Result<(), Failure> {
    new_contents(file, "").map(drop)
}

/// Writes the tables.
pub fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, new_contents(file, text)?)
        .map_err(|error| Failure::runtime(format!("cannot write {}: {error}", file.display())))
}

/// The new contents of the file.
fn new_contents(file: &Path, text: &str) -> Result<String, Failure> {
    let text = format!("{BEGIN}\n\n{}\n\n{END}", text.trim());
    match fs::read_to_string(file) {
        Ok(old) => replace_between(&old, &text).ok_or_else(|| {
            let name = file.display();
            Failure::refused(format!("{name} exists and has no lines {BEGIN} and {END} to write between"))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(text + "\n"),
        Err(error) => Err(Failure::refused(format!("cannot read {}: {error}", file.display()))),
    }
}

fn replace_between(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{text}{after}"))
}

/// The whole text.
pub fn page(head: &PageHeader<'_>, chapters: &[Chapter]) -> String {
    let mut text = format!("Measured by `{}`.\n\n", head.command);
    for notice in html::notices(head, chapters) {
        text.push_str(&format!("**{}**\n\n", escape(&notice)));
    }
    for (name, value) in html::facts(head.machine) {
        text.push_str(&format!("- {name}: {}\n", escape(&value)));
    }
    text.push('\n');
    for line in html::READING {
        text.push_str(&format!("- {}\n", escape(line)));
    }
    for chapter in chapters {
        text.push_str(&format!("\n## {}\n\n{}\n\n", escape(chapter.title), escape(chapter.about)));
        if let Some(shortcoming) = chapter.outcome.shortcoming() {
            text.push_str(&format!("**{}**\n\n", escape(&shortcoming)));
        }
        if let ChapterOutcome::Measured { findings, .. } = &chapter.outcome {
            text.push_str(&format!("{}: `{}`\n", escape(&findings.title), findings.command));
            for case in &findings.cases {
                text.push_str(&table(&Grid::of(case)));
            }
            if !findings.words.is_empty() {
                text.push('\n');
            }
            for sentence in &findings.words {
                text.push_str(&format!("- {}\n", escape(sentence)));
            }
        }
    }
    text
}

fn table(grid: &Grid) -> String {
    let row = |cells: &[String]| {
        format!(
            "|{}|\n",
            cells.iter().map(|cell| format!(" {} ", escape(cell))).collect::<Vec<_>>().join("|")
        )
    };
    let mut text = format!("\n{}\n\n{}", escape(&grid.caption), row(&grid.header));
    text.push_str(&format!("|---|{}\n", "---:|".repeat(grid.header.len() - 1)));
    for cells in &grid.rows {
        text.push_str(&row(cells));
    }
    text
}

/// The text with Markdown's special characters escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '<' | '[' | '\\' => out.extend(['\\', letter]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_the_lines_is_replaced() {
        let old = format!("# Mine\n{BEGIN}\nold\n{END}\nmore\n");
        assert_eq!(replace_between(&old, "new"), Some("# Mine\nnew\nmore\n".into()));
        assert_eq!(replace_between("# Mine\n", "new"), None);
        assert_eq!(replace_between(&format!("{END}\n{BEGIN}"), "new"), None);
    }

    #[test]
    fn special_characters_are_escaped() {
        assert_eq!(escape("a|b *c* d_e `f` <g>\nh"), "a\\|b \\*c\\* d\\_e \\`f\\` \\<g> h");
    }

    #[test]
    fn a_table() {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let grid = Grid {
            caption: "A job".into(),
            header: row(["", "time", "x"]),
            rows: vec![row(["a (baseline)", "1 ns", ""]), row(["b|c", "2 ns", "2.00"])],
        };
        let text = table(&grid);
        assert_eq!(
            text,
            "\nA job\n\n|  | time | x |\n|---|---:|---:|\n| a (baseline) | 1 ns |  |\n| b\\|c | 2 ns | 2.00 |\n"
        );
    }
}
