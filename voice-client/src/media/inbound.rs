//! One incoming packet: parse once, open the transport seal in place, strip the extension, strip padding, find the user of
//! the SSRC, open the end-to-end seal in place, push into the jitter buffer (the one copy). Every 20 ms: pop, decode or
//! conceal, hand to the application.

mod playing;
mod roster;
mod settings;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crypto::Opener;
use dave::{Opened, Refusal};
use model::{SILENCE_FRAME, Ssrc, UserId};
use receive::Receiver;
use udp::{Datagram, Keepalive, rtcp, rtp};

use roster::Roster;
pub use settings::InboundSettings;

use super::held::{Held, Lacks, Packet};
use super::hope::{Hope, count_lost};
use super::openers::Openers;
use super::packet::{AudioPacket, MediaPacket, Stamp};
use super::people::People;
use super::reports::Reports;
use super::sink::Sink;
use super::vitals::Vitals;
use super::{Session, Update};
use crate::stats::Received;

/// Frames of a stream that are tried with the keys of everybody, as long as they are held.
const TRIALS: usize = 3;
/// How often secrets are looked at that may have had their time.
const SWEEP: Duration = Duration::from_secs(1);

/// The receiving half of one call's media.
pub struct Inbound {
    settings: InboundSettings,
    opener: Option<Opener>,
    openers: Openers,
    swept: Option<Instant>,
    /// Whether there is still hope in the keys that are there.
    hope: Hope,
    people: People,
    receiver: Receiver,
    /// When the next tick is due while there is one every 20 ms.
    steady: Option<Instant>,
    held: Held,
    deaf: bool,
    keepalive: Option<Keepalive>,
    received: Received,
    pub(super) reports: Reports,
    pub(super) vitals: Vitals,
    /// Figures of streams that are over.
    past: BTreeMap<UserId, receive::Stats>,
}

impl Inbound {
    /// Without a session everything that comes is noise.
    pub fn new(settings: InboundSettings) -> Self {
        Self {
            receiver: Receiver::new(settings.receive.clone()),
            steady: None,
            deaf: settings.deaf,
            opener: None,
            openers: Openers::new(),
            swept: None,
            hope: Hope::default(),
            people: People::new(settings.sensitivity),
            held: Held::new(settings.hold),
            vitals: Vitals::new(settings.unopened),
            settings,
            keepalive: None,
            received: Received::default(),
            reports: Reports::default(),
            past: BTreeMap::new(),
        }
    }

    /// Takes what concerns receiving.
    pub fn update(&mut self, now: Instant, update: &Update, sink: &mut impl Sink) {
        match update {
            Update::Session(session) => self.attach(now, session),
            Update::Detach => self.detach(sink),
            Update::Deaf(deaf) => {
                self.deaf = *deaf;
                self.interrupt(sink);
            }
            Update::Speaker { ssrc, user } => self.attribute(now, *ssrc, *user, sink),
            Update::Gone(user) => self.forget(*user, sink),
            Update::Dave(update) => {
                if let Some(user) = self.openers.update(now, update) {
                    self.hope.renew(now);
                    self.offer(now, user, sink);
                }
            }
            Update::Mute(_) | Update::Farewell => {}
        }
    }

    fn attach(&mut self, now: Instant, session: &Session) {
        self.opener = Some(Opener::new(session.mode, &session.key, self.settings.backend));
        self.openers.attach(session.encrypted);
        self.reports.attach(now, session, self.settings.backend);
        self.vitals.renew();
        self.keepalive.get_or_insert_with(|| Keepalive::new(now, self.settings.keepalive));
    }

    fn detach(&mut self, sink: &mut impl Sink) {
        self.opener = None;
        self.keepalive = None;
        self.openers.detach();
        self.hope = Hope::default();
        self.reports.detach();
        self.vitals.renew();
        let received = &mut self.received;
        self.held.clear(|packet| count_lost(received, packet.lacks));
        // Another server gives everybody another SSRC.
        for user in self.people.streams().map(|(_, user)| user).collect::<Vec<_>>() {
            self.forget(user, sink);
        }
    }

