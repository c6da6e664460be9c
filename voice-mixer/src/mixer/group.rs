use std::time::Duration;

use voice_model::{CHANNELS, FRAME_SAMPLES, SAMPLE_RATE};

use crate::GroupId;
use crate::effects::Rack;
use crate::gain::Gain;
use crate::source::sample;

/// How a group gets quieter while another one sounds: music under speech.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Ducking {
    /// The group that it makes room for.
    pub by: GroupId,
    /// Its volume meanwhile: 0.25 by default, 12 dB less.
    pub to: f32,
    /// How long it takes to get there; 80 ms by default.
    pub attack: Duration,
    /// How long it waits after the other group's last sound; 400 ms by default.
    pub hold: Duration,
    /// How long it takes to come back; 600 ms by default.
    pub release: Duration,
    /// The other group sounds when its peaks are above this, in dB of full scale; -50 by default.
    pub threshold: f32,
}

impl Ducking {
    /// Makes room for `by`.
    pub fn under(by: GroupId) -> Self {
        let ms = Duration::from_millis;
        Self { by, to: 0.25, attack: ms(80), hold: ms(400), release: ms(600), threshold: -50.0 }
    }

    /// To this volume.
    #[must_use]
    pub fn to(mut self, volume: f32) -> Self {
        self.to = volume;
        self
    }

    /// Getting there in this time.
    #[must_use]
    pub fn attack(mut self, attack: Duration) -> Self {
        self.attack = attack;
        self
    }

    /// Waiting for this long.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Coming back in this time.
    #[must_use]
    pub fn release(mut self, release: Duration) -> Self {
        self.release = release;
        self
    }

    /// For peaks above this, in dB of full scale.
    #[must_use]
    pub fn threshold(mut self, decibels: f32) -> Self {
        self.threshold = decibels;
        self
    }
}

/// Tracks that have a volume, effects and ducking together.
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) gain: Gain,
    pub(super) rack: Rack,
    duck: Option<Duck>,
    /// Another group ducks under this one.
    pub(super) is_trigger: bool,
    buffer: Box<[f32]>,
    /// Something was mixed into it in this tick.
    used: bool,
    /// There is something in it to be added up.
    pub(super) sounds: bool,
    /// Samples that its effects still sound for.
    tail: u32,
    /// Its loudest sample in this tick.
    peak: f32,
}

struct Duck {
    settings: Ducking,
    threshold: f32,
    level: f32,
    /// Samples until it comes back.
    held: u64,
}

impl Group {
    pub(super) fn new(id: GroupId) -> Self {
        Self {
            id,
            gain: Gain::new(1.0),
            rack: Rack::new(),
            duck: None,
            is_trigger: false,
            buffer: vec![0.0; FRAME_SAMPLES * CHANNELS].into(),
            used: false,
            sounds: false,
            tail: 0,
            peak: 0.0,
        }
    }

    pub(super) fn set_ducking(&mut self, ducking: Option<Ducking>) {
        let level = self.duck.as_ref().map_or(1.0, |duck| duck.level);
        self.duck = match ducking {
            Some(settings) => {
                let threshold = 10.0_f32.powf(settings.threshold.min(0.0) / 20.0);
                Some(Duck { settings, threshold, level, held: 0 })
            }
            // What is ducked comes back before it is forgotten.
            None if level < 1.0 => self.duck.take().map(|duck| Duck { threshold: f32::INFINITY, held: 0, ..duck }),
            None => None,
        };
    }

    pub(super) fn ducks_under(&self) -> Option<GroupId> {
        self.duck.as_ref().filter(|duck| duck.threshold.is_finite()).map(|duck| duck.settings.by)
    }

    /// Whether a lone track of it can pass unmixed.
    pub(super) fn is_neutral(&self) -> bool {
        let ducked = self.duck.as_ref().is_some_and(|duck| duck.level < 1.0);
        self.tail == 0 && self.gain.is_unity() && self.rack.is_neutral() && !ducked
    }

