//! The audio thread's end of pushed PCM: begins when enough is there, fades, and drops what was flushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::Consumer;
use voice_model::CHANNELS;

use crate::gain::Gain;

/// Frames over which a flush fades out: 5 ms.
const FALL: usize = 240;

/// How long, in frames, too little sound waits for more: 60 ms.
const PATIENCE: usize = 2_880;

/// What both ends know. Frames are at 48 kHz.
#[derive(Default)]
pub(super) struct Shared {
    /// Of the audio thread: frames that left the ring, and those of them that were heard.
    pub(super) left: AtomicU64,
    pub(super) heard: AtomicU64,
    /// Of the pusher: frames that had been pushed before the last flush; how often it flushed. Written in this order.
    pub(super) flush_to: AtomicU64,
    pub(super) asked: AtomicU64,
    /// Of the audio thread: frames that had been heard when the last flush was done; which one that was. In this order.
    pub(super) heard_then: AtomicU64,
    pub(super) done: AtomicU64,
}

/// Calls who waits on the other side, when it is dropped too.
pub(super) struct Bell(pub(super) Arc<dyn Fn() + Send + Sync>);

impl Drop for Bell {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// In frames.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) prebuffer: u64,
    pub(super) fade_in: u64,
    pub(super) low_water: u64,
}

/// The audio thread's end of pushed PCM.
pub(crate) struct Outlet {
    ring: Consumer<f32>,
    shared: Arc<Shared>,
    settings: Settings,
    phase: Phase,
    gain: Gain,
    period: usize,
    left: u64,
    heard: u64,
    /// The flush that was begun last, and up to which frame it goes.
    seen: u64,
    flush_to: u64,
    /// Something was read since the last look; there was less than was wanted.
    has_read: bool,
    is_short: bool,
    /// A flush was done since the last look.
    was_flushed: bool,
    /// The queue has not been low, or empty, since that was last told.
    was_high: bool,
    was_filled: bool,
    /// The last field, so that who waits is called when the ring has gone.
    bell: Bell,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Too little is there to begin, since so many frames of time.
    Waiting(usize),
    Playing,
    /// So many frames are still heard before the rest is dropped.
    Falling(usize),
}

impl Outlet {
    pub(super) fn new(ring: Consumer<f32>, shared: Arc<Shared>, settings: Settings, bell: Bell) -> Self {
        Self {
            ring,
            shared,
            settings,
            phase: Phase::Waiting(0),
            gain: Gain::new(0.0),
            period: 0,
            left: 0,
            heard: 0,
            seen: 0,
            flush_to: 0,
            has_read: false,
            is_short: false,
            was_flushed: false,
            was_high: false,
            was_filled: false,
            bell,
        }
    }

    /// Frames in the ring.
    pub(crate) fn queued(&self) -> usize {
        self.ring.slots() / CHANNELS
    }

    /// Frames that may be played now.
    pub(crate) fn frames(&self) -> usize {
        match self.phase {
            Phase::Waiting(_) => 0,
            Phase::Playing => self.queued(),
            Phase::Falling(left) => left,
        }
    }

