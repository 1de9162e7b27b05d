//! `GrowVec` beside std's `Vec`: random calls, the same for both, return the same and leave the same; every value is
//! dropped once; and the first one never moves.

use crate::body;
use body::calls::{Call, LEN, Range, calls, range};
use body::{Counted, Lying, Paged, Unit, Value, begin, living};
use highwater::{GrowVec, Growth};
use proptest::prelude::*;

fn empty<T>(policy: u8) -> GrowVec<T> {
    match policy {
        0 => GrowVec::new(),
        1 => GrowVec::with_max(5000),
        2 => GrowVec::builder().reserve(1 << 30).head(0).growth(Growth::Fixed(4096)).build(),
        3 => GrowVec::builder().reserve(1 << 30).growth(Growth::Stress { seed: 5 }).build(),
        _ => GrowVec::builder().reserve(16 << 20).growth(Growth::Upfront).build(),
    }
}

struct Pair<T> {
    ours: GrowVec<T>,
    std: Vec<T>,
    first: Option<*const T>,
    /// Values that were forgotten, counted in both vectors.
    leaked: isize,
}

fn values<T: Value>(numbers: &[u64]) -> Vec<T> {
    numbers.iter().map(|&n| T::make(n)).collect()
}

/// What std's `extend` does, whatever the iterator says of itself.
fn extend<T>(vec: &mut Vec<T>, values: &mut impl Iterator<Item = T>) {
    for value in values {
        vec.push(value);
    }
}

impl<T: Value> Pair<T> {
    /// Another vector took the place of ours.
    fn replace(&mut self, ours: GrowVec<T>) {
        (self.ours, self.first) = (ours, None);
    }

    fn verify(&mut self) {
        let Pair { ours, std, first, .. } = self;
        assert_eq!(ours, std);
        assert!(ours.iter().zip(std.iter()).all(|(a, b)| a.key() == b.key()));
        assert_eq!((ours.len(), ours.is_empty()), (std.len(), std.is_empty()));
        assert!(ours.len() <= ours.capacity() && ours.capacity() <= ours.max_len());
        assert_eq!(ours.spare_capacity_mut().len(), ours.capacity() - std.len());
        if !ours.is_empty() {
            assert_eq!(*first.get_or_insert(ours.as_ptr()), ours.as_ptr(), "the first value has moved");
            assert_eq!(ours.first().map(|first| first as *const T), *first);
        }
    }

