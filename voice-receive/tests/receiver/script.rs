use std::f32::consts::TAU;
use std::time::{Duration, Instant};

use voice_model::{FRAME, FRAME_SAMPLES, RtpTime, SAMPLE_RATE, SILENCE_FRAME, Seq, Ssrc};
use voice_receive::{Config, Heard, Kind, Mix, Receiver, Stats};

pub(crate) const SSRC: Ssrc = Ssrc(0xC0FFEE);

/// One delivered frame, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) ssrc: Ssrc,
    /// Ticks before this one.
    pub(crate) tick: u32,
    pub(crate) time: u32,
    pub(crate) seq: Option<u16>,
    pub(crate) kind: Kind,
    pub(crate) mix: Mix,
    pub(crate) pcm: Vec<f32>,
    pub(crate) packet: Vec<u8>,
    pub(crate) samples: u32,
    pub(crate) depth: Duration,
}

impl Frame {
    fn of(tick: u32, heard: &Heard<'_>) -> Self {
        Self {
            ssrc: heard.ssrc,
            tick,
            time: heard.time.0,
            seq: heard.seq.map(|seq| seq.0),
            kind: heard.kind,
            mix: heard.mix,
            pcm: heard.pcm.to_vec(),
            packet: heard.packet.to_vec(),
            samples: heard.samples,
            depth: heard.depth,
        }
    }
}

/// A delay of 40 ms that does not adapt: packets that come as ticks pass are played two ticks later.
pub(crate) fn fixed() -> Config {
    Config::default().delay(2 * FRAME).stretch(false)
}

/// A receiver in virtual time.
pub(crate) struct Script {
    pub(crate) receiver: Receiver,
    pub(crate) now: Instant,
    pub(crate) heard: Vec<Frame>,
    /// Speakers are ticked on another thread.
    pub(crate) elsewhere: bool,
    ticks: u32,
}

impl Script {
    pub(crate) fn new(config: Config) -> Self {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        Self { receiver: Receiver::new(config), now, heard: Vec::new(), elsewhere: false, ticks: 0 }
    }

    pub(crate) fn push(&mut self, seq: u16, time: u32, frame: &[u8]) {
        self.receiver.push(self.now, SSRC, Seq(seq), RtpTime(time), frame);
    }

    /// Gives out 20 ms, then lets them pass.
    pub(crate) fn tick(&mut self) {
        self.tick_at(self.now);
    }

    /// The same, on another grid.
    pub(crate) fn tick_at(&mut self, now: Instant) {
        let (heard, tick) = (&mut self.heard, self.ticks);
        let mut deliver = |frame: Heard<'_>| heard.push(Frame::of(tick, &frame));
        if self.elsewhere {
            let mut due = Vec::new();
            self.receiver.take_due(now, &mut due);
            let speakers = std::thread::scope(|scope| {
                let worker = scope.spawn(|| {
                    due.iter_mut().for_each(|speaker| speaker.tick(now, &mut deliver));
                    due
                });
                worker.join().expect("no panic")
            });
            self.receiver.give_back(now, speakers);
        } else {
            self.receiver.tick(now, &mut deliver);
        }
        self.now += FRAME;
        self.ticks += 1;
    }

    pub(crate) fn ticks(&mut self, count: u32) {
        (0..count).for_each(|_| self.tick());
    }

    /// One packet, and a tick right after it.
    pub(crate) fn play(&mut self, seq: u16, time: u32, frame: &[u8]) {
        self.push(seq, time, frame);
        self.tick();
    }

    /// Plays the five silence frames that end speech, then runs until nobody is active.
    pub(crate) fn end(&mut self, seq: u16, time: u32) {
        for number in 0..5 {
            self.play(seq.wrapping_add(number), time.wrapping_add(960 * u32::from(number)), &SILENCE_FRAME);
        }
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        for _ in 0..200 {
            if self.receiver.poll_timeout().is_none() {
                return;
            }
            self.tick();
        }
        panic!("still active after four seconds");
    }

