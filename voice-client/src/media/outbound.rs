//! One outgoing 20 ms frame:
//!
//! 1. updates that precede the deadline are applied,
//! 2. the mixer encodes a frame, or copies a lone Opus packet, behind the place of the RTP header,
//! 3. in an encrypted call the frame is sealed in place, or withheld when there is no key,
//! 4. RTP header and transport seal are put around it in place,
//! 5. at the deadline the owner sends it, and says whether that worked: only then the sequence number is used up.

use std::mem::offset_of;
use std::time::{Duration, Instant};

use crypto::{Backend, MAX_OVERHEAD};
use mixer::broadcast::Station;
use mixer::{Ended, Mixer, Spent, Tick, Track, TrackEvent, TrackId, hint};
use model::{FRAME, FRAME_SAMPLES, SILENCE_FRAME, SILENCE_TAIL};

use super::guard::{self, Guard, Guarded};
use super::transport::{OwnStream, Transport};
use super::{Command, PACKET, Packet, Removed, Session, Update};
use crate::config::Config;
use crate::encoder::EncoderSettings;
use crate::stats::Sent;

/// RTP header without CSRC and extension: all that we send.
pub(super) const HEADER: usize = 12;
/// Where a frame must end, for everything that is put around it to find room.
const FRAME_END: usize = PACKET - MAX_OVERHEAD - guard::OVERHEAD;

/// The shortest beat.
const SHORTEST: Duration = Duration::from_millis(10);
/// Where a frame must end that goes on the air.
const AIR_END: usize = HEADER + mixer::broadcast::MAX_PACKET;
/// What is on the air must fit into every call that listens.
const _: () = assert!(AIR_END <= FRAME_END);

/// The sending half of one call's media.
pub struct Outbound {
    mixer: Mixer,
    /// The encoder as it was asked for; what is left open is filled in by what was heard of channel and server.
    encoder: EncoderSettings,
    channel_bitrate: Option<u32>,
    reported_loss: u8,
    backend: Backend,
    /// Packets go on the air instead of to a server: other calls send them.
    station: Option<Station>,
    transport: Option<Transport>,
    guard: Guard,
    /// Parts of 10 ms that tracks wait for the first key of a session.
    patience: u32,
    muted: bool,
    /// Muted tracks stand still.
    holding: bool,
    /// Tracks went on in the last beat.
    playing: bool,
    /// A track that the next beat lets fall silent, if tracks go on in it.
    flushing: Option<TrackId>,
    farewell: bool,
    /// Silence frames that speech still needs for its end.
    tail: u32,
    /// The key's nonces are used up.
    exhausted: bool,
    /// The next packet is the first after a gap, and carries the marker bit.
    marker: bool,
    pending: Pending,
    sent: Sent,
}

/// What an [`Outbound`] is told once.
pub struct OutboundSettings {
    /// Opus encoder.
    pub encoder: EncoderSettings,
    /// Implementation of the transport ciphers.
    pub backend: Backend,
    /// Whether nothing is sent at first.
    pub muted: bool,
    /// How long tracks wait for the first key of an encrypted session.
    pub e2ee_hold: Duration,
}

impl From<&Config> for OutboundSettings {
    fn from(config: &Config) -> Self {
        Self { encoder: config.encoder, backend: config.backend, muted: config.mute, e2ee_hold: config.e2ee_hold }
    }
}

/// The packet that was prepared last and has not been sent.
#[derive(Clone, Copy, Default)]
struct Pending {
    samples: u32,
    more: bool,
    silence: bool,
    bytes: usize,
}

/// What a beat brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// This many bytes of the packet are to be sent at the deadline.
    Packet(usize),
    /// Nothing to send in this beat.
    Nothing,
    /// Nothing to send until something is added or changed: no beat is needed.
    Rest,
}