    fn run(&mut self, call: &Call) {
        let Pair { ours, std, .. } = self;
        let len = std.len();
        match call {
            Call::Push(n, false) => {
                ours.push(T::make(*n));
                std.push(T::make(*n));
            }
            Call::Push(n, true) => {
                ours.try_push(T::make(*n)).unwrap();
                std.push(T::make(*n));
            }
            Call::Pop => assert_eq!(ours.pop(), std.pop()),
            Call::PopIf(m) => {
                let decide = |value: &mut T| {
                    value.change();
                    value.key().is_multiple_of(*m)
                };
                assert_eq!(ours.pop_if(decide), std.pop_if(decide));
            }
            Call::Insert(at, n, fallible) => {
                let at = at % (len + 1);
                match fallible {
                    true => ours.try_insert(at, T::make(*n)).unwrap(),
                    false => ours.insert(at, T::make(*n)),
                }
                std.insert(at, T::make(*n));
            }
            Call::Remove(at) if len > 0 => assert_eq!(ours.remove(at % len), std.remove(at % len)),
            Call::SwapRemove(at) if len > 0 => {
                assert_eq!(ours.swap_remove(at % len), std.swap_remove(at % len));
            }
            Call::Remove(_) | Call::SwapRemove(_) => {}
            Call::Truncate(len) => {
                ours.truncate(*len);
                std.truncate(*len);
            }
            Call::Clear => {
                ours.clear();
                std.clear();
            }
            Call::Drain(a, b, kind, take, forget) => self.drain(range(*a, *b, *kind, len), *take, *forget),
            Call::Retain(m) => {
                ours.retain(|value| !value.key().is_multiple_of(*m));
                std.retain(|value| !value.key().is_multiple_of(*m));
            }
            Call::RetainMut(m) => {
                let keep = |value: &mut T| {
                    value.change();
                    value.key() % (m + 1) != 1
                };
                ours.retain_mut(keep);
                std.retain_mut(keep);
            }
            Call::Dedup => {
                ours.dedup();
                std.dedup();
            }
            Call::DedupBy(m) => {
                // Not symmetric: the later one comes first.
                let same = |later: &mut T, earlier: &mut T| later.key() % m <= earlier.key() % (m + 1);
                ours.dedup_by(same);
                std.dedup_by(same);
            }
            Call::DedupByKey(m) => {
                ours.dedup_by_key(|value| value.key() / m);
                std.dedup_by_key(|value| value.key() / m);
            }
            Call::SplitOff(at) => {
                let at = at % (len + 1);
                let (mut other, theirs) = (ours.split_off(at), std.split_off(at));
                assert_eq!(other, theirs);
                other.push(T::make(1));
            }
            Call::Append(numbers) => {
                let mut other: GrowVec<T> = values(numbers).into();
                ours.append(&mut other);
                assert!(other.is_empty());
                std.append(&mut values(numbers));
            }
            Call::Resize(len, n) => {
                ours.resize(*len, T::make(*n));
                std.resize(*len, T::make(*n));
            }
            Call::ResizeWith(len, n) => {
                let numbers = || {
                    let mut next = *n;
                    move || {
                        next += 1;
                        T::make(next)
                    }
                };
                ours.resize_with(*len, numbers());
                std.resize_with(*len, numbers());
            }
            Call::Extend(numbers, hint, fallible) => {
                let (mut mine, mut theirs) = (Lying::new(numbers, *hint), Lying::new(numbers, *hint));
                match fallible {
                    true => ours.try_extend(&mut mine).unwrap(),
                    false => ours.extend(&mut mine),
                }
                extend(std, &mut theirs);
                assert_eq!(
                    mine.numbers.len(),
                    theirs.numbers.len(),
                    "what comes after the end is not asked for"
                );
            }
            Call::ExtendFromSlice(numbers, fallible) => {
                let more = values(numbers);
                match fallible {
                    true => ours.try_extend_from_slice(&more).unwrap(),
                    false => ours.extend_from_slice(&more),
                }
                std.extend_from_slice(&more);
            }
            Call::ExtendFromWithin(a, b, kind) if len < 4 * LEN => {
                ours.extend_from_within(range(*a, *b, *kind, len));
                std.extend_from_within(range(*a, *b, *kind, len));
            }
            Call::ExtendFromWithin(..) => {}
            Call::Reserve(more, fallible) => {
                match fallible {
                    true => ours.try_reserve(*more).unwrap(),
                    false => ours.reserve(*more),
                }
                assert!(ours.capacity() >= len + more);
            }
            Call::Shrink => {
                let (before, given_back) = (ours.capacity(), ours.shrink_to_fit());
                assert!(
                    size_of::<T>() == 0 || given_back.div_ceil(size_of::<T>()) >= before - ours.capacity()
                );
            }
            Call::Spare(numbers) => {
                ours.reserve(numbers.len());
                for (place, &n) in ours.spare_capacity_mut().iter_mut().zip(numbers) {
                    place.write(T::make(n));
                }
                // SAFETY: so many were written.
                unsafe { ours.set_len(len + numbers.len()) };
                std.extend(values::<T>(numbers));
            }
            Call::Sort(stably) => {
                match stably {
                    true => (ours.sort(), std.sort()),
                    false => (ours.sort_unstable(), std.sort_unstable()),
                };
                ours.reverse();
                std.reverse();
            }
            Call::Change(a, b) => self.change(*a, *b),
            Call::Clone => {
                let copy = ours.clone();
                assert_eq!(copy, *ours);
                self.replace(copy);
            }
            Call::CloneFrom(numbers) => {
                let source = values::<T>(numbers);
                ours.clone_from(&GrowVec::from(&source[..]));
                std.clone_from(&source);
            }
            Call::IntoIter(front, back) => self.take_by_value(*front, *back),
            Call::Collect(numbers, hint) => {
                let collected = Lying::<T>::new(numbers, *hint).collect();
                self.replace(collected);
                self.std.clear();
                extend(&mut self.std, &mut Lying::new(numbers, *hint));
            }
            Call::Leak => {
                let leaked = std::mem::take(ours).leak();
                assert_eq!(leaked, std);
                self.leaked += if T::COUNTED { len as isize } else { 0 };
                let again = GrowVec::from(&leaked[..]);
                self.replace(again);
            }
            Call::Convert(how) => {
                let taken = std::mem::take(ours);
                let converted = match how {
                    0 => Vec::from(taken).into(),
                    1 => taken.into_iter().rev().rev().collect(),
                    2 => highwater::AppendVec::from(taken).into_vec(),
                    _ => GrowVec::from(taken.as_slice()),
                };
                self.replace(converted);
            }
        }
    }

