//! One incoming packet: parse once, open the transport seal in place, strip the extension, strip padding, find the user of
//! the SSRC, open the end-to-end seal in place, push into the jitter buffer (the one copy). Every 20 ms: pop, decode or
//! conceal, hand to the application.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crypto::{Backend, Opener};
use dave::{Opened, Refusal};
use model::{FRAME, Ssrc, UserId};
use receive::{Heard, Receiver};
use udp::{Datagram, Keepalive, rtcp, rtp};

use super::held::{Held, Lacks, Packet};
use super::hope::{Hope, count_lost};
use super::openers::Openers;
use super::packet::{AudioPacket, MediaPacket, Stamp};
use super::reports::Reports;
use super::sink::Sink;
use super::{Session, Update};
use crate::config::Config;
use crate::stats::Received;

/// SSRCs that are attributed at a time, and users whose figures are kept when they are gone; more than any channel has
/// speakers.
const MAX_PEOPLE: usize = 4_096;
/// Longer than any of the settings can sensibly be; keeps sums with a moment in range.
const LONGEST: Duration = Duration::from_secs(86_400);
/// How often secrets are looked at that may have had their time.
const SWEEP: Duration = Duration::from_secs(1);
/// A steady tick that comes later than so many frames after its time begins anew instead of being caught up.
const MAX_CATCH_UP: u32 = 5;

/// The receiving half of one call's media.
pub struct Inbound {
    settings: InboundSettings,
    opener: Option<Opener>,
    openers: Openers,
    swept: Option<Instant>,
    /// Whether there is still hope in the keys that are there.
    hope: Hope,
    people: BTreeMap<u32, UserId>,
    receiver: Receiver,
    /// When the next tick is due while there is one every 20 ms.
    steady: Option<Instant>,
    held: Held,
    deaf: bool,
    keepalive: Option<Keepalive>,
    received: Received,
    reports: Reports,
    /// Figures of streams that are over.
    past: BTreeMap<UserId, receive::Stats>,
}

/// What an [`Inbound`] is told once.
pub struct InboundSettings {
    /// Jitter buffer and decoding.
    pub receive: receive::Config,
    /// Implementation of the ciphers.
    pub backend: Backend,
    /// Whether incoming audio is dropped at first.
    pub deaf: bool,
    /// How often the media path is pinged.
    pub keepalive: Duration,
    /// How long packets wait for the user of their SSRC.
    pub hold: Duration,
}

