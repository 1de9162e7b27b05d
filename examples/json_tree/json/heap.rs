//! The same tree on the heap: `String`, `Vec`, and a `BTreeMap` for large objects.

use super::flat::{search, sort_last_wins};
use super::parse::{Build, Error, parse};
use super::tree::{Keep, Kind, LARGE, Node, Visit};
use highwater::GrowVec;
use std::collections::BTreeMap;

enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<Member>),
    Large(BTreeMap<String, Value>),
}

type Member = (String, Value);

struct Builder;

impl Build for Builder {
    type Text = String;
    type Node = Value;

    fn null(&mut self) -> Value {
        Value::Null
    }

    fn bool(&mut self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn number(&mut self, value: f64) -> Value {
        Value::Number(value)
    }

    fn text(&mut self, text: &str) -> String {
        text.to_owned()
    }

    fn string(&mut self, text: String) -> Value {
        Value::Text(text)
    }

    fn array(&mut self, items: &mut GrowVec<Value>, from: usize) -> Value {
        Value::Array(items.drain(from..).collect())
    }

    fn object(&mut self, members: &mut GrowVec<Member>, from: usize) -> Value {
        if members.len() - from > LARGE {
            return Value::Large(members.drain(from..).collect());
        }
        sort_last_wins(members, from, |member| member.0.as_str());
        Value::Object(members.drain(from..).collect())
    }
}

impl Value {
    fn item_slice(&self) -> &[Value] {
        if let Value::Array(items) = self { items } else { &[] }
    }

    fn member_slice(&self) -> &[Member] {
        if let Value::Object(members) = self { members } else { &[] }
    }

    fn large(&self) -> Option<&BTreeMap<String, Value>> {
        if let Value::Large(members) = self { Some(members) } else { None }
    }
}

impl<'t> Node<'t> for &'t Value {
    fn kind(self) -> Kind<'t> {
        match self {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(*value),
            Value::Number(value) => Kind::Number(*value),
            Value::Text(text) => Kind::Text(text),
            Value::Array(_) => Kind::Array,
            Value::Object(_) | Value::Large(_) => Kind::Object,
        }
    }

    fn len(self) -> usize {
        self.item_slice().len() + self.member_slice().len() + self.large().map_or(0, BTreeMap::len)
    }

    fn item(self, place: usize) -> Option<Self> {
        self.item_slice().get(place)
    }

    fn member(self, key: &str) -> Option<Self> {
        if let Some(large) = self.large() {
            return large.get(key);
        }
        let members = self.member_slice();
        search(members, key, |member| member.0.as_str()).map(|place| &members[place].1)
    }

    fn items(self) -> impl Iterator<Item = Self> {
        self.item_slice().iter()
    }

    fn members(self) -> impl Iterator<Item = (&'t str, Self)> {
        let large = self.large().into_iter().flatten().map(|(key, value)| (key.as_str(), value));
        self.member_slice().iter().map(|(key, value)| (key.as_str(), value)).chain(large)
    }
}

/// Trees on the heap.
#[derive(Default)]
pub struct Heap;

impl Keep for Heap {
    const NAME: &'static str = "Box, Vec, String";
    const SIZES: [usize; 2] = [size_of::<Value>(), size_of::<Member>()];

    fn with_tree<V: Visit>(&mut self, text: &str, visit: V) -> Result<V::Result, Error> {
        let tree = parse(text, &mut Builder)?;
        Ok(visit.visit(&tree, None))
    }
}