    fn attribute(&mut self, now: Instant, ssrc: Ssrc, user: UserId, sink: &mut impl Sink) {
        self.roster().name(ssrc, user, sink);
        if self.receiver.knows(ssrc)
            && let Some(decode) = sink.wants(user)
        {
            self.receiver.set_decode(ssrc, decode);
        }
        self.offer(now, user, sink);
    }

    /// Tries again what is held of this user: there is a key, or an SSRC, that was not there before. What nobody is known to
    /// send, or who is said to has not sealed, is theirs when their key opens it.
    fn offer(&mut self, now: Instant, user: UserId, sink: &mut impl Sink) {
        let Self { held, people, openers, received, receiver, reports, past, .. } = self;
        held.offer(
            |packet| packet.user.is_none_or(|of| of == user) || packet.lacks == Lacks::RightSecret,
            |mut packet| {
                let ssrc = packet.stamp.ssrc;
                let opened = if people.user(ssrc) == Some(user) {
                    open(openers, received, now, user, &mut packet.frame)
                } else {
                    let Some(len) = openers.try_open(now, user, &mut packet.frame) else { return Some(packet) };
                    Roster { people, receiver, reports, past }.name(ssrc, user, sink);
                    received.opened += 1;
                    Ok(len)
                };
                match opened {
                    Ok(len) => {
                        let frame = packet.frame.get(..len).unwrap_or_default();
                        deliver(receiver, people, sink, &AudioPacket::new(user, packet.stamp, frame));
                        None
                    }
                    Err(lacks) => lacks.map(|lacks| Packet { lacks, user: Some(user), ..packet }),
                }
            },
        );
    }

    /// Whose key opens a frame of a stream that nobody is known to send, or not who is said to: DAVE proves the sender, and
    /// the announcement may come later, or be old. The frame is opened in place. Only the first frames of a stream that
    /// nobody can open are tried with everybody's keys.
    fn recognise(&mut self, now: Instant, stamp: Stamp, frame: &mut [u8], sink: &mut impl Sink) -> bool {
        let known = self.people.user(stamp.ssrc);
        if !may_be_sealed(frame) || self.held.tried(stamp.ssrc) >= TRIALS {
            return false;
        }
        let Some((user, len)) = self.openers.recognise(now, known, frame) else { return false };
        self.received.opened += 1;
        self.hope.renew(now);
        self.attribute(now, stamp.ssrc, user, sink);
        let frame = frame.get(..len).unwrap_or_default();
        deliver(&mut self.receiver, &mut self.people, sink, &AudioPacket::new(user, stamp, frame));
        true
    }

    fn forget(&mut self, user: UserId, sink: &mut impl Sink) {
        let mut roster = self.roster();
        while let Some(ssrc) = roster.people.stream_of(user) {
            roster.release(ssrc, sink);
        }
    }

    /// Nothing of anybody comes for a while: what is missed then is no loss.
    fn interrupt(&mut self, sink: &mut impl Sink) {
        let streams: Vec<_> = self.people.streams().collect();
        let mut roster = self.roster();
        for (ssrc, user) in streams {
            roster.release(ssrc, sink);
            roster.name(ssrc, user, sink);
        }
    }

