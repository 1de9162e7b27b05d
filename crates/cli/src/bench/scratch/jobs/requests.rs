//! Requests, as a server handles them.

use allocator_api2::vec::Vec as ListIn;

use super::{Job, glance, mix};
use crate::bench::scratch::place::Place;

const HEADERS: u64 = 12;
const FIELDS: u64 = 24;
const PATH: &str = "/accounts/orders/items/prices/history";

/// Cycles are requests: a path in parts, headers, a body's fields, and an answer that is written piece by piece.
pub struct Requests;

impl Requests {
    /// Calls to the allocator in one, the growth of its lists not counted.
    pub const ALLOCATIONS: u64 = 5 + 2 * HEADERS + FIELDS + 3;
}

/// One of the body's.
struct Field {
    name: u64,
    value: [u64; 4],
}

impl Job for Requests {
    fn cycle<'a, P: Place<'a> + 'a>(&self, place: P, cycle: u64) -> u64 {
        let mut parts = ListIn::new_in(place);
        parts.extend(PATH.split('/').skip(1).map(|part| place.text(part)));
        let mut headers = ListIn::new_in(place);
        for number in 0..HEADERS {
            let (name, value) = header(mix(cycle ^ number));
            headers.push((place.text(name), place.text(value)));
        }
        let mut fields = ListIn::with_capacity_in(FIELDS as usize, place);
        for name in 0..FIELDS {
            fields.push(place.own(Field { name, value: [mix(cycle), name, cycle, mix(name)] }));
        }
        let mut answer = ListIn::new_in(place);
        for (name, value) in &headers {
            answer.extend_from_slice(name.as_bytes());
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(value.as_bytes());
        }
        let texts = parts.iter().fold(answer.len() as u64, |sum, part| mix(sum ^ glance(part)));
        fields.iter().fold(texts, |sum, field| {
            sum.rotate_left(5) ^ field.name ^ field.value.iter().fold(0, |sum, value| sum ^ value)
        })
    }

    fn typed(&self, _: u64) -> u64 {
        unreachable!("a request is of several types")
    }
}

/// Names and values of different lengths.
fn header(number: u64) -> (&'static str, &'static str) {
    const NAMES: [&str; 4] = ["accept", "content-type", "x-request-id", "if-none-match"];
    const VALUES: [&str; 4] =
        ["*/*", "application/json; charset=utf-8", "00-4bf92f3577b34da6a3ce929d0e0e4736", "gzip"];
    (NAMES[number as usize % 4], VALUES[(number >> 8) as usize % 4])
}
