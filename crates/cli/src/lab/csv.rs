//! Figures as CSV: a line for each contender and metric.

use super::{findings::Findings, sample::Ratio};

const HEADER: [&str; 15] = [
    "bench",
    "case",
    "contender",
    "metric",
    "unit",
    "rounds",
    "min",
    "median",
    "max",
    "ratio",
    "ratio_to",
    "ratio_low",
    "ratio_high",
    "verdict",
    "partial",
];

/// Findings as CSV (RFC 4180), with a header line.
pub fn format(findings: &Findings) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for case in &findings.cases {
        for row in &case.rows {
            for (metric, figure) in case.metrics.iter().zip(&row.figures) {
                let Some(figure) = figure else { continue };
                let ratio = figure.ratio.as_ref();
                let number =
                    |of: fn(&Ratio) -> f64| ratio.map_or(String::new(), |ratio| of(ratio).to_string());
                let record: [&str; HEADER.len()] = [
                    &findings.bench,
                    &case.key,
                    &row.contender,
                    &metric.key,
                    metric.unit.name(),
                    &figure.samples.len().to_string(),
                    &figure.min.to_string(),
                    &figure.median.to_string(),
                    &figure.max.to_string(),
                    &number(|ratio| ratio.times),
                    ratio.map_or("", |ratio| &ratio.to),
                    &number(|ratio| ratio.low),
                    &number(|ratio| ratio.high),
                    ratio.map_or("", |ratio| ratio.verdict.name()),
                    if case.partial { "yes" } else { "no" },
                ];
                writer.write_record(record)?;
            }
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
