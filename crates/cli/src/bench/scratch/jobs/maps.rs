//! Hash maps of lists.

use allocator_api2::vec::Vec as ListIn;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::ScratchJob;
use crate::bench::scratch::storage::JobStorage;
use crate::random::mix;

/// How many values a list has in the end, on average.
const VALUES_PER_LIST: u64 = 5;

/// Puts values into lists by their keys.
pub struct Maps {
    pub values: u64,
}

impl ScratchJob for Maps {
    fn cycle<'a, P: JobStorage<'a> + 'a>(&self, storage: P, cycle: u64) -> u64 {
        let keys = (self.values / VALUES_PER_LIST).max(1);
        let mut lists: HashMap<u64, ListIn<u64, P>, FixedState, P> =
            HashMap::with_hasher_in(FixedState::default(), storage);
        for value in 0..self.values {
            let key = mix(value ^ cycle << 32) % keys;
            lists.entry(key).or_insert_with(|| ListIn::new_in(storage)).push(value);
        }
        let sum = |list: &ListIn<u64, P>| {
            list.iter().fold(list.len() as u64, |sum, value| sum.rotate_left(5) ^ value)
        };
        (0..keys).filter_map(|key| lists.get(&key)).fold(0, |all, list| mix(all ^ sum(list)))
    }

    fn typed(&self, _: u64) -> u64 {
        unreachable!("maps and lists are of several types")
    }
}
