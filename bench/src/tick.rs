//! One tick of a call, as its clock thread does it: mix, encode or pass through, header, seal, and send.

use std::error::Error;
use std::hint::black_box;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use opus::{Application, Bitrate, Channels, Encoder};
use voice_client::TrackId;
use voice_client::layer::crypto::{Backend, Key, Mode};
use voice_client::layer::dave::{self, Secret};
use voice_client::layer::mixer::{EncoderConfig, Track};
use voice_client::layer::model::{FRAME, RtpTime, SAMPLE_RATE, Seq, Ssrc};
use voice_client::media::{Command, Outbound, OutboundSettings, Prepared, Session, Update};

use crate::Outcome;
use crate::row::{Figure, Row, Wanted};
use crate::source::{Endless, FRAMES, Filler, PACKET, packets, tune};
use crate::suite::{Side, Suite, repeat};

/// Bytes of a passthrough packet on the wire: RTP header, tag and nonce are around it.
const ON_WIRE: usize = 12 + PACKET + 16 + 4;
/// What a call reads ahead by default: 64 tracks, 6 MB together, stay in the cache that cores share.
const AHEAD: Duration = Duration::from_millis(250);
/// What does not.
const FAR_AHEAD: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(3);
/// For small differences of long times.
const LONG: Duration = Duration::from_secs(10);

pub fn run(suite: &mut Suite) -> Outcome {
    for socket in [false, true] {
        for tracks in [1, 4, 16, 64] {
            pcm(suite, tracks, socket)?;
        }
        passthrough(suite, socket)?;
    }
    encryption(suite)?;
    one_more(suite, "tick/one-more-track", AHEAD, false, Some(600.0));
    one_more(suite, "tick/one-more-track/ramp", AHEAD, true, Some(1_000.0));
    one_more(suite, "tick/one-more-track/from-memory", FAR_AHEAD, false, None);
    Ok(())
}

fn pcm(suite: &mut Suite, tracks: usize, socket: bool) -> Outcome {
    let name = format!("tick/pcm-{tracks}{}", if socket { "/socket" } else { "" });
    if !suite.wants(&name) {
        return Ok(());
    }
    let mut playing = Playing::pcm(tracks, AHEAD, false);
    let mut limit = BareEncoder::new()?;
    if socket {
        playing.socket = Some(to_nowhere()?);
        limit.socket = Some(to_nowhere()?);
    }
    let sides: [&mut dyn Side; 2] = [&mut |times| playing.run(times), &mut |times| limit.run(times)];
    let [ours, limit] = suite.compare(&name, TIME, sides);
    playing.check();
    suite.push(Row::new(name, Figure::Time(ours.median())).limit(limit.median()));
    Ok(())
}

fn passthrough(suite: &mut Suite, socket: bool) -> Outcome {
    let name = format!("tick/passthrough{}", if socket { "/socket" } else { "" });
    if !suite.wants(&name) {
        return Ok(());
    }
    let mut playing = Playing::passthrough()?;
    let row = if socket {
        playing.socket = Some(to_nowhere()?);
        let bare = to_nowhere()?;
        let mut limit = repeat(|| bare.send(&[0x5A; ON_WIRE]));
        let [ours, limit] = suite.compare(&name, TIME, [&mut |times| playing.run(times), &mut limit]);
        Row::new(name, Figure::Time(ours.median())).limit(limit.median())
    } else {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32])?);
        let mut text = [0x5A; PACKET];
        let mut limit = repeat(|| {
            let nonce = Nonce::assume_unique_for_key([0; 12]);
            key.seal_in_place_separate_tag(nonce, Aad::from([0x80; 12]), &mut text).map(|tag| tag.as_ref()[0])
        });
        let [ours, limit] = suite.compare(&name, TIME, [&mut |times| playing.run(times), &mut limit]);
        Row::new(name, Figure::Time(ours.median())).limit(limit.median()).wanted(Wanted::AtMost(200.0))
    };
    playing.check();
    suite.push(row);
    Ok(())
}

/// What end-to-end encryption adds to a passthrough tick, sample by sample.
fn encryption(suite: &mut Suite) -> Outcome {
    let name = "tick/passthrough/dave";
    if !suite.wants(name) {
        return Ok(());
    }
    let (mut sealed, mut plain) = (Playing::passthrough()?, Playing::passthrough()?);
    sealed.outbound.update(&Update::Dave(dave::Update::Seal(Secret::new([7; _]))));
    let sides: [&mut dyn Side; 2] = [&mut |times| sealed.run(times), &mut |times| plain.run(times)];
    let [with, without] = suite.compare(name, TIME, sides);
    sealed.check();
    plain.check();
    assert_eq!(sealed.outbound.sent().sealed, sealed.ticks, "not every packet was sealed");
    let more = with.beyond(&without).median();
    suite.push(Row::new(name, Figure::Time(more)).wanted(Wanted::AtMost(150.0)));
    Ok(())
}

/// What one more track costs: the difference between 16 and 64 of them, sample by sample.
fn one_more(suite: &mut Suite, name: &str, ahead: Duration, ramp: bool, wanted: Option<f64>) {
    if !suite.wants(name) {
        return;
    }
    let (few, many) = (16, 64);
    let [mut few_play, mut many_play] = [few, many].map(|tracks| Playing::pcm(tracks, ahead, ramp));
    let sides: [&mut dyn Side; 2] = [&mut |times| many_play.run(times), &mut |times| few_play.run(times)];
    let [many_samples, few_samples] = suite.compare(name, LONG, sides);
    few_play.check();
    many_play.check();
    let one = many_samples.beyond(&few_samples).median() / (many - few) as f64;
    suite.push(Row { wanted: wanted.map(Wanted::AtMost), ..Row::new(name, Figure::Time(one)) });
}

