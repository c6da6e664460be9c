//! Hints to the processor about memory that is needed soon. Who works on thousands of calls in turn finds little of the next
//! one in the caches; asked for in time, it arrives while the one before is worked on. A hint changes nothing, and one that
//! comes to nothing costs an instruction.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

/// How often each value is asked for before it is needed: every step follows pointers that the step before has brought in.
pub const STEPS: usize = 4;

/// Bytes that come into the caches together.
const LINE: usize = 64;

/// Asks for the `size` bytes of a value that has this field `offset` bytes behind its beginning.
pub fn around(field: &bool, offset: usize, size: usize) {
    for line in (0..size).step_by(LINE) {
        prefetch_index(from_ref(field), line.wrapping_sub(offset));
    }
}

/// Asks for `len` bytes from this place on, there or not.
pub fn bytes(place: &[u8], len: usize) {
    for line in (0..len).step_by(LINE) {
        prefetch_index(place, line);
    }
}

/// Asks for the beginning of a value.
pub fn start<T>(value: &T) {
    prefetch_index(from_ref(value), 0);
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_not_there_may_be_asked_for() {
        super::around(&true, 1_000, 5_000);
        super::bytes(&[], 5_000);
        super::bytes(&[1, 2, 3], 5_000);
        super::start(&[0_u64; 4]);
    }
}
