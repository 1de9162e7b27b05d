//! Requests as a server handles them.

use allocator_api2::vec::Vec as ListIn;

use super::{ScratchJob, text_checksum};
use crate::bench::scratch::storage::JobStorage;
use crate::random::mix;

const HEADERS: u64 = 12;
const FIELDS: u64 = 24;
const PATH: &str = "/accounts/orders/items/prices/history";

/// Each cycle is a request: a path in parts, headers, the fields of a body, and an answer that is written in pieces.
pub struct Requests;

impl Requests {
    /// Calls to the allocator in one request, without the growth of lists.
    pub const ALLOCATIONS: u64 = 5 + 2 * HEADERS + FIELDS + 3;
}

/// A field of the body.
struct RequestField {
    name: u64,
    value: [u64; 4],
}

impl ScratchJob for Requests {
    fn cycle<'a, P: JobStorage<'a> + 'a>(&self, storage: P, cycle: u64) -> u64 {
        let mut parts = ListIn::new_in(storage);
        parts.extend(PATH.split('/').skip(1).map(|part| storage.text(part)));
        let mut headers = ListIn::new_in(storage);
        for number in 0..HEADERS {
            let (name, value) = header(mix(cycle ^ number));
            headers.push((storage.text(name), storage.text(value)));
        }
        let mut fields = ListIn::with_capacity_in(FIELDS as usize, storage);
        for name in 0..FIELDS {
            fields.push(storage.store(RequestField { name, value: [mix(cycle), name, cycle, mix(name)] }));
        }
        let mut answer = ListIn::new_in(storage);
        for (name, value) in &headers {
            answer.extend_from_slice(name.as_bytes());
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(value.as_bytes());
        }
        let texts = parts.iter().fold(answer.len() as u64, |sum, part| mix(sum ^ text_checksum(part)));
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
