//! The same tree with references, in one of bumpalo's arenas or one of ours.

use super::flat::{fill_index, look_up, search, slots_for, sort_last_wins};
use super::parse::{Build, Error, parse};
use super::tree::{Keep, Kind, LARGE, Node, Visit};
use bumpalo::Bump;
use highwater::{Arena, GrowVec, Scope};

#[derive(Clone, Copy)]
enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    Array(&'a [Value<'a>]),
    Object(&'a [Member<'a>]),
    Large(&'a Large<'a>),
}

type Member<'a> = (&'a str, Value<'a>);

/// An object with many members.
#[derive(Clone, Copy)]
struct Large<'a> {
    members: &'a [Member<'a>],
    slots: &'a [u32],
}

/// The three calls that a tree needs; both libraries have them.
trait Allocate<'a>: Copy {
    fn text(self, text: &str) -> &'a str;
    fn copy<T: Copy>(self, values: &[T]) -> &'a mut [T];
    fn slots(self, len: usize) -> &'a mut [u32];
}

impl<'a> Allocate<'a> for &'a Bump {
    fn text(self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn copy<T: Copy>(self, values: &[T]) -> &'a mut [T] {
        self.alloc_slice_copy(values)
    }

    fn slots(self, len: usize) -> &'a mut [u32] {
        self.alloc_slice_fill_copy(len, 0)
    }
}

impl<'a, const MIN_ALIGN: usize> Allocate<'a> for &Scope<'a, MIN_ALIGN> {
    fn text(self, text: &str) -> &'a str {
        self.alloc_str(text)
    }

    fn copy<T: Copy>(self, values: &[T]) -> &'a mut [T] {
        self.alloc_slice_copy(values)
    }

    fn slots(self, len: usize) -> &'a mut [u32] {
        self.alloc_slice_fill_copy(len, 0)
    }
}

struct Builder<'a, A: Allocate<'a>> {
    arena: A,
    tree: std::marker::PhantomData<&'a ()>,
}

impl<'a, A: Allocate<'a>> Build for Builder<'a, A> {
    type Text = &'a str;
    type Node = Value<'a>;

    fn null(&mut self) -> Value<'a> {
        Value::Null
    }

    fn bool(&mut self, value: bool) -> Value<'a> {
        Value::Bool(value)
    }

    fn number(&mut self, value: f64) -> Value<'a> {
        Value::Number(value)
    }

    fn text(&mut self, text: &str) -> &'a str {
        self.arena.text(text)
    }

    fn string(&mut self, text: &'a str) -> Value<'a> {
        Value::Text(text)
    }

    fn array(&mut self, items: &mut GrowVec<Value<'a>>, from: usize) -> Value<'a> {
        let array = self.arena.copy(&items[from..]);
        items.truncate(from);
        Value::Array(array)
    }

    fn object(&mut self, members: &mut GrowVec<Member<'a>>, from: usize) -> Value<'a> {
        sort_last_wins(members, from, |member| member.0);
        let object = &*self.arena.copy(&members[from..]);
        members.truncate(from);
        if object.len() <= LARGE {
            return Value::Object(object);
        }
        let slots = self.arena.slots(slots_for(object.len()));
        fill_index(slots, object.iter().map(|member| member.0));
        Value::Large(&self.arena.copy(&[Large { members: object, slots }])[0])
    }
}

impl<'a> Value<'a> {
    fn member_slice(self) -> &'a [Member<'a>] {
        match self {
            Value::Object(members) => members,
            Value::Large(large) => large.members,
            _ => &[],
        }
    }

    fn item_slice(self) -> &'a [Value<'a>] {
        if let Value::Array(items) = self { items } else { &[] }
    }
}

impl<'a> Node<'a> for Value<'a> {
    fn kind(self) -> Kind<'a> {
        match self {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(value),
            Value::Number(value) => Kind::Number(value),
            Value::Text(text) => Kind::Text(text),
            Value::Array(_) => Kind::Array,
            Value::Object(_) | Value::Large(_) => Kind::Object,
        }
    }

    fn len(self) -> usize {
        self.item_slice().len() + self.member_slice().len()
    }

    fn item(self, place: usize) -> Option<Self> {
        self.item_slice().get(place).copied()
    }

    fn member(self, key: &str) -> Option<Self> {
        let members = self.member_slice();
        let place = match self {
            Value::Large(large) => look_up(members, large.slots, key, |member| member.0),
            _ => search(members, key, |member| member.0),
        };
        place.map(|place| members[place].1)
    }

    fn items(self) -> impl Iterator<Item = Self> {
        self.item_slice().iter().copied()
    }

    fn members(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.member_slice().iter().copied()
    }
}

const SIZES: [usize; 2] = [size_of::<Value<'static>>(), size_of::<Member<'static>>()];

/// Trees in an arena of bumpalo's.
#[derive(Default)]
pub struct Bumpalo {
    bump: Bump,
}

impl Keep for Bumpalo {
    const NAME: &'static str = "bumpalo, references";
    const SIZES: [usize; 2] = SIZES;

    fn with_tree<V: Visit>(&mut self, text: &str, visit: V) -> Result<V::Result, Error> {
        let tree = parse(text, &mut Builder { arena: &self.bump, tree: std::marker::PhantomData });
        let result = tree.map(|tree| visit.visit(tree, Some(self.bump.allocated_bytes())));
        self.bump.reset();
        result
    }
}

/// Trees in an arena of ours, with references.
pub struct References {
    arena: Arena<1>,
}

impl Default for References {
    fn default() -> Self {
        References { arena: Arena::builder().name("json").min_align().build() }
    }
}

impl Keep for References {
    const NAME: &'static str = "highwater, references";
    const SIZES: [usize; 2] = SIZES;

    fn with_tree<V: Visit>(&mut self, text: &str, visit: V) -> Result<V::Result, Error> {
        self.arena.scoped(|scope| {
            let value = parse(text, &mut Builder { arena: &scope, tree: std::marker::PhantomData })?;
            Ok(visit.visit(value, Some(scope.allocated_bytes())))
        })
    }
}