    /// Whether there is nothing to play and nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.ring.is_empty() && self.shared.asked.load(Ordering::Acquire) == self.seen
    }

    /// Looks what to do in the coming period; whether a flush was done since the last time.
    pub(crate) fn attend(&mut self, period: usize, sounds: bool, ended: bool) -> bool {
        self.period = period;
        let is_dry = self.is_short || (self.ring.is_empty() && !self.has_read);
        (self.has_read, self.is_short) = (false, false);
        if is_dry && self.phase == Phase::Playing {
            self.phase = Phase::Waiting(0);
        }
        if self.look_for_flush() && sounds {
            self.fall();
        }
        if self.shared.done.load(Ordering::Relaxed) != self.seen && !(sounds && matches!(self.phase, Phase::Falling(_)))
        {
            self.cut();
        }
        let queued = self.queued();
        if let Phase::Waiting(waited) = self.phase {
            let enough = queued as u64 >= self.settings.prebuffer || ended || waited >= PATIENCE;
            if queued > 0 && enough {
                self.begin();
            }
        }
        self.was_high |= queued as u64 >= self.settings.low_water;
        self.was_filled |= queued > 0;
        std::mem::take(&mut self.was_flushed)
    }

    /// Less was there than was wanted: there is a gap.
    pub(crate) fn fell_short(&mut self) {
        self.is_short = true;
    }

    pub(crate) fn pass_tick(&mut self) {
        if let Phase::Waiting(waited) = self.phase {
            self.phase = Phase::Waiting(if self.ring.is_empty() { 0 } else { waited.saturating_add(self.period) });
        }
    }

    /// Does what a flush asks for at once, without a fade; `false` when none does.
    pub(crate) fn flush(&mut self) -> bool {
        let asked = self.look_for_flush() || self.shared.done.load(Ordering::Relaxed) != self.seen;
        if asked {
            self.cut();
        }
        asked
    }

    /// Takes up to `frames`, in at most two pieces; returns how many there were.
    pub(crate) fn read(&mut self, frames: usize, mut take: impl FnMut(&[f32])) -> usize {
        let frames = match self.phase {
            Phase::Falling(left) => frames.min(left),
            _ => frames.min(self.queued()),
        };
        let Ok(mut chunk) = self.ring.read_chunk(frames * CHANNELS) else { return 0 };
        let (first, second) = chunk.as_mut_slices();
        for piece in [first, second] {
            if !piece.is_empty() {
                if !self.gain.is_unity() {
                    self.gain.apply(piece);
                }
                take(piece);
            }
        }
        chunk.commit_all();
        self.has_read |= frames > 0;
        self.left += frames as u64;
        self.heard += frames as u64;
        self.publish();
        match &mut self.phase {
            Phase::Falling(left) => {
                *left -= frames;
                if *left == 0 {
                    self.cut();
                }
            }
            _ => self.tell(frames),
        }
        frames
    }

    fn begin(&mut self) {
        self.phase = Phase::Playing;
        self.gain = Gain::new(if self.settings.fade_in > 0 { 0.0 } else { 1.0 });
        self.gain.ramp_within(1.0, self.settings.fade_in);
    }

    /// Whether a flush was asked for that is not begun.
    fn look_for_flush(&mut self) -> bool {
        let asked = self.shared.asked.load(Ordering::Acquire);
        if asked == self.seen {
            return false;
        }
        (self.seen, self.flush_to) = (asked, self.shared.flush_to.load(Ordering::Relaxed));
        true
    }

    /// Begins to fall silent, when it sounds.
    fn fall(&mut self) {
        if self.phase == Phase::Playing {
            let doomed = self.flush_to.saturating_sub(self.left).min(self.period as u64) as usize;
            let frames = doomed.min(FALL);
            if frames > 0 {
                self.gain.ramp_within(0.0, frames as u64);
                self.phase = Phase::Falling(frames);
            }
        }
    }

    /// Drops what was flushed, and says so.
    fn cut(&mut self) {
        let doomed = self.flush_to.saturating_sub(self.left);
        let frames = self.queued().min(usize::try_from(doomed).unwrap_or(usize::MAX));
        if let Ok(chunk) = self.ring.read_chunk(frames * CHANNELS) {
            chunk.commit_all();
        }
        self.left += frames as u64;
        self.publish();
        self.phase = Phase::Waiting(0);
        (self.was_high, self.was_filled, self.was_flushed) = (false, false, true);
        self.shared.heard_then.store(self.heard, Ordering::Relaxed);
        self.shared.done.store(self.seen, Ordering::Release);
        (self.bell.0)();
    }

    fn publish(&self) {
        self.shared.heard.store(self.heard, Ordering::Release);
        self.shared.left.store(self.left, Ordering::Release);
    }

    /// Calls who waits for a low queue, after `frames` were read.
    fn tell(&mut self, frames: usize) {
        let (low_water, left) = (self.settings.low_water, self.queued() as u64);
        let is_low = left < low_water && (self.was_high || left + frames as u64 >= low_water);
        let is_empty = left == 0 && self.was_filled;
        self.was_high &= !is_low;
        self.was_filled &= left > 0;
        if is_low || is_empty {
            (self.bell.0)();
        }
    }
}
