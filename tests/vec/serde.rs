//! Vectors as sequences of serde's.
#![cfg(feature = "serde")]

use highwater::oom::{self, Injection};
use highwater::{AppendVec, GrowVec, SharedVec};
use serde::Deserialize;
use serde::de::value::{Error, SeqDeserializer};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use std::collections::BTreeMap;

use crate::support;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("refused", refused)];

#[test]
fn there_and_back() {
    let words: GrowVec<Option<String>> =
        [Some("one".to_owned()), None, Some("\"two\" ü\n".to_owned())].into_iter().collect();
    let text = serde_json::to_string(&words).unwrap();
    assert_eq!(text, serde_json::to_string(&words[..]).unwrap());
    assert_eq!(serde_json::from_str::<GrowVec<Option<String>>>(&text).unwrap(), words);
    assert_eq!(serde_json::from_str::<Vec<Option<String>>>(&text).unwrap(), words);
    let append: AppendVec<Option<String>> = serde_json::from_str(&text).unwrap();
    append.push_pinned(None);
    assert_eq!(append[..3], words);
    assert_eq!(serde_json::to_string(&append).unwrap(), text.replace(']', ",null]"));
    let shared: SharedVec<u64> = (0..1000).collect();
    let numbers: GrowVec<u64> = serde_json::from_str(&serde_json::to_string(&shared).unwrap()).unwrap();
    assert!(numbers.into_iter().eq(0..1000));
}

#[test]
fn in_other_things_and_with_nothing_in_them() {
    let text = r#"{"a":[[1,2],[],[3]],"b":[]}"#;
    let map: BTreeMap<String, GrowVec<GrowVec<u8>>> = serde_json::from_str(text).unwrap();
    assert_eq!(map["a"][0], [1, 2]);
    assert!(map["b"].is_empty() && map["b"].region().is_none(), "nothing is reserved for nothing");
    assert_eq!(serde_json::to_string(&map).unwrap(), text);
    let units: GrowVec<()> = serde_json::from_str("[null,null]").unwrap();
    assert_eq!((units.len(), serde_json::to_string(&units).unwrap().as_str()), (2, "[null,null]"));
}

#[test]
fn what_is_no_sequence_is_an_error() {
    for text in ["3", "{}", "null", "\"text\"", "[1,2", "[1,\"two\"]", "[256]", "[1,]"] {
        assert!(serde_json::from_str::<GrowVec<u8>>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<AppendVec<u8>>(text).is_err(), "{text}");
    }
    let error = serde_json::from_str::<GrowVec<u8>>("7").unwrap_err().to_string();
    assert!(error.contains("a sequence"), "{error}");
}

/// A sequence that promises any length.
struct Promises(usize, u64);

impl<'de> SeqAccess<'de> for Promises {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(left) = self.1.checked_sub(1) else { return Ok(None) };
        self.1 = left;
        seed.deserialize(serde::de::value::U64Deserializer::new(left)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0)
    }
}

impl<'de> serde::Deserializer<'de> for Promises {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[test]
fn a_promised_length_is_not_believed() {
    for promised in [0, 5, 1 << 40, usize::MAX] {
        let vec = GrowVec::<u64>::deserialize(Promises(promised, 5)).unwrap();
        assert_eq!(vec, [4, 3, 2, 1, 0]);
        assert!(vec.region().unwrap().committed_bytes() < 1 << 20 || cfg!(highwater_portable));
    }
}

/// Serde's own values drop what was read before an error.
#[test]
fn an_error_in_the_middle_drops_what_was_read() {
    let values = SeqDeserializer::<_, Error>::new(["1", "2"].into_iter());
    assert!(GrowVec::<u64>::deserialize(values).is_err());
    let values = SeqDeserializer::<_, Error>::new(["1", "2"].into_iter());
    assert_eq!(GrowVec::<String>::deserialize(values).unwrap(), ["1", "2"]);
}

fn refused() {
    let text = format!("[{}1]", "123456789012,".repeat(100_000));
    oom::inject(Some(Injection::after(1)));
    let error = serde_json::from_str::<GrowVec<u64>>(&text).unwrap_err().to_string();
    assert!(error.contains("out of memory") && error.contains("refused by injection"), "{error}");
    assert!(serde_json::from_str::<AppendVec<u64>>(&text).is_err());
    oom::inject(None);
    assert_eq!(serde_json::from_str::<GrowVec<u64>>(&text).unwrap().len(), 100_001);
}

#[test]
fn a_refusal_is_an_error() {
    support::child("refused").assert_success();
}
