use std::time::{Duration, Instant, SystemTime};

/// Resolves at `deadline`; never when there is none.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for it, but not longer than this.
#[cfg(feature = "metrics")]
pub(crate) async fn within(time: Duration, future: impl Future) {
    let _ = tokio::time::timeout(time, future).await;
}

/// The driver reads the clock, and hands it to everything else.
#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// From the era of NTP, 1900, to that of the system (RFC 868).
const NTP_TO_UNIX: Duration = Duration::from_secs(2_208_988_800);

/// NTP time: seconds since 1900 in the upper 32 bits, fractions in the lower (RFC 3550, section 4).
#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
pub(super) fn ntp() -> u64 {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + NTP_TO_UNIX;
    let fraction = (u64::from(passed.subsec_nanos()) << 32) / 1_000_000_000;
    passed.as_secs() << 32 | fraction
}
