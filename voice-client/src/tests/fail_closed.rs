//! In an encrypted call nothing leaves unsealed, and nothing unsealed is taken for audio.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crypto::{Backend, Key, Mode, Opener, Sealer};
use dave::{Secret, Update as Dave};
use mixer::generate::Tone;
use mixer::prefetch::{self, Step};
use mixer::{Track, TrackId};
use model::{RtpTime, SILENCE_FRAME, Seq, Ssrc};
use udp::rtp::Header;

use super::peer::Ears;
use super::world::user;
use crate::config::Config;
use crate::media::{Command, Inbound, InboundSettings, Outbound, OutboundSettings, Prepared, Session, Update};

const MODE: Mode = Mode::Aes256GcmRtpsize;
const SSRC: Ssrc = Ssrc(7);
/// The last two bytes of every sealed frame (DAVE protocol, "Payload Format").
const MARKER: [u8; 2] = [0xFA, 0xFA];

fn key(byte: u8) -> Key {
    Key::new([byte; 32])
}

fn session(encrypted: bool, byte: u8) -> Update {
    Update::Session(Session { ssrc: SSRC, mode: MODE, key: key(byte), seq: Seq(0), time: RtpTime(0), encrypted })
}

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 16])
}

/// What leaves, by beats.
struct Speaker {
    outbound: Outbound,
    opener: Opener,
    reader: prefetch::Reader,
}

impl Speaker {
    fn new(config: &Config) -> Self {
        let mut outbound = Outbound::new(&OutboundSettings::from(config));
        let tone = Tone::new(440.0, 0.5, None);
        let (reader, feed) = prefetch::pipe(Box::new(tone), prefetch::Config::default());
        outbound.command(Command::Add { id: TrackId(1), track: Box::new(Track::new(feed)) });
        Self { outbound, opener: Opener::new(MODE, &key(1), Backend::AwsLc), reader }
    }

    /// The frames that left in so many beats, transport encryption removed.
    fn beats(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for _ in 0..count {
            while let Step::Progress = self.reader.step() {}
            let mut buffer = [0; _];
            let mut prepared = self.outbound.prepare(1, &mut buffer);
            while let Prepared::Packet(len) = prepared {
                let mut packet = buffer[..len].to_vec();
                frames.push(self.opener.open(&mut packet, 12).expect("authentic").to_vec());
                prepared = self.outbound.finish(true, &mut buffer);
            }
        }
        frames
    }

    fn position(&self) -> u128 {
        self.outbound.position(TrackId(1)).expect("it plays").as_millis()
    }
}

fn is_sealed(frame: &[u8]) -> bool {
    frame.ends_with(&MARKER)
}

#[test]
fn nothing_leaves_before_the_first_secret_and_tracks_wait_for_it() {
    let mut speaker = Speaker::new(&Config::default());
    speaker.outbound.update(&session(true, 1));
    assert!(speaker.beats(60).is_empty());
    assert_eq!((speaker.position(), speaker.outbound.sent().no_key), (0, 0), "the track waits");
    speaker.outbound.update(&Update::Dave(Dave::Seal(secret(1))));
    let frames = speaker.beats(10);
    assert_eq!(frames.len(), 10);
    assert!(frames.iter().all(|frame| is_sealed(frame)));
    assert_eq!(speaker.position(), 200, "from its beginning");
}

#[test]
fn a_raw_sink_does_not_wait() {
    let mut outbound = Outbound::new(&OutboundSettings::from(&Config::default()));
    let drained = Arc::new(AtomicU32::new(0));
    let count = drained.clone();
    let on_drain = Arc::new(move || _ = count.fetch_add(1, Ordering::Relaxed));
    let (mut pusher, feed) = prefetch::sink(model::FRAME, on_drain);
    outbound.command(Command::Add { id: TrackId(1), track: Box::new(Track::new(feed)) });
    outbound.update(&session(true, 1));
    for beat in 1..=50 {
        assert_eq!(pusher.push(&SILENCE_FRAME).unwrap(), prefetch::Push::Done);
        assert_eq!(outbound.prepare(1, &mut [0; _]), Prepared::Nothing);
        assert_eq!(drained.load(Ordering::Relaxed), beat, "taken at once, and not sent");
    }
    assert_eq!(outbound.sent().no_key, 50);
}