    fn roster(&mut self) -> Roster<'_> {
        let Self { people, receiver, reports, past, .. } = self;
        Roster { people, receiver, reports, past }
    }

    /// Takes a datagram from the voice server. Returns whether it is one for IP discovery, which control wants.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8], sink: &mut impl Sink) -> bool {
        match Datagram::classify(datagram) {
            Datagram::Rtp(header) => self.handle_rtp(now, header, datagram, sink),
            Datagram::Rtcp => self.handle_rtcp(now, datagram, sink),
            Datagram::Discovery => return true,
            Datagram::Pong => {
                if self.keepalive.as_mut().is_some_and(|keepalive| keepalive.handle_pong(now, datagram)) {
                    self.vitals.ponged();
                }
            }
            _ => self.received.unknown += 1,
        }
        false
    }

    fn handle_rtp(&mut self, now: Instant, header: rtp::Header, packet: &mut [u8], sink: &mut impl Sink) {
        if self.deaf {
            self.received.deafened += 1;
            return;
        }
        if header.payload_type != rtp::AUDIO {
            self.received.other_media += 1;
            if !sink.wants_media() {
                return;
            }
        }
        let bytes = packet.len() as u64;
        let Some(opener) = &mut self.opener else {
            self.received.unauthentic += 1;
            return;
        };
        // Retired modes encrypt everything behind the fixed header.
        let clear = if opener.mode().is_rtpsize() { header.clear_len() } else { rtp::FIXED_LEN };
        let Some(end) = opener.open(packet, clear).map(|plaintext| clear + plaintext.len()) else {
            self.received.unauthentic += 1;
            self.vitals.unopened(now);
            return;
        };
        self.vitals.opened();
        if header.payload_type == rtp::AUDIO {
            self.reports.heard(now, header.ssrc, header.seq, header.time);
        }
        let words = rtp::extension_words(packet, &header);
        let profile = rtp::profile(packet, &header).filter(|profile| *profile == rtp::ONE_BYTE_PROFILE);
        let plaintext = packet.get_mut(header.clear_len()..end).unwrap_or_default();
        let Ok(body) = rtp::body(&header, words, plaintext) else {
            self.received.malformed += 1;
            return;
        };
        if header.payload_type != rtp::AUDIO {
            let rtp::Header { payload_type, ssrc, seq, time, marker, .. } = header;
            let user = self.people.user(ssrc);
            let payload = plaintext.get(body.payload).unwrap_or_default();
            sink.media(&MediaPacket { at: now, user, payload_type, ssrc, seq, time, marker, payload });
            return;
        }
        self.received.packets += 1;
        self.received.bytes += bytes;
        let (extension, rest) = plaintext.split_at_mut(body.extension.end);
        let speaking = profile.and_then(|_| speaking_flags(extension));
        let frame = &mut rest[body.payload.start - body.extension.end..body.payload.end - body.extension.end];
        let rtp::Header { ssrc, seq, time, marker, .. } = header;
        let stamp = Stamp { at: now, ssrc, seq, time, marker, speaking };
        self.received.padding += u64::from(frame.is_empty());
        let Some(user) = self.people.user(ssrc) else {
            if !self.recognise(now, stamp, frame, sink) {
                self.hold(Packet::new(Lacks::User, None, stamp, frame));
            }
            return;
        };
        let opened = self.received.opened;
        match open(&mut self.openers, &mut self.received, now, user, frame) {
            Ok(len) => {
                // Padding and plain frames say nothing about keys.
                if self.received.opened > opened {
                    self.hope.renew(now);
                }
                let frame = frame.get(..len).unwrap_or_default();
                deliver(&mut self.receiver, &mut self.people, sink, &AudioPacket::new(user, stamp, frame));
            }
            Err(None) => {}
            Err(Some(lacks)) => {
                if !self.recognise(now, stamp, frame, sink) {
                    self.hold(Packet::new(lacks, Some(user), stamp, frame));
                }
            }
        }
    }

    fn hold(&mut self, packet: Packet) {
        let Self { held, received, hope, .. } = self;
        held.push(packet, |packet| hope.lose(received, &packet));
    }

    fn handle_rtcp(&mut self, now: Instant, packet: &mut [u8], sink: &mut impl Sink) {
        let opened = self.opener.as_mut().and_then(|opener| opener.open(packet, rtcp::CLEAR_LEN));
        let Some(end) = opened.map(|plaintext| rtcp::CLEAR_LEN + plaintext.len()) else {
            self.received.unauthentic += 1;
            return;
        };
        self.received.rtcp += 1;
        self.vitals.opened();
        let compound = packet.get(..end).unwrap_or_default();
        self.reports.handle(now, compound);
        if sink.wants_rtcp() {
            rtcp::read(compound).for_each(|packet| sink.rtcp(now, &packet));
        }
    }

    /// Lets go of what has waited too long, notices who has fallen silent, and pings.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut impl Sink) {
        if self.swept.is_none_or(|swept| now >= swept + SWEEP) {
            self.swept = Some(now);
            self.openers.expire(now);
        }
        let Self { held, received, hope, .. } = self;
        held.expire(now, |packet| hope.lose(received, &packet));
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.handle_timeout(now);
        }
        self.people.handle_timeout(now, |speech| sink.speech(speech));
    }

    /// Whether who speaks can be heard: there is a session, and it is not deaf.
    pub fn can_hear(&self) -> bool {
        self.opener.is_some() && !self.deaf
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keepalive = self.keepalive.as_ref().and_then(Keepalive::poll_timeout);
        let (reports, people) = (self.reports.poll_timeout(), self.people.poll_timeout());
        [self.held.poll_timeout(), people, keepalive, reports].into_iter().flatten().min()
    }

    /// Whether frames of everybody have been beyond opening for a while: the group's keys are not ours any more. Asks
    /// once per while.
    pub fn poll_hopeless(&mut self) -> bool {
        self.hope.poll_lost()
    }

    /// A keepalive ping to send to the voice server.
    pub fn poll_ping(&mut self) -> Option<[u8; 8]> {
        let ping = self.keepalive.as_mut()?.poll_output()?;
        self.vitals.pinged();
        Some(ping)
    }

    /// What was received so far.
    pub fn received(&self) -> Received {
        self.received
    }

    /// Round trip of the latest answered ping.
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.as_ref().and_then(Keepalive::round_trip)
    }

    /// Figures of every user heard so far.
    pub fn heard(&self) -> BTreeMap<UserId, receive::Stats> {
        let mut heard = self.past.clone();
        for (ssrc, user) in self.people.streams() {
            if let Some(stats) = self.receiver.stats(ssrc) {
                heard.entry(user).or_default().merge(&stats);
            }
        }
        heard
    }
}

