//! The contests of one length: one in Rust and one in C. Within a language the results must be equal bit for bit, which
//! the contest sees to; between languages by value.

use std::cell::RefCell;

use highwater::Arena;

use super::{
    super::{
        c::{Child, Memory, Workshop},
        spaces::{FixedScope, Heap, Space, Stack},
    },
    Job, clock,
};
use crate::{
    failure::Failure,
    lab::{Contest, Findings, Lab, Metric, Sample, Unit, Warming},
};

/// The languages, as keys and titles have them.
pub const LANGUAGES: [&str; 2] = ["Rust", "C"];
pub const ARENA: &str = "arena";
pub const MALLOC: &str = "malloc";
pub const CONSTANT_ARENA: &str = "arena, constant length";
pub const STACK: &str = "stack, constant length";
pub const TIME: &str = "time";

/// Differences relative to the larger of two numbers that are still none.
const TOLERANCE: f64 = 1e-9;
/// Touched before the first round: what the longest vectors take, and more.
const WARMED: usize = 64 << 20;

/// The case of a language and a length.
pub fn key(language: &str, length: usize) -> String {
    format!("{}-{length}", language.to_lowercase())
}

/// Whether there is a variant for vectors of this constant length.
pub fn is_constant(length: usize) -> bool {
    matches!(length, 2 | 4 | 8 | 16 | 32 | 64)
}

/// Contenders of a length.
pub fn count(length: usize, with_c: bool) -> usize {
    let each = if is_constant(length) { 4 } else { 2 };
    if with_c { 2 * each } else { each }
}

/// The last result of a language.
type Found = RefCell<Option<Vec<f64>>>;

/// Runs both, and says whether the languages' results were equal bit for bit, if both had one.
pub fn of_length<J: Job>(
    length: usize,
    steps: usize,
    workshop: &Result<Workshop, String>,
    lab: &Lab,
    findings: &mut Findings,
) -> Result<Option<bool>, Failure> {
    let job = J::of_length(length);
    let (rust, c) = (Found::default(), Found::default());
    findings.push(in_rust(&job, length, steps, &rust).run(lab)?);
    if let Ok(workshop) = workshop
        && !findings.partial
    {
        findings.push(in_c(&job, length, steps, workshop, &c).run(lab)?);
    }
    let (Some(rust), Some(c)) = (rust.take(), c.take()) else { return Ok(None) };
    compare(&rust, &c).map(Some).map_err(|said| Failure::runtime(format!("{} {length}: {said}", J::NAME)))
}

fn new_contest<'a>(language: &str, length: usize, steps: usize) -> Contest<'a> {
    let title = format!("{language}, vectors of {length} numbers, {steps} steps");
    let metrics = vec![Metric::new(TIME, "processor time per step", Unit::Ns)];
    Contest::new(key(language, length), title, metrics, Warming::Once(WARMED))
}

fn in_rust<'a, J: Job>(job: &'a J, length: usize, steps: usize, result: &'a Found) -> Contest<'a> {
    let mut contest = new_contest(LANGUAGES[0], length, steps);
    let (mut space, mut scratch) = (Arena::new(), Arena::new());
    contest.contender(ARENA, move || timed(job, space.scope(), scratch.scope(), steps, result));
    contest.contender(MALLOC, move || timed(job, Heap, Heap, steps, result));
    macro_rules! constant {
        ($($n:literal)*) => {
            match length {
                $($n => {
                    let (mut space, mut scratch) = (Arena::new(), Arena::new());
                    contest.contender(CONSTANT_ARENA, move || {
                        let (space, scratch) = (space.scope(), scratch.scope());
                        timed(job, FixedScope::<$n>(space), FixedScope::<$n>(scratch), steps, result)
                    });
                    contest.contender(STACK, move || timed(job, Stack::<$n>, Stack::<$n>, steps, result));
                })*
                _ => {}
            }
        };
    }
    constant!(2 4 8 16 32 64);
    contest
}

fn timed<J: Job, O: Space, S: Space>(
    job: &J,
    space: O,
    scratch: S,
    steps: usize,
    result: &Found,
) -> Result<Sample, String> {
    let (took, found) = clock::time(|| job.run(space, scratch, steps))?;
    Ok(sample(took, steps, found, result))
}

fn in_c<'a, J: Job>(
    job: &J,
    length: usize,
    steps: usize,
    workshop: &Workshop,
    result: &'a Found,
) -> Contest<'a> {
    let mut contest = new_contest(LANGUAGES[1], length, steps);
    let numbers = job.numbers();
    let constant = Some(length).filter(|length| is_constant(*length));
    let mut add = |name: &str, memory, length| {
        let started =
            workshop.program(J::NAME, memory, length).and_then(|program| Child::start(&program, &numbers));
        match started {
            Ok(mut child) => contest.contender(name, move || {
                let (took, found) = child.run(steps)?;
                Ok(sample(took.max(1.0), steps, found, result))
            }),
            Err(reason) => contest.absent(name, reason),
        }
    };
    add(ARENA, Memory::Arena, None);
    add(MALLOC, Memory::Heap, None);
    if constant.is_some() {
        add(CONSTANT_ARENA, Memory::Arena, constant);
        add(STACK, Memory::Stack, constant);
    }
    contest
}

/// A run's time per step, checked by the bits of its result, which is kept.
fn sample(took: f64, steps: usize, found: Vec<f64>, result: &Found) -> Sample {
    let sum = fingerprint(&found);
    result.replace(Some(found));
    Sample::of([took / steps as f64]).with_checksum(sum)
}

/// FNV-1a of the bits: a short name of a result.
fn fingerprint(numbers: &[f64]) -> u64 {
    let bytes = numbers.iter().flat_map(|number| number.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether two results are equal bit for bit; an error if they are not even so by value.
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
    fn every_bit_has_its_say() {
        assert_ne!(fingerprint(&[0.0]), fingerprint(&[-0.0]));
        assert_ne!(fingerprint(&[1.0, 2.0]), fingerprint(&[2.0, 1.0]));
        assert_eq!(fingerprint(&[]), 0xcbf2_9ce4_8422_2325);
    }
}
