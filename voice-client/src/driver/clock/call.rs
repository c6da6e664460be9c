use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use tokio::sync::mpsc;

use crate::media::{Notice, Outbound, Prepared, Removed};

/// What a clock thread knows of a call.
pub(super) struct Call {
    pub(super) outbound: Outbound,
    pub(super) socket: Option<Arc<UdpSocket>>,
    pub(super) phase: usize,
    /// The beat in which it was last prepared.
    pub(super) beat: u64,
    notices: mpsc::UnboundedSender<Notice>,
    prepared: Option<usize>,
    /// No beat is needed. Shared with handles that push packets, who end the rest.
    resting: Arc<AtomicBool>,
    farewelled: bool,
    exhausted: bool,
}

impl Call {
    pub(super) fn new(
        outbound: Outbound,
        notices: mpsc::UnboundedSender<Notice>,
        resting: Arc<AtomicBool>,
    ) -> Box<Self> {
        Box::new(Self {
            outbound,
            socket: None,
            phase: 0,
            beat: 0,
            notices,
            prepared: None,
            resting,
            farewelled: false,
            exhausted: false,
        })
    }

    /// Prepares its packet for `beat`.
    pub(super) fn prepare(&mut self, beat: u64) {
        let beats = u32::try_from(beat.saturating_sub(self.beat)).unwrap_or(u32::MAX).max(1);
        self.beat = beat;
        self.prepared = None;
        match self.outbound.prepare(beats) {
            Prepared::Packet(len) => self.prepared = Some(len),
            Prepared::Nothing => {}
            Prepared::Rest => self.rest(),
        }
    }

    fn rest(&self) {
        self.resting.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        // A packet that was pushed just before saw no rest to end.
        if !self.outbound.is_idle() {
            self.resting.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed)
    }

    /// Ends its rest; `false` when it had none.
    pub(super) fn rouse(&self) -> bool {
        self.resting.swap(false, Ordering::Relaxed)
    }

    /// Sends what was prepared, and what follows in the same beat; returns how many packets left.
    pub(super) fn send(&mut self) -> u64 {
        let mut packets = 0;
        while let Some(len) = self.prepared.take() {
            // WouldBlock, or an ICMP error of an earlier packet: this one is lost, the call goes on.
            let sent = self.socket.as_ref().is_some_and(|socket| socket.send(self.outbound.packet(len)).is_ok());
            packets += u64::from(sent);
            if let Prepared::Packet(len) = self.outbound.finish(sent) {
                self.prepared = Some(len);
            }
        }
        packets
    }

    /// Tells control what it wants to know.
    pub(super) fn report(&mut self) {
        while let Some((id, event)) = self.outbound.pop_event() {
            let _ = self.notices.send(Notice::Track { id, event });
        }
        while let Some(spent) = self.outbound.pop_spent() {
            self.dispose(Removed::Spent(spent));
        }
        while let Some((id, ended, track)) = self.outbound.pop_ended() {
            let _ = self.notices.send(Notice::TrackEnded { id, ended, track: Box::new(track) });
        }
        if !self.farewelled && self.outbound.farewelled() {
            self.farewelled = true;
            let _ = self.notices.send(Notice::Farewelled);
        }
        if self.outbound.exhausted() != self.exhausted {
            self.exhausted = !self.exhausted;
            if self.exhausted {
                let _ = self.notices.send(Notice::KeyExhausted);
            }
        }
    }

    /// Lets control drop something: that may free memory.
    pub(super) fn dispose(&self, removed: Removed) {
        let _ = self.notices.send(Notice::Dispose(removed));
    }

    /// Lets control drop all of it.
    pub(super) fn retire(self) {
        let Self { outbound, notices, .. } = self;
        let _ = notices.send(Notice::Dispose(Removed::Call(Box::new(outbound))));
    }
}
