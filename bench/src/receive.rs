//! The receiving path of an encrypted call: one packet from the socket's buffer to the jitter buffer (parse, open both
//! seals, push), and all of it with decoding.

use std::hint::black_box;
use std::time::{Duration, Instant};

use voice_client::layer::crypto::{Backend, Key, MAX_OVERHEAD, Mode, Sealer as TransportSealer};
use voice_client::layer::dave::{self, Codec, Sealer, Secret};
use voice_client::layer::model::{CHANNELS, FRAME, FRAME_SAMPLES, RtpTime, SAMPLE_RATE, Seq, Ssrc};
use voice_client::layer::receive::{self, Decode, Heard};
use voice_client::media::{AudioPacket, Inbound, InboundSettings, Session, Sink, Speech, Update};
use voice_client::{Config, UserId};

use crate::Outcome;
use crate::row::{Figure, Row, Wanted};
use crate::suite::{Suite, repeat};

const PACKET: &str = "receive/dave";
const PCM: &str = "receive/pcm-50";
const SPEAKERS: u32 = 50;
/// Bytes of Opus.
const FRAME_LEN: usize = 160;
const HEADER: usize = 12;
const KEY: [u8; 32] = [7; 32];
const TIME: Duration = Duration::from_secs(2);
/// A tick of 50 decoders takes a millisecond.
const LONG: Duration = Duration::from_secs(6);
/// Packets of speech-like sound that speakers repeat.
const PACKETS: usize = 100;

pub fn run(suite: &mut Suite) -> Outcome {
    if suite.wants(PACKET) {
        let mut call = Call::start(Decode::Packets, vec![vec![0x5A; FRAME_LEN]]);
        let [ours] = suite.compare(PACKET, TIME, [&mut |times| call.packets(times)]);
        call.check()?;
        suite.push(Row::new(PACKET, Figure::Time(ours.median())).wanted(Wanted::AtMost(450.0)));
    }
    if suite.wants(PCM) {
        let packets = packets()?;
        let mut call = Call::start(Decode::Pcm, packets.clone());
        let mut bare = Bare::new(packets)?;
        let mut ours = |times| call.ticks(times);
        let mut limit = repeat(|| bare.tick());
        let [ours, limit] = suite.compare(PCM, LONG, [&mut ours, &mut limit]);
        call.check()?;
        let row = Row::new(PCM, Figure::Time(ours.median())).limit(limit.median());
        suite.push(row.wanted(Wanted::OfLimit(1.10)));
    }
    Ok(())
}

/// 20 ms each, of what a voice is made of, at 64 kbit/s.
fn packets() -> Outcome<Vec<Vec<u8>>> {
    let mut encoder = opus::Encoder::new(SAMPLE_RATE, opus::Channels::Stereo, opus::Application::Voip)?;
    encoder.set_bitrate(opus::Bitrate::Bits(64_000))?;
    let voice = |at: usize| {
        let time = at as f32 / SAMPLE_RATE as f32;
        let syllable = (time * 12.0).sin().abs().sqrt();
        let hum: f32 = (1_u8..12).map(|n| (time * 880.0 * f32::from(n)).sin() / f32::from(n)).sum();
        0.15 * syllable * hum
    };
    let mut packets = Vec::new();
    for packet in 0..PACKETS {
        let samples = packet * FRAME_SAMPLES..(packet + 1) * FRAME_SAMPLES;
        let pcm: Vec<f32> = samples.flat_map(|at| [voice(at); CHANNELS]).collect();
        packets.push(encoder.encode_vec_float(&pcm, 1_275)?);
    }
    Ok(packets)
}

/// Decoders and nothing else.
struct Bare {
    decoders: Vec<opus::Decoder>,
    packets: Vec<Vec<u8>>,
    pcm: Vec<f32>,
    beat: usize,
}

impl Bare {
    fn new(packets: Vec<Vec<u8>>) -> Outcome<Self> {
        let decoder = |_| opus::Decoder::new(SAMPLE_RATE, opus::Channels::Stereo);
        let decoders = (0..SPEAKERS).map(decoder).collect::<Result<_, _>>()?;
        Ok(Self { decoders, packets, pcm: vec![0.0; FRAME_SAMPLES * CHANNELS], beat: 0 })
    }

    fn tick(&mut self) {
        for (number, decoder) in self.decoders.iter_mut().enumerate() {
            let packet = &self.packets[(self.beat + number) % self.packets.len()];
            black_box(decoder.decode_float(packet, &mut self.pcm, false).ok());
        }
        self.beat += 1;
    }
}

/// Many who speak at the same time, and one who listens.
struct Call {
    inbound: Inbound,
    now: Instant,
    speakers: Vec<Speaker>,
    transport: TransportSealer,
    /// Of the beat to come.
    seq: Seq,
    time: RtpTime,
    /// What speakers say, over and over, each beginning at another place.
    content: Vec<Vec<u8>>,
    beat: usize,
    packets: u64,
    ears: Ears,
}

struct Speaker {
    ssrc: Ssrc,
    sealer: Sealer,
    packet: Vec<u8>,
    len: usize,
}

