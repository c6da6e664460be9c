use std::time::{Duration, Instant};

use voice_model::{RtpTime, SAMPLE_RATE, Seq, Ssrc};

use super::ReportBlock;

/// A sequence number further ahead than this is another stream's, or noise, until the next one follows it; so is one further
/// behind than [`MAX_MISORDER`] (RFC 3550, appendix A.1).
const MAX_DROPOUT: i16 = 3_000;
const MAX_MISORDER: i16 = 100;

/// What RFC 3550 has a receiver know of one stream, for its report block (section 6.4.1, appendices A.1, A.3 and A.8).
///
/// All times are the receiver's; RTP timestamps count at 48 kHz.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    packets: u64,
    stream: Option<Stream>,
    sender_report: Option<SenderTime>,
    /// Packets came since the last block.
    news: bool,
}

/// What a sender report said about its stream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderTime {
    /// NTP time of the report: seconds since 1900 in the upper 32 bits, fractions in the lower.
    pub ntp: u64,
    /// The same moment on the stream's RTP clock.
    pub time: RtpTime,
    /// When the report came.
    pub at: Instant,
}

#[derive(Clone, Debug)]
struct Stream {
    first: u32,
    /// The highest sequence number seen, with its turns around the circle in the upper half.
    highest: u32,
    received: u32,
    /// In samples, times 16.
    jitter: u32,
    last: (Instant, RtpTime),
    /// What had been expected and received when the last block was made.
    reported: (u32, u32),
    /// What follows a sequence number that was far off.
    doubted: Option<Seq>,
}

impl Reception {
    /// Packets noted so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Whether packets were noted since the last [block](Self::block).
    pub fn is_heard(&self) -> bool {
        self.news
    }

    /// The highest sequence number so far and the timestamp noted last; `None` before the first packet.
    pub fn last(&self) -> Option<(Seq, RtpTime)> {
        self.stream.as_ref().map(|stream| (Seq(stream.highest as u16), stream.last.1))
    }

    /// Interarrival jitter (RFC 3550, appendix A.8), in samples.
    pub fn jitter(&self) -> u32 {
        self.stream.as_ref().map_or(0, |stream| stream.jitter >> 4)
    }

    /// What the latest sender report said; `None` before the first.
    pub fn sender_time(&self) -> Option<SenderTime> {
        self.sender_report
    }

    /// Takes the header of a packet of the stream, in the order of arrival, late ones and duplicates included.
    pub fn note(&mut self, now: Instant, seq: Seq, time: RtpTime) {
        self.packets += 1;
        self.news = true;
        match &mut self.stream {
            Some(stream) if stream.is_plausible(seq) => stream.note(now, seq, time),
            // The first of another stream of the same SSRC: its sender started anew.
            Some(stream) if stream.doubted == Some(seq) => *stream = Stream::new(now, seq, time),
            Some(stream) => stream.doubted = Some(seq.next()),
            stream => *stream = Some(Stream::new(now, seq, time)),
        }
    }

    /// Takes what a sender report of the stream says about time.
    pub fn note_report(&mut self, now: Instant, ntp: u64, time: RtpTime) {
        self.sender_report = Some(SenderTime { ntp, time, at: now });
    }

    /// How the stream was heard since the last block, and since its start; `None` before its first packet. `ssrc` is what the
    /// block says that it is about.
    pub fn block(&mut self, now: Instant, ssrc: Ssrc) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        self.news = false;
        let (last_sender_report, delay) = self.sender_report.map_or((0, 0), |report| {
            let passed = units(now.saturating_duration_since(report.at), 65_536);
            ((report.ntp >> 16) as u32, passed.min(u64::from(u32::MAX)) as u32)
        });
        let (fraction_lost, lost) = stream.losses();
        let (highest_seq, jitter) = (stream.highest, stream.jitter >> 4);
        Some(ReportBlock { ssrc, fraction_lost, lost, highest_seq, jitter, last_sender_report, delay })
    }
}

/// A duration in units of which so many make a second.
fn units(duration: Duration, per_second: u32) -> u64 {
    duration.as_secs() * u64::from(per_second)
        + u64::from(duration.subsec_nanos()) * u64::from(per_second) / 1_000_000_000
}

impl Stream {
    fn new(now: Instant, seq: Seq, time: RtpTime) -> Self {
        let first = u32::from(seq.0);
        let (last, reported) = ((now, time), (0, 0));
        Self { first, highest: first, received: 1, jitter: 0, last, reported, doubted: None }
    }

    fn is_plausible(&self, seq: Seq) -> bool {
        (-MAX_MISORDER..MAX_DROPOUT).contains(&seq.since(Seq(self.highest as u16)))
    }

    fn note(&mut self, now: Instant, seq: Seq, time: RtpTime) {
        self.doubted = None;
        self.received = self.received.wrapping_add(1);
        let ahead = seq.since(Seq(self.highest as u16));
        self.highest = self.highest.wrapping_add(u32::from(ahead.max(0).unsigned_abs()));
        let (then, before) = self.last;
        let elapsed = units(now.saturating_duration_since(then), SAMPLE_RATE);
        let transit = (elapsed as i32).wrapping_sub(time.since(before)).unsigned_abs();
        self.jitter = self.jitter.saturating_add(transit).saturating_sub(self.jitter.saturating_add(8) >> 4);
        self.last = (now, time);
    }

