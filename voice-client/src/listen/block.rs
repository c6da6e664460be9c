use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

/// Values in a buffer that is used again: when it is dropped, wherever that is, the next sound of the same listener is put into
/// it. While all buffers are held, another one is made.
pub struct Block<T: Copy> {
    values: Vec<T>,
    free: Arc<ArrayQueue<Vec<T>>>,
}

impl<T: Copy> Deref for Block<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T: Copy> Clone for Block<T> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), free: self.free.clone() }
    }
}

impl<T: Copy> Drop for Block<T> {
    fn drop(&mut self) {
        // More than are kept are let go.
        let _ = self.free.push(std::mem::take(&mut self.values));
    }
}

impl<T: Copy> fmt::Debug for Block<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("len", &self.values.len()).finish_non_exhaustive()
    }
}

/// Buffers of one kind: made when there is none, kept when they come back.
pub(crate) struct Pool<T> {
    free: Arc<ArrayQueue<Vec<T>>>,
    /// Values that a new one has room for.
    room: usize,
}

impl<T: Copy> Pool<T> {
    /// A pool that keeps at most so many buffers, each made with `room` for so many values.
    pub(crate) fn new(most: usize, room: usize) -> Self {
        Self { free: Arc::new(ArrayQueue::new(most.max(1))), room }
    }

    /// These values in a buffer.
    pub(crate) fn block(&self, from: impl Iterator<Item = T>) -> Block<T> {
        let mut values = self.free.pop().unwrap_or_else(|| Vec::with_capacity(self.room));
        values.clear();
        values.extend(from);
        Block { values, free: self.free.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_only_so_many_are_kept() {
        let pool = Pool::new(2, 4);
        let first = pool.block([1_u8, 2, 3].into_iter());
        let buffer = first.as_ptr();
        assert_eq!(*first, [1, 2, 3]);
        drop(first);
        let again = pool.block([4_u8, 5].into_iter());
        assert_eq!((again.as_ptr(), &*again), (buffer, &[4, 5][..]));
        let many: Vec<_> = (0..5).map(|_| pool.block([0_u8].into_iter())).collect();
        drop(many);
        assert_eq!(pool.free.len(), 2);
        // From another thread, and after the pool is gone.
        drop(pool);
        std::thread::scope(|scope| scope.spawn(move || drop(again)).join().expect("no panic"));
    }
}
