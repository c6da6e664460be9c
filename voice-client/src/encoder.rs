use mixer::{EncoderConfig, FrameLength, Signal};

/// Settings of a call's Opus encoder. All of them can be changed while it plays
/// ([`Player::set_encoder`](crate::Player::set_encoder)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EncoderSettings {
    /// Bits per second; the channel's by default.
    pub bitrate: Bitrate,
    /// Computing effort, 0 to 10; 10 by default.
    pub complexity: u8,
    /// Whether packets carry a low-bitrate copy of the one before, when loss is expected. On by default; only speech at
    /// moderate bitrates can have it.
    pub fec: bool,
    /// Loss to be prepared for; what the server reports by default.
    pub expected_loss: ExpectedLoss,
    /// Kind of audio; libopus finds out by default.
    pub signal: Signal,
    /// Discontinuous transmission: silence is not sent. Off by default.
    pub dtx: bool,
    /// Duration of the packets; 20 ms by default.
    pub frame: FrameLength,
}

/// Bits per second of an encoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bitrate {
    /// The channel's ([`Call::set_channel_bitrate`](crate::Call::set_channel_bitrate)), 64,000 until it is known.
    #[default]
    Channel,
    /// So many, 500 to 512,000.
    Bits(u32),
    /// Whatever libopus finds right.
    Auto,
}

/// Loss that an encoder is prepared for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExpectedLoss {
    /// What the server's receiver reports say of the packets that we send.
    #[default]
    Reported,
    /// So many percent.
    Percent(u8),
}

/// What a channel has unless somebody has changed it.
const CHANNEL_BITRATE: u32 = 64_000;

impl Default for EncoderSettings {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::default(),
            complexity: 10,
            fec: true,
            expected_loss: ExpectedLoss::default(),
            signal: Signal::Auto,
            dtx: false,
            frame: FrameLength::default(),
        }
    }
}

impl EncoderSettings {
    /// With this bitrate.
    #[must_use]
    pub fn bitrate(mut self, bitrate: Bitrate) -> Self {
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

    /// Prepared for this loss.
    #[must_use]
    pub fn expected_loss(mut self, loss: ExpectedLoss) -> Self {
        self.expected_loss = loss;
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

    /// What the encoder is told, when channel and server have said this.
    pub(crate) fn resolve(&self, channel: Option<u32>, loss: u8) -> EncoderConfig {
        let bitrate = match self.bitrate {
            Bitrate::Channel => Some(channel.unwrap_or(CHANNEL_BITRATE)),
            Bitrate::Bits(bits) => Some(bits),
            Bitrate::Auto => None,
        };
        let loss = match self.expected_loss {
            ExpectedLoss::Reported => loss,
            ExpectedLoss::Percent(percent) => percent,
        };
        EncoderConfig::default()
            .bitrate(bitrate)
            .complexity(self.complexity)
            .fec(self.fec)
            .expected_loss(loss)
            .signal(self.signal)
            .dtx(self.dtx)
            .frame(self.frame)
    }
}
