//! The tree in an arena, with 32-bit handles instead of pointers.

use super::flat::{fill_index, look_up, search, slots_for, sort_last_wins};
use super::parse::{Build, Error, parse};
use super::tree::{Keep, Kind, LARGE, Node, Visit};
use highwater::{Arena, Handle, SliceHandle, StrHandle};
use std::iter;

/// Nothing is padded that need not be: strings are most of the blocks.
const MIN_ALIGN: usize = 1;

type Branded<'b> = highwater::Branded<'b, MIN_ALIGN>;

/// A value in 12 bytes; with references it takes 24.
#[derive(Clone, Copy)]
enum Value<'b> {
    Null,
    Bool(bool),
    Number(Number),
    Text(StrHandle<'b>),
    Array(SliceHandle<'b, Value<'b>>),
    Object(SliceHandle<'b, Member<'b>>),
    Large(Handle<'b, Large<'b>>),
}

type Member<'b> = (StrHandle<'b>, Value<'b>);

/// An object with many members.
#[derive(Clone, Copy)]
struct Large<'b> {
    members: SliceHandle<'b, Member<'b>>,
    slots: SliceHandle<'b, u32>,
}

/// A float that is content with an alignment of 4, as the handles are.
#[derive(Clone, Copy)]
struct Number([u32; 2]);

impl Number {
    fn new(value: f64) -> Self {
        let bits = value.to_bits();
        Number([bits as u32, (bits >> 32) as u32])
    }

    fn get(self) -> f64 {
        f64::from_bits(u64::from(self.0[0]) | u64::from(self.0[1]) << 32)
    }
}

struct Builder<'x, 'b> {
    brand: &'x Branded<'b>,
}

impl<'b> Build for Builder<'_, 'b> {
    type Text = StrHandle<'b>;
    type Node = Value<'b>;

    fn null(&mut self) -> Value<'b> {
        Value::Null
    }

    fn bool(&mut self, value: bool) -> Value<'b> {
        Value::Bool(value)
    }

    fn number(&mut self, value: f64) -> Value<'b> {
        Value::Number(Number::new(value))
    }

    fn text(&mut self, text: &str) -> StrHandle<'b> {
        self.brand.str_handle(self.brand.alloc_str(text))
    }

    fn string(&mut self, text: StrHandle<'b>) -> Value<'b> {
        Value::Text(text)
    }

    fn array(&mut self, items: &mut highwater::GrowVec<Value<'b>>, from: usize) -> Value<'b> {
        let array = self.brand.alloc_slice_copy(&items[from..]);
        items.truncate(from);
        Value::Array(self.brand.slice_handle(array))
    }

    fn object(&mut self, members: &mut highwater::GrowVec<Member<'b>>, from: usize) -> Value<'b> {
        let brand = self.brand;
        sort_last_wins(members, from, |member| brand.str(member.0));
        let object = &*brand.alloc_slice_copy(&members[from..]);
        members.truncate(from);
        let members = brand.slice_handle(object);
        if object.len() <= LARGE {
            return Value::Object(members);
        }
        let slots = brand.alloc_slice_fill_copy(slots_for(object.len()), 0);
        fill_index(slots, object.iter().map(|member| brand.str(member.0)));
        let large = Large { members, slots: brand.slice_handle(slots) };
        Value::Large(brand.handle(brand.alloc(large)))
    }
}

/// A value, and what is needed to follow its handles.
#[derive(Clone, Copy)]
struct At<'x, 'b> {
    brand: &'x Branded<'b>,
    value: Value<'b>,
}

impl<'x, 'b> At<'x, 'b> {
    fn at(self, value: &Value<'b>) -> Self {
        At { value: *value, ..self }
    }

    fn member_slice(self) -> &'b [Member<'b>] {
        match self.value {
            Value::Object(members) => self.brand.slice(members),
            Value::Large(large) => self.brand.slice(self.brand.get(large).members),
            _ => &[],
        }
    }

    fn item_slice(self) -> &'b [Value<'b>] {
        if let Value::Array(items) = self.value { self.brand.slice(items) } else { &[] }
    }
}

impl<'x, 'b> Node<'b> for At<'x, 'b> {
    fn kind(self) -> Kind<'b> {
        match self.value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(value),
            Value::Number(value) => Kind::Number(value.get()),
            Value::Text(text) => Kind::Text(self.brand.str(text)),
            Value::Array(_) => Kind::Array,
            Value::Object(_) | Value::Large(_) => Kind::Object,
        }
    }

    fn len(self) -> usize {
        self.item_slice().len() + self.member_slice().len()
    }

    fn item(self, place: usize) -> Option<Self> {
        self.item_slice().get(place).map(|value| self.at(value))
    }

    fn member(self, key: &str) -> Option<Self> {
        let members = self.member_slice();
        let place = match self.value {
            Value::Large(large) => {
                let slots = self.brand.slice(self.brand.get(large).slots);
                look_up(members, slots, key, |member| self.brand.str(member.0))
            }
            _ => search(members, key, |member| self.brand.str(member.0)),
        };
        place.map(|place| self.at(&members[place].1))
    }

    fn items(self) -> impl Iterator<Item = Self> {
        iter::zip(self.item_slice(), iter::repeat(self)).map(|(value, tree)| tree.at(value))
    }

    fn members(self) -> impl Iterator<Item = (&'b str, Self)> {
        let entry = move |(key, value): &Member<'b>| (self.brand.str(*key), self.at(value));
        self.member_slice().iter().map(entry)
    }
}

/// Trees in an arena of ours, with handles.
pub struct Handles {
    arena: Arena<MIN_ALIGN>,
}

impl Default for Handles {
    fn default() -> Self {
        // The handle of a string reaches 4 GiB: a tree that is larger is out of memory, and says so.
        Handles { arena: Arena::builder().name("json").limit(4 << 30).min_align().build() }
    }
}

impl Keep for Handles {
    const NAME: &'static str = "highwater, handles";
    const SIZES: [usize; 2] = [size_of::<Value<'static>>(), size_of::<Member<'static>>()];

    fn with_tree<V: Visit>(&mut self, text: &str, visit: V) -> Result<V::Result, Error> {
        // The brand ends with the closure, and everything in the arena with it: that is the reset.
        self.arena.scoped_branded(|brand| {
            let value = parse(text, &mut Builder { brand: &brand })?;
            Ok(visit.visit(At { brand: &brand, value }, Some(brand.allocated_bytes())))
        })
    }
}
