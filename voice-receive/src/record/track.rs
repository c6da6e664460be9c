use std::time::Duration;

use voice_model::{MAX_PACKET_SAMPLES, RtpTime, SAMPLE_RATE, Seq, Ssrc};

use super::window::{Arrived, Restart, Window};
use crate::packet;

/// One millisecond in samples.
const MS: i64 = SAMPLE_RATE as i64 / 1000;
/// The unit of every place: 2.5 ms, the shortest Opus packet, so that any gap can be filled with packets.
const UNIT: i64 = 120;
/// How far a track may be off before speech without pause is touched: any two are within 20 ms then.
const LIMIT: i64 = 15 * MS / 2;
/// The gap of a lost packet is exact as long as the track is off by no more than this.
const CALM: i64 = 5 * MS;
/// A gap longer than this is no loss that could be concealed, whatever is missing.
const LONGEST_LOSS: i64 = SAMPLE_RATE as i64;
/// A packet whose time is over by more than this is left out: no sender makes a track run ahead of the time.
const FAR: i64 = SAMPLE_RATE as i64;
/// Who has not been heard for this long does not speak.
const HANG: u64 = 200 * MS as u64;

/// A packet and its place on the time line of a recording. Times in samples at 48 kHz since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed<'a> {
    /// Where its audio begins.
    pub position: u64,
    /// Where that of the packet before it ended.
    pub end: u64,
    /// Whether packets in between were lost: what is missing can be concealed.
    pub lost: bool,
    /// Samples of the packet itself.
    pub samples: u32,
    /// Samples to leave out near its beginning, because the sender's clock is slower.
    pub cut: u32,
    /// Samples to repeat near its beginning, because the sender's clock is faster.
    pub repeat: u32,
    /// The Opus packet.
    pub frame: &'a [u8],
}

/// What a [`Track`] has to say beside its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackNote {
    /// Timestamps begin anew.
    Restart {
        /// The stream from now on.
        ssrc: Ssrc,
        /// Why.
        why: Restart,
    },
    /// So many packets never came.
    Lost(u32),
    /// The user begins or ceases to be heard.
    Speaking(bool),
}

/// What became of the packets of one user.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TrackReport {
    /// Packets that have a place in the recording.
    pub packets: u64,
    /// Those that had not come when others behind them were written.
    pub lost: u64,
    /// Those that came after others behind them were written: most of them count as lost as well.
    pub late: u64,
    /// Those that came twice.
    pub duplicate: u64,
    /// Those that are no Opus packets.
    pub malformed: u64,
    /// Samples without audio: gaps, and packets of silence.
    pub silence: u64,
    /// Streams, clocks and sequences that the user went through.
    pub restarts: u64,
    /// How often speech was shortened or lengthened because of clock drift.
    pub corrections: u64,
    /// Packets left out: for that, because they were sent before the recording began, or because there were more than
    /// 512 packets or 256 KiB at once. The last ones count as lost as well.
    pub dropped: u64,
    /// How much faster than ours the sender's clock runs, in parts per million.
    pub drift_ppm: f64,
    /// How far the track was off at worst, in samples.
    pub worst_error: u64,
    /// How far it was off at the last packet.
    pub last_error: i64,
}

/// How a [`Track`] corrects speech that has no pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Whole packets are left out and gaps inserted: packets are written as they are.
    Packets,
    /// Samples are left out or repeated: packets are decoded.
    Samples,
}

/// Places the packets of one user on the time line of a recording: sorted, by RTP timestamp, anchored by arrival.
///
/// Packets wait for `window` of arrivals, so that late ones find their place and the fastest one says where the track
/// is. Drift of the sender's clock is corrected in pauses, and in speech without pauses once it exceeds 7.5 ms.
#[derive(Debug)]
pub struct Track {
    window: Window,
    correction: Correction,
    /// Where the last packet ended.
    end: u64,
    /// RTP time there; `None` when the next packet has nothing to do with it.
    rtp: Option<i64>,
    /// Packets are missing since.
    lost: bool,
    speaking: bool,
    /// Where the last packet with sound ended.
    sounded: u64,
    report: TrackReport,
}

impl Track {
    /// An empty track, whose packets wait for `window` (100 ms to 2 s).
    pub fn new(window: Duration, correction: Correction) -> Self {
        let window = samples(window.clamp(Duration::from_millis(100), Duration::from_secs(2)));
        Self {
            window: Window::new(window as i64),
            correction,
            end: 0,
            rtp: None,
            lost: false,
            speaking: false,
            sounded: 0,
            report: TrackReport::default(),
        }
    }

    /// Takes a packet that arrived `at` after the start of the recording. Packets come in the order of arrival.
    pub fn push(&mut self, at: Duration, ssrc: Ssrc, seq: Seq, time: RtpTime, frame: &[u8]) {
        self.window.push(&Arrived { at: samples(at) as i64, ssrc, seq, time, frame });
    }

