use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mixer::effects::{Chain, Effect, EffectError, Stretch, Timescale};
use mixer::prefetch::{Feed, Loops};
use mixer::{Cue, GroupId, TrackId};

use super::registry::Data;

/// How a source is played: [`Player::play_with`](crate::Player::play_with). Everything can be changed later at the
/// [`Track`](crate::Track).
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct PlayOptions {
    /// Its volume; 1.0, the source's own, by default.
    pub volume: Option<f32>,
    /// Whether it is held at first.
    pub paused: bool,
    /// How long it takes to become as loud as it should be; at once when it is held at first.
    pub fade_in: Duration,
    /// Its group; music by default.
    pub group: GroupId,
    /// How often it begins again.
    pub loops: Loops,
    /// When it begins; as soon as it can by default.
    pub cue: Cue,
    /// Its effects, in this order.
    pub effects: Vec<Effect>,
    /// Its speed and pitch.
    pub timescale: Option<Timescale>,
    /// Loudness in LUFS to bring it to where its tags say what it has; [`Config::loudness`](crate::Config::loudness) by
    /// default. -16 is usual.
    pub loudness: Option<f32>,
    /// Whatever the application wants to find again at the track.
    pub data: Option<Data>,
}

impl PlayOptions {
    /// The source as it is, at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// At this volume.
    #[must_use]
    pub fn volume(mut self, volume: f32) -> Self {
        self.volume = Some(volume);
        self
    }

    /// Held at first.
    #[must_use]
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    /// Fading in.
    #[must_use]
    pub fn fade_in(mut self, ramp: Duration) -> Self {
        self.fade_in = ramp;
        self
    }

    /// In this group.
    #[must_use]
    pub fn group(mut self, group: GroupId) -> Self {
        self.group = group;
        self
    }

    /// Beginning again so often.
    #[must_use]
    pub fn loops(mut self, loops: Loops) -> Self {
        self.loops = loops;
        self
    }

    /// Beginning with the sample after the last one of another track, or `crossfade` before its end.
    #[must_use]
    pub fn after(mut self, track: TrackId, crossfade: Duration) -> Self {
        self.cue = Cue::After { track, crossfade };
        self
    }

    /// With these effects.
    #[must_use]
    pub fn effects(mut self, effects: impl Into<Vec<Effect>>) -> Self {
        self.effects = effects.into();
        self
    }

    /// With this speed and pitch.
    #[must_use]
    pub fn timescale(mut self, timescale: Timescale) -> Self {
        self.timescale = Some(timescale);
        self
    }

    /// Brought to this loudness, in LUFS.
    #[must_use]
    pub fn loudness(mut self, target: f32) -> Self {
        self.loudness = Some(target);
        self
    }

    /// With something to be found again by [`Track::data`](crate::Track::data).
    #[must_use]
    pub fn data(mut self, data: impl Any + Send + Sync) -> Self {
        self.data = Some(Arc::new(data));
        self
    }

    pub(super) fn ready(self) -> Result<Ready, EffectError> {
        let Self { volume, paused, fade_in, group, loops, cue, effects, timescale, loudness, .. } = self;
        let chain = if effects.is_empty() { None } else { Some(Chain::new(&effects)?) };
        let stretch = timescale.map(super::stretch).transpose()?;
        Ok(Ready { volume: volume.unwrap_or(1.0), paused, fade_in, group, loops, cue, chain, stretch, loudness })
    }
}

impl fmt::Debug for PlayOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlayOptions")
            .field("volume", &self.volume)
            .field("group", &self.group)
            .field("loops", &self.loops)
            .field("cue", &self.cue)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

/// Options that were checked, with everything made that takes memory.
pub(super) struct Ready {
    pub(super) volume: f32,
    pub(super) paused: bool,
    pub(super) fade_in: Duration,
    pub(super) group: GroupId,
    pub(super) loops: Loops,
    pub(super) cue: Cue,
    pub(super) chain: Option<Chain>,
    pub(super) stretch: Option<Box<Stretch>>,
    pub(super) loudness: Option<f32>,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            volume: 1.0,
            paused: false,
            fade_in: Duration::ZERO,
            group: GroupId::default(),
            loops: Loops::default(),
            cue: Cue::default(),
            chain: None,
            stretch: None,
            loudness: None,
        }
    }
}

impl Ready {
    pub(super) fn track(self, feed: Feed) -> mixer::Track {
        let Self { volume, paused, fade_in, group, loops, cue, chain, stretch, .. } = self;
        let mut track = mixer::Track::new(feed).volume(volume).paused(paused).group(group).loops(loops).cue(cue);
        if !fade_in.is_zero() && !paused {
            track = track.fade_in(fade_in);
        }
        if let Some(chain) = chain {
            track = track.effects(chain);
        }
        track.stretch(stretch)
    }
}
