//! The contests of one length: one in Rust and one in C. Within a language the contest checks that results are equal bit
//! for bit; between languages they must be equal by value.

use std::cell::RefCell;

use highwater::Arena;

use super::{
    super::{
        c::{CMemory, CProgram, CToolchain},
        spaces::{FixedScope, HeapSpace, Space, StackSpace},
    },
    Computation, clock,
};
use crate::{
    failure::Failure,
    lab::{Contest, Findings, Lab, Metric, RunSample, Unit, Warming},
};

/// The names of the languages in keys and titles.
pub const LANGUAGES: [&str; 2] = ["Rust", "C"];
pub const ARENA: &str = "arena";
pub const MALLOC: &str = "malloc";
pub const CONSTANT_ARENA: &str = "arena, constant length";
pub const STACK: &str = "stack, constant length";
pub const TIME: &str = "time";

/// The relative difference up to which two numbers count as equal.
const TOLERANCE: f64 = 1e-9;
/// Memory to warm up before the first round: more than the longest vectors use.
const WARM_BYTES: usize = 64 << 20;

/// The case of a language and a length.
pub fn key(language: &str, length: usize) -> String {
    format!("{}-{length}", language.to_lowercase())
}

/// Whether there is a variant for vectors of this constant length.
pub fn is_constant(length: usize) -> bool {
    matches!(length, 2 | 4 | 8 | 16 | 32 | 64)
}

/// The number of contenders for a length.
pub fn count(length: usize, with_c: bool) -> usize {
    let each = if is_constant(length) { 4 } else { 2 };
    if with_c { 2 * each } else { each }
}

/// The last result of a language.
type LastResult = RefCell<Option<Vec<f64>>>;

/// Runs both. Returns whether the results of the languages were equal bit for bit, if both have one.
pub fn of_length<J: Computation>(
    length: usize,
    steps: usize,
    toolchain: &Result<CToolchain, String>,
    lab: &Lab,
    findings: &mut Findings,
) -> Result<Option<bool>, Failure> {
    let job = J::of_length(length);
    let (rust, c) = (LastResult::default(), LastResult::default());
    findings.push(in_rust(&job, length, steps, &rust).run(lab)?);
    if let Ok(toolchain) = toolchain
        && !findings.partial
    {
        findings.push(in_c(&job, length, steps, toolchain, &c).run(lab)?);
    }
    let (Some(rust), Some(c)) = (rust.take(), c.take()) else { return Ok(None) };
    compare(&rust, &c).map(Some).map_err(|error| Failure::runtime(format!("{} {length}: {error}", J::NAME)))
}

fn new_contest<'a>(language: &str, length: usize, steps: usize) -> Contest<'a> {
    let title = format!("{language}, vectors of {length} numbers, {steps} steps");
    let metrics = vec![Metric::new(TIME, "processor time per step", Unit::Ns)];
    Contest::new(key(language, length), title, metrics, Warming::Once(WARM_BYTES))
}

fn in_rust<'a, J: Computation>(
    job: &'a J,
    length: usize,
    steps: usize,
    result: &'a LastResult,
) -> Contest<'a> {
    let mut contest = new_contest(LANGUAGES[0], length, steps);
    let (mut space, mut scratch) = (Arena::new(), Arena::new());
    contest.contender(ARENA, move || timed(job, space.scope(), scratch.scope(), steps, result));
    contest.contender(MALLOC, move || timed(job, HeapSpace, HeapSpace, steps, result));
    macro_rules! constant {
        ($($n:literal)*) => {
            match length {
                $($n => {
                    let (mut space, mut scratch) = (Arena::new(), Arena::new());
                    contest.contender(CONSTANT_ARENA, move || {
                        let (space, scratch) = (space.scope(), scratch.scope());
                        timed(job, FixedScope::<$n>(space), FixedScope::<$n>(scratch), steps, result)
                    });
                    contest.contender(STACK, move || timed(job, StackSpace::<$n>, StackSpace::<$n>, steps, result));
                })*
                _ => {}
            }
        };
    }
    constant!(2 4 8 16 32 64);
    contest
}

fn timed<J: Computation, O: Space, S: Space>(
    job: &J,
    space: O,
    scratch: S,
    steps: usize,
    result: &LastResult,
) -> Result<RunSample, String> {
    let (ns, numbers) = clock::time(|| job.run(space, scratch, steps));
    Ok(sample(ns, steps, numbers, result))
}

fn in_c<'a, J: Computation>(
    job: &J,
    length: usize,
    steps: usize,
    toolchain: &CToolchain,
    result: &'a LastResult,
) -> Contest<'a> {
    let mut contest = new_contest(LANGUAGES[1], length, steps);
    let numbers = job.numbers();
    let constant = Some(length).filter(|length| is_constant(*length));
    let mut add = |name: &str, memory, length| {
        let started = toolchain
            .program(J::NAME, memory, length)
            .and_then(|program| CProgram::start(&program, &numbers));
        match started {
            Ok(mut child) => contest.contender(name, move || {
                let (ns, numbers) = child.run(steps)?;
                Ok(sample(ns.max(1.0), steps, numbers, result))
            }),
            Err(reason) => contest.absent(name, reason),
        }
    };
    add(ARENA, CMemory::Arena, None);
    add(MALLOC, CMemory::Heap, None);
    if constant.is_some() {
        add(CONSTANT_ARENA, CMemory::Arena, constant);
        add(STACK, CMemory::Stack, constant);
    }
    contest
}

/// A run's time per step, with a checksum of its result, which is stored.
fn sample(ns: f64, steps: usize, numbers: Vec<f64>, result: &LastResult) -> RunSample {
    let sum = fingerprint(&numbers);
    result.replace(Some(numbers));
    RunSample::of([ns / steps as f64]).with_checksum(sum)
}

/// A checksum of a result: FNV-1a of its bits.
fn fingerprint(numbers: &[f64]) -> u64 {
    let bytes = numbers.iter().flat_map(|number| number.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether two results are equal bit for bit; an error if they are not even equal by value.
fn compare(rust: &[f64], c: &[f64]) -> Result<bool, String> {
    if rust.len() != c.len() {
        return Err(format!("Rust computed {} numbers, and C {}", rust.len(), c.len()));
    }
    for (i, (a, b)) in rust.iter().zip(c).enumerate() {
        let near = (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0);
        if !near {
            return Err(format!("Rust computed {a} and C {b} as number {i}: the results must be equal"));
        }
    }
    Ok(rust.iter().map(|number| number.to_bits()).eq(c.iter().map(|number| number.to_bits())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_agree_by_value() {
        assert_eq!(compare(&[1.0, 2.0], &[1.0, 2.0]), Ok(true));
        assert_eq!(compare(&[1e6], &[1e6 + 1e-5]), Ok(false));
        assert!(compare(&[1.0], &[1.0 + 1e-8]).unwrap_err().contains("must be equal"));
        assert!(compare(&[1.0], &[f64::NAN]).is_err());
        assert!(compare(&[1.0], &[]).is_err());
    }

    #[test]
    fn every_bit_counts_in_the_checksum() {
        assert_ne!(fingerprint(&[0.0]), fingerprint(&[-0.0]));
        assert_ne!(fingerprint(&[1.0, 2.0]), fingerprint(&[2.0, 1.0]));
        assert_eq!(fingerprint(&[]), 0xcbf2_9ce4_8422_2325);
    }
}
