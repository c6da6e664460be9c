use std::collections::{BTreeMap, VecDeque};

use voice_model::{RtpTime, SAMPLE_RATE, Seq, Ssrc};

use super::clock::Clock;
use crate::packet;

/// One millisecond in samples.
const MS: i64 = SAMPLE_RATE as i64 / 1000;
/// How far a packet may be off its time before its timestamps are taken for those of another clock.
const TOLERANCE: i64 = 500 * MS;
/// The same after a pause, in which the clocks of some senders stand still.
const AFTER_PAUSE: i64 = 150 * MS;
/// No packet for this long is a pause.
const PAUSE: i64 = 200 * MS;
/// Sequence numbers further apart than this are those of a sender that has begun anew.
const MAX_STEP: i64 = 3_000;
/// More missing packets in a row than this were not lost: they were never sent.
const MAX_MISSING: i64 = 1_000;
/// More packets of one user than this do not wait: a second of the shortest ones, more than the longest window of any
/// others.
const MANY_PACKETS: usize = 400;
/// The same for their bytes.
const MANY_BYTES: usize = 192 * 1024;
/// Most packets of one user until somebody asks for them.
const MAX_PACKETS: usize = 512;
/// Most bytes of them.
const MAX_BYTES: usize = 256 * 1024;
/// Most streams of one user that are known at once.
const MAX_STREAMS: usize = 4;

/// Why timestamps begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// The first packet of this user.
    First,
    /// The user sends under another SSRC: has rejoined, or we have.
    Ssrc,
    /// Sequence numbers jumped.
    Sequence,
    /// Timestamps jumped away from the arrivals, or stood still in a pause.
    Timestamp,
}

/// A packet as it came, times in samples since the start of the recording.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived<'a> {
    pub(super) at: i64,
    pub(super) ssrc: Ssrc,
    pub(super) seq: Seq,
    pub(super) time: RtpTime,
    pub(super) frame: &'a [u8],
}

/// A packet in its order.
#[derive(Debug)]
pub(super) struct Sorted {
    /// Its timestamps have nothing to do with those of the packet before.
    pub(super) restart: Option<Restart>,
    pub(super) ssrc: Ssrc,
    /// Packets before it that never came.
    pub(super) missing: u32,
    /// Time of the recording by its own timestamp.
    pub(super) ideal: i64,
    pub(super) rtp: i64,
    /// 0 when it holds no audio.
    pub(super) samples: u32,
    pub(super) frame: Box<[u8]>,
}

/// What a window has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) late: u64,
    pub(super) duplicate: u64,
    pub(super) malformed: u64,
    /// There was no room for them.
    pub(super) dropped: u64,
}

type Key = (u32, i64);

/// The packets of one user that wait for those before them.
#[derive(Debug)]
pub(super) struct Window {
    length: i64,
    queue: BTreeMap<Key, Queued>,
    /// In the order of arrival.
    arrivals: VecDeque<(i64, Key)>,
    bytes: usize,
    streams: VecDeque<Stream>,
    /// The crystal of the streams before.
    skew: Clock,
    opened: u32,
    released: Option<Last>,
    /// The SSRC before this one, and when this one came up.
    retired: Option<(Ssrc, i64)>,
    counts: Counts,
}

#[derive(Debug)]
struct Queued {
    arrival: i64,
    rtp: i64,
    samples: u32,
    /// So late that its clock may have changed.
    suspect: bool,
    frame: Box<[u8]>,
}

/// A run of packets with one clock.
#[derive(Debug)]
struct Stream {
    number: u32,
    ssrc: Ssrc,
    begun: i64,
    why: Restart,
    clock: Clock,
    highest: i64,
    time: RtpTime,
    rtp: i64,
    last: i64,
    suspect: bool,
    /// The latest arrival that was in time: what was suspect before it was only late.
    cleared: i64,
}

/// The last packet that was given out.
#[derive(Clone, Copy, Debug)]
struct Last {
    key: Key,
    ssrc: Ssrc,
    /// A bit for each of the sequence numbers before, set when it came.
    came: u128,
}

