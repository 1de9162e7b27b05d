//! Results as tables.

use super::report::{Comparison, GrowRun, IndexFacts};
use crate::{
    lab::text::{self, count, right_align, time},
    size::human,
};

/// One run as a table with a row for each figure.
pub fn of_run(run: &GrowRun) -> String {
    let mut text = String::new();
    if run.partial {
        text.push_str(&format!(
            "PARTIAL: interrupted after {} of {}\n",
            human(run.done_bytes),
            human(run.total_bytes)
        ));
    }
    if let Some(index) = &run.index {
        text.push_str(&facts(index));
        text.push('\n');
    }
    let mut table = text::new();
    let title = format!("{} {}", run.command, run.aim.join(" "));
    let threads = match run.threads {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads, an arena each"),
    };
    table.set_header([title, threads]);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row("used", exactly(run.used));
    if let Some(region) = run.region {
        row("committed", exactly(region.committed));
        row("reserved", exactly(region.reserved));
        row("growth steps", count(region.growth_steps));
        row("faults", count(region.faults));
        let share = percent(region.growth_ns, run.thread_ns);
        row("time in growth", format!("{}{share}", time(region.growth_ns)));
    }
    row("time", time(run.elapsed_ns));
    row("allocations", count(run.allocations));
    row("ns per allocation", number(run.ns_per_allocation));
    row("kernel page faults", count(run.page_faults));
    row("peak RSS", run.peak_rss.map_or("unknown".into(), exactly));
    if let Some(engine) = &run.engine {
        row("growth engine", engine.clone());
    }
    if let Some(plot) = &run.plot {
        row("plot", plot.clone());
    }
    right_align(&mut table, 1..2);
    text + &table.to_string()
}

/// A comparison as a table.
pub fn of_comparison(all: &Comparison) -> String {
    let mut text = String::new();
    if all.partial {
        text.push_str("PARTIAL: interrupted; there are no ratios to an unfinished run\n");
    }
    if let Some(index) = all.runs.first().and_then(|run| run.index.as_ref()) {
        text.push_str(&facts(index));
        text.push('\n');
    }
    let mut table = text::new();
    let head = ["", "time", "ns/alloc", "x", "used", "peak RSS", "x", "page faults", "growth steps"];
    table.set_header(head);
    for run in &all.runs {
        let ratio = all.ratios.iter().find(|ratio| ratio.allocator == run.allocator);
        let times = |value: Option<f64>| value.map_or(String::new(), |times| format!("{times:.2}"));
        table.add_row([
            format!("{}{}", run.allocator, if run.partial { " (partial)" } else { "" }),
            time(run.elapsed_ns),
            number(run.ns_per_allocation),
            times(ratio.and_then(|ratio| ratio.ns_per_allocation)),
            human(run.used),
            run.peak_rss.map_or("unknown".into(), human),
            times(ratio.and_then(|ratio| ratio.peak_rss)),
            count(run.page_faults),
            run.region.map_or(String::new(), |region| count(region.growth_steps)),
        ]);
    }
    for failed in &all.failed {
        table.add_row([failed.allocator.as_str(), &failed.reason]);
    }
    right_align(&mut table, 1..head.len());
    let huge_pages = all.runs.iter().filter_map(|run| run.options.as_ref()).any(|o| o.huge_pages == "advise");
    let pages = if huge_pages {
        "\nhighwater asked for huge pages; compare without them by --huge-pages never"
    } else {
        ""
    };
    format!("{text}{table}\nx: times highwater's; above 1, highwater is better{pages}")
}

/// The facts about an index as a table.
fn facts(index: &IndexFacts) -> String {
    let mut table = text::new();
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row("files", count(index.files));
    for (name, number) in [
        ("binary files skipped", index.binary),
        ("unreadable", index.unreadable),
        ("links and devices skipped", index.passed_over),
    ] {
        if number > 0 {
            row(name, count(number));
        }
    }
    row("bytes", exactly(index.bytes));
    row("words", count(index.words));
    row("distinct words", count(index.distinct_words));
    let frequent: Vec<_> =
        index.frequent.iter().map(|word| format!("{} {}", shown(&word.word), count(word.count))).collect();
    row("most frequent", frequent.join("\n"));
    right_align(&mut table, 1..2);
    table.to_string()
}

/// A word, truncated. (Words consist of letters and digits, so they have no control characters for a terminal.)
fn shown(word: &str) -> String {
    const MAX_LEN: usize = 40;
    match word.char_indices().nth(MAX_LEN) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// A size in bytes, and also in a larger unit if it is large.
fn exactly(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} B") } else { format!("{}  ({} B)", human(bytes), count(bytes)) }
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.2}"))
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("  ({:.1} %)", part as f64 * 100.0 / whole as f64) }
}
