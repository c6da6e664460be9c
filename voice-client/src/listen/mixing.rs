use std::time::{Duration, Instant};

use model::{FRAME, FRAME_SAMPLES, RtpTime, UserId};
use receive::convert::{Converter, Format};
use receive::{Kind, Mixdown};

use super::voice::earlier;

/// Longest time between two ticks that follow each other, one of them late.
const LATE: Duration = Duration::from_millis(100);

/// The mix of one listener: what was said in this tick, and by whom.
pub(super) struct Mixing {
    mixdown: Mixdown,
    pub(super) users: Vec<UserId>,
    pub(super) kind: Kind,
    converter: Converter,
    last: Option<Instant>,
    time: RtpTime,
}

impl Mixing {
    pub(super) fn new(format: Format) -> Self {
        Self {
            mixdown: Mixdown::new(),
            users: Vec::new(),
            kind: Kind::Silence,
            converter: Converter::new(format),
            last: None,
            time: RtpTime(0),
        }
    }

    pub(super) fn format(&self) -> Format {
        self.converter.format()
    }

    pub(super) fn set_format(&mut self, format: Format) {
        if self.converter.format() != format {
            self.converter = Converter::new(format);
        }
    }

    pub(super) fn add(&mut self, user: UserId, kind: Kind, pcm: &[f32]) {
        self.mixdown.add(pcm);
        self.kind = self.kind.max(kind);
        // With two streams they are still one.
        if !self.users.contains(&user) {
            self.users.push(user);
        }
    }

    /// The samples of this tick, and the timestamp of the first one.
    pub(super) fn finish(&mut self, now: Instant) -> (RtpTime, &[f32]) {
        if let Some(last) = self.last.replace(now) {
            let gap = now.saturating_duration_since(last);
            // Ticks that are caught up follow each other whatever the clock says.
            let ticks = if gap > LATE { (gap.as_secs_f64() / FRAME.as_secs_f64()).round() as u32 } else { 1 };
            if ticks > 1 {
                self.converter.reset();
            }
            self.time += ticks.wrapping_mul(FRAME_SAMPLES as u32);
        }
        (earlier(self.time, &self.converter), self.converter.convert(self.mixdown.finish()))
    }

    /// The next tick begins.
    pub(super) fn clear(&mut self) {
        self.users.clear();
        self.kind = Kind::Silence;
    }
}
