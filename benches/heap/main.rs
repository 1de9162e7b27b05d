//! The heap beside the system's malloc and every peer that is found: nanoseconds for a block that is allocated and
//! freed, in the patterns that tell allocators apart, and the memory that it took.
//!
//! Peers are shared objects, which `benches/peers.sh DIR` makes and `HIGHWATER_PEERS=DIR` names; without that Debian's
//! packages are used where they are installed. Our malloc library takes part if it was built
//! (`cargo build --profile malloc -p highwater-malloc`, or `HIGHWATER_MALLOC_LIB`).

mod contenders;
mod rows;
#[path = "../support/mod.rs"]
mod support;

use contenders::{ARENA, AT_ONCE, Answer, Contender, JOB, POLICIES, Session, library, peers};
use rows::{Work, serve};
use std::cell::RefCell;
use std::collections::HashMap;
use support::{Options, Table, warm};

/// What one table is about.
struct Row {
    title: &'static str,
    work: Work,
    rounds: usize,
    /// Who of ours takes part, beside `General`, and who is preloaded.
    ours: &'static [&'static str],
    preloaded: &'static [&'static str],
}

const GENERAL: &[&str] = &["general"];

const fn burst(title: &'static str, size: usize, count: usize, is_shuffled: bool) -> Row {
    Row { title, work: Work::Burst { size, count, is_shuffled }, rounds: 15, ours: &[], preloaded: GENERAL }
}

const ROWS: &[Row] = &[
    Row {
        title: "One 32-byte block in a loop",
        work: Work::Pair { size: 32 },
        rounds: 15,
        ours: &["stack", "bump", "blocks"],
        preloaded: &POLICIES,
    },
    Row { ours: &[AT_ONCE], ..burst("Burst of one 16-byte block, FIFO", 16, 1, false) },
    Row {
        work: Work::Amid { size: 16 },
        ..burst("Burst of one 16-byte block, several pages of the class", 16, 1, false)
    },
    burst("4096 × 16, FIFO", 16, 4096, false),
    burst("20,000 × 64, random", 64, 20_000, true),
    burst("20,000 × 256, random", 256, 20_000, true),
    burst("5,000 × 1024, random", 1024, 5_000, true),
    burst("1,000 × 100 KiB, FIFO", 100 << 10, 1_000, false),
    Row {
        title: "Nested LIFO pairs, 16 deep",
        work: Work::Nested { depth: 16 },
        rounds: 15,
        ours: &["stack", "blocks"],
        preloaded: &["general", "stack", "blocks"],
    },
    Row {
        title: "Two threads, one allocates, the other frees",
        work: Work::HandedOver,
        rounds: 15,
        ours: &[],
        preloaded: GENERAL,
    },
    Row {
        title: "malloctest, 20 repeats of 1,000,000 blocks of 10 to 999 bytes",
        work: MALLOCTEST,
        rounds: 3,
        ours: &["bump", ARENA],
        preloaded: &["general", "bump"],
    },
];

const MALLOCTEST: Work = Work::Malloctest { count: 1_000_000, repeats: 20 };

impl Row {
    fn contenders(&self, peers: &[Contender]) -> Vec<Contender> {
        let ours = ["general"].iter().chain(self.ours).map(|policy| Contender::ours(policy));
        let preloaded = self.preloaded.iter().filter_map(|policy| library(policy));
        ours.chain(preloaded).chain(peers.iter().cloned()).collect()
    }

    /// Whether a process does one round only, because what it does first counts.
    fn begins_anew(&self) -> bool {
        matches!(self.work, Work::Malloctest { .. })
    }
}

/// One table: all contenders, the same work, each in a process of its own.
fn table(options: &Options, number: usize, row: &Row, peers: &[Contender]) {
    let contenders = row.contenders(peers);
    let answers: RefCell<HashMap<String, Answer>> = RefCell::default();
    let sessions: RefCell<HashMap<String, Session>> = RefCell::default();
    let round = |contender: &Contender| {
        let mut sessions = sessions.borrow_mut();
        let name = || contender.name.clone();
        let session =
            sessions.entry(name()).or_insert_with(|| Session::start(contender, number, options.quick));
        let Some(answer) = session.round() else {
            // (It is left out of what follows, and said so.)
            return f64::NAN;
        };
        if row.begins_anew() {
            sessions.remove(&name()).map(Session::end);
        }
        answers.borrow_mut().insert(name(), answer);
        answer.nanoseconds
    };
    let mut table = Table::new(options, row.title, "ns a pair", row.rounds);
    for contender in &contenders {
        table.row(&contender.name, || round(contender));
    }
    table.beside("MiB resident", |name| {
        answers.borrow().get(name).map_or("failed".into(), |answer| format!("{:.1}", answer.growth))
    });
    let Some(results) = table.run() else { return };
    let mut aims = vec!["highwater general"];
    if matches!(row.work, Work::Nested { .. }) {
        aims.push("highwater stack");
    }
    results.compare(&aims[..1]);
    for ours in aims {
        for peer in peers {
            results.aim(ours, &peer.name, 0.95);
        }
    }
    if row.begins_anew() {
        results.below("highwater arena in the program", 8.0);
        if contenders.iter().any(|contender| contender.name == "highwater bump, preloaded") {
            results.below("highwater bump, preloaded", 15.0);
        }
    }
    for (name, session) in sessions.take() {
        if let Some(last) = session.end() {
            println!("  {name}: {last}");
        }
    }
}

fn main() {
    if let Ok(job) = std::env::var(JOB) {
        let parts: Vec<&str> = job.split(';').collect();
        let [works_as, row, quick, cpu] = parts[..] else { panic!("no job: {job}") };
        support::measure_cpu_time(cpu == "true");
        return serve(works_as, ROWS[row.parse::<usize>().expect("a row's number")].work, quick == "true");
    }
    let options = Options::parse();
    let peers = peers();
    let names: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
    println!("peers: {}", names.join(", "));
    if library("general").is_none() {
        println!("our malloc library was not built: nothing of ours is preloaded");
    }
    warm(options.size(2 << 30, 256 << 20));
    for (number, row) in ROWS.iter().enumerate() {
        table(&options, number, row, &peers);
    }
}