#[test]
fn tracks_do_not_wait_for_ever() {
    let hold = Duration::from_millis(500);
    let mut speaker = Speaker::new(&Config::default().e2ee_hold(hold));
    speaker.outbound.update(&session(true, 1));
    assert!(speaker.beats(100).is_empty());
    assert_eq!((speaker.position(), speaker.outbound.sent().no_key), (1_500, 75));
    // Nor do they wait again in this session: speech that is under way is not held up.
    speaker.outbound.update(&Update::Dave(Dave::Seal(secret(1))));
    assert_eq!(speaker.beats(5).len(), 5);
    speaker.outbound.update(&Update::Dave(Dave::Withhold));
    assert!(speaker.beats(5).is_empty());
    assert_eq!(speaker.position(), 1_700);
}

#[test]
fn case_6_without_a_secret_a_frame_is_not_sent() {
    let mut speaker = Speaker::new(&Config::default().e2ee_hold(Duration::ZERO));
    speaker.outbound.update(&session(true, 1));
    speaker.outbound.update(&Update::Dave(Dave::Seal(secret(1))));
    assert_eq!(speaker.beats(5).len(), 5);
    speaker.outbound.update(&Update::Dave(Dave::Withhold));
    assert!(speaker.beats(50).is_empty(), "and no silence frame in its place");
    assert_eq!(speaker.outbound.sent().no_key, 50);
    // The mute of an encrypted call sends no plain end of speech either.
    speaker.outbound.update(&Update::Mute(true));
    assert!(speaker.beats(10).is_empty());
}

#[test]
fn the_end_of_speech_is_sealed() {
    let mut speaker = Speaker::new(&Config::default());
    speaker.outbound.update(&session(true, 1));
    speaker.outbound.update(&Update::Dave(Dave::Seal(secret(1))));
    speaker.beats(5);
    speaker.outbound.update(&Update::Farewell);
    let frames = speaker.beats(10);
    assert_eq!(frames.len(), 5);
    assert!(frames.iter().all(|frame| is_sealed(frame) && !frame.starts_with(&SILENCE_FRAME)));
}

#[test]
fn a_new_transport_key_changes_nothing_about_frames() {
    let mut speaker = Speaker::new(&Config::default());
    speaker.outbound.update(&session(true, 1));
    speaker.outbound.update(&Update::Dave(Dave::Seal(secret(1))));
    speaker.beats(5);
    speaker.outbound.update(&session(true, 2));
    speaker.opener = Opener::new(MODE, &key(2), Backend::AwsLc);
    let frames = speaker.beats(5);
    assert!(frames.len() == 5 && frames.iter().all(|frame| is_sealed(frame)));
    // Not even if a description should say that there is no encryption: that is the group's to say.
    speaker.outbound.update(&session(false, 1));
    speaker.opener = Opener::new(MODE, &key(1), Backend::AwsLc);
    let frames = speaker.beats(5);
    assert!(frames.len() == 5 && frames.iter().all(|frame| is_sealed(frame)));
}

#[test]
fn another_session_starts_without_the_secrets_of_the_last_one() {
    let mut speaker = Speaker::new(&Config::default().e2ee_hold(Duration::ZERO));
    speaker.outbound.update(&session(true, 1));
    speaker.outbound.update(&Update::Dave(Dave::Seal(secret(1))));
    speaker.beats(5);
    speaker.outbound.update(&Update::Detach);
    speaker.outbound.update(&session(true, 1));
    assert!(speaker.beats(5).is_empty());
    speaker.outbound.update(&Update::Detach);
    speaker.outbound.update(&session(false, 1));
    let frames = speaker.beats(5);
    assert!(frames.len() == 5 && !frames.iter().any(|frame| is_sealed(frame)), "a call without encryption");
}

/// What comes in.
struct Listener {
    inbound: Inbound,
    ears: Ears,
    sealer: Sealer,
    seq: Seq,
    now: Instant,
}

impl Listener {
    fn new(encrypted: bool) -> Self {
        #[allow(clippy::disallowed_methods, reason = "any instant will do: time goes on from here by itself")]
        let now = Instant::now();
        let mut inbound = Inbound::new(InboundSettings::from(&Config::default()));
        let mut ears = Ears::default();
        inbound.update(now, &session(encrypted, 1), &mut ears);
        inbound.update(now, &Update::Speaker { ssrc: SSRC, user: user(1) }, &mut ears);
        Self { inbound, ears, sealer: Sealer::new(MODE, &key(1), Backend::AwsLc), seq: Seq(0), now }
    }

