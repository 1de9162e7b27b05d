//! What an allocation with a guard of its own costs, by either mechanism, beside a plain arena's, beside malloc
//! and beside malloc under AddressSanitizer. That one is in C, which needs no nightly toolchain:
//! `support/blocks.c`, compiled when the benchmark runs.

mod support;

use highwater::{Arena, BuildError, DebugArena, GuardMechanism, GuardPolicy};
use std::alloc::{Layout, alloc, dealloc};
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use support::{Options, Table, measures_cpu_time, seconds};

/// Guards by protection are two mappings each, and become fewer before all checked arenas together have a quarter
/// of the mappings that the system allows: with no more than this alive at a time every allocation has one.
const ALIVE_BY_PROTECTION: usize = 5_000;

/// How often the peer under AddressSanitizer repeats what is measured, since each round is a process of its own.
const PASSES: usize = 3;

const PLAIN: &str = "highwater, plain arena";
const ADVICE: &str = "highwater, DebugArena by advice";
const PROTECT: &str = "highwater, DebugArena by protection";
const MALLOC: &str = "malloc";
const SANITIZED: &str = "malloc, AddressSanitizer";

/// Nanoseconds that a block took: to be placed and written, and to be given back.
#[derive(Clone, Copy, Default)]
struct Cost {
    place: f64,
    back: f64,
}

/// What of a cost a table is about.
type Part = fn(Cost) -> f64;

/// `blocks` blocks, of which at most `alive` are alive at a time.
fn cost<T>(
    blocks: usize,
    alive: usize,
    of: &mut T,
    place: impl Fn(&mut T, usize),
    back: impl Fn(&mut T),
) -> Cost {
    let (mut left, mut sum) = (blocks, Cost::default());
    while left > 0 {
        let now = left.min(alive);
        sum.place += seconds(|| place(of, now)).0;
        sum.back += seconds(|| back(of)).0;
        left -= now;
    }
    let each = 1e9 / blocks as f64;
    Cost { place: sum.place * each, back: sum.back * each }
}

/// An arena, checked or not. What it gave up in the last round is out of use in this one.
fn arena<const SIZE: usize, const CHECKED: bool>(
    blocks: usize,
    alive: usize,
    arena: &mut Arena<8, CHECKED>,
) -> Cost {
    let place = |arena: &mut Arena<8, CHECKED>, blocks| {
        for i in 0..blocks {
            black_box(arena.alloc_with(|| [i as u8; SIZE]));
        }
    };
    cost(blocks, alive, arena, place, |arena| arena.reset())
}

fn checked(mechanism: GuardMechanism) -> Result<DebugArena, BuildError> {
    let guard = GuardPolicy::default().mechanism(mechanism);
    Arena::builder().checked().guard(guard).try_build()
}

/// The mechanisms that exist here.
fn mechanisms() -> Vec<(&'static str, GuardMechanism)> {
    let mut found = Vec::new();
    for (name, mechanism) in [(ADVICE, GuardMechanism::Advice), (PROTECT, GuardMechanism::Protect)] {
        match checked(mechanism) {
            Ok(_) if cfg!(highwater_portable) => {
                println!("{name} is left out: no memory is protected in this build");
            }
            Ok(_) => found.push((name, mechanism)),
            Err(error) => println!("{name} is left out: {error}"),
        }
    }
    found
}

/// The system's malloc, called as `Vec` calls it.
fn malloc<const SIZE: usize>(blocks: usize, list: &mut Vec<*mut u8>) -> Cost {
    let layout = Layout::new::<[u8; SIZE]>();
    let place = |list: &mut Vec<*mut u8>, blocks| {
        for i in 0..blocks {
            // SAFETY: the size is not zero.
            let block = unsafe { alloc(layout) };
            assert!(!block.is_null(), "no memory for {SIZE} bytes");
            // SAFETY: the block is ours and that long.
            unsafe { block.cast::<[u8; SIZE]>().write([i as u8; SIZE]) };
            list.push(black_box(block));
        }
    };
    let back = |list: &mut Vec<*mut u8>| {
        for block in list.drain(..) {
            // SAFETY: allocated above with this layout, and freed once.
            unsafe { dealloc(block, layout) };
        }
    };
    cost(blocks, blocks, list, place, back)
}

/// Compiles the peer under AddressSanitizer into a directory; why it is left out otherwise.
fn compile(into: &Path) -> Result<(), String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/blocks.c");
    let program = into.join("blocks");
    let mut compiler = Command::new("cc");
    compiler.args(["-fsanitize=address", "-O2", "-o"]).arg(&program).arg(&source);
    let output = compiler.output().map_err(|error| format!("cc does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cc -fsanitize=address fails: {}", said.lines().next().unwrap_or_default()));
    }
    // It may link and still not run, where address space is limited for example.
    run(into, 1, 1).map(|_| ())
}

fn run(dir: &Path, blocks: usize, bytes: usize) -> Result<Cost, String> {
    let mut program = Command::new(dir.join("blocks"));
    let clock = if measures_cpu_time() { "cpu" } else { "wall" };
    program.args([blocks, bytes, PASSES].map(|n| n.to_string())).arg(clock);
    let output = program.output().map_err(|error| format!("the compiled peer does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut figures = said.split_whitespace().map_while(|figure| figure.parse().ok());
    match (output.status.success(), figures.next(), figures.next()) {
        (true, Some(place), Some(back)) => Ok(Cost { place, back }),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            Err(format!("the compiled peer fails: {}: {said}", output.status))
        }
    }
}

fn tables<const SIZE: usize>(
    options: &Options,
    mechanisms: &[(&str, GuardMechanism)],
    peer: Option<&Path>,
) -> Result<(), Box<dyn Error>> {
    let blocks = options.size(20_000, 4_000);
    // A plain arena's reset costs the same for any number of blocks, so its figure per block says nothing.
    let parts: [(&str, Part, &str); 2] =
        [("place and first write", |cost| cost.place, PLAIN), ("giving back", |cost| cost.back, MALLOC)];
    for (what, part, base) in parts {
        let title = format!("{blocks} blocks of {SIZE} bytes, {what}");
        let mut table = Table::new(options, title, "ns per block", 21);
        let mut plain = Arena::try_with_capacity(blocks * SIZE + 4096)?;
        table.row(PLAIN, move || part(arena::<SIZE, false>(blocks, blocks, &mut plain)));
        for &(name, mechanism) in mechanisms {
            let alive = if mechanism == GuardMechanism::Protect { ALIVE_BY_PROTECTION } else { blocks };
            let mut checked = checked(mechanism)?;
            table.row(name, move || part(arena::<SIZE, true>(blocks, alive, &mut checked)));
        }
        let mut list = Vec::with_capacity(blocks);
        table.row(MALLOC, move || part(malloc::<SIZE>(blocks, &mut list)));
        if let Some(peer) = peer {
            table.row(SANITIZED, move || part(run(peer, blocks, SIZE).expect("it ran before")));
        }
        if let Some(results) = table.run() {
            results.multiples(&[base, SANITIZED]);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let dir = tempfile::tempdir()?;
    let compiled = compile(dir.path());
    if let Err(why) = &compiled {
        println!("{SANITIZED} is left out: {why}");
    }
    let peer = compiled.is_ok().then(|| dir.path());
    let mechanisms = mechanisms();
    tables::<24>(&options, &mechanisms, peer)?;
    tables::<4096>(&options, &mechanisms, peer)?;
    Ok(())
}