    pub(crate) fn stats(&self) -> Stats {
        self.receiver.stats(SSRC).expect("the speaker is known")
    }

    /// All samples heard, by origin.
    pub(crate) fn mix(&self) -> Mix {
        self.heard.iter().fold(Mix::default(), |mut sum, frame| {
            sum.silence += frame.mix.silence;
            sum.received += frame.mix.received;
            sum.fec += frame.mix.fec;
            sum.concealed += frame.mix.concealed;
            sum
        })
    }

    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.heard.iter().map(|frame| frame.kind).collect()
    }

    pub(crate) fn times(&self) -> Vec<u32> {
        self.heard.iter().map(|frame| frame.time).collect()
    }

    pub(crate) fn pcm(&self) -> Vec<f32> {
        self.heard.iter().flat_map(|frame| frame.pcm.iter().copied()).collect()
    }
}

/// Encodes a stereo tone, packet after packet.
pub(crate) struct Tone {
    encoder: opus::Encoder,
    pub(crate) hertz: f32,
    position: usize,
}

impl Tone {
    pub(crate) fn new(hertz: f32) -> Self {
        Self::with(hertz, opus::Encoder::new(SAMPLE_RATE, opus::Channels::Stereo, opus::Application::Audio))
    }

    /// A speech encoder with forward error correction in every packet.
    pub(crate) fn redundant(hertz: f32) -> Self {
        let mut tone =
            Self::with(hertz, opus::Encoder::new(SAMPLE_RATE, opus::Channels::Stereo, opus::Application::Voip));
        tone.encoder.set_bitrate(opus::Bitrate::Bits(32_000)).expect("a legal bitrate");
        tone.encoder.set_max_bandwidth(opus::Bandwidth::Wideband).expect("a legal bandwidth");
        tone.encoder.set_inband_fec(true).expect("a legal setting");
        tone.encoder.set_packet_loss_perc(30).expect("a legal share");
        tone
    }

    fn with(hertz: f32, encoder: opus::Result<opus::Encoder>) -> Self {
        Self { encoder: encoder.expect("libopus makes an encoder"), hertz, position: 0 }
    }

    /// The next `samples` per channel as they go into the encoder.
    fn wave(&mut self, samples: usize) -> Vec<f32> {
        let start = self.position;
        self.position += samples;
        let amplitude = |at: usize| 0.4 * (TAU * self.hertz * at as f32 / SAMPLE_RATE as f32).sin();
        (start..start + samples).flat_map(|at| [amplitude(at); 2]).collect()
    }

    pub(crate) fn packet(&mut self, samples: usize) -> Vec<u8> {
        let wave = self.wave(samples);
        self.encoder.encode_vec_float(&wave, 4000).expect("a legal length")
    }

    pub(crate) fn packets(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.packet(FRAME_SAMPLES)).collect()
    }
}

/// What a decoder makes of packets that all arrive.
pub(crate) fn decoded(packets: &[Vec<u8>]) -> Vec<f32> {
    let mut decoder = opus::Decoder::new(SAMPLE_RATE, opus::Channels::Stereo).expect("libopus makes a decoder");
    let mut pcm = vec![0.0; 2 * 5760];
    let mut all = Vec::new();
    for packet in packets {
        let samples = decoder.decode_float(packet, &mut pcm, false).expect("an encoded packet");
        all.extend_from_slice(&pcm[..2 * samples]);
    }
    all
}

/// Mean square of the differences, relative to that of `wanted`.
pub(crate) fn error(heard: &[f32], wanted: &[f32]) -> f32 {
    let power: f32 = wanted.iter().map(|sample| sample * sample).sum();
    heard.iter().zip(wanted).map(|(heard, wanted)| (heard - wanted).powi(2)).sum::<f32>() / power
}

/// A small deterministic generator (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) % sides
    }
}