impl Outbound {
    /// Without a session nothing is sent, and tracks wait.
    pub fn new(settings: &OutboundSettings) -> Self {
        let OutboundSettings { encoder, backend, muted, e2ee_hold } = *settings;
        Self {
            mixer: Mixer::new(encoder.resolve(None, 0)),
            encoder,
            channel_bitrate: None,
            reported_loss: 0,
            backend,
            station: None,
            transport: None,
            guard: Guard::new(),
            patience: u32::try_from(e2ee_hold.as_millis() / SHORTEST.as_millis()).unwrap_or(u32::MAX),
            muted,
            holding: false,
            playing: false,
            flushing: None,
            farewell: false,
            tail: 0,
            exhausted: false,
            marker: true,
            pending: Pending::default(),
            sent: Sent::default(),
        }
    }

    /// The sending half of a broadcast: what it plays goes to `station`, and from there to any number of calls.
    pub fn on_air(settings: &OutboundSettings, station: Station) -> Self {
        Self { station: Some(station), ..Self::new(settings) }
    }

    /// Takes what concerns sending.
    pub fn update(&mut self, update: &Update) {
        match update {
            Update::Session(session) => self.attach(session),
            Update::Detach => {
                self.transport = None;
                self.guard.detach();
            }
            Update::Mute(muted) => self.muted = *muted,
            Update::Farewell => self.farewell = true,
            Update::Dave(update) => self.guard.update(update),
            Update::Deaf(_) | Update::Speaker { .. } | Update::Gone(_) => {}
        }
    }

    fn attach(&mut self, session: &Session) {
        let old = self.transport.take().filter(|old| old.outgoing.ssrc() == session.ssrc);
        self.marker |= old.is_none();
        self.exhausted = false;
        self.guard.attach(session.encrypted, self.patience);
        self.transport = Some(Transport::new(session, self.backend, old));
    }

    /// Applies a command; what is not needed any more comes back, to be dropped off the audio thread.
    pub fn command(&mut self, command: Command) -> Option<Removed> {
        match command {
            Command::Mute { muted, hold } => (self.muted, self.holding) = (muted, hold),
            Command::ChannelBitrate(bits) => {
                self.channel_bitrate = Some(bits);
                self.configure();
            }
            Command::Loss(percent) => {
                self.reported_loss = percent;
                self.configure();
            }
            Command::Encoder(settings) => {
                self.encoder = settings;
                self.configure();
            }
            // A track that goes on falls silent by itself, without a click.
            Command::Flush { id } if self.playing => self.flushing = Some(id),
            // Nothing is mixed now that could fade it out.
            Command::Stop { id, .. } if self.stands() => {
                return self.mixer.remove(id).map(|track| Removed::Track(id, track));
            }
            command => return command.apply(&mut self.mixer),
        }
        None
    }

    fn configure(&mut self) {
        self.mixer.configure(self.encoder.resolve(self.channel_bitrate, self.reported_loss));
    }

    /// The position of a track, `None` when there is no such track.
    pub fn position(&self, id: TrackId) -> Option<Duration> {
        self.mixer.position(id)
    }

    /// A track that ended since the last call, to be dropped off the audio thread.
    pub fn pop_ended(&mut self) -> Option<(TrackId, Ended, Box<Track>)> {
        self.mixer.pop_ended()
    }

    /// Something that has happened to a track.
    pub fn pop_event(&mut self) -> Option<(TrackId, TrackEvent)> {
        self.mixer.pop_event()
    }

    /// Something that is not needed any more, to be dropped off the audio thread.
    pub fn pop_spent(&mut self) -> Option<Spent> {
        self.mixer.pop_spent()
    }

    /// Time from one beat to the next: 20 ms, or 10 when frames are that short. A command may change it.
    pub fn beat(&self) -> Duration {
        if self.mixer.period() < FRAME_SAMPLES { FRAME / 2 } else { FRAME }
    }

    /// Counters of the mixer.
    pub fn mixed(&self) -> mixer::Stats {
        self.mixer.stats()
    }

    /// Whether leaving may go on: the end of speech was sent, and a beat has passed since for it to arrive, or it cannot
    /// be sent.
    pub fn farewelled(&self) -> bool {
        self.farewell && (self.transport.is_none() || (self.tail == 0 && self.marker))
    }

