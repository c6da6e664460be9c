//! The 20 ms path allocates nothing once it is warm: counted over 1,000 ticks and 1,000 packets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use allocation_counter::measure;
use opus::{Application, Channels, Encoder};
use voice_client::layer::crypto::{Key, Mode};
use voice_client::layer::dave::{self, Secret};
use voice_client::layer::mixer::prefetch::{self, Reader, Step};
use voice_client::layer::mixer::{Track, TrackId};
use voice_client::layer::model::{FRAME, FRAME_SAMPLES, RtpTime, Seq, Ssrc};
use voice_client::layer::receive::Heard;
use voice_client::media::{
    AudioPacket, Command, Inbound, InboundSettings, Outbound, OutboundSettings, Prepared, Session, Sink, Speech, Update,
};
use voice_client::source::Source;
use voice_client::source::generate::Tone;
use voice_client::source::opus::Packets;
use voice_client::{Config, UserId};

const TICKS: usize = 1_000;
const WARM: usize = 50;
const MODES: [Mode; 2] = [Mode::Aes256GcmRtpsize, Mode::XChaCha20Poly1305Rtpsize];

fn session(mode: Mode) -> Session {
    let (seq, time) = (Seq(65_000), RtpTime(u32::MAX - 48_000));
    Session { ssrc: Ssrc(7), mode, key: Key::new([9; 32]), seq, time, encrypted: true }
}

fn secret() -> Secret {
    Secret::new([3; 16])
}

/// End-to-end encrypted, as calls are.
fn outbound(mode: Mode) -> Outbound {
    let mut outbound = Outbound::new(&OutboundSettings::from(&Config::default()));
    outbound.update(&Update::Session(session(mode)));
    outbound.update(&Update::Dave(dave::Update::Seal(secret())));
    outbound
}

/// Plays a source, all of which is read ahead.
fn play(outbound: &mut Outbound, id: u64, source: impl Source + 'static) -> Reader {
    let (mut reader, feed) =
        prefetch::pipe(Box::new(source), prefetch::Config::default().length(Duration::from_secs(25)));
    while let Step::Progress = reader.step() {}
    assert!(outbound.command(Command::Add { id: TrackId(id), track: Box::new(Track::new(feed)) }).is_none());
    reader
}

/// One beat, sent by `send`; how many packets that were.
fn beat(outbound: &mut Outbound, mut send: impl FnMut(&[u8])) -> usize {
    let mut packets = 0;
    let mut buffer = [0; _];
    let mut prepared = outbound.prepare(1, &mut buffer);
    while let Prepared::Packet(len) = prepared {
        send(&buffer[..len]);
        packets += 1;
        prepared = outbound.finish(true, &mut buffer);
    }
    packets
}

fn beats(outbound: &mut Outbound, count: usize) -> usize {
    (0..count).map(|_| beat(outbound, |packet| assert!(packet.len() > 12))).sum()
}

/// Opus packets of changing sizes, of which many fit into the room that is made for a time.
fn packets(count: usize) -> Packets {
    let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(48_000)).unwrap();
    let packet = |n: usize| {
        let hum = |i: usize| ((n * FRAME_SAMPLES + i / 2) as f32 * (0.01 + (n % 7) as f32 * 0.003)).sin() * 0.3;
        let pcm: Vec<f32> = (0..2 * FRAME_SAMPLES).map(hum).collect();
        encoder.encode_vec_float(&pcm, 1_275).unwrap()
    };
    Packets::new((0..count).map(packet).collect::<Vec<_>>())
}

