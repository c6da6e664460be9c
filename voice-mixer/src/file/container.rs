use std::io::{Cursor, ErrorKind};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{TimeBase, Timestamp};

use super::padding::padding;
use super::priming::{Priming, priming};
use super::stream::{Bridge, Opener};
use super::tags::Tags;
use crate::{Info, Metadata, SourceError};

/// Bytes that writers claim who cannot go back to the header: the largest unsigned or signed number, or a little less.
const PLACEHOLDERS: [RangeInclusive<u64>; 2] = [0x7FFF_0000..=0x7FFF_FFFF, 0xFFFF_0000..=0xFFFF_FFFF];

/// Where a file's bytes come from, again and again.
#[derive(Clone)]
pub(super) enum Origin {
    Path(PathBuf),
    Memory(Arc<[u8]>),
    Stream(Opener),
}

/// A demultiplexer and the one audio track in it that is played.
pub(super) struct Container {
    origin: Origin,
    name: Arc<str>,
    format: Box<dyn FormatReader>,
    track: Track,
    params: AudioCodecParameters,
    seekable: bool,
    tags: Tags,
    /// What a stream that has just begun is called.
    news: Option<Metadata>,
}

/// What comes out of a container.
pub(super) enum Piece {
    Packet(Packet),
    /// A new stream begins in the same file (chained Ogg): its decoder must be made anew.
    Restart,
    End,
}

impl Container {
    pub(super) fn open(origin: Origin, name: Arc<str>) -> Result<Self, SourceError> {
        let media = origin.open(&name)?;
        let seekable = media.is_seekable();
        if seekable && media.byte_len() == Some(0) {
            return Err(SourceError::Empty { name });
        }
        let stream = MediaSourceStream::new(media, MediaSourceStreamOptions::default());
        let probe = symphonia::default::get_probe();
        let mut format = probe
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| not_audio(&name, error))?;
        let (track, params) = choose(format.as_ref(), &name)?;
        let tags = Tags::collect(format.metadata(), track.id);
        Ok(Self { origin, name, format, track, params, seekable, tags, news: None })
    }

    /// Starts again from the beginning, with whatever the file holds by now.
    pub(super) fn reopen(&mut self) -> Result<(), SourceError> {
        if !self.seekable {
            return Err(SourceError::Unseekable { name: self.name() });
        }
        let fresh = Self::open(self.origin.clone(), self.name())?;
        if (fresh.params.codec, fresh.params.sample_rate) != (self.params.codec, self.params.sample_rate) {
            return Err(self.damaged(Duration::ZERO, "it changed while it was played"));
        }
        *self = fresh;
        Ok(())
    }

    /// What a Matroska file says is to be cut off its end, in nanoseconds.
    pub(super) fn padding(&self) -> Option<u64> {
        // Finding it takes a jump to every cluster, each of which may be a request over a network.
        if !self.seekable || self.format() != "matroska" || matches!(self.origin, Origin::Stream(_)) {
            return None;
        }
        padding(self.origin.open(&self.name).ok()?)
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(super) fn params(&self) -> &AudioCodecParameters {
        &self.params
    }

    pub(super) fn is_seekable(&self) -> bool {
        self.seekable
    }

    /// Short name of the container's format, as symphonia has it.
    pub(super) fn format(&self) -> &'static str {
        self.format.format_info().short_name
    }

    /// Frames that the track should have, without delay and padding.
    pub(super) fn num_frames(&self) -> Option<u64> {
        self.track.num_frames.filter(|_| !self.is_endless())
    }

    /// Whether the length in the header is a placeholder, as in a WAVE file that was written to a pipe.
    fn is_endless(&self) -> bool {
        let channels = self.params.channels.as_ref().map_or(0, |channels| channels.count() as u64);
        let frame = channels * u64::from(self.params.bits_per_sample.unwrap_or(0)) / 8;
        let claimed = self.track.num_frames.map_or(0, |frames| frames.saturating_mul(frame));
        self.format() == "wave" && PLACEHOLDERS.iter().any(|range| range.contains(&claimed))
    }

    /// Timestamp of the track's first frame; not negative, for what comes before zero is cut off.
    pub(super) fn start(&self) -> i64 {
        self.track.start_ts.get().max(0)
    }

    pub(super) fn time_base(&self) -> Option<TimeBase> {
        self.track.time_base
    }

    /// Length of the track, or else of the whole file.
    pub(super) fn duration(&self) -> Option<Duration> {
        if self.is_endless() {
            return None;
        }
        let media = self.format.media_info();
        let track = self.track.time_base.zip(self.track.duration);
        let (base, duration) = track.or(media.time_base.zip(media.duration))?;
        let nanos = base.calc_duration(duration)?.as_nanos();
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }

    /// Adds to `info` what the container knows of it. `gain` is the one in an Opus header, see [`Tags::loudness`].
    pub(super) fn describe(&self, info: &mut Info, gain: i16) {
        info.seekable = self.seekable;
        info.tags.clone_from(&self.tags.text);
        info.metadata.clone_from(&self.tags.metadata);
        info.loudness = self.tags.loudness(gain);
    }

    /// What has begun since this was last asked: the next title of a chained Ogg stream.
    pub(super) fn news(&mut self) -> Option<Metadata> {
        self.news.take()
    }

    /// What an MP4 file says is no audio at its beginning and end.
    pub(super) fn priming(&self) -> Option<Priming> {
        if !self.seekable || self.format() != "isomp4" {
            return None;
        }
        let tag = self.tags.text.iter().find(|(key, _)| key.to_ascii_lowercase().ends_with("itunsmpb"));
        match tag.and_then(|(_, value)| Priming::parse(value)) {
            Some(priming) => Some(priming),
            None => priming(self.origin.open(&self.name).ok()?, self.track.id),
        }
    }

    /// The next packet of the track; `at`, how far it has been played, is for the error.
    pub(super) fn next(&mut self, at: Duration) -> Result<Piece, SourceError> {
        loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track.id => return Ok(Piece::Packet(packet)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Piece::End),
                Err(Error::ResetRequired) => {
                    let (track, params) = choose(self.format.as_ref(), &self.name)?;
                    if params.codec != self.params.codec {
                        return Err(self.damaged(at, "its codec changes on the way"));
                    }
                    (self.track, self.params) = (track, params);
                    let mut metadata = self.format.metadata();
                    metadata.skip_to_latest();
                    self.tags = Tags::collect(metadata, self.track.id);
                    self.news = Some(self.tags.metadata.clone());
                    return Ok(Piece::Restart);
                }
                Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    // Without seeking, Matroska of unknown length has no other way to end.
                    let expected = self.duration().filter(|_| self.seekable);
                    return match expected {
                        Some(expected) if expected > at + Duration::from_millis(20) => {
                            Err(SourceError::Truncated { name: self.name(), at })
                        }
                        _ => Ok(Piece::End),
                    };
                }
                Err(Error::IoError(error)) => {
                    return Err(SourceError::Read { name: self.name(), at, cause: Arc::new(error) });
                }
                Err(error) => return Err(self.damaged(at, &error.to_string())),
            }
        }
    }

    /// Goes to the packet with timestamp `to` or one before it; `false` when the container cannot, and has to be
    /// [reopened](Self::reopen).
    pub(super) fn seek(&mut self, to: i64) -> bool {
        let to = SeekTo::Timestamp { ts: Timestamp::new(to), track_id: self.track.id };
        self.seekable && self.format.seek(SeekMode::Accurate, to).is_ok()
    }

    pub(super) fn damaged(&self, at: Duration, reason: &str) -> SourceError {
        SourceError::Damaged { name: self.name(), at, reason: reason.into() }
    }

    pub(super) fn unsupported(&self, reason: &str) -> SourceError {
        SourceError::Unsupported { name: self.name(), reason: reason.into() }
    }
}