    /// Whether the session's key is used up, so that nothing can be sent until there is another.
    pub fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether beats come to nothing until something is added or changed.
    pub fn is_idle(&self) -> bool {
        let is_silent = self.farewell || self.is_held() || self.mixer.is_idle();
        if self.station.is_some() { is_silent } else { self.transport.is_none() || (self.tail == 0 && is_silent) }
    }

    /// Whether tracks stand still, whatever they are told.
    fn stands(&self) -> bool {
        (self.transport.is_none() && self.station.is_none()) || self.farewell || self.is_held()
    }

    /// Whether tracks stand still because we are muted.
    fn is_held(&self) -> bool {
        self.muted && self.holding
    }

    /// Asks the processor for what [`prepare`](Self::prepare) needs, in so many steps ([`hint::STEPS`]): for who prepares
    /// many in turn.
    pub fn prefetch(&mut self, step: usize) {
        match step {
            0 => hint::around(&self.muted, offset_of!(Self, muted), size_of::<Self>()),
            _ => self.mixer.prefetch(step),
        }
    }

    /// Prepares the next packet, in `packet`, which holds anything before. `beats` is how many [beats](Self::beat) have passed since the last call, at least 1: RTP time
    /// runs on over those that were skipped, tracks do not.
    pub fn prepare(&mut self, beats: u32, packet: &mut Packet) -> Prepared {
        self.playing = false;
        if self.station.is_some() {
            return self.broadcast(packet);
        }
        let Some(transport) = &mut self.transport else {
            self.flush();
            return Prepared::Rest;
        };
        let elapsed = u64::from(beats) * self.mixer.period() as u64;
        transport.pass(elapsed);
        if self.farewell || self.is_held() {
            self.flush();
            return self.prepare_silence(packet);
        }
        // The beginning of a first track is worth a wait for the first key; who pushes packets in time is not held up.
        if self.guard.waits() && !self.mixer.is_idle() && !self.mixer.is_pushed() {
            let parts = (self.beat().as_millis() / SHORTEST.as_millis()) as u32;
            self.guard.has_waited(beats.saturating_mul(parts));
            self.flush();
            return Prepared::Nothing;
        }
        (self.playing, self.flushing) = (true, None);
        let tick = self.mixer.tick(&mut packet[HEADER..FRAME_END]);
        self.wrap(tick, packet)
    }

    /// Puts the frames of a beat on the air.
    fn broadcast(&mut self, packet: &mut Packet) -> Prepared {
        if self.is_idle() {
            self.flush();
            self.mixer.rest();
            return Prepared::Rest;
        }
        (self.playing, self.flushing) = (true, None);
        let mut tick = self.mixer.tick(&mut packet[HEADER..AIR_END]);
        while let Tick::Frame { len, more, .. } = tick {
            let frame = &packet[HEADER..HEADER + len];
            // The mixer's packets are legal: they come from libopus, or were looked at before.
            let aired = self.station.as_mut().is_some_and(|station| station.push(frame).is_ok());
            self.sent.packets += u64::from(aired);
            self.sent.dropped += u64::from(!aired);
            self.sent.bytes += len as u64;
            if !more {
                break;
            }
            tick = self.mixer.next_frame(&mut packet[HEADER..AIR_END]);
        }
        Prepared::Nothing
    }

    fn flush(&mut self) {
        if let Some(id) = self.flushing.take() {
            self.mixer.flush(id);
        }
    }

