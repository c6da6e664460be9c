use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::message::Order;

/// Bytes waiting for one client; one that lets more of them pile up is dropped. Joining a room of 1,000 members takes
/// some 400 KB at once.
const CAPACITY: usize = 4 * 1_024 * 1_024;

/// Counted for each order on top of its content, so that empty ones are not free.
const ORDER: usize = 64;

/// What waits to be sent to one client; dropping it severs the connection.
pub(super) struct Outbox {
    orders: mpsc::UnboundedSender<(Order, OwnedSemaphorePermit)>,
    free: Arc<Semaphore>,
}

/// Where the WebSocket's task takes it.
pub(super) struct Inbox(mpsc::UnboundedReceiver<(Order, OwnedSemaphorePermit)>);

pub(super) fn outbox() -> (Outbox, Inbox) {
    let (orders, inbox) = mpsc::unbounded_channel();
    (Outbox { orders, free: Arc::new(Semaphore::new(CAPACITY)) }, Inbox(inbox))
}

impl Outbox {
    /// False when there is no room, or nobody who takes it.
    pub(super) fn push(&self, order: Order) -> bool {
        let len = u32::try_from(ORDER + order.len()).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.free).try_acquire_many_owned(len);
        permit.is_ok_and(|permit| self.orders.send((order, permit)).is_ok())
    }
}

impl Inbox {
    /// The next order, whose place is free from now on; `None` when the connection shall be severed.
    pub(super) async fn next(&mut self) -> Option<Order> {
        self.0.recv().await.map(|(order, _)| order)
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, ORDER, outbox};
    use crate::socket::message::Order;

    #[tokio::test]
    async fn bytes_are_bounded_not_messages() {
        let (outbox, mut inbox) = outbox();
        for _ in 0..5_000 {
            assert!(outbox.push(Order::Text("x".repeat(200))));
        }
        let rest = CAPACITY - 5_000 * (200 + ORDER) - ORDER;
        assert!(!outbox.push(Order::Binary(vec![0; rest + 1])));
        assert!(outbox.push(Order::Binary(vec![0; rest])));
        assert!(!outbox.push(Order::Close(1000, String::new())));
        assert!(inbox.next().await.is_some());
        assert!(outbox.push(Order::Close(1000, String::new())), "what was taken made room");
    }

    #[test]
    fn nobody_there_is_told() {
        let (outbox, inbox) = outbox();
        drop(inbox);
        assert!(!outbox.push(Order::Text(String::new())));
    }
}