/// A call that plays, without its clock.
struct Playing {
    outbound: Outbound,
    filler: Filler,
    tracks: u64,
    /// Ticks between two fillings: what is read ahead lasts longer.
    batch: u64,
    ticks: u64,
    socket: Option<UdpSocket>,
}

impl Playing {
    /// With so many PCM tracks, which together play the tune: the encoder has the same work however many there are.
    /// Their volume is below one, or moves so slowly that nobody hears it.
    fn pcm(tracks: usize, ahead: Duration, ramp: bool) -> Self {
        let frames: Arc<[_]> = tune().into();
        let mut playing = Self::start(tracks, ahead, || Endless::pcm(frames.clone()), 1.0 / tracks as f32);
        for id in (0..playing.tracks).filter(|_| ramp) {
            let (volume, ramp) = (1.1 / tracks as f32, Duration::from_secs(36_000));
            playing.outbound.command(Command::Volume { id: TrackId(id), volume, ramp });
        }
        playing
    }

    /// With one Opus source.
    fn passthrough() -> Result<Self, Box<dyn Error>> {
        let packets: Arc<[_]> = packets()?.into();
        // Packets are small: a second of them leaves long stretches between fillings.
        Ok(Self::start(1, FAR_AHEAD, || Endless::opus(packets.clone()), 1.0))
    }

    fn start(tracks: usize, ahead: Duration, source: impl Fn() -> Endless, volume: f32) -> Self {
        let mut outbound = Outbound::new(&OutboundSettings {
            encoder: EncoderConfig::default(),
            backend: Backend::AwsLc,
            muted: false,
            e2ee_hold: Duration::ZERO,
        });
        outbound.update(&Update::Session(Session {
            ssrc: Ssrc(1),
            mode: Mode::Aes256GcmRtpsize,
            key: Key::new([7; 32]),
            seq: Seq(0),
            time: RtpTime(0),
            encrypted: false,
        }));
        let (filler, feeds) = Filler::start(tracks, ahead, source);
        for (id, feed) in (0..).map(TrackId).zip(feeds) {
            outbound.command(Command::Add { id, track: Box::new(Track::new(feed).volume(volume)) });
        }
        let batch = (ahead.as_millis() / FRAME.as_millis()) as u64 - 1;
        Self { outbound, filler, tracks: tracks as u64, batch, ticks: 0, socket: None }
    }

    /// Time of so many ticks; reading ahead is not part of it.
    fn run(&mut self, ticks: u64) -> Duration {
        let mut time = Duration::ZERO;
        let mut left = ticks;
        while left > 0 {
            self.filler.fill();
            let batch = left.min(self.batch);
            let start = Instant::now();
            for _ in 0..batch {
                self.tick();
            }
            time += start.elapsed();
            left -= batch;
        }
        self.ticks += ticks;
        time
    }

    fn tick(&mut self) {
        let Prepared::Packet(len) = self.outbound.prepare(1) else { panic!("a tick without a packet") };
        let packet = black_box(self.outbound.packet(len));
        let sent = self.socket.as_ref().is_none_or(|socket| socket.send(packet).is_ok());
        self.outbound.finish(sent);
    }

    /// Every tick must have played 20 ms of every track, and its packet must have left.
    fn check(&self) {
        let played = FRAME * u32::try_from(self.ticks).expect("so many fit into any time");
        for id in (0..self.tracks).map(TrackId) {
            assert_eq!(self.outbound.position(id), Some(played), "{id:?} ran dry: nothing was measured");
        }
        let sent = self.outbound.sent();
        assert_eq!((sent.packets, sent.silence, sent.dropped), (self.ticks, 0, 0), "not every tick sent its packet");
    }
}

/// libopus alone on the mixed tune, set up as a call's encoder is.
struct BareEncoder {
    encoder: Encoder,
    frames: Vec<Vec<f32>>,
    next: usize,
    packet: [u8; 1_276],
    socket: Option<UdpSocket>,
}

impl BareEncoder {
    fn new() -> opus::Result<Self> {
        let config = EncoderConfig::default();
        let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
        encoder.set_bitrate(config.bitrate.map_or(Bitrate::Auto, |bits| Bitrate::Bits(bits as i32)))?;
        encoder.set_complexity(config.complexity.into())?;
        encoder.set_inband_fec(config.fec)?;
        encoder.set_packet_loss_perc(config.expected_loss.into())?;
        encoder.set_dtx(config.dtx)?;
        Ok(Self { encoder, frames: tune(), next: 0, packet: [0; _], socket: None })
    }

    fn run(&mut self, frames: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..frames {
            let frame = &self.frames[self.next % FRAMES];
            self.next += 1;
            let len = self.encoder.encode_float(frame, &mut self.packet).expect("libopus takes any frame");
            if let Some(socket) = &self.socket {
                socket.send(&self.packet[..len]).expect("the socket takes any packet");
            }
        }
        start.elapsed()
    }
}

/// A socket whose packets go to another one on this machine, which nobody reads.
fn to_nowhere() -> std::io::Result<UdpSocket> {
    // The kernel keeps the address as long as the program runs; closed, it would refuse packets.
    let sink = Box::leak(Box::new(UdpSocket::bind("127.0.0.1:0")?));
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(sink.local_addr()?)?;
    Ok(socket)
}
