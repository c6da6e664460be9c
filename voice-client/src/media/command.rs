use std::time::Duration;

use mixer::effects::{Chain, Limiter, Stretch, Timescale};
use mixer::prefetch::{Feed, Loops};
use mixer::{Cue, Ducking, GroupId, Mixer, Spent, TimerId, Track, TrackId, When};

use super::Outbound;
use crate::encoder::EncoderSettings;

/// What handles of the application say to the mixer. Applied between beats. What takes memory was made before.
#[non_exhaustive]
pub enum Command {
    /// Play this track, beside what plays already.
    Add {
        /// Its name from now on.
        id: TrackId,
        /// The track.
        track: Box<Track>,
    },
    /// End a track.
    Stop {
        /// Which one.
        id: TrackId,
        /// How long it fades out.
        ramp: Duration,
    },
    /// Hold a track, or let it go on.
    Pause {
        /// Which one.
        id: TrackId,
        /// Whether it is held.
        paused: bool,
    },
    /// Move a track's volume.
    Volume {
        /// Which one.
        id: TrackId,
        /// Where to; 1.0 is as loud as the source.
        volume: f32,
        /// How long it takes.
        ramp: Duration,
    },
    /// See to it that what was flushed of pushed PCM is dropped, though no track may be playing now.
    Flush {
        /// Which track.
        id: TrackId,
    },
    /// Let a track go on elsewhere: the second half of a seek.
    Replace {
        /// Which one.
        id: TrackId,
        /// What comes from there.
        feed: Feed,
        /// Where that is.
        position: Duration,
    },
    /// How often a track begins again.
    Loops {
        /// Which one.
        id: TrackId,
        /// How often.
        loops: Loops,
    },
    /// Change when a track begins.
    Cue {
        /// Which one.
        id: TrackId,
        /// When.
        cue: Cue,
    },
    /// Put a track into another group.
    Group {
        /// Which one.
        id: TrackId,
        /// Which group.
        group: GroupId,
    },
    /// Change a track's effects.
    Effects {
        /// Which one.
        id: TrackId,
        /// The effects.
        chain: Option<Box<Chain>>,
    },
    /// Change a track's speed and pitch.
    Timescale {
        /// Which one.
        id: TrackId,
        /// Speed and pitch.
        timescale: Timescale,
        /// What does it, when the track has none yet.
        stretch: Option<Box<Stretch>>,
    },
    /// Add a timed event to a track.
    Timer {
        /// Which one.
        id: TrackId,
        /// Its name.
        timer: TimerId,
        /// When it happens; `None` takes it back.
        when: Option<When>,
    },
    /// Move a group's volume.
    GroupVolume {
        /// Which one.
        group: GroupId,
        /// Where to.
        volume: f32,
        /// How long it takes.
        ramp: Duration,
    },
    /// Change a group's effects.
    GroupEffects {
        /// Which one.
        group: GroupId,
        /// The effects.
        chain: Option<Box<Chain>>,
    },
    /// Let a group duck under another one.
    Ducking {
        /// Which one.
        group: GroupId,
        /// How, `None` for not any more.
        ducking: Option<Ducking>,
    },
    /// Move the volume of everything.
    MasterVolume {
        /// Where to.
        volume: f32,
        /// How long it takes.
        ramp: Duration,
    },
    /// Change the effects of everything.
    MasterEffects(Option<Box<Chain>>),
    /// Limit the sum, or clip it softly.
    Limiter(Option<Box<Limiter>>),
    /// Change the encoder's settings.
    Encoder(EncoderSettings),
    /// The bitrate of the channel, for encoders that follow it.
    ChannelBitrate(u32),
    /// The loss that the server reports of what we send, in percent, for encoders that follow it.
    Loss(u8),
    /// Send nothing, or send again.
    Mute {
        /// Whether nothing is sent.
        muted: bool,
        /// Whether tracks stand still meanwhile.
        hold: bool,
    },
}

/// What is to be dropped off the audio thread, because that frees memory.
#[non_exhaustive]
pub enum Removed {
    /// A track that was replaced by one of the same id, or stopped while all of them stand still.
    Track(TrackId, Box<Track>),
    /// A feed that another one took the place of.
    Feed(Box<Feed>),
    /// What a mixer is done with.
    Spent(Spent),
    /// All of a call's sending half.
    Call(Box<Outbound>),
}

impl Command {
    /// Lets a mixer do it; what is not needed any more comes back. Commands that are not for the mixer do nothing.
    pub(super) fn apply(self, mixer: &mut Mixer) -> Option<Removed> {
        let effects = |chain: Option<Chain>| chain.map(|chain| Removed::Spent(Spent::Effects(chain)));
        match self {
            Command::Add { id, track } => return mixer.add(id, track).map(|it| Removed::Track(id, it)),
            Command::Stop { id, ramp } => mixer.stop(id, ramp),
            Command::Pause { id, paused } => mixer.set_paused(id, paused),
            Command::Volume { id, volume, ramp } => mixer.set_volume(id, volume, ramp),
            Command::Replace { id, feed, position } => {
                let (Ok(feed) | Err(feed)) = mixer.replace(id, feed, position);
                return Some(Removed::Feed(Box::new(feed)));
            }
            Command::Loops { id, loops } => mixer.set_loops(id, loops),
            Command::Cue { id, cue } => mixer.set_cue(id, cue),
            Command::Group { id, group } => mixer.set_group(id, group),
            Command::Effects { id, chain } => return effects(mixer.set_effects(id, chain.map(|it| *it))),
            Command::Timescale { id, timescale, stretch } => {
                let spare = mixer.set_timescale(id, timescale, stretch);
                return spare.map(|stretch| Removed::Spent(Spent::Stretch(stretch)));
            }
            Command::Timer { id, timer, when: Some(when) } => mixer.add_timer(id, timer, when),
            Command::Timer { id, timer, when: None } => mixer.cancel_timer(id, timer),
            Command::GroupVolume { group, volume, ramp } => mixer.set_group_volume(group, volume, ramp),
            Command::GroupEffects { group, chain } => {
                return effects(mixer.set_group_effects(group, chain.map(|it| *it)));
            }
            Command::Ducking { group, ducking } => mixer.set_ducking(group, ducking),
            Command::MasterVolume { volume, ramp } => mixer.set_master_volume(volume, ramp),
            Command::MasterEffects(chain) => return effects(mixer.set_master_effects(chain.map(|it| *it))),
            Command::Limiter(limiter) => {
                return mixer.set_limiter(limiter).map(|limiter| Removed::Spent(Spent::Limiter(limiter)));
            }
            Command::Flush { id } => mixer.flush(id),
            Command::Encoder(_) | Command::ChannelBitrate(_) | Command::Loss(_) | Command::Mute { .. } => {}
        }
        None
    }
}
