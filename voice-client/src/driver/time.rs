use std::time::Instant;

/// Resolves at `deadline`; never when there is none.
pub(super) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The driver reads the clock, and hands it to everything else.
#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
pub(super) fn now() -> Instant {
    Instant::now()
}
