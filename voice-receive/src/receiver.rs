use std::time::{Duration, Instant};

use voice_model::{FRAME, RtpTime, Seq, Ssrc};

use crate::away::Away;
use crate::speaker::Speaker;
use crate::{Config, Decode, Heard, Stats};

/// A tick that comes later than this after its time re-anchors the schedule instead of being caught up.
const MAX_CATCH_UP: u32 = 5;

/// From the first packet to the first tick: half a frame, so that packets which come once in a frame come well between
/// ticks.
const FIRST_TICK: Duration = Duration::from_millis(10);

/// All speakers of one call: packets in, as they arrive; audio out, once in 20 ms.
#[derive(Debug)]
pub struct Receiver {
    config: Config,
    /// Sorted by SSRC.
    seats: Vec<Seat>,
    /// When the next tick is due; `None` while nobody is active.
    next_tick: Option<Instant>,
    /// Speakers made so far.
    made: u64,
}

/// The place of one speaker.
#[derive(Debug)]
struct Seat {
    ssrc: Ssrc,
    /// Tells its speaker from an earlier one with the same SSRC.
    id: u64,
    /// `None` while it is away.
    speaker: Option<Speaker>,
    /// Made when it first leaves.
    away: Option<Box<Away>>,
}

impl Receiver {
    /// A receiver that knows nobody yet.
    pub fn new(config: Config) -> Self {
        Self { config: config.in_range(), seats: Vec::new(), next_tick: None, made: 0 }
    }

    /// Takes one Opus packet as it was in RTP: decrypted, without extension and padding; empty when it was all padding.
    /// `now` is when it arrived, which may be earlier than the last tick.
    ///
    /// Anything is bearable here: what is no Opus, late, or there already is counted in [`Stats`]. For a speaker that is
    /// away, up to 128 packets and 64 KiB are kept until it is back; what exceeds that is lost.
    pub fn push(&mut self, now: Instant, ssrc: Ssrc, seq: Seq, time: RtpTime, frame: &[u8]) {
        match self.seat(ssrc) {
            Seat { speaker: Some(speaker), .. } => {
                speaker.push(now, seq, time, frame);
                if !speaker.is_idle() && self.next_tick.is_none() {
                    self.next_tick = Some(now + FIRST_TICK);
                }
            }
            Seat { away, .. } => away.get_or_insert_default().push(now, seq, time, frame),
        }
    }

    /// Sets what one speaker gives out from now on, in place of [`Config::decode`]; makes the speaker when it is not known.
    pub fn set_decode(&mut self, ssrc: Ssrc, decode: Decode) {
        match self.seat(ssrc) {
            Seat { speaker: Some(speaker), .. } => speaker.set_decode(decode),
            Seat { away, .. } => away.get_or_insert_default().set_decode(decode),
        }
        self.rest();
    }

    /// Gives out the next 20 ms of every active speaker, in the order of SSRCs. Due at [`poll_timeout`](Self::poll_timeout);
    /// a caller with a 20 ms clock of its own may just as well call it there.
    pub fn tick(&mut self, now: Instant, deliver: &mut dyn FnMut(Heard<'_>)) {
        for speaker in self.seats.iter_mut().filter_map(Seat::active) {
            speaker.tick(now, deliver);
        }
        self.schedule(now);
        self.rest();
    }

    /// Takes out the speakers that a [`tick`](Self::tick) at `now` would tick, in the order of SSRCs, and appends them to
    /// `due`, so that they can be ticked elsewhere. To be given back afterwards; one that is still away at the next tick
    /// misses it, and one that never comes back is to be [forgotten](Self::forget).
    pub fn take_due(&mut self, now: Instant, due: &mut Vec<Speaker>) {
        for seat in &mut self.seats {
            if let Some(speaker) = seat.speaker.take_if(|speaker| !speaker.is_idle()) {
                seat.away.get_or_insert_default().stats = *speaker.stats();
                due.push(speaker);
            }
        }
        self.schedule(now);
        self.rest();
    }

    /// Puts speakers back and does to them what happened in the meantime. Ends the tick that
    /// [`take_due`](Self::take_due) began; may be called more than once for it. A speaker that was forgotten is dropped.
    pub fn give_back(&mut self, now: Instant, speakers: impl IntoIterator<Item = Speaker>) {
        for mut speaker in speakers {
            let Ok(index) = self.find(speaker.ssrc()) else { continue };
            let seat = &mut self.seats[index];
            if seat.id != speaker.id() || seat.speaker.is_some() {
                continue;
            }
            if let Some(away) = &mut seat.away {
                away.apply(&mut speaker);
            }
            if !speaker.is_idle() && self.next_tick.is_none() {
                self.next_tick = Some(now + FIRST_TICK);
            }
            seat.speaker = Some(speaker);
        }
        self.rest();
    }

    /// When [`tick`](Self::tick) is due; `None` while nobody is active and no tick is needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_tick
    }

