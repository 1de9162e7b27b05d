//! The vectors for serde, as sequences.

use super::{AppendVec, GrowVec, SharedVec};
use core::fmt;
use core::marker::PhantomData;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Pushes what comes, and fails where there is no room. A length that is promised is not believed: a few bytes of input
/// could take the whole address space. A reservation that is full is followed by one a few times as long, and that is
/// as far as the promise counts.
struct ValuesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ValuesVisitor<T> {
    type Value = GrowVec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<GrowVec<T>, A::Error> {
        let mut vec = GrowVec::new();
        while let Some(value) = values.next_element()? {
            let promised = vec.len().saturating_add(values.size_hint().unwrap_or(0));
            let len = promised.clamp(vec.len().saturating_mul(2), vec.len().saturating_mul(8));
            vec.outgrow(len).map_err(A::Error::custom)?;
            vec.try_push(value).map_err(A::Error::custom)?;
        }
        Ok(vec)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for GrowVec<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ValuesVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AppendVec<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        GrowVec::deserialize(deserializer).map(Self::from)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for SharedVec<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        GrowVec::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

macro_rules! serialize {
    ($($vec:ident),+) => {$(
        impl<T: Serialize> Serialize for $vec<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self)
            }
        }
    )+};
}

serialize!(GrowVec, AppendVec, SharedVec);
