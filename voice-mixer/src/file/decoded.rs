use std::time::Duration;

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_MP3, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;

use super::container::{Container, Piece};
use crate::source::{sample, time};
use crate::{Chunk, Format, Info, SourceError};

/// Packets in a row that may be undecodable before the file is given up: a second or two.
const MAX_BAD: u32 = 50;

/// A file may be this much shorter than its header says: headers are estimates.
const TOLERANCE: Duration = Duration::from_millis(250);

/// A file that symphonia decodes to PCM.
pub(super) struct Decoded {
    container: Container,
    decoder: Box<dyn AudioDecoder>,
    rate: u32,
    channels: u16,
    /// Decoded samples that were not read yet, from `start` on.
    samples: Vec<f32>,
    start: usize,
    /// Frame number of the first of them; of the next packet when there are none.
    at: u64,
    /// The next packet's own timestamp says where it belongs.
    lost: bool,
    /// The container has come to its end: some of them cannot seek any more.
    spent: bool,
    /// Frames from here on are audio, and no more from there on: what the encoder put before and after is not played.
    first: u64,
    end: u64,
    /// Frames in streams of the same file that came before (chained Ogg): timestamps do not count them.
    chained: u64,
    heard: bool,
    bad: u32,
}

impl Decoded {
    pub(super) fn new(container: Container) -> Result<Self, SourceError> {
        let decoder = decoder(&container)?;
        let params = container.params();
        let (rate, channels) = (params.sample_rate, params.channels.as_ref().map(|channels| channels.count() as u16));
        let mut decoded = Self {
            decoder,
            rate: rate.unwrap_or(0),
            channels: channels.unwrap_or(0),
            samples: Vec::new(),
            start: 0,
            at: 0,
            lost: false,
            spent: false,
            first: 0,
            end: u64::MAX,
            chained: 0,
            heard: false,
            bad: 0,
            container,
        };
        if decoded.rate == 0 || decoded.channels == 0 {
            // The container does not know: the first packet does.
            while decoded.samples.is_empty() && decoded.fill()? {}
        }
        // Edits are in frames only where the file counts in frames.
        if decoded.can_trust_timestamps()
            && let Some(priming) = decoded.container.priming()
        {
            (decoded.first, decoded.end) = (priming.first, priming.end);
        }
        Ok(decoded)
    }

    pub(super) fn info(&mut self) -> Info {
        let format = Format::Pcm { rate: self.rate, channels: self.channels };
        let length = self.total().map(|total| self.time(total.min(self.end)));
        let mut info = Info::new(format).duration(length);
        self.container.describe(&mut info, 0);
        info
    }

