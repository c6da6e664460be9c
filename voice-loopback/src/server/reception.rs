use std::time::{Duration, Instant};

use model::{RtpTime, SAMPLE_RATE, Seq, Ssrc};
use udp::rtcp::ReportBlock;

/// What RFC 3550 has a receiver know of one stream, for its report block (section 6.4.1, appendices A.3 and A.8).
#[derive(Debug, Default)]
pub(super) struct Reception {
    packets: u64,
    stream: Option<Stream>,
    /// Middle of the NTP time of the last sender report, and when it came.
    sender_report: Option<(u32, Instant)>,
}

#[derive(Debug)]
struct Stream {
    first: u32,
    /// The highest sequence number seen, with its turns around the circle in the upper half.
    highest: u32,
    received: u32,
    /// In samples, times 16.
    jitter: u32,
    last: (Instant, RtpTime),
    /// When the last report was made, and what had been expected and received by then.
    reported: (Instant, u32, u32),
}

impl Reception {
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Sequence number and timestamp of the packet of 20 ms that would follow the last one.
    pub(super) fn next(&self) -> (Seq, RtpTime) {
        let stream = self.stream.as_ref();
        stream.map_or((Seq(0), RtpTime(0)), |stream| (Seq(stream.highest as u16) + 1, stream.last.1 + 960))
    }

    pub(super) fn note(&mut self, now: Instant, seq: Seq, time: RtpTime) {
        self.packets += 1;
        match &mut self.stream {
            Some(stream) => stream.note(now, seq, time),
            stream => {
                let first = u32::from(seq.0);
                let (last, reported) = ((now, time), (now, 0, 0));
                *stream = Some(Stream { first, highest: first, received: 1, jitter: 0, last, reported });
            }
        }
    }

    pub(super) fn note_report(&mut self, now: Instant, ntp: u64) {
        self.sender_report = Some(((ntp >> 16) as u32, now));
    }

    /// The report block of stream `ssrc`, when `interval` has passed since the last one or since the first packet.
    pub(super) fn report(&mut self, now: Instant, ssrc: Ssrc, interval: Duration) -> Option<ReportBlock> {
        let stream = self.stream.as_mut().filter(|stream| now.duration_since(stream.reported.0) >= interval)?;
        let (last_sender_report, delay) = self.sender_report.map_or((0, 0), |(ntp, at)| {
            let delay = now.duration_since(at).as_millis() * 65_536 / 1_000;
            (ntp, delay.min(u128::from(u32::MAX)) as u32)
        });
        let (fraction_lost, lost) = stream.losses(now);
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            lost,
            highest_seq: stream.highest,
            jitter: stream.jitter >> 4,
            last_sender_report,
            delay,
        })
    }
}

impl Stream {
    fn note(&mut self, now: Instant, seq: Seq, time: RtpTime) {
        self.received = self.received.wrapping_add(1);
        let ahead = seq.since(Seq(self.highest as u16));
        self.highest = self.highest.wrapping_add(u32::from(ahead.max(0).unsigned_abs()));
        let (then, before) = self.last;
        let elapsed = now.duration_since(then).as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000;
        let transit = (elapsed as i32).wrapping_sub(time.since(before)).unsigned_abs();
        self.jitter = self.jitter.saturating_add(transit).saturating_sub(self.jitter.saturating_add(8) >> 4);
        self.last = (now, time);
    }

    /// The share lost since the last report, in 1/256, and how many were lost since the start.
    fn losses(&mut self, now: Instant) -> (u8, i32) {
        let expected = self.highest.wrapping_sub(self.first).wrapping_add(1);
        let (_, expected_before, received_before) = self.reported;
        let expected_now = expected.wrapping_sub(expected_before);
        let lost_now = expected_now.saturating_sub(self.received.wrapping_sub(received_before));
        self.reported = (now, expected, self.received);
        let fraction = (u64::from(lost_now) * 256).checked_div(u64::from(expected_now)).unwrap_or(0);
        let lost = i64::from(expected) - i64::from(self.received);
        (fraction.min(255) as u8, lost.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use model::{RtpTime, Seq, Ssrc};
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::Reception;

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
    fn nothing_to_report_before_the_first_packet_and_the_interval() {
        let (mut reception, start) = (Reception::default(), start());
        assert_eq!(reception.report(start + INTERVAL, Ssrc(1), INTERVAL), None);
        note(&mut reception, start, 0);
        assert_eq!(reception.report(start, Ssrc(1), INTERVAL), None);
        assert!(reception.report(start + INTERVAL, Ssrc(1), INTERVAL).is_some());
        assert_eq!(reception.report(start + INTERVAL, Ssrc(1), INTERVAL), None);
    }

    #[test]
    fn losses_are_counted_over_the_wrap() {
        let (mut reception, start) = (Reception::default(), start());
        (0..100).filter(|n| n % 4 != 1).for_each(|n| note(&mut reception, start, n));
        let first = reception.report(start + INTERVAL, Ssrc(7), INTERVAL).expect("due");
        assert_eq!((first.ssrc, first.fraction_lost, first.lost), (Ssrc(7), 64, 25));
        assert_eq!((first.highest_seq, first.jitter), (65_530 + 99, 0));
        (100..200).for_each(|n| note(&mut reception, start, n));
        let second = reception.report(start + 2 * INTERVAL, Ssrc(7), INTERVAL).expect("due");
        assert_eq!((second.fraction_lost, second.lost, second.highest_seq), (0, 25, 65_530 + 199));
    }

    #[test]
    fn jitter_follows_the_formula() {
        let (mut reception, start) = (Reception::default(), start());
        for n in 0..400_u32 {
            let late = Duration::from_millis(if n % 2 == 0 { 0 } else { 10 });
            reception.note(start + Duration::from_millis(20) * n + late, Seq(n as u16), RtpTime(960 * n));
        }
        let jitter = reception.report(start + INTERVAL, Ssrc(1), INTERVAL).expect("due").jitter;
        assert!((470..=480).contains(&jitter), "10 ms are 480 samples: {jitter}");
    }

    #[test]
    fn sender_reports_come_back() {
        let (mut reception, start) = (Reception::default(), start());
        note(&mut reception, start, 0);
        reception.note_report(start + Duration::from_secs(3), 0x1122_3344_5566_7788);
        let block = reception.report(start + INTERVAL, Ssrc(1), INTERVAL).expect("due");
        assert_eq!((block.last_sender_report, block.delay), (0x3344_5566, 2 * 65_536));
    }

    proptest! {
        #[test]
        fn any_packets_are_survived(packets in prop::collection::vec((any::<u16>(), any::<u32>()), 1..200)) {
            let (mut reception, start) = (Reception::default(), start());
            for (seq, time) in packets {
                reception.note(start, Seq(seq), RtpTime(time));
            }
            prop_assert!(reception.report(start + INTERVAL, Ssrc(1), INTERVAL).is_some());
        }
    }
}
