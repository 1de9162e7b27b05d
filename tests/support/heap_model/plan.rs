//! What is done with a heap: its options and the calls, each a few bytes, so that a fuzzer and a property test make up
//! the same ones.

use arbitrary::{Arbitrary, Result, Unstructured};
use highwater::Growth;
use highwater::heap::{Blocks, Bump, Fit, General, HeapPolicy, Stack};
use highwater::oom::Injection;

/// The policies, without their options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    General,
    Blocks,
    Stack,
    Bump,
}

/// How a heap is made.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub kind: HeapPolicy,
    pub reserve: usize,
    pub limit: Option<usize>,
    pub growth: Growth,
    pub injection: Option<Injection>,
}

/// One of the blocks that live, counted from one end; or any of them.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    Oldest(usize),
    Newest(usize),
    Any(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Order {
    Fifo,
    Lifo,
    Random(u64),
}

/// What is given to calls that take a block, and is none.
#[derive(Clone, Copy, Debug)]
pub enum Wrong {
    /// So many bytes into a live block.
    Inside(Which, usize),
    /// A live block is freed twice.
    Twice(Which),
    /// A block that was freed some time ago.
    Freed(usize),
    /// So many bytes from the region's first one.
    Somewhere(usize),
    /// Not of this heap at all.
    Foreign(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum Call {
    Allocate {
        size: usize,
        align: usize,
        zeroed: bool,
    },
    Burst {
        count: usize,
        size: usize,
    },
    Free(Which),
    FreeMany {
        count: usize,
        order: Order,
    },
    Reallocate {
        which: Which,
        size: usize,
        align: usize,
    },
    Misuse(Wrong),
    /// Arguments that no block can have, or none of this heap's.
    Impossible {
        which: Which,
        size: usize,
        align: usize,
    },
    Trim(usize),
    Reset,
    Fork,
    /// The thread does without what it has of the heap from here on, until its next call.
    Leave,
    Check,
    /// The thread ends; what it has stays. (The first one does not.)
    End,
}

/// A call, and which of three threads makes it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub by: usize,
    pub call: Call,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    pub setup: Setup,
    pub steps: Vec<Step>,
}

/// The bytes that a [`Setup`] and a [`Step`] are read from.
pub type SetupBytes = [u8; 6];
pub type StepBytes = [u8; 6];

impl Plan {
    /// A plan for one policy, of any bytes.
    pub fn read(policy: Policy, bytes: &[u8]) -> Result<Self> {
        let mut bytes = Unstructured::new(bytes);
        let setup = Setup::read(policy, SetupBytes::arbitrary(&mut bytes)?);
        let mut steps = Vec::new();
        while !bytes.is_empty() {
            steps.push(Step::read(StepBytes::arbitrary(&mut bytes)?));
        }
        Ok(Plan { setup, steps })
    }
}

impl Setup {
    pub fn read(policy: Policy, [options, growth, room, injected, much, seed]: SetupBytes) -> Self {
        let (one, rest) = (options & 1 != 0, usize::from(options >> 1));
        let is_single = growth & 1 != 0;
        let kind = match policy {
            Policy::General => General::new().checked(one).into(),
            Policy::Blocks => {
                let blocks = Blocks::new().fit(if one { Fit::First } else { Fit::Best });
                let blocks = blocks.margin([0, 4096, 60_000, 1 << 20][rest % 4]);
                // SAFETY: the model waits for every call, in whichever thread it is made.
                if is_single { unsafe { blocks.single_threaded() } } else { blocks }.into()
            }
            Policy::Stack => {
                let stack = Stack::new().align(8 << (rest % 10)).errno(one);
                // SAFETY: the model waits for every call, in whichever thread it is made.
                if is_single { unsafe { stack.single_threaded() } } else { stack }.into()
            }
            Policy::Bump => {
                let bump = Bump::new().grain(if one { 8 } else { 16 }).slice(1 << (16 + rest % 5));
                // SAFETY: the model waits for every call, in whichever thread it is made.
                if is_single { unsafe { bump.single_threaded() } } else { bump }.into()
            }
        };
        let growth = match growth >> 1 & 3 {
            0 => Growth::Fixed(4096),
            1 => Growth::Fixed(100_000),
            2 => Growth::Upfront,
            _ => Growth::default(),
        };
        // (Portable memory that was committed is written to when it is given back.)
        let roomy = if matches!(growth, Growth::Upfront) { 64 << 20 } else { 1 << 30 };
        let (reserve, limit) = match room % 8 {
            0 => (1 << (20 + room / 8 % 6), None),
            1 => (roomy, Some((1 << 20) + usize::from(room) * 12_345)),
            _ => (roomy, None),
        };
        let injection = match injected % 8 {
            0 => Some(Injection::nth(1 + u64::from(much))),
            1 => Some(Injection::after(u64::from(much))),
            2 => Some(Injection::above(usize::from(much) << 12)),
            3 => Some(Injection::rate(u32::from(much) * 3500, u64::from(seed))),
            _ => None,
        };
        Setup { kind, reserve, limit, growth, injection }
    }

    /// How much of the region the heap may use.
    pub fn max_bytes(&self) -> usize {
        self.limit.unwrap_or(self.reserve)
    }

    /// What every block is aligned to at least.
    pub fn min_align(&self) -> usize {
        match format!("{:?}", self.kind) {
            text if text.contains("align: 8,") || text.contains("grain: 8,") => 8,
            _ => highwater::heap::MIN_ALIGN,
        }
    }

    /// Whether every mistake is found. (Where it is not, some are believed.)
    pub fn finds_all(&self) -> bool {
        self.kind != General::new().into()
    }
}

/// Many small ones, some large ones, and those around every power of two.
fn size(choice: u8, value: u16) -> usize {
    let value = usize::from(value);
    match choice % 16 {
        0..=6 => 1 + value % 256,
        7..=9 => 1 + value % 5000,
        10..=12 => 1 + value * 72 / 64,
        13 => (((1 << (value % 22)) + value / 22 % 3).max(2)) - 1,
        _ => 1 + value * 48,
    }
}

fn align(choice: u8) -> usize {
    match choice % 8 {
        0..=2 => 16,
        3 | 4 => 1,
        5 | 6 => 1 << (choice / 8 % 13),
        _ => 1 << (choice / 8 % 23),
    }
}

fn which(choice: u8, value: u16) -> Which {
    match choice % 4 {
        0 => Which::Oldest(usize::from(value % 4)),
        1 => Which::Newest(usize::from(value % 4)),
        _ => Which::Any(usize::from(value)),
    }
}

fn order(choice: u8) -> Order {
    match choice % 3 {
        0 => Order::Fifo,
        1 => Order::Lifo,
        _ => Order::Random(u64::from(choice)),
    }
}

/// Zero, no power of two, more than any object has, and more than this heap has.
fn impossible(choice: u8, value: u16) -> (usize, usize) {
    let value = usize::from(value);
    let max = isize::MAX as usize;
    match choice % 8 {
        0 => (0, value),
        1 => (1 + value, 3 + 2 * (value & 0xff)),
        2 => (1 + value, 0),
        3 => (usize::MAX - value, 1 << (value % 64)),
        4 => (max - value, 1 << (value % 64)),
        5 => (max + 1 + value, 16),
        6 => ((1 << 30) + 1 + (value << 25), 1 << (value % 20)),
        _ => (1 + value, 1 << (48 + value % 16)),
    }
}

impl Step {
    pub fn read([what, who, choice, high, low, other]: StepBytes) -> Self {
        let value = u16::from_be_bytes([high, low]);
        let by = match who % 16 {
            0..=9 => 0,
            10..=12 => 1,
            _ => 2,
        };
        let chosen = which(who / 16, u16::from(other));
        let call = match what % 32 {
            0..=7 => Call::Allocate { size: size(choice, value), align: align(other), zeroed: what % 8 == 7 },
            8..=12 => Call::Free(which(choice, value)),
            13..=17 => Call::Reallocate { which: chosen, size: size(choice, value), align: align(other / 8) },
            18 | 19 => Call::Burst { count: usize::from(other), size: size(choice % 13, value).min(9000) },
            20 | 21 => {
                let count = usize::from(value % 600) >> (value >> 14);
                Call::FreeMany { count, order: order(choice) }
            }
            22..=25 => Call::Misuse(match what % 32 {
                22 => Wrong::Inside(chosen, size(choice, value)),
                23 => Wrong::Twice(chosen),
                24 => Wrong::Freed(usize::from(value)),
                _ if choice % 2 == 0 => Wrong::Foreign(other),
                _ => Wrong::Somewhere(size(choice / 2, value)),
            }),
            26 => {
                let (size, align) = impossible(choice, value);
                Call::Impossible { which: chosen, size, align }
            }
            27 => Call::Trim(size(choice, value)),
            28 if choice % 4 == 0 => Call::Reset,
            29 if choice % 2 == 0 => Call::Fork,
            29 => Call::Leave,
            31 => Call::End,
            _ => Call::Check,
        };
        Step { by, call }
    }
}