    /// The share lost since the last time, in 1/256, and how many were lost since the start.
    fn losses(&mut self) -> (u8, i32) {
        let expected = self.highest.wrapping_sub(self.first).wrapping_add(1);
        let (expected_before, received_before) = self.reported;
        let expected_now = expected.wrapping_sub(expected_before);
        let lost_now = expected_now.saturating_sub(self.received.wrapping_sub(received_before));
        self.reported = (expected, self.received);
        let fraction = (u64::from(lost_now) * 256).checked_div(u64::from(expected_now)).unwrap_or(0);
        let lost = i64::from(expected) - i64::from(self.received);
        // 24 bits with a sign.
        (fraction.min(255) as u8, lost.clamp(-0x80_0000, 0x7F_FFFF) as i32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Packet `n` of a stream that starts near the end of the circle, on time.
    fn note(reception: &mut Reception, start: Instant, n: u32) {
        reception.note(start + Duration::from_millis(20) * n, Seq(65_530) + n as u16, RtpTime(u32::MAX) + 960 * n);
    }

    #[test]
    fn nothing_to_report_before_the_first_packet() {
        let (mut reception, start) = (Reception::default(), start());
        assert_eq!((reception.block(start, Ssrc(1)), reception.is_heard()), (None, false));
        note(&mut reception, start, 0);
        assert!(reception.is_heard());
        assert!(reception.block(start, Ssrc(1)).is_some());
        assert!(!reception.is_heard());
    }

    #[test]
    fn losses_are_counted_over_the_wrap() {
        let (mut reception, start) = (Reception::default(), start());
        (0..100).filter(|n| n % 4 != 1).for_each(|n| note(&mut reception, start, n));
        let first = reception.block(start + INTERVAL, Ssrc(7)).expect("heard");
        assert_eq!((first.ssrc, first.fraction_lost, first.lost), (Ssrc(7), 64, 25));
        assert_eq!((first.highest_seq, first.jitter), (65_530 + 99, 0));
        (100..200).for_each(|n| note(&mut reception, start, n));
        let second = reception.block(start + 2 * INTERVAL, Ssrc(7)).expect("heard");
        assert_eq!((second.fraction_lost, second.lost, second.highest_seq), (0, 25, 65_530 + 199));
    }

    #[test]
    fn duplicates_make_the_count_negative() {
        let (mut reception, start) = (Reception::default(), start());
        for n in (0..10).chain(0..10) {
            note(&mut reception, start, n);
        }
        let block = reception.block(start + INTERVAL, Ssrc(7)).expect("heard");
        assert_eq!((block.fraction_lost, block.lost), (0, -10));
    }

    #[test]
    fn a_sender_that_starts_anew_loses_nothing() {
        let (mut reception, start) = (Reception::default(), start());
        (0..50).for_each(|n| note(&mut reception, start, n));
        // One that is far off changes nothing, two in a row are another stream.
        reception.note(start + INTERVAL, Seq(20_000), RtpTime(5));
        note(&mut reception, start, 50);
        let block = reception.block(start + INTERVAL, Ssrc(7)).expect("heard");
        assert_eq!((block.fraction_lost, block.lost, block.highest_seq), (0, 0, 65_530 + 50));
        for n in 0..100_u16 {
            let at = start + INTERVAL + Duration::from_millis(20) * u32::from(n);
            reception.note(at, Seq(20_000) + n, RtpTime(5) + 960 * u32::from(n));
        }
        let block = reception.block(start + 2 * INTERVAL, Ssrc(7)).expect("heard");
        assert_eq!((block.fraction_lost, block.lost, block.highest_seq, block.jitter), (0, 0, 20_099, 0));
    }

    #[test]
    fn jitter_follows_the_formula() {
        let (mut reception, start) = (Reception::default(), start());
        for n in 0..400_u32 {
            let late = Duration::from_millis(if n % 2 == 0 { 0 } else { 10 });
            reception.note(start + Duration::from_millis(20) * n + late, Seq(n as u16), RtpTime(960 * n));
        }
        let jitter = reception.block(start + INTERVAL, Ssrc(1)).expect("heard").jitter;
        assert!((470..=480).contains(&jitter), "10 ms are 480 samples: {jitter}");
        assert_eq!(reception.jitter(), jitter);
    }

    #[test]
    fn sender_reports_come_back() {
        let (mut reception, start) = (Reception::default(), start());
        note(&mut reception, start, 0);
        reception.note_report(start + Duration::from_secs(3), 0x1122_3344_5566_7788, RtpTime(9));
        let block = reception.block(start + INTERVAL, Ssrc(1)).expect("heard");
        assert_eq!((block.last_sender_report, block.delay), (0x3344_5566, 2 * 65_536));
    }

    proptest! {
        #[test]
        fn any_packets_are_survived(packets in prop::collection::vec((any::<u16>(), any::<u32>()), 1..200)) {
            let (mut reception, start) = (Reception::default(), start());
            for (seq, time) in packets {
                reception.note(start, Seq(seq), RtpTime(time));
            }
            prop_assert!(reception.block(start + INTERVAL, Ssrc(1)).is_some());
        }
    }
}
