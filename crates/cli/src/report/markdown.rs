//! The same tables for a page of documentation.

use std::{fs, io::ErrorKind, path::Path};

use super::{
    chapter::{Chapter, Outcome},
    grid::Grid,
    html::{self, Head},
};
use crate::failure::Failure;

const BEGIN: &str = "<!-- highwater report: begin -->";
const END: &str = "<!-- highwater report: end -->";

/// Whether the tables may go there: a new file, or one that has a place for them.
pub fn check(file: &Path) -> Result<(), Failure> {
    placed(file, "").map(drop)
}

/// Writes them there.
pub fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, placed(file, text)?)
        .map_err(|error| Failure::during(format!("cannot write {}: {error}", file.display())))
}

/// What the file will be.
fn placed(file: &Path, text: &str) -> Result<String, Failure> {
    let text = format!("{BEGIN}\n\n{}\n\n{END}", text.trim());
    match fs::read_to_string(file) {
        Ok(old) => into(&old, &text).ok_or_else(|| {
            let name = file.display();
            Failure::asked(format!("{name} exists and has no lines {BEGIN} and {END} to write between"))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(text + "\n"),
        Err(error) => Err(Failure::asked(format!("cannot read {}: {error}", file.display()))),
    }
}

fn into(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{text}{after}"))
}

/// All of it.
pub fn page(head: &Head<'_>, chapters: &[Chapter]) -> String {
    let mut text = format!("Measured by `{}`.\n\n", head.command);
    for notice in html::notices(head, chapters) {
        text.push_str(&format!("**{}**\n\n", plain(&notice)));
    }
    for (name, value) in html::facts(head.machine) {
        text.push_str(&format!("- {name}: {}\n", plain(&value)));
    }
    text.push('\n');
    for line in html::READING {
        text.push_str(&format!("- {}\n", plain(line)));
    }
    for chapter in chapters {
        text.push_str(&format!("\n## {}\n\n{}\n\n", plain(chapter.title), plain(chapter.about)));
        if let Some(shortcoming) = chapter.outcome.shortcoming() {
            text.push_str(&format!("**{}**\n\n", plain(&shortcoming)));
        }
        if let Outcome::Found { findings, .. } = &chapter.outcome {
            text.push_str(&format!("{}: `{}`\n", plain(&findings.title), findings.command));
            for case in &findings.cases {
                text.push_str(&table(&Grid::of(case)));
            }
            if !findings.words.is_empty() {
                text.push('\n');
            }
            for word in &findings.words {
                text.push_str(&format!("- {}\n", plain(word)));
            }
        }
    }
    text
}

fn table(grid: &Grid) -> String {
    let row = |cells: &[String]| {
        format!("|{}|\n", cells.iter().map(|cell| format!(" {} ", plain(cell))).collect::<Vec<_>>().join("|"))
    };
    let mut text = format!("\n{}\n\n{}", plain(&grid.caption), row(&grid.head));
    text.push_str(&format!("|---|{}\n", "---:|".repeat(grid.head.len() - 1)));
    for cells in &grid.rows {
        text.push_str(&row(cells));
    }
    text
}

/// Without what Markdown would understand.
fn plain(text: &str) -> String {
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
    fn between_the_lines() {
        let old = format!("# Mine\n{BEGIN}\nold\n{END}\nmore\n");
        assert_eq!(into(&old, "new"), Some("# Mine\nnew\nmore\n".into()));
        assert_eq!(into("# Mine\n", "new"), None);
        assert_eq!(into(&format!("{END}\n{BEGIN}"), "new"), None);
    }

    #[test]
    fn what_is_no_markup() {
        assert_eq!(plain("a|b *c* d_e `f` <g>\nh"), "a\\|b \\*c\\* d\\_e \\`f\\` \\<g> h");
    }

    #[test]
    fn a_table() {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let grid = Grid {
            caption: "A job".into(),
            head: row(["", "time", "x"]),
            rows: vec![row(["a (baseline)", "1 ns", ""]), row(["b|c", "2 ns", "2.00"])],
        };
        let text = table(&grid);
        assert_eq!(
            text,
            "\nA job\n\n|  | time | x |\n|---|---:|---:|\n| a (baseline) | 1 ns |  |\n| b\\|c | 2 ns | 2.00 |\n"
        );
    }
}
