use ::opus::{Application, Bitrate, Channels, Encoder};
use tracing::error;
use voice_model::SAMPLE_RATE;

/// Most bytes that one frame of 20 ms can need: a table-of-contents byte and a frame (RFC 6716, section 3.4, R2).
const FRAME: usize = voice_model::FRAME_SAMPLES * voice_model::CHANNELS;
const MAX_PACKET: usize = 1 + crate::opus::MAX_FRAME;

/// Samples by which what is decoded comes later than what was encoded, for audio (not for the low-delay application).
pub(crate) const LOOKAHEAD: usize = 312;

/// Samples of the longest frame, 60 ms.
pub(crate) const MAX_SAMPLES: usize = 2_880;

/// Duration of the packets that are encoded. Longer ones cost fewer bytes and packets, and more delay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FrameLength {
    /// 10 ms.
    Ms10,
    /// 20 ms.
    #[default]
    Ms20,
    /// 40 ms.
    Ms40,
    /// 60 ms.
    Ms60,
}

impl FrameLength {
    /// Samples at 48 kHz.
    pub fn samples(self) -> usize {
        match self {
            Self::Ms10 => 480,
            Self::Ms20 => 960,
            Self::Ms40 => 1_920,
            Self::Ms60 => MAX_SAMPLES,
        }
    }
}

/// What the encoder should expect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Signal {
    /// It decides for itself.
    #[default]
    Auto,
    /// Speech.
    Voice,
    /// Music.
    Music,
}

/// Settings of the Opus encoder; they can be changed while it runs ([`Mixer::configure`](crate::Mixer::configure)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EncoderConfig {
    /// Bits per second, 500 to 512,000; `None` lets libopus decide. 64,000 by default, what a Discord channel has.
    pub bitrate: Option<u32>,
    /// Computing effort, 0 to 10; 10 by default.
    pub complexity: u8,
    /// Whether packets carry a low-bitrate copy of the one before, when loss is expected. On by default; only speech at
    /// moderate bitrates can have it.
    pub fec: bool,
    /// Loss to be prepared for, in percent; 0 by default.
    pub expected_loss: u8,
    /// Kind of audio.
    pub signal: Signal,
    /// Discontinuous transmission: silence is not sent. Off by default.
    pub dtx: bool,
    /// Duration of the packets; 20 ms by default.
    pub frame: FrameLength,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            bitrate: Some(64_000),
            complexity: 10,
            fec: true,
            expected_loss: 0,
            signal: Signal::Auto,
            dtx: false,
            frame: FrameLength::Ms20,
        }
    }
}

impl EncoderConfig {
    /// With this many bits per second; `None` lets libopus decide.
    #[must_use]
    pub fn bitrate(mut self, bitrate: Option<u32>) -> Self {
        self.bitrate = bitrate;
        self
    }

    /// With this computing effort, 0 to 10.
    #[must_use]
    pub fn complexity(mut self, complexity: u8) -> Self {
        self.complexity = complexity;
        self
    }

    /// With or without forward error correction.
    #[must_use]
    pub fn fec(mut self, fec: bool) -> Self {
        self.fec = fec;
        self
    }

    /// Prepared for this much loss, in percent.
    #[must_use]
    pub fn expected_loss(mut self, percent: u8) -> Self {
        self.expected_loss = percent;
        self
    }

    /// For this kind of audio.
    #[must_use]
    pub fn signal(mut self, signal: Signal) -> Self {
        self.signal = signal;
        self
    }

    /// With or without discontinuous transmission.
    #[must_use]
    pub fn dtx(mut self, dtx: bool) -> Self {
        self.dtx = dtx;
        self
    }

    /// In packets of this duration.
    #[must_use]
    pub fn frame(mut self, frame: FrameLength) -> Self {
        self.frame = frame;
        self
    }

    /// Sets up `encoder`; values out of range are brought into it.
    fn apply(&self, encoder: &mut Encoder) -> ::opus::Result<()> {
        encoder.set_bitrate(match self.bitrate {
            Some(bits) => Bitrate::Bits(bits.clamp(500, 512_000) as i32),
            None => Bitrate::Auto,
        })?;
        encoder.set_complexity(i32::from(self.complexity.min(10)))?;
        encoder.set_inband_fec(self.fec)?;
        encoder.set_packet_loss_perc(i32::from(self.expected_loss.min(100)))?;
        encoder.set_signal(match self.signal {
            Signal::Auto => ::opus::Signal::Auto,
            Signal::Voice => ::opus::Signal::Voice,
            Signal::Music => ::opus::Signal::Music,
        })?;
        encoder.set_dtx(self.dtx)
    }
}

/// The encoder, made when it is first needed: it takes 48 KiB, and passthrough never needs it.
pub(crate) struct Encode {
    config: EncoderConfig,
    encoder: Option<Encoder>,
    /// The last frame on the wire was not this encoder's, so its memory of the past is wrong.
    stale: bool,
}

impl Encode {
    pub(crate) fn new(config: EncoderConfig) -> Self {
        Self { config, encoder: None, stale: false }
    }

    pub(crate) fn configure(&mut self, config: EncoderConfig) {
        self.config = config;
        if let Some(encoder) = &mut self.encoder {
            report(config.apply(encoder));
        }
    }

    pub(crate) fn config(&self) -> EncoderConfig {
        self.config
    }

    /// Samples of a frame.
    pub(crate) fn frame(&self) -> usize {
        self.config.frame.samples()
    }

    /// Other frames than this encoder's are on the wire now.
    pub(crate) fn pause(&mut self) {
        self.stale = true;
    }

    /// Encodes one frame into `out`; `None` when there is nothing to send (discontinuous transmission) or no room.
    pub(crate) fn encode(&mut self, pcm: &[f32], out: &mut [u8]) -> Option<usize> {
        if self.encoder.is_none() {
            let made = Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio);
            self.encoder = report(made.and_then(|mut encoder| self.config.apply(&mut encoder).map(|()| encoder)));
        }
        let encoder = self.encoder.as_mut()?;
        if std::mem::take(&mut self.stale) {
            report(encoder.reset_state());
        }
        let frames = pcm.len() / FRAME;
        let room = out.len().min(MAX_PACKET * frames.max(1));
        let len = report(encoder.encode_float(pcm, &mut out[..room]))?;
        // libopus: "If the return value is 2 bytes or less, then the packet does not need to be transmitted (DTX)."
        (len > 2 || !self.config.dtx).then_some(len)
    }
}

/// libopus refuses only what is out of range, which nothing here is, or a buffer without room.
fn report<T>(result: ::opus::Result<T>) -> Option<T> {
    result.map_err(|error| error!(%error, "libopus")).ok()
}