impl Origin {
    pub(super) fn open(&self, name: &Arc<str>) -> Result<Box<dyn MediaSource>, SourceError> {
        let failed = |cause| SourceError::Open { name: Arc::clone(name), cause: Arc::new(cause) };
        match self {
            Origin::Memory(bytes) => Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            Origin::Stream(open) => open().map(|input| Box::new(Bridge(input)) as _).map_err(failed),
            Origin::Path(path) => {
                let file = std::fs::File::open(path).map_err(failed)?;
                if file.metadata().map_err(failed)?.is_dir() {
                    return Err(failed(ErrorKind::IsADirectory.into()));
                }
                Ok(Box::new(file))
            }
        }
    }
}

/// The first audio track whose codec is known.
fn choose(format: &dyn FormatReader, name: &Arc<str>) -> Result<(Track, AudioCodecParameters), SourceError> {
    let track = format.default_track(TrackType::Audio).or(format.first_track_known_codec(TrackType::Audio));
    let params = |track: &Track| match &track.codec_params {
        Some(CodecParameters::Audio(params)) => Some(params.clone()),
        _ => None,
    };
    let chosen = track.and_then(|track| Some((track.clone(), params(track)?)));
    chosen.ok_or_else(|| SourceError::NotAudio { name: Arc::clone(name), reason: "it has no audio track".into() })
}

fn not_audio(name: &Arc<str>, error: Error) -> SourceError {
    let name = Arc::clone(name);
    match error {
        Error::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => {
            SourceError::Read { name, at: Duration::ZERO, cause: Arc::new(error) }
        }
        Error::IoError(_) => SourceError::NotAudio { name, reason: "no known format was found in it".into() },
        error => SourceError::NotAudio { name, reason: error.to_string().into() },
    }
}
