//! A case as rows and columns, for all formats of the page.

use crate::lab::{Case, Figure, RatioVerdict, Unit, unit::three_digits};

/// A table.
pub struct Grid {
    /// The case, with the number of rounds and the baseline.
    pub caption: String,
    /// The header; the first column has no name.
    pub header: Vec<String>,
    /// As wide as the header; the first cell is the contender.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// Two columns for each metric that has a figure: the figure with min and max, and the ratio.
    pub fn of(case: &Case) -> Self {
        let known: Vec<usize> = (0..case.metrics.len())
            .filter(|column| case.rows.iter().any(|row| matches!(row.figures.get(*column), Some(Some(_)))))
            .collect();
        let mut header = vec![String::new()];
        for column in &known {
            header.extend([case.metrics[*column].label.clone(), "x".into()]);
        }
        let rows = case.rows.iter().map(|row| {
            let mut cells = vec![name(&row.contender, &case.baseline, row.reason.as_deref())];
            for column in &known {
                let figure = row.figures.get(*column).and_then(Option::as_ref);
                cells.push(figure.map_or("–".into(), |figure| spread(figure, case.metrics[*column].unit)));
                cells.push(figure.map_or(String::new(), times));
            }
            cells
        });
        let rounds = if case.rounds == 1 { "1 round".into() } else { format!("{} rounds", case.rounds) };
        Self {
            caption: format!(
                "{}: {}{rounds}; x: times {}'s",
                case.title,
                if case.partial { "PARTIAL, of " } else { "" },
                case.baseline
            ),
            header,
            rows: rows.collect(),
        }
    }
}

fn name(contender: &str, baseline: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{contender} ({reason})"),
        None if contender == baseline => format!("{contender} (baseline)"),
        None => contender.to_owned(),
    }
}

/// `12.1 ns (11.9–12.4)`; min and max only if they differ.
fn spread(figure: &Figure, unit: Unit) -> String {
    let [min, median, max] = [figure.min, figure.median, figure.max].map(|value| unit.show(value));
    if min == max { median } else { format!("{median} ({min} – {max})") }
}

fn times(figure: &Figure) -> String {
    let Some(ratio) = &figure.ratio else { return String::new() };
    let word = ratio.verdict.word();
    let number = if ratio.verdict == RatioVerdict::Tie {
        format!("{:.2}", ratio.times)
    } else {
        three_digits(ratio.times)
    };
    format!("{number} {word}").trim_end().to_owned()
}
