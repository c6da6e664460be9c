use std::time::Instant;

use voice_model::{FRAME, RtpTime, Seq, Ssrc};

use crate::speaker::Speaker;
use crate::{Config, Heard, Stats};

/// A tick that comes later than this after its time re-anchors the schedule instead of being caught up.
const MAX_CATCH_UP: u32 = 5;

/// All speakers of one call: packets in, as they arrive; audio out, once in 20 ms.
#[derive(Debug)]
pub struct Receiver {
    config: Config,
    /// Sorted by SSRC.
    speakers: Vec<Speaker>,
    /// When the next tick is due; `None` while nobody is active.
    next_tick: Option<Instant>,
}

impl Receiver {
    /// A receiver that knows nobody yet.
    pub fn new(config: Config) -> Self {
        Self { config: config.in_range(), speakers: Vec::new(), next_tick: None }
    }

    /// Takes one Opus packet as it was in RTP: decrypted, without extension and padding; empty when it was all padding.
    /// `now` is when it arrived, which may be earlier than the last tick.
    ///
    /// Anything is bearable here: what is no Opus, late, or there already is counted in [`Stats`].
    pub fn push(&mut self, now: Instant, ssrc: Ssrc, seq: Seq, time: RtpTime, frame: &[u8]) {
        let speaker = self.speaker(ssrc);
        speaker.push(now, seq, time, frame);
        if !speaker.is_idle() && self.next_tick.is_none() {
            self.next_tick = Some(now + FRAME);
        }
    }

    /// Gives out the next 20 ms of every active speaker, in the order of SSRCs. Due at [`poll_timeout`](Self::poll_timeout);
    /// a caller with a 20 ms clock of its own may just as well call it there.
    pub fn tick(&mut self, now: Instant, deliver: &mut dyn FnMut(Heard<'_>)) {
        let mut active = false;
        for speaker in &mut self.speakers {
            if !speaker.is_idle() {
                speaker.tick(now, deliver);
                active |= !speaker.is_idle();
            }
        }
        let due = self.next_tick.filter(|due| *due <= now && now.duration_since(*due) <= MAX_CATCH_UP * FRAME);
        self.next_tick = active.then(|| due.unwrap_or(now) + FRAME);
    }

    /// When [`tick`](Self::tick) is due; `None` while nobody is active and no tick is needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_tick
    }

    /// Drops a speaker with everything buffered.
    pub fn forget(&mut self, ssrc: Ssrc) {
        if let Ok(index) = self.find(ssrc) {
            self.speakers.remove(index);
        }
        if self.speakers.iter().all(Speaker::is_idle) {
            self.next_tick = None;
        }
    }

    /// The figures of one speaker.
    pub fn stats(&self, ssrc: Ssrc) -> Option<Stats> {
        self.find(ssrc).ok().map(|index| *self.speakers[index].stats())
    }

    /// All speakers that are known, in the order of SSRCs.
    pub fn speakers(&self) -> impl Iterator<Item = (Ssrc, &Stats)> {
        self.speakers.iter().map(|speaker| (speaker.ssrc(), speaker.stats()))
    }

    fn find(&self, ssrc: Ssrc) -> Result<usize, usize> {
        self.speakers.binary_search_by_key(&ssrc, Speaker::ssrc)
    }

    fn speaker(&mut self, ssrc: Ssrc) -> &mut Speaker {
        let index = self.find(ssrc).unwrap_or_else(|_| {
            if self.speakers.len() >= self.config.max_speakers {
                self.evict();
            }
            let index = self.find(ssrc).unwrap_or_else(|index| index);
            self.speakers.insert(index, Speaker::new(ssrc, &self.config));
            index
        });
        &mut self.speakers[index]
    }

    /// Makes room: the speaker goes that has been quiet longest, an idle one if there is any.
    fn evict(&mut self) {
        let quietest = |(_, speaker): &(usize, &Speaker)| (!speaker.is_idle(), speaker.last_arrival());
        if let Some((index, _)) = self.speakers.iter().enumerate().min_by_key(quietest) {
            self.speakers.remove(index);
        }
    }
}
