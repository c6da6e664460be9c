//! A call that plays, without its clock, and what cannot be avoided when it does.

use std::hint::black_box;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opus::{Application, Bitrate, Channels, Encoder};
use voice_client::EncoderSettings;
use voice_client::TrackId;
use voice_client::layer::crypto::{Backend, Key, Mode};
use voice_client::layer::dave::{self, Secret};
use voice_client::layer::mixer::Track;
use voice_client::layer::mixer::prefetch::Feed;
use voice_client::layer::model::{FRAME, RtpTime, SAMPLE_RATE, Seq, Ssrc};
use voice_client::media::{Command, Outbound, OutboundSettings, Packet, Prepared, Session, Update};

use crate::Outcome;
use crate::signal::{in_stretches, tune};
use crate::source::{Endless, Filler, Frame, frames, packets};

/// What a call reads ahead by default: 64 tracks, 6 MB together, stay in the cache that cores share.
pub const AHEAD: Duration = Duration::from_millis(250);
/// What does not.
pub const FAR_AHEAD: Duration = Duration::from_secs(1);

/// What each of some PCM tracks plays, and how it is encoded.
pub struct Piece {
    pub frames: Arc<[Frame]>,
    pub volume: f32,
    pub encoder: EncoderSettings,
}

impl Piece {
    /// Tracks that together play the tune: the encoder has the same work however many there are.
    pub fn chord(tracks: usize) -> Self {
        Self { frames: frames(&tune()).into(), volume: 1.0 / tracks as f32, encoder: EncoderSettings::default() }
    }
}

/// A call that plays, without its clock.
pub struct Playing {
    outbound: Outbound,
    packet: Packet,
    filler: Filler,
    tracks: u64,
    /// Ticks between two fillings: what is read ahead lasts longer.
    batch: u64,
    ticks: u64,
    sealed: bool,
    pub socket: Option<UdpSocket>,
}

impl Playing {
    /// With so many PCM tracks. Their volume moves so slowly that nobody hears it, or not at all.
    pub fn pcm(tracks: usize, piece: &Piece, ahead: Duration, ramp: bool) -> Self {
        let (filler, feeds) = Filler::start(tracks, ahead, || Endless::pcm(piece.frames.clone()));
        let mut playing = Self::start(filler, feeds, ahead, piece.volume, piece.encoder);
        for id in (0..playing.tracks).filter(|_| ramp) {
            let (volume, ramp) = (1.1 * piece.volume, Duration::from_secs(36_000));
            playing.outbound.command(Command::Volume { id: TrackId(id), volume, ramp });
        }
        playing
    }

    /// With one Opus source.
    ///
    /// # Errors
    ///
    /// libopus encodes nothing.
    pub fn passthrough() -> Outcome<Self> {
        let packets: Arc<[_]> = packets()?.into();
        // Packets are small: a second of them leaves long stretches between fillings.
        let (filler, feeds) = Filler::start(1, FAR_AHEAD, || Endless::opus(packets.clone()));
        Ok(Self::start(filler, feeds, FAR_AHEAD, 1.0, EncoderSettings::default()))
    }

    fn start(filler: Filler, feeds: Vec<Feed>, ahead: Duration, volume: f32, encoder: EncoderSettings) -> Self {
        let tracks = feeds.len() as u64;
        let outbound = outbound(encoder, feeds, volume);
        Self { outbound, packet: [0; _], filler, tracks, batch: batch(ahead), ticks: 0, sealed: false, socket: None }
    }

    /// Encrypts end to end from now on.
    pub fn seal(&mut self) {
        seal(&mut self.outbound);
        self.sealed = true;
    }

    /// Time of so many ticks; reading ahead is not part of it.
    pub fn run(&mut self, ticks: u64) -> Duration {
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
        let len = prepare(&mut self.outbound, &mut self.packet);
        let packet = black_box(&self.packet[..len]);
        let sent = self.socket.as_ref().is_none_or(|socket| socket.send(packet).is_ok());
        self.outbound.finish(sent, &mut self.packet);
    }