    /// Says whether the prepared packet left, and prepares a further one of the same beat, when frames are short.
    pub fn finish(&mut self, sent: bool, packet: &mut Packet) -> Prepared {
        let Some(transport) = &mut self.transport else { return Prepared::Nothing };
        let pending = std::mem::take(&mut self.pending);
        transport.outgoing.advance(pending.samples);
        transport.ahead += pending.samples;
        if sent {
            transport.sent(pending.bytes);
            self.marker = false;
            self.sent.packets += 1;
            self.sent.bytes += pending.bytes as u64;
            self.sent.silence += u64::from(pending.silence);
        } else {
            self.sent.dropped += 1;
        }
        if !pending.more {
            return Prepared::Nothing;
        }
        let tick = self.mixer.next_frame(&mut packet[HEADER..FRAME_END]);
        self.wrap(tick, packet)
    }

    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        Sent { sealed: self.guard.sealed(), ..self.sent }
    }

    /// Our stream so far, for a sender report; `None` without a session. `at` is the deadline of the beat prepared last.
    pub fn stream(&self, at: Instant) -> Option<OwnStream> {
        self.transport.as_ref().map(|transport| transport.stream(at))
    }

    fn wrap(&mut self, tick: Tick, packet: &mut Packet) -> Prepared {
        match tick {
            Tick::Idle => self.prepare_silence(packet),
            // Nothing of a frame that was dropped is still playing.
            Tick::Hold if self.muted => self.prepare_silence(packet),
            Tick::Hold => Prepared::Nothing,
            Tick::Frame { more, .. } if self.muted => {
                // Speech that is cut off needs its end too; frames are dropped, their tracks run on.
                self.sent.dropped += 1 + self.skip(more, packet);
                self.prepare_silence(packet)
            }
            Tick::Frame { len, samples, more } => {
                self.tail = SILENCE_TAIL;
                self.seal(len, Pending { samples, more, silence: false, bytes: 0 }, packet)
            }
        }
    }

    /// The end of speech: five silence frames, each a packet of its own, then nothing.
    fn prepare_silence(&mut self, packet: &mut Packet) -> Prepared {
        if self.transport.as_ref().is_some_and(|transport| transport.ahead > 0) {
            // The frame before lasts longer than a beat.
            return Prepared::Nothing;
        }
        let Some(left) = self.tail.checked_sub(1) else {
            self.marker = true;
            return if self.is_idle() { Prepared::Rest } else { Prepared::Nothing };
        };
        self.tail = left;
        packet[HEADER..HEADER + SILENCE_FRAME.len()].copy_from_slice(&SILENCE_FRAME);
        let pending = Pending { samples: FRAME_SAMPLES as u32, more: false, silence: true, bytes: 0 };
        self.seal(SILENCE_FRAME.len(), pending, packet)
    }

    /// Passes over the rest of a beat's frames; returns how many there were.
    fn skip(&mut self, mut more: bool, packet: &mut Packet) -> u64 {
        let mut skipped = 0;
        while more {
            skipped += 1;
            let tick = self.mixer.next_frame(&mut packet[HEADER..FRAME_END]);
            more = matches!(tick, Tick::Frame { more: true, .. });
        }
        skipped
    }

    fn seal(&mut self, len: usize, pending: Pending, packet: &mut Packet) -> Prepared {
        let len = match self.guard.seal(&mut packet[HEADER..PACKET - MAX_OVERHEAD], len) {
            Guarded::Ready(len) => len,
            Guarded::NoKey => {
                self.sent.no_key += u64::from(!pending.silence);
                return self.withhold(pending, packet);
            }
            Guarded::Failed => {
                self.sent.unsealable += 1;
                return self.withhold(pending, packet);
            }
        };
        let Some(transport) = &mut self.transport else { return Prepared::Nothing };
        transport.outgoing.header(self.marker).write(&mut packet[..]);
        match transport.sealer.seal_rtp(&mut packet[..], HEADER, len) {
            Ok(bytes) => {
                self.pending = Pending { bytes, ..pending };
                Prepared::Packet(bytes)
            }
            Err(_) => {
                // The mixer's frame fits by construction: the key is used up, and nothing leaves with it any more.
                self.sent.dropped += 1;
                self.transport = None;
                self.exhausted = true;
                Prepared::Nothing
            }
        }
    }

    /// A frame must not leave, nor may what follows in its beat. Tracks and RTP time run on; what leaves next is the first
    /// after a gap.
    fn withhold(&mut self, pending: Pending, packet: &mut Packet) -> Prepared {
        self.sent.no_key += self.skip(pending.more, packet);
        self.tail = 0;
        self.marker = true;
        Prepared::Nothing
    }
}