impl Window {
    /// An empty one, that lets packets wait so many samples.
    pub(super) fn new(length: i64) -> Self {
        Self {
            length,
            queue: BTreeMap::new(),
            arrivals: VecDeque::new(),
            bytes: 0,
            streams: VecDeque::new(),
            skew: Clock::default(),
            opened: 0,
            released: None,
            retired: None,
            counts: Counts::default(),
        }
    }

    /// How long packets wait, in samples.
    pub(super) fn length(&self) -> i64 {
        self.length
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// How much faster than ours the sender's clock runs, in parts per million.
    pub(super) fn drift_ppm(&self) -> f64 {
        self.streams.back().map_or(&self.skew, |stream| &stream.clock).drift_ppm()
    }

    /// Takes a packet.
    pub(super) fn push(&mut self, packet: &Arrived<'_>) {
        if self.queue.len() >= MAX_PACKETS || self.bytes + packet.frame.len() > MAX_BYTES {
            self.counts.dropped += 1;
            return;
        }
        let samples = packet::samples(packet.frame).filter(|_| packet.frame.len() <= packet::MAX_PACKET_BYTES);
        if samples.is_none() && !packet.frame.is_empty() {
            // It uses up its sequence number all the same.
            self.counts.malformed += 1;
        }
        let frame = if samples.is_some() { packet.frame } else { &[] };
        if self.retired.is_some_and(|(ssrc, at)| ssrc == packet.ssrc && packet.at - at <= 4 * self.length)
            && self.streams.iter().all(|stream| stream.ssrc != packet.ssrc)
        {
            self.counts.late += 1;
            return;
        }
        let at = self.stream(packet);
        // A straggler of a stream that is over says nothing about clocks.
        let is_newest = at + 1 == self.streams.len();
        let stream = &mut self.streams[at];
        let Stream { number, clock, highest, .. } = stream;
        let seq = *highest + i64::from(packet.seq.since(Seq(*highest as u16)));
        let rtp = stream.rtp + i64::from(packet.time.since(stream.time));
        let key = (*number, seq);
        let behind = clock.offset(packet.at).map_or(0, |offset| packet.at - rtp - offset);
        let paused = stream.suspect || packet.at - stream.last > PAUSE;
        let suspect = is_newest && (behind > TOLERANCE || (paused && behind > AFTER_PAUSE));
        let was_given_out = self.released.is_some_and(|last| key <= last.key);
        if was_given_out || self.queue.contains_key(&key) {
            let came = self.released.is_none_or(|last| !was_given_out || last.had(key));
            *(if came { &mut self.counts.duplicate } else { &mut self.counts.late }) += 1;
            return;
        }
        stream.suspect = suspect;
        stream.last = packet.at;
        if seq > stream.highest {
            (stream.highest, stream.time, stream.rtp) = (seq, packet.time, rtp);
        }
        if !suspect {
            stream.clock.observe(packet.at, rtp);
            stream.cleared = packet.at;
        }
        self.bytes += frame.len();
        self.arrivals.push_back((packet.at, key));
        let frame = frame.into();
        self.queue.insert(key, Queued { arrival: packet.at, rtp, samples: samples.unwrap_or(0), suspect, frame });
    }

    /// Forgets the streams, when nothing waits any more: what comes next begins anew.
    pub(super) fn interrupt(&mut self) {
        self.skew = self.streams.pop_back().map(|stream| stream.clock.restarted()).unwrap_or(self.skew.restarted());
        self.streams.clear();
        (self.released, self.retired) = (None, None);
    }

    /// Index of the stream that a packet belongs to, begun if need be.
    fn stream(&mut self, packet: &Arrived<'_>) -> usize {
        let newest = self.streams.back().map(|stream| (stream.number, stream.begun));
        let known = self.streams.iter().rposition(|stream| stream.ssrc == packet.ssrc).filter(|&at| {
            let is_newest = newest.is_some_and(|(number, _)| number == self.streams[at].number);
            is_newest || newest.is_some_and(|(_, begun)| packet.at - begun <= self.length)
        });
        let why = match known {
            None if self.streams.is_empty() => Restart::First,
            None => Restart::Ssrc,
            Some(at) => {
                let stream = &self.streams[at];
                let step = i64::from(packet.seq.since(Seq(stream.highest as u16)));
                let rtp = stream.rtp + i64::from(packet.time.since(stream.time));
                let offset = stream.clock.offset(packet.at);
                if step.abs() > MAX_STEP {
                    Restart::Sequence
                } else if step > 0 && offset.is_some_and(|offset| packet.at - rtp < offset - TOLERANCE) {
                    // Earlier than any road allows.
                    Restart::Timestamp
                } else {
                    return at;
                }
            }
        };
        let number = self.opened;
        self.opened += 1;
        let clock = self.streams.back().map_or(&self.skew, |stream| &stream.clock).restarted();
        // Sequence numbers are kept as they are, so that what is missing in between is known.
        let highest = match (why, known) {
            (Restart::Timestamp, Some(at)) => {
                self.streams[at].highest + i64::from(packet.seq.since(Seq(self.streams[at].highest as u16)))
            }
            _ => i64::from(packet.seq.0),
        };
        self.streams.push_back(Stream {
            number,
            ssrc: packet.ssrc,
            begun: packet.at,
            why,
            clock,
            highest,
            time: packet.time,
            rtp: i64::from(packet.time.0),
            last: packet.at,
            suspect: false,
            cleared: packet.at,
        });
        self.streams.len() - 1
    }

    /// The next packet that has waited long enough, or is before one that has.
    pub(super) fn pop(&mut self, now: i64) -> Option<Sorted> {
        loop {
            let &(arrival, key) = self.arrivals.front()?;
            let is_full =
                self.queue.len() > MANY_PACKETS || self.bytes > MANY_BYTES || self.streams.len() > MAX_STREAMS;
            if !is_full && arrival + self.length > now {
                return None;
            }
            match self.queue.first_key_value() {
                Some((&first, _)) if first <= key => return self.take(first),
                // Given out already, before a packet that came earlier.
                _ => _ = self.arrivals.pop_front(),
            }
        }
    }

    fn take(&mut self, key: Key) -> Option<Sorted> {
        let packet = self.queue.remove(&key)?;
        self.bytes -= packet.frame.len();
        while self.streams.front().is_some_and(|stream| stream.number < key.0) {
            let gone = self.streams.pop_front().map(|stream| stream.ssrc);
            self.retired = gone.zip(self.streams.front().map(|stream| stream.begun));
        }
        let stream = self.streams.front_mut()?;
        let is_next = self.released.is_some_and(|last| last.key.0 == key.0);
        let mut restart = (!is_next).then_some(stream.why);
        if packet.suspect && packet.arrival > stream.cleared {
            // Nothing came in time since: this is how its clock is now.
            restart = restart.or(Some(Restart::Timestamp));
            stream.clock = stream.clock.restarted();
            stream.clock.observe(packet.arrival, packet.rtp);
            let mut behind: Vec<(i64, i64)> = Vec::new();
            for queued in self.queue.range_mut(key..(key.0 + 1, i64::MIN)).map(|(_, queued)| queued) {
                queued.suspect = false;
                behind.push((queued.arrival, queued.rtp));
            }
            behind.sort_unstable();
            behind.into_iter().for_each(|(arrival, rtp)| stream.clock.observe(arrival, rtp));
            stream.suspect = false;
            stream.cleared = stream.last;
        }
        let offset = stream.clock.offset(packet.arrival).unwrap_or(packet.arrival - packet.rtp);
        let goes_on = |last: &Last| last.ssrc == stream.ssrc && stream.why != Restart::Sequence || is_next;
        let step = self.released.filter(goes_on).map_or(1, |last| key.1 - last.key.1);
        let missing = if (1..=MAX_MISSING).contains(&step) { (step - 1) as u32 } else { 0 };
        let came = match self.released {
            Some(last) if is_next && step < 128 => last.came << step | 1 << (step - 1),
            _ => 0,
        };
        self.released = Some(Last { key, ssrc: stream.ssrc, came });
        let (ssrc, ideal) = (stream.ssrc, packet.rtp + offset);
        let Queued { rtp, samples, frame, .. } = packet;
        Some(Sorted { restart, ssrc, missing, ideal, rtp, samples, frame })
    }
}

impl Last {
    /// Whether a packet at or before this one had come.
    fn had(self, key: Key) -> bool {
        let back = self.key.1 - key.1;
        back == 0 || (key.0 == self.key.0 && (1..=128).contains(&back) && self.came >> (back - 1) & 1 == 1)
    }
}
