use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};

use futures_channel::mpsc as post;
use mixer::hint;
use tokio::sync::oneshot;

use super::rhythm::{Rhythm, STEP};
use crate::media::{Command, Notice, Outbound, OwnStream, Packet, Prepared, Removed, Update};
use crate::stats::Sent;

/// What a clock thread knows of a call.
pub(super) struct Call {
    pub(super) key: u64,
    pub(super) rhythm: Rhythm,
    /// Whether it beats. Kept by [`Calls`](super::calls::Calls).
    pub(super) listed: bool,
    outbound: Outbound,
    socket: Option<Arc<UdpSocket>>,
    notices: post::UnboundedSender<Notice>,
    prepared: Option<usize>,
    /// What a beat costs, lately; zero until it was measured.
    cost: Duration,
    /// No beat is needed. Shared with handles that push packets, who end the rest.
    resting: Arc<AtomicBool>,
    farewelled: bool,
    exhausted: bool,
}

/// What a call sends, as far as its clock thread knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    pub(crate) sent: Sent,
    pub(crate) stream: Option<OwnStream>,
}

/// What is said to a call.
pub(super) enum Word {
    Socket(Arc<UdpSocket>),
    Update(Update),
    Command(Command),
    Wake,
    /// `epoch` is when steps began.
    Figures {
        epoch: Instant,
        reply: oneshot::Sender<Sending>,
    },
    Leave,
}

impl Call {
    pub(super) fn new(
        key: u64,
        step: u64,
        outbound: Outbound,
        notices: post::UnboundedSender<Notice>,
        resting: Arc<AtomicBool>,
    ) -> Box<Self> {
        Box::new(Self {
            key,
            rhythm: Rhythm::new(step, outbound.beat()),
            listed: false,
            outbound,
            socket: None,
            notices,
            prepared: None,
            cost: Duration::ZERO,
            resting,
            farewelled: false,
            exhausted: false,
        })
    }

    /// Asks the processor for what the next beat needs, in so many steps ([`hint::STEPS`]).
    pub(super) fn prefetch(&mut self, step: usize) {
        if step == 0 {
            hint::start(&self.rhythm);
            hint::start(&self.prepared);
        } else if let Some(socket) = self.socket.as_deref().filter(|_| step == 1) {
            hint::start(socket);
        }
        self.outbound.prefetch(step);
    }

    /// Prepares its packet for `step`, in `packet`; whether it rests from now on.
    pub(super) fn prepare(&mut self, step: u64, packet: &mut Packet) -> bool {
        self.prepared = None;
        match self.outbound.prepare(self.rhythm.beat(step), packet) {
            Prepared::Packet(len) => self.prepared = Some(len),
            Prepared::Nothing => {}
            Prepared::Rest => return self.rest(),
        }
        false
    }

    fn rest(&self) -> bool {
        self.resting.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        // A packet that was pushed just before saw no rest to end.
        let rests = self.outbound.is_idle();
        if !rests {
            self.resting.store(false, Ordering::Relaxed);
        }
        rests
    }

    pub(super) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed)
    }

    /// Ends its rest; `false` when it had none.
    pub(super) fn rouse(&self) -> bool {
        self.resting.swap(false, Ordering::Relaxed)
    }

    /// Sends what was prepared in `packet`, and what follows in the same beat; returns how many packets left.
    pub(super) fn send(&mut self, packet: &mut Packet) -> u64 {
        let mut packets = 0;
        while let Some(len) = self.prepared.take() {
            // WouldBlock, or an ICMP error of an earlier packet: this one is lost, the call goes on.
            let sent = self.socket.as_ref().is_some_and(|socket| socket.send(&packet[..len]).is_ok());
            packets += u64::from(sent);
            if let Prepared::Packet(len) = self.outbound.finish(sent, packet) {
                self.prepared = Some(len);
            }
        }
        self.report();
        packets
    }

    /// Tells control what it wants to know.
    fn report(&mut self) {
        while let Some((id, event)) = self.outbound.pop_event() {
            let _ = self.notices.unbounded_send(Notice::Track { id, event });
        }
        while let Some(spent) = self.outbound.pop_spent() {
            let _ = self.notices.unbounded_send(Notice::Dispose(Removed::Spent(spent)));
        }
        while let Some((id, ended, track)) = self.outbound.pop_ended() {
            let _ = self.notices.unbounded_send(Notice::TrackEnded { id, ended, track });
        }
        if !self.farewelled && self.outbound.farewelled() {
            self.farewelled = true;
            let _ = self.notices.unbounded_send(Notice::Farewelled);
        }
        if self.outbound.exhausted() != self.exhausted {
            self.exhausted = !self.exhausted;
            if self.exhausted {
                let _ = self.notices.unbounded_send(Notice::KeyExhausted);
            }
        }
    }

    /// Hears what is said to it; whether that may end a rest.
    pub(super) fn hear(&mut self, word: Word) -> bool {
        match word {
            Word::Socket(socket) => self.socket = Some(socket),
            Word::Update(update) => {
                self.outbound.update(&update);
                self.report();
                return true;
            }
            Word::Command(command) => {
                if let Some(removed) = self.outbound.command(command) {
                    // Control drops it: that may free memory.
                    let _ = self.notices.unbounded_send(Notice::Dispose(removed));
                }
                return true;
            }
            Word::Wake => return true,
            Word::Figures { epoch, reply } => _ = reply.send(self.figures(epoch)),
            Word::Leave => {}
        }
        false
    }

    fn figures(&self, epoch: Instant) -> Sending {
        let passed = Duration::from_micros(self.rhythm.counted() * STEP.as_micros() as u64);
        Sending { sent: self.outbound.sent(), stream: self.outbound.stream(epoch + passed) }
    }

    pub(super) fn beat(&self) -> Duration {
        self.outbound.beat()
    }

    /// Remembers what a beat cost.
    pub(super) fn measured(&mut self, cost: Duration) {
        self.cost = if self.cost.is_zero() { cost } else { (3 * self.cost + cost) / 4 };
    }

    /// The share of a core that it costs, once that was measured.
    pub(super) fn share(&self) -> Option<f64> {
        let period = STEP * self.rhythm.every() as u32;
        (!self.cost.is_zero()).then(|| self.cost.as_secs_f64() / period.as_secs_f64())
    }

    /// Lets control drop all of it. That there are no notices any more is how control knows.
    pub(super) fn retire(self) {
        let Self { outbound, notices, .. } = self;
        let _ = notices.unbounded_send(Notice::Dispose(Removed::Call(Box::new(outbound))));
    }
}
