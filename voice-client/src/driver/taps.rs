use std::time::Instant;

use model::UserId;
use receive::Heard;

use crate::audio::{Frame, Tap};
use crate::media::{Arrival, AudioPacket, Sink};
use crate::record::PacketTap;

/// Somebody who wants what a call receives.
pub(crate) enum Tapped {
    Audio(Tap<Frame>),
    Arrivals(Tap<Arrival>),
    Packets(PacketTap),
}

/// Where the receive task puts what it has: the consumers that are there.
#[derive(Default)]
pub(super) struct Taps {
    audio: Vec<Tap<Frame>>,
    arrivals: Vec<Tap<Arrival>>,
    packets: Vec<PacketTap>,
    lost: u64,
}

impl Taps {
    pub(super) fn add(&mut self, tapped: Tapped) {
        match tapped {
            Tapped::Audio(tap) => self.audio.push(tap),
            Tapped::Arrivals(tap) => self.arrivals.push(tap),
            Tapped::Packets(tap) => self.packets.push(tap),
        }
    }

    /// Frames that consumers were too slow for.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

impl Sink for Taps {
    fn audio(&mut self, now: Instant, user: UserId, heard: &Heard<'_>) {
        let lost = &mut self.lost;
        self.audio.retain_mut(|tap| {
            *lost += u64::from(!tap.push_with(|| Frame::new(now, user, heard)));
            !tap.is_abandoned()
        });
    }

    fn packet(&mut self, packet: &AudioPacket<'_>) {
        self.arrivals.retain_mut(|tap| {
            tap.push_with(|| packet.into());
            !tap.is_abandoned()
        });
        self.packets.retain_mut(|tap| {
            tap.push(packet);
            !tap.is_abandoned()
        });
    }
}