/// Counts what is heard.
#[derive(Default)]
struct Ears {
    frames: u64,
}

impl Sink for Ears {
    fn audio(&mut self, _: Instant, _: UserId, heard: &Heard<'_>) {
        self.frames += u64::from(!heard.pcm.is_empty());
    }
    fn packet(&mut self, _: &AudioPacket<'_>) {}
    fn speech(&mut self, _: Speech) {}
}

impl Call {
    fn start(decode: Decode, content: Vec<Vec<u8>>) -> Self {
        let (now, mode) = (Instant::now(), Mode::Aes256GcmRtpsize);
        let config = Config::default().receive(receive::Config::default().decode(decode));
        let (mut inbound, mut ears) = (Inbound::new(InboundSettings::from(&config)), Ears::default());
        let session =
            Session { ssrc: Ssrc(1), mode, key: Key::new(KEY), seq: Seq(0), time: RtpTime(0), encrypted: true };
        inbound.update(now, &Update::Session(session), &mut ears);
        let mut speaker = |number: u32| {
            let (user, ssrc) = (UserId::new(u64::from(number)).expect("not 0"), Ssrc(1_000 + number));
            let secret = Secret::new([number as u8; _]);
            inbound.update(now, &Update::Speaker { ssrc, user }, &mut ears);
            let expect = dave::Update::Expect { user, secret: secret.clone(), retire: now };
            inbound.update(now, &Update::Dave(expect), &mut ears);
            let mut sealer = Sealer::new();
            sealer.install(&secret);
            let room = HEADER + Sealer::max_len(Codec::Opus, 1_275) + MAX_OVERHEAD;
            Speaker { ssrc, sealer, packet: vec![0; room], len: 0 }
        };
        let speakers = (1..=SPEAKERS).map(&mut speaker).collect();
        let transport = TransportSealer::new(mode, &Key::new(KEY), Backend::AwsLc);
        let (seq, time) = (Seq(0), RtpTime(0));
        Self { inbound, now, speakers, transport, seq, time, content, beat: 0, packets: 0, ears }
    }

    /// Time of so many packets; sealing and playing out are not part of it.
    fn packets(&mut self, times: u64) -> Duration {
        let (mut left, mut time) = (times, Duration::ZERO);
        while left > 0 {
            let count = left.min(SPEAKERS.into());
            time += self.arrive(count as usize);
            left -= count;
            self.inbound.tick(self.now, &mut self.ears);
        }
        time
    }

    /// Time of so many beats of 20 ms: a packet of everybody, and all of them decoded.
    fn ticks(&mut self, times: u64) -> Duration {
        let mut time = Duration::ZERO;
        for _ in 0..times {
            time += self.arrive(SPEAKERS as usize);
            let start = Instant::now();
            self.inbound.tick(self.now, &mut self.ears);
            time += start.elapsed();
        }
        time
    }

    /// A packet each of so many speakers.
    fn arrive(&mut self, count: usize) -> Duration {
        self.seal(count);
        let start = Instant::now();
        for speaker in &mut self.speakers[..count] {
            self.inbound.handle_datagram(self.now, &mut speaker.packet[..speaker.len], &mut self.ears);
        }
        let time = start.elapsed();
        self.packets += count as u64;
        self.now += FRAME;
        self.inbound.handle_timeout(self.now, &mut self.ears);
        time
    }

    /// Nothing was lost, and what was to be heard was.
    fn check(&self) -> Outcome {
        let received = self.inbound.received();
        let lost: u64 = self.inbound.heard().values().map(|stats| stats.lost + stats.late + stats.malformed).sum();
        if received.packets != self.packets || received.opened != self.packets {
            return Err(format!("{} packets came: {received:?}", self.packets).into());
        }
        if self.content.len() > 1 && (lost > 0 || self.ears.frames + 50 * u64::from(SPEAKERS) < self.packets) {
            return Err(format!("{} frames of {} packets, {lost} lost", self.ears.frames, self.packets).into());
        }
        Ok(())
    }

    /// The packets of one beat.
    fn seal(&mut self, count: usize) {
        for (number, Speaker { ssrc, sealer, packet, len }) in self.speakers[..count].iter_mut().enumerate() {
            let frame = &self.content[(self.beat + number) % self.content.len()];
            packet[..2].copy_from_slice(&[0x80, 0x78]);
            packet[2..4].copy_from_slice(&self.seq.0.to_be_bytes());
            packet[4..8].copy_from_slice(&self.time.0.to_be_bytes());
            packet[8..HEADER].copy_from_slice(&ssrc.0.to_be_bytes());
            packet[HEADER..HEADER + frame.len()].copy_from_slice(frame);
            let sealed = sealer.seal(Codec::Opus, &mut packet[HEADER..], frame.len()).expect("there is a secret");
            *len = self.transport.seal_rtp(packet, HEADER, sealed).expect("there is room");
        }
        self.beat += 1;
        self.seq = Seq(self.seq.0.wrapping_add(1));
        self.time = RtpTime(self.time.0.wrapping_add(FRAME_SAMPLES as u32));
    }
}
