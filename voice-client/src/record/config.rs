use std::path::PathBuf;
use std::time::Duration;

use receive::record::{Format, Gaps, MixFormat, Rotate, Settings};

/// What a [`Recorder`](super::Recorder) writes for each user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFormat {
    /// Ogg Opus: the packets as they came, nothing is encoded again.
    #[default]
    OggOpus,
    /// WAV, 16 bit, 48 kHz, stereo; RF64 beyond 4 GiB.
    Wav,
    /// FLAC, 16 bit, 48 kHz, stereo.
    Flac,
    /// Ogg Opus, of which ffmpeg makes MP3 at the end, in ten minutes and the length of the recording for each file at
    /// most. The Ogg Opus files stay; the mix is not converted.
    Mp3,
}

/// Who is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consent {
    /// Everybody, but those who are [denied](super::Recorder::deny).
    #[default]
    Everyone,
    /// Nobody but those who are [allowed](super::Recorder::allow), from then on.
    Allowed,
}

/// How a call is recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderConfig {
    /// Where files are made; the folder too, if need be.
    pub folder: PathBuf,
    /// What tracks are written as.
    pub format: RecordFormat,
    /// Whether a stereo mix of all is written too.
    pub mix: Option<MixFormat>,
    /// Gaps in Ogg Opus: filled with silence packets, or real ones.
    pub gaps: Gaps,
    /// Who is recorded.
    pub consent: Consent,
    /// Whether files of an earlier recording are replaced; otherwise they are an error.
    pub overwrite: bool,
    /// Longest recording.
    pub max_duration: Option<Duration>,
    /// Most bytes of audio, all files together.
    pub max_bytes: Option<u64>,
    /// Most users; later ones are noted, and not recorded. Each takes a file.
    pub max_users: usize,
    /// When the recording goes on in further files.
    pub rotate: Option<Rotate>,
    /// How long packets wait for those before them, 100 ms to 2 s; half a second at first. So much, and a quarter of a
    /// second, is lost when the program is killed.
    pub window: Duration,
    /// Bytes of packets that may wait for the disk.
    pub buffer: usize,
    /// The program that makes MP3.
    pub ffmpeg: PathBuf,
}

impl RecorderConfig {
    /// Records into this folder, with the defaults.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let Settings { mix, gaps, window, max_users, max_duration, max_bytes, rotate, .. } = Settings::default();
        Self {
            folder: folder.into(),
            format: RecordFormat::default(),
            mix,
            gaps,
            consent: Consent::default(),
            overwrite: false,
            max_duration,
            max_bytes,
            max_users,
            rotate,
            window,
            buffer: 4 * 1024 * 1024,
            ffmpeg: "ffmpeg".into(),
        }
    }

    /// Sets [`format`](Self::format).
    #[must_use]
    pub fn format(self, format: RecordFormat) -> Self {
        Self { format, ..self }
    }

    /// Sets [`mix`](Self::mix).
    #[must_use]
    pub fn mix(self, mix: Option<MixFormat>) -> Self {
        Self { mix, ..self }
    }

    /// Sets [`gaps`](Self::gaps).
    #[must_use]
    pub fn gaps(self, gaps: Gaps) -> Self {
        Self { gaps, ..self }
    }

    /// Sets [`consent`](Self::consent).
    #[must_use]
    pub fn consent(self, consent: Consent) -> Self {
        Self { consent, ..self }
    }

    /// Sets [`overwrite`](Self::overwrite).
    #[must_use]
    pub fn overwrite(self, overwrite: bool) -> Self {
        Self { overwrite, ..self }
    }

    /// Sets [`max_duration`](Self::max_duration).
    #[must_use]
    pub fn max_duration(self, max_duration: Option<Duration>) -> Self {
        Self { max_duration, ..self }
    }

    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn max_bytes(self, max_bytes: Option<u64>) -> Self {
        Self { max_bytes, ..self }
    }

    /// Sets [`max_users`](Self::max_users).
    #[must_use]
    pub fn max_users(self, max_users: usize) -> Self {
        Self { max_users, ..self }
    }

    /// Sets [`rotate`](Self::rotate).
    #[must_use]
    pub fn rotate(self, rotate: Option<Rotate>) -> Self {
        Self { rotate, ..self }
    }

    /// Sets [`window`](Self::window).
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// Sets [`buffer`](Self::buffer).
    #[must_use]
    pub fn buffer(self, buffer: usize) -> Self {
        Self { buffer, ..self }
    }

    /// Sets [`ffmpeg`](Self::ffmpeg).
    #[must_use]
    pub fn ffmpeg(self, ffmpeg: impl Into<PathBuf>) -> Self {
        Self { ffmpeg: ffmpeg.into(), ..self }
    }

    /// What the layer is told.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.format = match self.format {
            RecordFormat::OggOpus | RecordFormat::Mp3 => Format::OggOpus,
            RecordFormat::Wav => Format::Wav,
            RecordFormat::Flac => Format::Flac,
        };
        settings.everyone = self.consent == Consent::Everyone;
        (settings.mix, settings.gaps, settings.window) = (self.mix, self.gaps, self.window);
        (settings.max_users, settings.max_bytes) = (self.max_users, self.max_bytes);
        (settings.max_duration, settings.rotate) = (self.max_duration, self.rotate);
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::{Consent, RecordFormat, RecorderConfig};

    #[test]
    fn the_layer_is_told_what_was_set() {
        let config = RecorderConfig::new("x").format(RecordFormat::Mp3).consent(Consent::Allowed).max_users(3);
        let settings = config.settings();
        assert_eq!(settings.format, receive::record::Format::OggOpus);
        assert!(!settings.everyone && settings.max_users == 3);
    }
}
