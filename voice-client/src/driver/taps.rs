use std::time::Instant;

use model::{Ssrc, UserId};
use receive::{Decode, Heard};
use udp::rtcp;

use crate::audio::Tap;
use crate::listen::{Hearing, MediaTap, Order, Rtcp};
use crate::media::{Arrival, AudioPacket, MediaPacket, Sink, Speech};
use crate::record::PacketTap;

/// Somebody who wants what a call receives.
pub(crate) enum Tapped {
    /// A listener, or a change of one.
    Listener(Order),
    Arrivals(Tap<Arrival>),
    Media(MediaTap),
    Rtcp(Tap<Rtcp>),
    Packets(PacketTap),
}

/// Where the receive task puts what it has: the consumers that are there.
#[derive(Default)]
pub(crate) struct Taps {
    listeners: Vec<Hearing>,
    arrivals: Vec<Tap<Arrival>>,
    speech: Vec<Speech>,
    media: Vec<MediaTap>,
    rtcp: Vec<Tap<Rtcp>>,
    packets: Vec<PacketTap>,
    /// Lost by listeners that are gone.
    lost: u64,
    up: bool,
}

impl Taps {
    pub(crate) fn add(&mut self, tapped: Tapped) {
        self.prune();
        match tapped {
            Tapped::Listener(order) => self.listen(order),
            Tapped::Arrivals(tap) => self.arrivals.push(tap),
            Tapped::Media(tap) => self.media.push(tap),
            Tapped::Rtcp(tap) => self.rtcp.push(tap),
            Tapped::Packets(tap) => self.packets.push(tap),
        }
    }

    /// Lets go of what nobody reads any more, which costs memory as long as no packet comes.
    fn prune(&mut self) {
        self.arrivals.retain(|tap| !tap.is_abandoned());
        self.media.retain(|tap| !tap.is_abandoned());
        self.rtcp.retain(|tap| !tap.is_abandoned());
        self.packets.retain(|tap| !tap.is_abandoned());
    }

    /// Who has started or stopped speaking since this was last asked.
    pub(super) fn speech(&mut self) -> impl Iterator<Item = Speech> {
        self.speech.drain(..)
    }

    fn listen(&mut self, order: Order) {
        match order {
            Order::Begin(listener) => {
                listener.set_up(self.up);
                self.listeners.push(*listener);
            }
            Order::Change(state, change) => {
                if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.is(&state)) {
                    listener.change(change);
                }
            }
            Order::End(state) => {
                if let Some(index) = self.listeners.iter().position(|listener| listener.is(&state)) {
                    self.lost += self.listeners.swap_remove(index).state().lost();
                }
            }
        }
    }

    /// Whether media comes.
    pub(crate) fn set_up(&mut self, up: bool) {
        if self.up != up {
            self.prune();
            self.up = up;
            self.listeners.iter().for_each(|listener| listener.set_up(up));
        }
    }

    /// Sounds that listeners were too slow for.
    pub(crate) fn lost(&self) -> u64 {
        self.lost + self.listeners.iter().map(|listener| listener.state().lost()).sum::<u64>()
    }
}

impl Sink for Taps {
    fn audio(&mut self, now: Instant, user: UserId, heard: &Heard<'_>) {
        self.listeners.iter_mut().for_each(|listener| listener.hear(now, user, heard));
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

    fn speech(&mut self, speech: Speech) {
        self.speech.push(speech);
    }

    fn tick(&mut self, now: Instant) {
        self.listeners.iter_mut().for_each(|listener| listener.tick(now));
    }

    fn forget(&mut self, ssrc: Ssrc) {
        self.listeners.iter_mut().for_each(|listener| listener.forget(ssrc));
    }

    /// The union of what all listeners want of this user.
    fn wants(&self, user: UserId) -> Option<Decode> {
        Some(self.listeners.iter().map(|listener| listener.wants(user)).fold(Decode::Off, both))
    }

    fn is_continuous(&self) -> bool {
        self.listeners.iter().any(|listener| listener.is_continuous())
    }

    fn wants_media(&self) -> bool {
        !self.media.is_empty()
    }

    fn media(&mut self, packet: &MediaPacket<'_>) {
        self.media.retain_mut(|tap| {
            tap.push(packet);
            !tap.is_abandoned()
        });
    }

    fn wants_rtcp(&self) -> bool {
        !self.rtcp.is_empty()
    }

    fn rtcp(&mut self, at: Instant, packet: &rtcp::Packet) {
        self.rtcp.retain_mut(|tap| {
            tap.push_with(|| Rtcp::new(at, packet));
            !tap.is_abandoned()
        });
    }
}

/// What serves who wants the one and who wants the other.
fn both(one: Decode, other: Decode) -> Decode {
    match (one, other) {
        (Decode::Off, decode) | (decode, Decode::Off) => decode,
        (one, other) if one == other => one,
        _ => Decode::Both,
    }
}

#[cfg(test)]
mod tests {
    use super::{Tapped, Taps};
    use crate::record::packets;

    #[test]
    fn without_a_packet_abandoned_taps_go_when_another_comes() {
        let mut taps = Taps::default();
        for _ in 0..5 {
            let (tap, ring) = packets(0, crate::driver::time::now());
            taps.add(Tapped::Packets(tap));
            assert_eq!(taps.packets.len(), 1);
            drop(ring);
        }
        taps.set_up(true);
        assert!(taps.packets.is_empty());
    }
}