    /// Whether its tracks can be mixed with all others straight away.
    pub(super) fn is_plain(&self) -> bool {
        !self.is_trigger && self.duck.is_none() && self.is_neutral()
    }

    pub(super) fn begin(&mut self, frames: usize) {
        if std::mem::take(&mut self.used) {
            self.buffer[..frames * CHANNELS].fill(0.0);
        }
        self.peak = 0.0;
    }

    /// Where its tracks are mixed.
    pub(super) fn bus(&mut self, frames: usize) -> &mut [f32] {
        self.used = true;
        &mut self.buffer[..frames * CHANNELS]
    }

    /// Applies effects and volume, after all of its tracks were mixed; `true` when there is anything to be added up.
    pub(super) fn process(&mut self, frames: usize) -> bool {
        let fed = std::mem::replace(&mut self.used, true);
        if !fed && self.tail == 0 {
            self.used = false;
            return false;
        }
        let buffer = &mut self.buffer[..frames * CHANNELS];
        self.rack.process(buffer);
        let tail = self.rack.tail();
        self.tail = if fed { tail } else { self.tail.saturating_sub(frames as u32).min(tail) };
        self.gain.apply(buffer);
        if self.is_trigger {
            self.peak = buffer.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
        }
        true
    }

    pub(super) fn peak(&self) -> f32 {
        self.peak
    }

    pub(super) fn tail(&self) -> u32 {
        self.tail
    }

    /// Moves towards the level that `peak`, of the group that it ducks under, asks for, and adds itself to `sum`.
    pub(super) fn add_to(&mut self, sum: &mut [f32]) {
        let buffer = &self.buffer[..sum.len()];
        let Some(duck) = &self.duck else {
            sum.iter_mut().zip(buffer).for_each(|(sum, sample)| *sum += sample);
            return;
        };
        let (from, to) = (duck.level, duck.next((sum.len() / CHANNELS) as u64));
        let step = (to - from) / (sum.len() / CHANNELS) as f32;
        for (index, (sum, frame)) in sum.chunks_exact_mut(CHANNELS).zip(buffer.chunks_exact(CHANNELS)).enumerate() {
            let level = from + step * (index + 1) as f32;
            sum.iter_mut().zip(frame).for_each(|(sum, sample)| *sum += sample * level);
        }
    }

    /// Lets `frames` of time pass for the ducking, after [`add_to`](Self::add_to); `peak` is that of the other group.
    pub(super) fn hear(&mut self, peak: Option<f32>) {
        let Some(duck) = &mut self.duck else { return };
        if peak.is_some_and(|peak| peak > duck.threshold) {
            // Set anew by each sound; the time of this tick is taken off when it has passed.
            duck.held = sample(duck.settings.hold, SAMPLE_RATE).max(1);
        }
    }

    /// Nothing sounds any more: what was ducked is back, and a volume is where it was to be.
    pub(super) fn forget(&mut self) {
        self.gain.finish();
        if let Some(duck) = &mut self.duck {
            (duck.level, duck.held) = (1.0, 0);
        }
    }

    pub(super) fn pass_time(&mut self, frames: usize) {
        let Some(duck) = &mut self.duck else { return };
        duck.level = duck.next(frames as u64);
        duck.held = duck.held.saturating_sub(frames as u64);
        if duck.level >= 1.0 && duck.threshold.is_infinite() {
            self.duck = None;
        }
    }
}

impl Duck {
    /// Its level so many samples later.
    fn next(&self, frames: u64) -> f32 {
        let depth = 1.0 - self.settings.to.clamp(0.0, 1.0);
        let step = |time: Duration| depth * frames as f32 / sample(time, SAMPLE_RATE).max(1) as f32;
        if self.held > 0 {
            (self.level - step(self.settings.attack)).max(1.0 - depth)
        } else {
            (self.level + step(self.settings.release)).min(1.0)
        }
    }
}