    fn drain(&mut self, range: Range, [front, back]: [usize; 2], forget: bool) {
        let before = living();
        let Pair { ours, std, .. } = self;
        let len = std.len();
        let (mut mine, mut theirs) = (ours.drain(range), std.drain(range));
        assert_eq!((mine.len(), mine.size_hint()), (theirs.len(), theirs.size_hint()));
        assert_eq!(mine.as_slice(), theirs.as_slice());
        assert!(mine.by_ref().take(front).eq(theirs.by_ref().take(front)));
        assert!(mine.by_ref().rev().take(back).eq(theirs.by_ref().rev().take(back)));
        assert_eq!(format!("{:?}", mine.as_slice()), format!("{:?}", theirs.as_slice()));
        if forget {
            let taken = (before - living()) / 2;
            std::mem::forget((mine, theirs));
            if T::COUNTED {
                self.leaked += 2 * ((len - self.std.len()) as isize - taken);
            }
        }
    }

    fn change(&mut self, a: usize, b: usize) {
        let Pair { ours, std, .. } = self;
        let len = std.len();
        let (a, b) = (a % (len + 1), b % (len + 1));
        let (from, to) = (a.min(b), a.max(b));
        assert_eq!(&ours[from..to], &std[from..to]);
        assert_eq!(&ours[from..], &std[from..]);
        ours[from..to].iter_mut().for_each(T::change);
        std[from..to].iter_mut().for_each(T::change);
        if from < len {
            ours[from].change();
            std[from].change();
            assert_eq!((ours.get(from), ours.last()), (std.get(from), std.last()));
        }
        (&mut *ours).into_iter().for_each(T::change);
        std.iter_mut().for_each(T::change);
        assert!((&*ours).into_iter().eq(&*std));
    }

    fn take_by_value(&mut self, front: usize, back: usize) {
        let (mut mine, mut theirs) =
            (std::mem::take(&mut self.ours).into_iter(), std::mem::take(&mut self.std).into_iter());
        assert!(mine.by_ref().take(front).eq(theirs.by_ref().take(front)));
        assert!(mine.by_ref().rev().take(back).eq(theirs.by_ref().rev().take(back)));
        assert_eq!((mine.len(), mine.as_slice()), (theirs.len(), theirs.as_slice()));
        self.replace(GrowVec::new());
    }
}

fn run<T: Value>(policy: u8, calls: &[Call]) {
    begin();
    let mut pair = Pair::<T> { ours: empty(policy), std: Vec::new(), first: None, leaked: 0 };
    for call in calls {
        pair.run(call);
        pair.verify();
    }
    let leaked = pair.leaked;
    drop(pair);
    assert_eq!(living(), leaked, "what lives is what was leaked");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn of_bytes(policy in 0u8..5, calls in calls()) {
        run::<u8>(policy, &calls);
    }

    #[test]
    fn of_words(policy in 0u8..5, calls in calls()) {
        run::<u64>(policy, &calls);
    }

    #[test]
    fn of_strings(policy in 0u8..5, calls in calls()) {
        run::<String>(policy, &calls);
    }

    #[test]
    fn of_values_without_a_size(policy in 0u8..5, calls in calls()) {
        run::<Unit>(policy, &calls);
    }

    #[test]
    fn of_counted_values(policy in 0u8..5, calls in calls()) {
        run::<Counted>(policy, &calls);
    }

    #[test]
    fn of_values_with_an_alignment_of_two_pages(policy in 0u8..5, calls in calls()) {
        run::<Paged>(policy, &calls);
    }
}