    pub(super) fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        if self.at >= self.end || (self.samples.is_empty() && !self.fill()?) {
            return Ok(false);
        }
        if let Some(metadata) = self.container.news() {
            chunk.set_metadata(metadata);
        }
        let pending = self.pending();
        let skip = self.first.saturating_sub(self.at).min(pending);
        let keep = (self.end - self.at).min(pending).max(skip);
        let channels = usize::from(self.channels);
        let audible = &self.samples[self.start..][skip as usize * channels..keep as usize * channels];
        chunk.pcm(self.rate, self.channels).extend_from_slice(audible);
        self.at += pending;
        self.samples.clear();
        self.start = 0;
        Ok(true)
    }

    pub(super) fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        if !self.container.is_seekable() {
            return Err(SourceError::Unseekable { name: self.container.name() });
        }
        let target = sample(to, self.rate).saturating_add(self.first).min(self.end);
        let first = target.saturating_sub(self.preroll());
        // A container that stumbles over its own landing gets another chance from the beginning.
        if !(first > 0 && self.can_trust_timestamps() && self.jump(first, target).unwrap_or(false)) {
            self.rewind()?;
        }
        while self.at + self.pending() <= target {
            self.at += self.pending();
            self.samples.clear();
            self.start = 0;
            if !self.fill()? {
                return Ok(self.time(self.at));
            }
        }
        self.start += target.saturating_sub(self.at) as usize * usize::from(self.channels);
        self.at = target;
        Ok(self.time(target))
    }

    /// When frame `at` sounds.
    fn time(&self, at: u64) -> Duration {
        time(at.saturating_sub(self.first), self.rate)
    }

    /// Frames in `samples`.
    fn pending(&self) -> u64 {
        ((self.samples.len() - self.start) / usize::from(self.channels.max(1))) as u64
    }

    /// Frames in the whole file, if its header says so.
    fn total(&self) -> Option<u64> {
        self.container.num_frames().or_else(|| self.container.duration().map(|length| sample(length, self.rate)))
    }

    /// How many frames before the first wanted one a decoder must have seen, to be where it would be had it decoded all.
    fn preroll(&self) -> u64 {
        match self.container.params().codec {
            // Bit reservoir of up to 511 bytes, which low bitrates spread over many frames, and overlap.
            CODEC_ID_MP3 => 12 * 1_152,
            // Overlapping windows.
            CODEC_ID_AAC => 4 * 1_024,
            CODEC_ID_VORBIS => 2 * 8_192,
            _ => 0,
        }
    }

    /// Timestamps count frames, so that a landing is known exactly. (After a seek, ADPCM in WAVE ends too early.)
    fn can_trust_timestamps(&self) -> bool {
        let adpcm = [CODEC_ID_ADPCM_MS, CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_IMA_QT];
        let base = self.container.time_base().map(|base| (base.numer.get(), base.denom.get()));
        !self.spent
            && self.chained == 0
            && !adpcm.contains(&self.container.params().codec)
            && base == Some((1, self.rate))
    }

    /// Lets the container seek to frame `first`; `false` unless it landed at `target` or before.
    fn jump(&mut self, first: u64, target: u64) -> Result<bool, SourceError> {
        let timestamp = self.container.start().saturating_add(i64::try_from(first).unwrap_or(i64::MAX));
        if !self.container.seek(timestamp) {
            return Ok(false);
        }
        self.forget();
        self.lost = true;
        while self.lost && self.fill()? {}
        Ok(!self.lost && self.at <= target)
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        self.container.reopen()?;
        self.decoder = decoder(&self.container)?;
        self.forget();
        (self.at, self.lost, self.spent, self.chained) = (0, false, false, 0);
        Ok(())
    }

    fn forget(&mut self) {
        self.decoder.reset();
        self.samples.clear();
        (self.start, self.bad) = (0, 0);
    }

    /// Decodes one packet into `samples`, which may stay empty; `false` at the end.
    fn fill(&mut self) -> Result<bool, SourceError> {
        let at = time(self.at, self.rate);
        match self.container.next(at)? {
            Piece::Packet(packet) => self.decode(&packet).map(|()| true),
            Piece::Restart => {
                self.decoder = decoder(&self.container)?;
                self.chained = self.at + self.pending();
                Ok(true)
            }
            Piece::End => {
                self.spent = true;
                self.check_end(at).map(|()| false)
            }
        }
    }

    fn decode(&mut self, packet: &Packet) -> Result<(), SourceError> {
        match self.decoder.decode(packet) {
            Ok(buffer) => {
                let spec = buffer.spec();
                let layout = (spec.rate(), spec.channels().count() as u16);
                buffer.copy_to_vec_interleaved(&mut self.samples);
                (self.rate, self.channels) = layout;
                self.bad = 0;
            }
            Err(Error::DecodeError(reason)) => {
                self.bad += 1;
                if self.bad > MAX_BAD {
                    return Err(self.given_up(reason));
                }
                if self.lost {
                    return Ok(());
                }
                // What comes after stays where it belongs.
                let frames = if self.heard { packet.dur.get().min(u64::from(self.rate)) } else { 0 };
                self.samples.resize(frames as usize * usize::from(self.channels), 0.0);
            }
            Err(Error::IoError(error)) => return Err(self.given_up(&error.to_string())),
            Err(error) => return Err(self.given_up(&error.to_string())),
        }
        self.heard |= !self.samples.is_empty();
        if self.lost && !self.samples.is_empty() {
            // `pts` is that of the first frame that the decoder lets through, unless it cut off encoder delay.
            let timestamp = packet.pts.get().saturating_add_unsigned(packet.trim_start.get());
            self.at = u64::try_from(timestamp.saturating_sub(self.container.start())).unwrap_or(0);
            self.lost = false;
        }
        Ok(())
    }

    /// Whether the end came too early, or nothing at all.
    fn check_end(&self, at: Duration) -> Result<(), SourceError> {
        if !self.heard && self.bad > 0 {
            return Err(self.given_up("nothing in it could be decoded"));
        }
        // Without a table of contents the length of an MP3 is but an estimate.
        let exact = self.container.format() != "mp3";
        match self.total() {
            Some(total) if exact && time(self.chained + total, self.rate) > at + TOLERANCE => {
                Err(SourceError::Truncated { name: self.container.name(), at })
            }
            _ => Ok(()),
        }
    }

    fn given_up(&self, reason: &str) -> SourceError {
        if self.heard {
            self.container.damaged(time(self.at, self.rate), reason)
        } else {
            SourceError::NotAudio { name: self.container.name(), reason: reason.into() }
        }
    }
}

fn decoder(container: &Container) -> Result<Box<dyn AudioDecoder>, SourceError> {
    let codecs = symphonia::default::get_codecs();
    codecs
        .make_audio_decoder(container.params(), &AudioDecoderOptions::default())
        .map_err(|error| container.unsupported(&error.to_string()))
}