/// Discord's speaking flags, from the body of a header extension in the one-byte form.
fn speaking_flags(extension: &[u8]) -> Option<u8> {
    rtp::elements(extension).find(|element| element.id == rtp::SPEAKING)?.data.first().copied()
}

/// Padding and silence frames of the server's making are not, and say nothing about who sends them.
fn may_be_sealed(frame: &[u8]) -> bool {
    !frame.is_empty() && *frame != SILENCE_FRAME
}

/// Hands an opened packet to who wants packets, and to the jitter buffer.
fn deliver(receiver: &mut Receiver, people: &mut People, sink: &mut impl Sink, packet: &AudioPacket<'_>) {
    if let Some(speech) = people.packet(packet) {
        sink.speech(speech);
    }
    sink.packet(packet);
    // The first packet of a stream makes its speaker, as what is wanted of its user.
    if !receiver.knows(packet.ssrc)
        && let Some(decode) = sink.wants(packet.user)
    {
        receiver.set_decode(packet.ssrc, decode);
    }
    receiver.push(packet.at, packet.ssrc, packet.seq, packet.time, packet.frame);
}

/// Opens a frame end to end, in place; returns how long it is now. What is refused is as it was: `Some` says what it
/// might be waiting for.
fn open(
    openers: &mut Openers,
    received: &mut Received,
    now: Instant,
    user: UserId,
    frame: &mut [u8],
) -> Result<usize, Option<Lacks>> {
    if frame.is_empty() {
        // It was all padding: it uses up its sequence number, and there is nothing to open.
        return Ok(0);
    }
    let counted = match openers.open(now, user, frame) {
        Opened::Sealed { len } => {
            received.opened += 1;
            return Ok(len);
        }
        Opened::Silence => &mut received.silence,
        Opened::Plain => &mut received.plain,
        Opened::Refused(Refusal::NoSecret) => return Err(Some(Lacks::Secret)),
        Opened::Refused(Refusal::Unauthentic) => return Err(Some(Lacks::RightSecret)),
        Opened::Refused(refusal) => {
            *match refusal {
                Refusal::Plain => &mut received.refused_plain,
                Refusal::Replayed => &mut received.replayed,
                _ => &mut received.implausible,
            } += 1;
            return Err(None);
        }
    };
    *counted += 1;
    Ok(frame.len())
}
