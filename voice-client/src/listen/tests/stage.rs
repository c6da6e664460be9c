use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::{Key, Mode as Cipher};
use mixer::generate::Tone;
use mixer::prefetch::{self, Reader, Step};
use mixer::{Track, TrackId};
use model::{FRAME, RtpTime, Seq, Ssrc, UserId};

use crate::config::Config;
use crate::driver::Tapped;
use crate::driver::taps::Taps;
use crate::listen::listener::Change;
use crate::listen::state::State;
use crate::listen::{Hearing, ListenOptions, Order, Sound};
use crate::media::{Command, Inbound, InboundSettings, Outbound, OutboundSettings, Prepared, Session, Sink, Update};

pub(super) const KEY: [u8; 32] = [9; 32];
pub(super) const CIPHER: Cipher = Cipher::Aes256GcmRtpsize;

/// The receiving half of a call of user 1, and those who speak to it.
pub(super) struct Stage {
    pub(super) now: Instant,
    pub(super) inbound: Inbound,
    pub(super) taps: Taps,
    speakers: Vec<Outbound>,
    /// Audio packets as they came.
    pub(super) wire: Vec<Vec<u8>>,
    readers: Vec<Reader>,
}

pub(super) fn user(id: u64) -> UserId {
    UserId::new(id).expect("not 0")
}

fn session(ssrc: u32) -> Session {
    let (seq, time) = (Seq(65_500), RtpTime(u32::MAX - 48_000));
    Session { ssrc: Ssrc(ssrc), mode: CIPHER, key: Key::new(KEY), seq, time, encrypted: false }
}

impl Stage {
    #[expect(clippy::disallowed_methods, reason = "time goes on from here by itself")]
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let (inbound, taps) = (Inbound::new(InboundSettings::from(&Config::default())), Taps::default());
        let mut stage = Self { now, inbound, taps, speakers: Vec::new(), wire: Vec::new(), readers: Vec::new() };
        stage.attach();
        stage
    }

    /// The session begins, with whichever server.
    pub(super) fn attach(&mut self) {
        self.inbound.update(self.now, &Update::Session(session(1)), &mut self.taps);
    }

    /// Who speaks a tone from now on, for so long, under this SSRC.
    pub(super) fn speak(&mut self, id: u64, ssrc: u32, hertz: f64, level: f32, length: Duration) {
        self.inbound.update(self.now, &Update::Speaker { ssrc: Ssrc(ssrc), user: user(id) }, &mut self.taps);
        let mut outbound = Outbound::new(&OutboundSettings::from(&Config::default()));
        outbound.update(&Update::Session(session(ssrc)));
        let source = Tone::new(hertz, level, Some(length));
        let (mut reader, feed) =
            prefetch::pipe(Box::new(source), prefetch::Config::default().length(Duration::from_secs(30)));
        while let Step::Progress = reader.step() {}
        outbound.command(Command::Add { id: TrackId(1), track: Box::new(Track::new(feed)) });
        self.speakers.push(outbound);
        self.readers.push(reader);
    }

    pub(super) fn listen(&mut self, options: ListenOptions) -> Arc<State> {
        let state = State::new(options.queue.unwrap_or(10_000), options.paused);
        let hearing = Hearing::new(state.clone(), user(1), options);
        self.order(Order::Begin(Box::new(hearing)));
        state
    }

    pub(super) fn change(&mut self, listener: &Arc<State>, change: Change) {
        self.order(Order::Change(listener.clone(), change));
    }

    pub(super) fn order(&mut self, order: Order) {
        self.taps.add(Tapped::Listener(order));
        self.inbound.refresh(self.now, &self.taps);
    }

    pub(super) fn take(&mut self, datagram: &mut [u8]) {
        assert!(!self.inbound.handle_datagram(self.now, datagram, &mut self.taps), "nothing of IP discovery");
    }

    /// Lets so many frames go by.
    pub(super) fn run(&mut self, frames: usize) {
        for _ in 0..frames {
            let mut buffer = [0; _];
            for index in 0..self.speakers.len() {
                let mut prepared = self.speakers[index].prepare(1, &mut buffer);
                while let Prepared::Packet(len) = prepared {
                    self.wire.push(buffer[..len].to_vec());
                    self.take(&mut buffer[..len]);
                    prepared = self.speakers[index].finish(true, &mut buffer);
                }
            }
            self.wait(FRAME);
        }
    }

    /// Lets time go by in which nothing comes.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        let due = |inbound: &Inbound| [inbound.poll_timeout(), inbound.poll_tick()].into_iter().flatten().min();
        while let Some(due) = due(&self.inbound).filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.inbound.handle_timeout(self.now, &mut self.taps);
            if self.inbound.poll_tick().is_some_and(|due| due <= self.now) {
                self.inbound.tick(self.now, &mut self.taps);
            }
            while self.inbound.poll_ping().is_some() {}
            // Nobody wants a report.
            self.inbound.poll_report_due(self.now);
        }
        self.now = until;
    }

    pub(super) fn wants(&self, id: u64) -> receive::Decode {
        self.taps.wants(user(id)).expect("listeners say what they want")
    }
}

/// What is in a listener's queue.
pub(super) fn drain(listener: &State) -> Vec<Sound> {
    std::iter::from_fn(|| listener.try_next()).collect()
}

/// Amplitude of the sine that is as loud as these samples.
pub(super) fn amplitude(samples: impl Iterator<Item = f32>) -> f32 {
    let (count, sum) = samples.fold((0, 0.0), |(count, sum), sample| (count + 1, sum + sample * sample));
    (2.0 * sum / count.max(1) as f32).sqrt()
}