    /// Every tick must have played 20 ms of every track, and its packet must have left, sealed if it was to be.
    pub fn check(&self) {
        let played = FRAME * u32::try_from(self.ticks).expect("so many fit into any time");
        for id in (0..self.tracks).map(TrackId) {
            assert_eq!(self.outbound.position(id), Some(played), "{id:?} ran dry: nothing was measured");
        }
        let sent = self.outbound.sent();
        assert_eq!((sent.packets, sent.silence, sent.dropped), (self.ticks, 0, 0), "not every tick sent its packet");
        assert_eq!(
            sent.sealed,
            if self.sealed { self.ticks } else { 0 },
            "not every packet was sealed as it should be"
        );
    }
}

/// The sending half of a call that has joined, and plays these.
pub fn outbound(encoder: EncoderSettings, feeds: Vec<Feed>, volume: f32) -> Outbound {
    let settings = OutboundSettings { encoder, backend: Backend::AwsLc, muted: false, e2ee_hold: Duration::ZERO };
    let mut outbound = Outbound::new(&settings);
    outbound.update(&Update::Session(Session {
        ssrc: Ssrc(1),
        mode: Mode::Aes256GcmRtpsize,
        key: Key::new([7; 32]),
        seq: Seq(0),
        time: RtpTime(0),
        encrypted: false,
    }));
    for (id, feed) in (0..).map(TrackId).zip(feeds) {
        outbound.command(Command::Add { id, track: Box::new(Track::new(feed).volume(volume)) });
    }
    outbound
}

/// Encrypts it end to end from now on.
pub fn seal(outbound: &mut Outbound) {
    outbound.update(&Update::Dave(dave::Update::Seal(Secret::new([7; _]))));
}

/// The length of its next packet.
pub fn prepare(outbound: &mut Outbound, packet: &mut Packet) -> usize {
    let Prepared::Packet(len) = outbound.prepare(1, packet) else { panic!("a tick without a packet") };
    len
}

/// Ticks that so much audio lasts for.
pub fn batch(ahead: Duration) -> u64 {
    (ahead.as_millis() / FRAME.as_millis()) as u64 - 1
}

/// libopus alone on the mixed piece, set up as a call's encoder is.
pub struct BareEncoder {
    encoder: Encoder,
    frames: Arc<[Frame]>,
    next: usize,
    packet: [u8; 1_276],
    pub socket: Option<UdpSocket>,
}

impl BareEncoder {
    /// # Errors
    ///
    /// libopus does not take these settings.
    pub fn new(piece: &Piece) -> opus::Result<Self> {
        let config = piece.encoder;
        let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
        encoder.set_bitrate(match config.bitrate {
            voice_client::Bitrate::Bits(bits) => Bitrate::Bits(bits as i32),
            // What the channel has while nobody has said.
            _ => Bitrate::Bits(64_000),
        })?;
        encoder.set_complexity(config.complexity.into())?;
        encoder.set_inband_fec(config.fec)?;
        encoder.set_packet_loss_perc(0)?;
        encoder.set_dtx(config.dtx)?;
        Ok(Self { encoder, frames: piece.frames.clone(), next: 0, packet: [0; _], socket: None })
    }

    pub fn run(&mut self, frames: u64) -> Duration {
        in_stretches(frames, || {
            let frame = &self.frames[self.next % self.frames.len()];
            self.next += 1;
            let len = self.encoder.encode_float(frame, &mut self.packet).expect("libopus takes any frame");
            if let Some(socket) = &self.socket {
                socket.send(&self.packet[..len]).expect("the socket takes any packet");
            }
        })
    }
}

/// A socket whose packets go to another one on this machine, which nobody reads.
pub fn to_nowhere() -> std::io::Result<UdpSocket> {
    // The kernel keeps the address as long as the program runs; closed, it would refuse packets.
    let sink = Box::leak(Box::new(UdpSocket::bind("127.0.0.1:0")?));
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(sink.local_addr()?)?;
    Ok(socket)
}