    /// Drops a speaker with everything buffered and set; when it is away, it is dropped as it is given back.
    pub fn forget(&mut self, ssrc: Ssrc) {
        if let Ok(index) = self.find(ssrc) {
            self.seats.remove(index);
        }
        self.rest();
    }

    /// Whether there is a speaker of this stream: the first packet makes it, and [`set_decode`](Self::set_decode).
    pub fn knows(&self, ssrc: Ssrc) -> bool {
        self.find(ssrc).is_ok()
    }

    /// The figures of one speaker; those of when it left, while it is away.
    pub fn stats(&self, ssrc: Ssrc) -> Option<Stats> {
        self.find(ssrc).ok().map(|index| *self.seats[index].stats())
    }

    /// All speakers that are known, in the order of SSRCs.
    pub fn speakers(&self) -> impl Iterator<Item = (Ssrc, &Stats)> {
        self.seats.iter().map(|seat| (seat.ssrc, seat.stats()))
    }

    /// The time of the tick after this one.
    fn schedule(&mut self, now: Instant) {
        let due = self.next_tick.filter(|due| *due <= now && now.duration_since(*due) <= MAX_CATCH_UP * FRAME);
        self.next_tick = Some(due.unwrap_or(now) + FRAME);
    }

    /// No tick is needed while nobody is active.
    fn rest(&mut self) {
        if self.next_tick.is_some() && self.seats.iter().all(Seat::is_idle) {
            self.next_tick = None;
        }
    }

    fn find(&self, ssrc: Ssrc) -> Result<usize, usize> {
        self.seats.binary_search_by_key(&ssrc, |seat| seat.ssrc)
    }

    fn seat(&mut self, ssrc: Ssrc) -> &mut Seat {
        let index = self.find(ssrc).unwrap_or_else(|_| {
            if self.seats.len() >= self.config.max_speakers {
                self.evict();
            }
            let index = self.find(ssrc).unwrap_or_else(|index| index);
            let id = self.made;
            self.made += 1;
            let speaker = Speaker::new(id, ssrc, &self.config);
            self.seats.insert(index, Seat { ssrc, id, speaker: Some(speaker), away: None });
            index
        });
        &mut self.seats[index]
    }

    /// Makes room: the speaker goes that has been quiet longest, an idle one if there is any, one that is away last.
    fn evict(&mut self) {
        let quietest = |(_, seat): &(usize, &Seat)| {
            (seat.speaker.is_none(), !seat.is_idle(), seat.speaker.as_ref().and_then(Speaker::last_arrival))
        };
        if let Some((index, _)) = self.seats.iter().enumerate().min_by_key(quietest) {
            self.seats.remove(index);
        }
    }
}

impl Seat {
    /// The speaker, when it is here and needs a tick.
    fn active(&mut self) -> Option<&mut Speaker> {
        self.speaker.as_mut().filter(|speaker| !speaker.is_idle())
    }

    /// Needs no tick; one that is away does.
    fn is_idle(&self) -> bool {
        self.speaker.as_ref().is_some_and(Speaker::is_idle)
    }

    fn stats(&self) -> &Stats {
        match (&self.speaker, &self.away) {
            (Some(speaker), _) => speaker.stats(),
            (None, away) => &away.as_ref().expect("invariant: made as the speaker left").stats,
        }
    }
}
