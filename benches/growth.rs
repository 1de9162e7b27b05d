//! What one growth costs, by the size of its step: the fault, the commit, and the pages.

mod support;

use highwater::{Engine, Growth, Headroom, HugePages, Region, engine};
use support::{Options, Table, seconds, warm};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn name(bytes: usize) -> String {
    if bytes < MIB { format!("{} KiB", bytes / KIB) } else { format!("{} MiB", bytes / MIB) }
}

/// Writes one word at each multiple of `every` below `count` times that; the seconds it took.
fn touch(region: &Region, every: usize, count: usize) -> f64 {
    let base = region.as_ptr();
    let touches = || {
        for i in 0..count {
            // SAFETY: the address is in the region, whose memory no other code uses; a write commits it.
            unsafe { base.add(i * every).write_volatile(1) };
        }
    };
    seconds(touches).0
}

fn main() {
    let options = Options::parse();
    if engine() != Engine::Fault {
        return println!("the explicit engine does not grow by being touched");
    }
    let steps = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 2 * MIB, 16 * MIB];
    for (pages, what) in [(HugePages::Never, "no huge pages"), (HugePages::Advise, "huge pages allowed")] {
        let bytes = options.size(256 * MIB, 32 * MIB);
        let title = format!("Touching every page of {}, {what}, by step", name(bytes));
        let mut table = Table::new(&options, title, "ns per page", 11);
        let mut row = |name: &str, growth: Growth, populate: bool| {
            table.row(name, move || {
                warm(bytes);
                let builder = Region::builder().reserve(2 * bytes).growth(growth).huge_pages(pages);
                let region = builder.populate(populate).build();
                touch(&region, 4 * KIB, bytes / (4 * KIB)) * 1e9 / (bytes / (4 * KIB)) as f64
            });
        };
        for step in steps {
            row(&format!("highwater, {}", name(step)), Growth::Fixed(step), true);
        }
        for step in [64 * KIB, MIB] {
            row(&format!("highwater, {}, not populated", name(step)), Growth::Fixed(step), false);
        }
        row("highwater, default", Growth::default(), true);
        row("kernel paging (Upfront)", Growth::Upfront, false);
        if let Some(results) = table.run() {
            results.compare(&["highwater, default"]);
        }
    }

    // What it costs to ask how much memory there is: the default policy asks, `Off` does not.
    for (pages, what) in [(HugePages::Never, "no huge pages"), (HugePages::Advise, "huge pages allowed")] {
        let bytes = options.size(1024 * MIB, 64 * MIB);
        let title = format!("A cold fill of {}, {what}, by headroom", name(bytes));
        let mut table = Table::new(&options, title, "ns per page", 21);
        for (name, headroom) in
            [("highwater, Headroom::Off", Headroom::Off), ("highwater, Headroom::Auto", Headroom::Auto)]
        {
            table.row(name, move || {
                warm(bytes);
                let builder = Region::builder().reserve(2 * bytes).huge_pages(pages).headroom(headroom);
                let region = builder.build();
                touch(&region, 4 * KIB, bytes / (4 * KIB)) * 1e9 / (bytes / (4 * KIB)) as f64
            });
        }
        if let Some(results) = table.run() {
            results.aim("highwater, Headroom::Auto", "highwater, Headroom::Off", 0.98);
        }
    }

    // With one page used of each step: what a growth costs beside its pages.
    let title = "One growth by fault, no huge pages, nothing populated: fault, commit and one page";
    let mut table = Table::new(&options, title, "ns per growth", 21);
    for step in steps {
        let count = options.size(1024, 128).min(4096 * MIB / step);
        table.row(&format!("highwater, {}", name(step)), move || {
            let builder =
                Region::builder().reserve((count + 2) * step.max(64 * KIB)).growth(Growth::Fixed(step));
            let region = builder.huge_pages(HugePages::Never).populate(false).head(0).build();
            let time = touch(&region, step, count);
            assert_eq!(region.stats().faults, count as u64, "each touch is a growth");
            time * 1e9 / count as f64
        });
    }
    table.run();
}
