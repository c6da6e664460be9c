use std::time::Duration;

use super::ogg::Gaps;

/// What tracks are written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Ogg Opus: the packets as they came.
    #[default]
    OggOpus,
    /// WAV, 16 bit.
    Wav,
    /// FLAC, 16 bit.
    Flac,
}

/// What the mix is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixFormat {
    /// WAV, 16 bit.
    Wav,
    /// FLAC, 16 bit.
    Flac,
}

/// When a recording goes on in further files, all of them at the same moment of the time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotate {
    /// So often, in whole seconds, 10 at least.
    Every(Duration),
    /// As soon as one of the files has so many bytes.
    Bytes(u64),
}

/// How a [`Recorder`](super::Recorder) records.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What tracks are written as.
    pub format: Format,
    /// Whether the sum of all is written too.
    pub mix: Option<MixFormat>,
    /// Gaps in Ogg Opus.
    pub gaps: Gaps,
    /// How long packets wait for those before them, 100 ms to 2 s. When the program is killed, the tracks lose so much,
    /// the time from [tick](super::Recorder::tick) to tick, and the 85 ms of a frame in FLAC: 0.7 s as it is. The mix loses
    /// 0.6 s more.
    pub window: Duration,
    /// Whether everybody is recorded; otherwise those who are allowed.
    pub everyone: bool,
    /// Most users; those who come later are not recorded. Each takes a file, and at most 256 KiB before it is written.
    pub max_users: usize,
    /// Longest recording.
    pub max_duration: Option<Duration>,
    /// Most bytes of all files together when they are finished, all of them as long as the recording. What is written
    /// until the next tick comes on top.
    pub max_bytes: Option<u64>,
    /// Further files.
    pub rotate: Option<Rotate>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: Format::default(),
            mix: None,
            gaps: Gaps::default(),
            window: Duration::from_millis(500),
            everyone: true,
            max_users: 256,
            max_duration: None,
            max_bytes: None,
            rotate: None,
        }
    }
}

impl Format {
    /// The ending of its files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Format::OggOpus => "ogg",
            Format::Wav => "wav",
            Format::Flac => "flac",
        }
    }
}

impl From<MixFormat> for Format {
    fn from(format: MixFormat) -> Self {
        match format {
            MixFormat::Wav => Format::Wav,
            MixFormat::Flac => Format::Flac,
        }
    }
}