    fn told(&mut self, update: Dave) {
        self.inbound.update(self.now, &Update::Dave(update), &mut self.ears);
    }

    /// A frame comes; says whether it is taken for audio.
    fn hears(&mut self, frame: &[u8]) -> bool {
        let before = self.ears.arrivals.len();
        let mut packet = vec![0; 12 + frame.len() + crypto::MAX_OVERHEAD];
        Header::new(self.seq, RtpTime(0), SSRC).write(&mut packet);
        self.seq = self.seq.next();
        packet[12..12 + frame.len()].copy_from_slice(frame);
        let len = self.sealer.seal_rtp(&mut packet, 12, frame.len()).unwrap();
        self.inbound.handle_datagram(self.now, &mut packet[..len], &mut self.ears);
        self.ears.arrivals.len() > before
    }

    fn later(&mut self, time: Duration) {
        self.now += time;
        self.inbound.handle_timeout(self.now, &mut self.ears);
        if self.inbound.poll_tick().is_some_and(|at| at <= self.now) {
            self.inbound.tick(self.now, &mut self.ears);
        }
    }
}

/// Frames of a sender with that secret.
fn sealed(byte: u8, count: usize) -> Vec<Vec<u8>> {
    let mut sealer = dave::Sealer::new();
    sealer.install(&secret(byte));
    let frame = |_| {
        let mut buffer = [0x5A; 128];
        let len = sealer.seal(dave::Codec::Opus, &mut buffer, 60).unwrap();
        buffer[..len].to_vec()
    };
    (0..count).map(frame).collect()
}

const PLAIN: &[u8] = &[0x78, 1, 2, 3, 4, 5, 6, 7];

#[test]
fn plain_frames_pass_in_their_windows_only() {
    let mut listener = Listener::new(true);
    assert!(!listener.hears(PLAIN), "not before anybody said so");
    assert!(listener.hears(&SILENCE_FRAME), "the server's own silence always does");
    listener.told(Dave::AcceptPlain { until: None });
    assert!(listener.hears(PLAIN));
    let end = listener.now + Duration::from_secs(10);
    listener.told(Dave::AcceptPlain { until: Some(end) });
    listener.later(Duration::from_secs(9));
    assert!(listener.hears(PLAIN));
    listener.later(Duration::from_secs(1));
    assert!(!listener.hears(PLAIN));
    let received = listener.inbound.received();
    assert_eq!((received.plain, received.silence, received.refused_plain), (2, 1, 2));

    let mut open = Listener::new(false);
    assert!(open.hears(PLAIN), "a call without encryption");
}

#[test]
fn sealed_frames_wait_for_their_secret_in_order() {
    let mut listener = Listener::new(true);
    let frames = sealed(3, 6);
    for frame in &frames[..3] {
        assert!(!listener.hears(frame));
    }
    let retire = listener.now + Duration::from_secs(10);
    listener.told(Dave::Expect { user: user(1), secret: secret(3), retire });
    assert_eq!(
        listener.ears.arrivals.iter().map(|it| (it.seq.0, it.len)).collect::<Vec<_>>(),
        [(0, 60), (1, 60), (2, 60)]
    );
    assert!(frames[3..].iter().all(|frame| listener.hears(frame)));
    assert!(!listener.hears(&frames[4]), "the same frame again");
    let received = listener.inbound.received();
    assert_eq!((received.opened, received.replayed), (6, 1));
}

#[test]
fn what_no_secret_opens_is_dropped_and_counted() {
    let mut listener = Listener::new(true);
    let stranger = sealed(9, 60);
    assert!(!listener.hears(&stranger[0]));
    listener.later(Duration::from_secs(3));
    assert_eq!(listener.inbound.received().no_key, 1);
    let retire = listener.now + Duration::from_secs(10);
    listener.told(Dave::Expect { user: user(1), secret: secret(3), retire });
    listener.later(Duration::from_millis(20));
    for (index, frame) in stranger[1..].iter().enumerate() {
        assert!(!listener.hears(frame));
        // What needs no key says nothing about keys.
        if index % 20 == 0 {
            assert!(listener.hears(&SILENCE_FRAME) && listener.hears(&[]));
        }
    }
    listener.later(Duration::from_secs(3));
    assert_eq!(listener.inbound.received().undecryptable, 59);
    assert!(listener.inbound.poll_hopeless(), "that many in a row are told to control");
    assert!(!listener.inbound.poll_hopeless(), "once");
    assert_eq!(listener.inbound.received().opened, 0);
}
