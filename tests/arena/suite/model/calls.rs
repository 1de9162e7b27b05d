//! The calls of a random sequence, and how one is drawn.

use proptest::prelude::*;

/// One call. Sizes and alignments are those of `Layout`s; `Child` runs its own calls in a child scope.
#[derive(Clone, Debug)]
pub enum Call {
    Layout { size: usize, shift: u32, fallible: bool },
    Uninit(usize),
    Copy(usize),
    Fill { len: usize, inner: usize },
    Clone(usize),
    TryWith { ok: bool, inner: usize },
    TryFill { len: usize, fail_at: usize, inner: usize },
    Iter { len: usize, every: usize, hint: usize },
    Text { pieces: usize, inner: bool },
    Panic(usize),
    Wide(u8),
    Nothing,
    Frame(u8),
    CommitAhead(usize),
    Checkpoint,
    ResetTo,
    Child(Vec<Call>),
}

/// What only an arena can do, between sequences of calls.
#[derive(Clone, Debug)]
pub enum Step {
    Calls(Vec<Call>),
    Scope(Vec<Call>),
    Reset,
    Trim(usize),
    Limit(Option<usize>),
}

pub fn calls() -> impl Strategy<Value = Vec<Call>> {
    let len = || prop_oneof![8 => 0usize..100, 1 => 0usize..8000];
    let simple = prop_oneof![
        4 => (prop_oneof![0usize..300, 0usize..40_000], 0u32..=16, prop::bool::weighted(0.8))
            .prop_map(|(size, shift, fallible)| Call::Layout { size, shift, fallible }),
        2 => len().prop_map(Call::Uninit),
        2 => len().prop_map(Call::Copy),
        2 => (len(), 0usize..4).prop_map(|(len, inner)| Call::Fill { len, inner }),
        1 => len().prop_map(Call::Clone),
        2 => (any::<bool>(), 0usize..3).prop_map(|(ok, inner)| Call::TryWith { ok, inner }),
        2 => (0usize..50, 0usize..60, 0usize..60)
            .prop_map(|(len, fail_at, inner)| Call::TryFill { len, fail_at, inner }),
        3 => (len(), 1usize..200, prop_oneof![Just(0), 0usize..100, Just(usize::MAX)])
            .prop_map(|(len, every, hint)| Call::Iter { len, every, hint }),
        2 => (0usize..30, any::<bool>()).prop_map(|(pieces, inner)| Call::Text { pieces, inner }),
        1 => (0usize..100).prop_map(Call::Panic),
        1 => any::<u8>().prop_map(Call::Wide),
        1 => Just(Call::Nothing),
        2 => (0u8..3).prop_map(Call::Frame),
        1 => (0usize..300_000).prop_map(Call::CommitAhead),
        2 => Just(Call::Checkpoint),
        2 => Just(Call::ResetTo),
    ];
    let call =
        simple.prop_recursive(3, 48, 12, |inner| prop::collection::vec(inner, 0..12).prop_map(Call::Child));
    prop::collection::vec(call, 0..16)
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => calls().prop_map(Step::Calls),
        4 => calls().prop_map(Step::Scope),
        2 => Just(Step::Reset),
        1 => (0usize..200_000).prop_map(Step::Trim),
        1 => prop_oneof![Just(None), (0usize..300_000).prop_map(Some)].prop_map(Step::Limit),
    ];
    prop::collection::vec(step, 1..10)
}