impl From<&Config> for InboundSettings {
    fn from(config: &Config) -> Self {
        let Config { backend, deaf, keepalive, hold, .. } = *config;
        let bounded = |duration: Duration| duration.min(LONGEST);
        let (keepalive, hold) = (bounded(keepalive), bounded(hold));
        Self { receive: config.receive.clone(), backend, deaf, keepalive, hold }
    }
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
            people: BTreeMap::new(),
            held: Held::new(settings.hold),
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
            Update::Deaf(deaf) => self.deaf = *deaf,
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
        self.reports.attach(session.ssrc);
        self.keepalive.get_or_insert_with(|| Keepalive::new(now, self.settings.keepalive));
    }

    fn detach(&mut self, sink: &mut impl Sink) {
        self.opener = None;
        self.keepalive = None;
        self.openers.detach();
        self.hope = Hope::default();
        let received = &mut self.received;
        self.held.clear(|packet| count_lost(received, packet.lacks));
        // Another server gives everybody another SSRC.
        for user in self.people.values().copied().collect::<Vec<_>>() {
            self.forget(user, sink);
        }
    }

    fn attribute(&mut self, now: Instant, ssrc: Ssrc, user: UserId, sink: &mut impl Sink) {
        if self.people.len() >= MAX_PEOPLE
            && !self.people.contains_key(&ssrc.0)
            && let Some((first, _)) = self.people.pop_first()
        {
            sink.forget(Ssrc(first));
        }
        self.people.insert(ssrc.0, user);
        if self.receiver.knows(ssrc)
            && let Some(decode) = sink.wants(user)
        {
            self.receiver.set_decode(ssrc, decode);
        }
        self.offer(now, user, sink);
    }

    /// Tries again what is held of this user: there is a key, or an SSRC, that was not there before.
    fn offer(&mut self, now: Instant, user: UserId, sink: &mut impl Sink) {
        let Self { held, people, openers, received, receiver, .. } = self;
        held.offer(
            |packet| match packet.user {
                Some(of) => of == user,
                None => people.get(&packet.stamp.ssrc.0) == Some(&user),
            },
            |mut packet| match open(openers, received, now, user, &mut packet.frame) {
                Ok(len) => {
                    let frame = packet.frame.get(..len).unwrap_or_default();
                    deliver(receiver, sink, &AudioPacket::new(user, packet.stamp, frame));
                    None
                }
                Err(lacks) => lacks.map(|lacks| Packet { lacks, user: Some(user), ..packet }),
            },
        );
    }

    fn forget(&mut self, user: UserId, sink: &mut impl Sink) {
        let streams: Vec<u32> = self.people.iter().filter(|(_, u)| **u == user).map(|(ssrc, _)| *ssrc).collect();
        for ssrc in streams {
            self.people.remove(&ssrc);
            if let Some(stats) = self.receiver.stats(Ssrc(ssrc)) {
                self.past.entry(user).or_default().merge(&stats);
                if self.past.len() > MAX_PEOPLE {
                    self.past.pop_first();
                }
            }
            self.receiver.forget(Ssrc(ssrc));
            sink.forget(Ssrc(ssrc));
        }
    }

    /// Takes a datagram from the voice server. Returns whether it is one for IP discovery, which control wants.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8], sink: &mut impl Sink) -> bool {
        match Datagram::classify(datagram) {
            Datagram::Rtp(header) => self.handle_rtp(now, header, datagram, sink),
            Datagram::Rtcp => self.handle_rtcp(now, datagram, sink),
            Datagram::Discovery => return true,
            Datagram::Pong => {
                if let Some(keepalive) = &mut self.keepalive {
                    keepalive.handle_pong(now, datagram);
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
            return;
        };
        let words = rtp::extension_words(packet, &header);
        let profile = rtp::profile(packet, &header).filter(|profile| *profile == rtp::ONE_BYTE_PROFILE);
        let plaintext = packet.get_mut(header.clear_len()..end).unwrap_or_default();
        let Ok(body) = rtp::body(&header, words, plaintext) else {
            self.received.malformed += 1;
            return;
        };
        if header.payload_type != rtp::AUDIO {
            let rtp::Header { payload_type, ssrc, seq, time, marker, .. } = header;
            let user = self.people.get(&ssrc.0).copied();
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
        let Some(&user) = self.people.get(&ssrc.0) else {
            return self.hold(Packet { lacks: Lacks::User, user: None, stamp, frame: (&*frame).into() });
        };
        let opened = self.received.opened;
        match open(&mut self.openers, &mut self.received, now, user, frame) {
            Ok(len) => {
                // Padding and plain frames say nothing about keys.
                if self.received.opened > opened {
                    self.hope.renew(now);
                }
                let frame = frame.get(..len).unwrap_or_default();
                deliver(&mut self.receiver, sink, &AudioPacket::new(user, stamp, frame));
            }
            Err(None) => {}
            Err(Some(lacks)) => self.hold(Packet { lacks, user: Some(user), stamp, frame: (&*frame).into() }),
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
        let compound = packet.get(..end).unwrap_or_default();
        self.reports.handle(compound);
        if sink.wants_rtcp() {
            rtcp::read(compound).for_each(|packet| sink.rtcp(now, &packet));
        }
    }

    /// Plays out what is due, and lets go of what has waited too long.
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
        // Play-out has a clock of its own: not every timeout is a tick.
        if self.tick_due().is_some_and(|due| due <= now) {
            let people = &self.people;
            self.receiver.tick(now, &mut |heard: Heard<'_>| {
                if let Some(&user) = people.get(&heard.ssrc.0) {
                    sink.audio(now, user, &heard);
                }
            });
            sink.tick(now);
            self.steady =
                self.steady.map(|due| if now > due + MAX_CATCH_UP * FRAME { now + FRAME } else { due + FRAME });
        }
    }

    /// Does from now on what the sink wants now: asked when that has changed.
    pub fn refresh(&mut self, now: Instant, sink: &impl Sink) {
        self.steady = sink.is_continuous().then(|| self.steady.unwrap_or(now + FRAME));
        for (ssrc, user) in &self.people {
            if self.receiver.knows(Ssrc(*ssrc))
                && let Some(decode) = sink.wants(*user)
            {
                self.receiver.set_decode(Ssrc(*ssrc), decode);
            }
        }
    }

    /// Whether who speaks can be heard: there is a session, and it is not deaf.
    pub fn can_hear(&self) -> bool {
        self.opener.is_some() && !self.deaf
    }

    fn tick_due(&self) -> Option<Instant> {
        self.steady.or_else(|| self.receiver.poll_timeout())
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keepalive = self.keepalive.as_ref().and_then(Keepalive::poll_timeout);
        [self.tick_due(), self.held.poll_timeout(), keepalive].into_iter().flatten().min()
    }

    /// Whether frames of everybody have been beyond opening for a while: the group's keys are not ours any more. Asks
    /// once per while.
    pub fn poll_hopeless(&mut self) -> bool {
        self.hope.poll_lost()
    }

    /// The loss of what we send, in percent, when the server's reports say that it has changed.
    pub fn poll_loss(&mut self) -> Option<u8> {
        self.reports.poll()
    }

    /// A keepalive ping to send to the voice server.
    pub fn poll_ping(&mut self) -> Option<[u8; 8]> {
        self.keepalive.as_mut()?.poll_output()
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
        for (ssrc, user) in &self.people {
            if let Some(stats) = self.receiver.stats(Ssrc(*ssrc)) {
                heard.entry(*user).or_default().merge(&stats);
            }
        }
        heard
    }
}

/// Discord's speaking flags, from the body of a header extension in the one-byte form.
fn speaking_flags(extension: &[u8]) -> Option<u8> {
    rtp::elements(extension).find(|element| element.id == rtp::SPEAKING)?.data.first().copied()
}

/// Hands an opened packet to who wants packets, and to the jitter buffer.
fn deliver(receiver: &mut Receiver, sink: &mut impl Sink, packet: &AudioPacket<'_>) {
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
