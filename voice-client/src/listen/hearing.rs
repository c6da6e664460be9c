use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{FRAME_SAMPLES, Ssrc, UserId};
use receive::convert::{Format, SampleKind, to_i16};
use receive::{Decode, Heard};

use super::block::Pool;
use super::listener::Change;
use super::mixing::Mixing;
use super::state::{Ending, State};
use super::voice::Voice;
use super::{Block, Content, ListenOptions, Mode, Sound, Who};

/// Longest Opus frame (RFC 6716, section 3.4); packets of several frames may be longer, and their buffers grow once.
const PACKET: usize = 1_275;

/// A listener as the receive task has it: its settings, and the conversions under way for it.
pub(crate) struct Hearing {
    state: Arc<State>,
    /// Our user.
    own: UserId,
    options: ListenOptions,
    /// In the order of SSRCs.
    voices: Vec<Voice>,
    mixing: Option<Mixing>,
    scratch: Vec<f32>,
    pools: Pools,
    /// The last field: dropped when all the others are.
    _ending: Ending,
}

impl Hearing {
    pub(super) fn new(state: Arc<State>, own: UserId, options: ListenOptions) -> Self {
        let format = if let Mode::Pcm(format) = options.mode { format } else { Format::default() };
        Self {
            own,
            voices: Vec::new(),
            mixing: options.mix.then(|| Mixing::new(format)),
            scratch: Vec::new(),
            pools: Pools { most: state.capacity(), ..Pools::default() },
            options,
            _ending: Ending(state.clone()),
            state,
        }
    }

    pub(crate) fn is(&self, state: &Arc<State>) -> bool {
        Arc::ptr_eq(&self.state, state)
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn set_up(&self, up: bool) {
        self.state.set_up(up);
    }

    pub(crate) fn change(&mut self, change: Change) {
        let options = &mut self.options;
        match change {
            Change::Mode(mode) => options.mode = mode,
            Change::UserMode(user, Some(mode)) => _ = options.user_modes.insert(user, mode),
            Change::UserMode(user, None) => _ = options.user_modes.remove(&user),
            Change::Users(users) => options.users = users,
            Change::Gain(user, gain) => _ = options.gains.insert(user, gain),
            // Seen in the state.
            Change::Phase => {}
        }
        if let (Some(mixing), Mode::Pcm(format)) = (&mut self.mixing, self.options.mode) {
            mixing.set_format(format);
        }
    }

    /// What has to be done to this user's packets for it.
    pub(crate) fn wants(&self, user: UserId) -> Decode {
        match self.mode(user) {
            Mode::Off => Decode::Off,
            Mode::Opus => Decode::Packets,
            Mode::Pcm(_) => Decode::Pcm,
        }
    }

    /// Whether it wants something even when nobody speaks.
    pub(crate) fn is_continuous(&self) -> bool {
        self.options.continuous && self.mixing.is_some() && self.state.is_listening()
    }

    fn mode(&self, user: UserId) -> Mode {
        let options = &self.options;
        if !self.state.is_listening() || !options.users.has(user) || (user == self.own && !options.echo) {
            return Mode::Off;
        }
        let mode = *options.user_modes.get(&user).unwrap_or(&options.mode);
        match &self.mixing {
            // In a mix or not is all that can be chosen.
            Some(mixing) if mode != Mode::Off => Mode::Pcm(mixing.format()),
            _ => mode,
        }
    }

    /// Takes what a user gives out: a packet, or 20 ms of PCM.
    pub(crate) fn hear(&mut self, at: Instant, user: UserId, heard: &Heard<'_>) {
        let mode = self.mode(user);
        let Self { state, options, voices, mixing, scratch, pools, .. } = self;
        let Heard { ssrc, time, seq, kind, depth, samples, .. } = *heard;
        let sound = |time, content| {
            let who = Who::User { user, ssrc };
            Sound { who, at, time, seq, kind, depth, samples, content }
        };
        match mode {
            Mode::Opus if heard.pcm.is_empty() && state.has_room() => {
                state.push(sound(time, pools.opus(heard.packet)));
            }
            Mode::Pcm(format) if !heard.pcm.is_empty() => {
                let gain = *options.gains.get(&user).unwrap_or(&1.0);
                // A mix is brought into its format as a whole.
                let own = if mixing.is_some() { Format::default() } else { format };
                let voice = voice(voices, ssrc, own);
                voice.begin(time, own);
                let pcm = voice.amplify(heard.pcm, gain, scratch);
                if let Some(mixing) = mixing {
                    return mixing.add(user, kind, pcm);
                }
                // Converted even when there is no room: the next one goes on from here.
                let (time, pcm) = voice.convert(time, pcm);
                if state.has_room() {
                    state.push(sound(time, pools.pcm(format, pcm)));
                }
            }
            _ => {}
        }
    }

    /// Everybody was heard who is heard in this tick.
    pub(crate) fn tick(&mut self, now: Instant) {
        let continuous = self.is_continuous();
        let Self { state, mixing: Some(mixing), pools, .. } = self else { return };
        if mixing.users.is_empty() && !continuous {
            return;
        }
        let (kind, format) = (mixing.kind, mixing.format());
        let room = state.has_room();
        let who = room.then(|| Who::Mix(pools.users(&mixing.users)));
        let (time, pcm) = mixing.finish(now);
        if let Some(who) = who {
            let (depth, samples) = (Duration::ZERO, FRAME_SAMPLES as u32);
            state.push(Sound { who, at: now, time, seq: None, kind, depth, samples, content: pools.pcm(format, pcm) });
        }
        mixing.clear();
    }

    /// A stream is over.
    pub(crate) fn forget(&mut self, ssrc: Ssrc) {
        self.voices.retain(|voice| voice.ssrc != ssrc);
    }
}

fn voice(voices: &mut Vec<Voice>, ssrc: Ssrc, format: Format) -> &mut Voice {
    let index = voices.binary_search_by_key(&ssrc, |voice| voice.ssrc).unwrap_or_else(|index| {
        voices.insert(index, Voice::new(ssrc, format));
        index
    });
    &mut voices[index]
}

/// Buffers for what a listener hears, of the kinds that it has heard.
#[derive(Default)]
struct Pools {
    /// Buffers kept, of each kind.
    most: usize,
    opus: Option<Pool<u8>>,
    f32: Option<Pool<f32>>,
    i16: Option<Pool<i16>>,
    users: Option<Pool<UserId>>,
}

impl Pools {
    fn opus(&mut self, packet: &[u8]) -> Content {
        let pool = self.opus.get_or_insert_with(|| Pool::new(self.most, PACKET));
        Content::Opus(pool.block(packet.iter().copied()))
    }

    fn pcm(&mut self, format: Format, pcm: &[f32]) -> Content {
        match format.sample {
            SampleKind::F32 => {
                let pool = self.f32.get_or_insert_with(|| Pool::new(self.most, format.frame_len()));
                Content::F32(format, pool.block(pcm.iter().copied()))
            }
            SampleKind::I16 => {
                let pool = self.i16.get_or_insert_with(|| Pool::new(self.most, format.frame_len()));
                Content::I16(format, pool.block(pcm.iter().copied().map(to_i16)))
            }
        }
    }

    fn users(&mut self, users: &[UserId]) -> Block<UserId> {
        let pool = self.users.get_or_insert_with(|| Pool::new(self.most, 16));
        pool.block(users.iter().copied())
    }
}
