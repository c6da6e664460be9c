//! What the receiving half says of the quality of both directions.

use std::time::Instant;

use model::Ssrc;
use udp::rtcp::SenderTime;

use super::{Inbound, OwnStream, Vital};
use crate::stats::SendQuality;

impl Inbound {
    /// The loss of what we send, in percent, when the server's reports say that it has changed.
    pub fn poll_loss(&mut self) -> Option<u8> {
        self.reports.poll_loss()
    }

    /// Whether a report of ours is due: then [`report`](Self::report) makes it. Says so once.
    pub fn poll_report_due(&mut self, now: Instant) -> bool {
        self.reports.poll_due(now)
    }

    /// The report to send to the voice server, sealed, and good for this moment: `ntp` is its NTP time (seconds since 1900 in
    /// the upper 32 bits), `own` the stream that we send. `None` as long as nothing was sent or heard.
    pub fn report(&mut self, now: Instant, ntp: u64, own: Option<OwnStream>) -> Option<&[u8]> {
        self.reports.make(now, ntp, own)
    }

    /// What the server's latest report says of the stream that we send.
    pub fn send_quality(&self) -> Option<SendQuality> {
        self.reports.quality()
    }

    /// What the latest sender report of a stream says of its clock.
    pub fn sender_time(&self, ssrc: Ssrc) -> Option<SenderTime> {
        self.reports.sender_time(ssrc)
    }

    /// What has become of the media path.
    pub fn poll_vital(&mut self) -> Option<Vital> {
        self.vitals.poll()
    }
}