    /// Gives out what has waited long enough at `now`.
    ///
    /// # Errors
    ///
    /// Those of `place`, at once.
    pub fn release<E>(
        &mut self,
        now: Duration,
        place: &mut impl FnMut(Placed<'_>) -> Result<(), E>,
        note: &mut impl FnMut(u64, TrackNote),
    ) -> Result<(), E> {
        let now = samples(now) as i64;
        while let Some(packet) = self.window.pop(now) {
            if let Some(why) = packet.restart {
                self.report.restarts += 1;
                self.rtp = None;
                note(packet.ideal.max(0) as u64, TrackNote::Restart { ssrc: packet.ssrc, why });
            }
            if packet.missing > 0 {
                self.report.lost += u64::from(packet.missing);
                self.lost = true;
                note(self.end, TrackNote::Lost(packet.missing));
            }
            let after = packet.rtp + i64::from(packet.samples);
            if packet.samples == 0 {
                continue;
            }
            let placed = self.place(packet.ideal, packet.rtp, packet.samples, &packet.frame);
            self.rtp = placed.map(|_| after);
            self.lost = false;
            let Some(placed) = placed else { continue };
            self.end = placed.position + u64::from(placed.length());
            self.hear(&placed, note);
            place(placed)?;
        }
        if self.speaking && self.sounded + HANG < (now as u64).saturating_sub(self.window_length()) {
            self.speaking = false;
            note(self.sounded, TrackNote::Speaking(false));
        }
        Ok(())
    }

    /// Gives out everything; what comes next is not missed in between.
    ///
    /// # Errors
    ///
    /// Those of `place`, at once.
    pub fn interrupt<E>(
        &mut self,
        place: &mut impl FnMut(Placed<'_>) -> Result<(), E>,
        note: &mut impl FnMut(u64, TrackNote),
    ) -> Result<(), E> {
        let result = self.release(Duration::from_secs(1 << 40), place, note);
        self.window.interrupt();
        (self.rtp, self.lost) = (None, false);
        result
    }

    /// Where the last packet ended.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Figures so far.
    pub fn report(&self) -> TrackReport {
        let counts = self.window.counts();
        let drift_ppm = self.window.drift_ppm();
        let (late, duplicate, malformed) = (counts.late, counts.duplicate, counts.malformed);
        let dropped = self.report.dropped + counts.dropped;
        TrackReport { late, duplicate, malformed, dropped, drift_ppm, ..self.report }
    }

    fn window_length(&self) -> u64 {
        self.window.length() as u64
    }

    /// Where a packet goes; `None` when it has to be left out.
    fn place<'a>(&mut self, ideal: i64, rtp: i64, length: u32, frame: &'a [u8]) -> Option<Placed<'a>> {
        let end = self.end as i64;
        let off = ideal - end;
        if off < -FAR {
            self.report.dropped += 1;
            return None;
        }
        let step = self.rtp.map(|before| rtp - before);
        let mut change = 0;
        let gap = match step {
            // Speech goes on: it is touched only when it must be.
            Some(..=0) if off.abs() <= LIMIT => 0,
            Some(..=0) => {
                self.report.corrections += 1;
                change = rounded(off);
                let is_whole = self.correction == Correction::Packets || i64::from(length) < 2 * UNIT;
                match self.correction {
                    _ if off < 0 && is_whole => {
                        self.report.dropped += 1;
                        return None;
                    }
                    Correction::Packets => change,
                    // More than the packet has to give is silence.
                    Correction::Samples if change > i64::from(length) => change,
                    Correction::Samples => 0,
                }
            }
            Some(step) if self.lost && step <= LONGEST_LOSS && (off - step).abs() <= CALM => rounded(step),
            // Its time is taken: packets are left out until they are in time, or every second one would stay.
            _ if off < -LIMIT => {
                self.report.dropped += 1;
                return None;
            }
            _ => rounded(off).max(0),
        };
        let position = (end + gap) as u64;
        let (cut, repeat) = match self.correction {
            // A little of every packet is heard.
            Correction::Samples if gap == 0 => {
                let half = i64::from(length) / 2 / UNIT * UNIT;
                ((-change).clamp(0, half) as u32, change.clamp(0, i64::from(length)) as u32)
            }
            _ => (0, 0),
        };
        let (lost, end) = (self.lost && gap > 0, self.end);
        let error = ideal - position as i64 - i64::from(repeat) + i64::from(cut);
        self.report.packets += 1;
        self.report.worst_error = self.report.worst_error.max(error.unsigned_abs());
        self.report.last_error = error;
        self.report.silence += gap as u64;
        Some(Placed { position, end, lost, samples: length, cut, repeat, frame })
    }

    /// Whether the user speaks.
    fn hear(&mut self, placed: &Placed<'_>, note: &mut impl FnMut(u64, TrackNote)) {
        let is_quiet = packet::is_quiet(placed.frame);
        if self.speaking && (is_quiet || placed.position > self.sounded + HANG) {
            self.speaking = false;
            note(self.sounded, TrackNote::Speaking(false));
        }
        if is_quiet {
            self.report.silence += u64::from(placed.samples);
            return;
        }
        self.sounded = self.end;
        if !self.speaking {
            self.speaking = true;
            note(placed.position, TrackNote::Speaking(true));
        }
    }
}

impl Placed<'_> {
    /// Samples that it takes on the time line.
    pub fn length(&self) -> u32 {
        self.samples - self.cut + self.repeat
    }
}

/// To the next unit.
fn rounded(samples: i64) -> i64 {
    (samples + UNIT / 2).div_euclid(UNIT) * UNIT
}

/// Samples in `duration`, of which more than a thousand centuries are not told apart.
pub(super) fn samples(duration: Duration) -> u64 {
    const LONGEST: u128 = 1 << 60;
    (duration.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000).min(LONGEST) as u64
}

const _: () = assert!(MAX_PACKET_SAMPLES as i64 % UNIT == 0);