#[test]
fn a_thousand_ticks_of_four_tracks() {
    for mode in MODES {
        let mut outbound = outbound(mode);
        let readers: Vec<Reader> = (0..4_u32)
            .map(|id| play(&mut outbound, id.into(), Tone::new(300.0 + 50.0 * f64::from(id), 0.2, None)))
            .collect();
        beats(&mut outbound, WARM);
        let counted = measure(|| {
            assert_eq!(beats(&mut outbound, TICKS / 2), TICKS / 2);
            assert!(outbound.command(Command::Pause { id: TrackId(0), paused: true }).is_none());
            let louder = Command::Volume { id: TrackId(1), volume: 1.5, ramp: Duration::from_secs(1) };
            assert!(outbound.command(louder).is_none());
            assert_eq!(beats(&mut outbound, TICKS / 2), TICKS / 2);
        });
        assert_eq!(counted.count_total, 0, "{mode:?}");
        assert_eq!(outbound.sent().packets as usize, WARM + TICKS);
        assert_eq!(outbound.sent().sealed as usize, WARM + TICKS);
        drop(readers);
    }
}

#[test]
fn a_thousand_ticks_of_packets_passed_through_and_the_end_of_speech() {
    for mode in MODES {
        let mut outbound = outbound(mode);
        let _reader = play(&mut outbound, 1, packets(WARM + TICKS));
        beats(&mut outbound, WARM);
        let counted = measure(|| assert_eq!(beats(&mut outbound, TICKS + 100), TICKS + 5));
        assert_eq!(counted.count_total, 0, "{mode:?}");
        assert_eq!(outbound.sent().silence, 5);
        assert!(outbound.pop_ended().is_some());
    }
}

/// Counts what is heard.
#[derive(Default)]
struct Ears {
    frames: usize,
    arrivals: usize,
    loudest: f32,
}

impl Sink for Ears {
    fn audio(&mut self, _now: Instant, _user: UserId, heard: &Heard<'_>) {
        self.frames += 1;
        self.loudest = heard.pcm.iter().fold(self.loudest, |loudest, sample| loudest.max(sample.abs()));
    }

    fn packet(&mut self, _packet: &AudioPacket<'_>) {
        self.arrivals += 1;
    }

    fn speech(&mut self, _speech: Speech) {}
}

#[test]
fn a_thousand_packets_received() {
    #[allow(clippy::disallowed_methods, reason = "any instant will do: time goes on from here by itself")]
    let start = Instant::now();
    for mode in MODES {
        let mut sender = outbound(mode);
        let _reader = play(&mut sender, 1, packets(WARM + TICKS));
        let mut wire = Vec::new();
        for _ in 0..WARM + TICKS {
            assert_eq!(beat(&mut sender, |packet| wire.push(packet.to_vec())), 1);
        }

        let mut inbound = Inbound::new(InboundSettings::from(&Config::default()));
        let mut ears = Ears::default();
        inbound.update(start, &Update::Session(session(mode)), &mut ears);
        let user = UserId::new(1).unwrap();
        inbound.update(start, &Update::Speaker { ssrc: Ssrc(7), user }, &mut ears);
        let expect = dave::Update::Expect { user, secret: secret(), retire: start };
        inbound.update(start, &Update::Dave(expect), &mut ears);
        let mut pings = 0;
        let mut hear = |numbers: std::ops::Range<usize>| {
            for number in numbers {
                let now = start + FRAME * number as u32;
                assert!(!inbound.handle_datagram(now, &mut wire[number], &mut ears), "nothing of IP discovery");
                inbound.handle_timeout(now, &mut ears);
                if inbound.poll_tick().is_some_and(|due| due <= now) {
                    inbound.tick(now, &mut ears);
                }
                pings += u32::from(inbound.poll_ping().is_some());
            }
        };
        hear(0..WARM);
        let counted = measure(|| hear(WARM..WARM + TICKS));
        assert_eq!(counted.count_total, 0, "{mode:?}");
        assert_eq!((inbound.received().packets as usize, ears.arrivals), (WARM + TICKS, WARM + TICKS));
        assert_eq!(inbound.received().opened as usize, WARM + TICKS);
        assert!(ears.frames >= TICKS && ears.loudest > 0.2, "{} frames, {}", ears.frames, ears.loudest);
        assert!(pings >= 4, "one every five seconds");
        assert_eq!(inbound.heard()[&UserId::new(1).unwrap()].lost, 0);
    }
}
