use crypto::{Mode, Opener};

use super::*;

const KEY: [u8; 32] = [7; 32];
const FRAME: Duration = Duration::from_millis(20);
/// Any moment: 0x8000_0000 is half a second.
const NTP: u64 = 0xE957_A59B_8000_0000;

#[expect(clippy::disallowed_methods, reason = "any instant will do as the start of virtual time")]
fn start() -> Instant {
    Instant::now()
}

fn session(ssrc: u32, mode: Mode) -> Session {
    let (seq, time) = (Seq(0), RtpTime(0));
    Session { ssrc: Ssrc(ssrc), mode, key: Key::new(KEY), seq, time, encrypted: false }
}

fn attached(now: Instant, ssrc: u32) -> Reports {
    let mut reports = Reports::default();
    reports.attach(now, &session(ssrc, Mode::Aes256GcmRtpsize), Backend::AwsLc);
    reports
}

fn own(at: Instant, packets: u64) -> OwnStream {
    OwnStream { ssrc: Ssrc(1), packets, octets: 100 * packets, time: RtpTime(1_000), at }
}

/// The compound as it was before it was sealed, and its nonce.
fn opened(sealed: &[u8]) -> (Vec<u8>, u32) {
    let mut opener = Opener::new(Mode::Aes256GcmRtpsize, &Key::new(KEY), Backend::AwsLc);
    let nonce = u32::from_le_bytes(*sealed.last_chunk().unwrap());
    let mut packet = sealed.to_vec();
    let len = opener.open(&mut packet, rtcp::CLEAR_LEN).expect("sealed with the session's key").len();
    packet.truncate(rtcp::CLEAR_LEN + len);
    (packet, nonce)
}

fn block(ssrc: u32, fraction_lost: u8) -> ReportBlock {
    let (lost, highest_seq, jitter, last_sender_report, delay) = (0, 0, 0, 0, 0);
    ReportBlock { ssrc: Ssrc(ssrc), fraction_lost, lost, highest_seq, jitter, last_sender_report, delay }
}

fn handle(reports: &mut Reports, now: Instant, block: ReportBlock) {
    let mut compound = Vec::new();
    rtcp::write(&[Packet::ReceiverReport(ReceiverReport { ssrc: Ssrc(9), reports: vec![block] })], &mut compound);
    reports.handle(now, &compound);
}

fn loss(reports: &mut Reports, now: Instant, ssrc: u32, fraction_lost: u8) -> Option<u8> {
    handle(reports, now, block(ssrc, fraction_lost));
    reports.poll_loss()
}

#[test]
fn loss_of_our_stream_is_followed_quickly_up_and_slowly_down() {
    let now = start();
    let mut reports = Reports::default();
    assert_eq!(loss(&mut reports, now, 1, 128), None, "no stream is ours yet");
    let mut reports = attached(now, 1);
    assert_eq!(loss(&mut reports, now, 2, 128), None, "somebody else's");
    assert_eq!(loss(&mut reports, now, 1, 51), Some(10), "half of 20 %");
    assert_eq!(loss(&mut reports, now, 1, 51), Some(15));
    assert_eq!(loss(&mut reports, now, 1, 0), Some(13));
    let falls: Vec<_> = (0..60).filter_map(|_| loss(&mut reports, now, 1, 0)).collect();
    assert_eq!(falls.last(), Some(&0));
    assert!(falls.windows(2).all(|pair| pair[0] > pair[1]));
}

#[test]
fn a_sender_report_byte_by_byte() {
    let start = start();
    let mut reports = attached(start, 1);
    // 100 packets of a stream that lost every fourth and came over the wrap, and whose sender told its time a second ago.
    for n in (0..100_u16).filter(|n| n % 4 != 1) {
        reports.heard(start + u32::from(n) * FRAME, Ssrc(2), Seq(65_530) + n, RtpTime(5) + 960 * u32::from(n));
    }
    let told = SenderReport {
        ssrc: Ssrc(2),
        ntp: 0x1122_3344_5566_7788,
        time: RtpTime(77),
        packets: 75,
        octets: 9,
        reports: Vec::new(),
    };
    let mut compound = Vec::new();
    rtcp::write(&[Packet::SenderReport(told)], &mut compound);
    let now = start + INTERVAL;
    reports.handle(now - Duration::from_secs(1), &compound);
    let time = reports.sender_time(Ssrc(2)).expect("told");
    assert_eq!((time.ntp, time.time), (0x1122_3344_5566_7788, RtpTime(77)));

    // The RTP clock showed 1,000 half a second ago.
    let sealed = reports.make(now, NTP, Some(own(now - Duration::from_millis(500), 250))).expect("to report").to_vec();
    let (compound, nonce) = opened(&sealed);
    #[rustfmt::skip]
    let expected = [
        0x81, 200, 0, 12, 0, 0, 0, 1, // version 2, one block; SR, 13 words; we are SSRC 1
        0xE9, 0x57, 0xA5, 0x9B, 0x80, 0, 0, 0, // NTP
        0, 0, 0x61, 0xA8, // 25,000: 1,000 and 24,000 samples
        0, 0, 0, 250, 0, 0, 0x61, 0xA8, // packets, octets
        0, 0, 0, 2, 64, 0, 0, 25, // of SSRC 2 a fourth was lost: 25
        0, 1, 0, 93, // one turn, then 65,530 + 99 - 65,536
        0, 0, 0, 0, // no jitter
        0x33, 0x44, 0x55, 0x66, 0, 1, 0, 0, // its report's time, a second ago
        0x81, 202, 0, 2, 0, 0, 0, 1, 1, 0, 0, 0, // SDES: our CNAME is empty
    ];
    assert_eq!(compound, expected);
    assert_eq!(sealed[..8], expected[..8], "the first 8 bytes are in the clear");
    assert_eq!(nonce, 0x8000_0000, "of the upper half");
}

#[test]
fn who_sent_nothing_since_reports_as_a_receiver() {
    let now = start();
    let mut reports = attached(now, 1);
    assert_eq!(reports.make(now, NTP, None), None, "nothing was sent or heard");
    assert_eq!(reports.make(now, NTP, Some(own(now, 0))), None);
    assert!(reports.make(now, NTP, Some(OwnStream { ssrc: Ssrc(3), ..own(now, 9) })).is_none(), "of an older session");
    let kinds = [9, 10, 10, 10, 11].map(|packets| {
        let (compound, _) = opened(reports.make(now, NTP, Some(own(now, packets))).expect("to report"));
        compound[1]
    });
    assert_eq!(kinds, [200, 200, 201, 201, 200]);

    reports.heard(now, Ssrc(2), Seq(1), RtpTime(1));
    let blocks =
        |reports: &mut Reports| opened(reports.make(now, NTP, Some(own(now, 11))).expect("to report")).0[0] & 0x1F;
    assert_eq!((blocks(&mut reports), blocks(&mut reports)), (1, 0), "heard since the last report, or not");
    reports.heard(now, Ssrc(2), Seq(2), RtpTime(2));
    reports.forget(Ssrc(2));
    assert_eq!(blocks(&mut reports), 0, "its user is gone");
}

#[test]
fn more_sources_than_fit_take_turns() {
    let now = start();
    let mut reports = attached(now, 1);
    let mut told = Vec::new();
    for round in 0..3 {
        (100..170).for_each(|ssrc| reports.heard(now, Ssrc(ssrc), Seq(round), RtpTime(0)));
        let (compound, _) = opened(reports.make(now, NTP, None).expect("to report"));
        let Some(Packet::ReceiverReport(report)) = rtcp::read(&compound).next() else { panic!("no receiver report") };
        assert_eq!(report.reports.len(), MAX_BLOCKS);
        told.extend(report.reports.iter().map(|block| block.ssrc.0));
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, (100..170).collect::<Vec<_>>(), "three reports tell of all 70");
}

#[test]
fn five_seconds_lie_between_two_reports_and_a_pause_is_not_made_up_for() {
    let start = start();
    let mut reports = attached(start, 1);
    let mut due = Vec::new();
    for tick in 0..1_000_u32 {
        let now = start + tick * FRAME;
        // Nobody looks for eight seconds.
        let looks = !(550..950).contains(&tick);
        if looks && reports.poll_due(now) {
            due.push((now - start).as_millis());
        }
    }
    assert_eq!(due, [5_000, 10_000, 19_000]);
    reports.detach();
    assert_eq!(reports.poll_timeout(), None);
}

#[test]
fn round_trips_come_from_answers_to_our_reports() {
    let start = start();
    let mut reports = attached(start, 1);
    assert!(reports.quality().is_none());
    let second = Duration::from_secs(1);
    reports.make(start, NTP, Some(own(start, 1)));
    reports.make(start + second, NTP + (1 << 32), Some(own(start, 2)));
    // Kept for half a second, and 80 ms on the way.
    let answer = |ntp: u64| ReportBlock { last_sender_report: (ntp >> 16) as u32, delay: 32_768, ..block(1, 64) };
    let now = start + second + Duration::from_millis(580);
    handle(&mut reports, now, ReportBlock { lost: -3, jitter: 480, ..answer(NTP + (1 << 32)) });
    let quality = reports.quality().expect("reported");
    assert_eq!((quality.at, quality.fraction_lost, quality.lost), (now, 0.25, -3));
    assert_eq!((quality.jitter, quality.round_trip), (Duration::from_millis(10), Some(Duration::from_millis(80))));
    handle(&mut reports, now, answer(0x5555_5555_5555));
    assert_eq!(
        reports.quality().unwrap().round_trip,
        Some(Duration::from_millis(80)),
        "no report of ours: the last known"
    );
    handle(&mut reports, now + second, answer(NTP));
    assert_eq!(reports.quality().unwrap().round_trip, Some(Duration::from_millis(2_080)), "an older one is known, too");
}

#[test]
fn no_nonce_is_used_twice_with_a_key_whatever_becomes_of_its_session() {
    let now = start();
    let mut reports = attached(now, 1);
    let mut nonces = Vec::new();
    for round in 0..4_u32 {
        match round {
            1 => reports.attach(now, &session(1, Mode::Aes256GcmRtpsize), Backend::AwsLc),
            2 => {
                reports.detach();
                reports.attach(now, &session(5, Mode::Aes256GcmRtpsize), Backend::AwsLc);
            }
            _ => {}
        }
        reports.heard(now, Ssrc(2), Seq(round as u16), RtpTime(0));
        nonces.push(opened(reports.make(now, NTP, None).expect("to report")).1);
    }
    assert_eq!(nonces, [0x8000_0000, 0x8000_0001, 0x8000_0002, 0x8000_0003]);
}

#[test]
fn a_mode_without_nonces_for_reports_sends_none() {
    let now = start();
    let mut reports = Reports::default();
    reports.attach(now, &session(1, Mode::XSalsa20Poly1305), Backend::Portable);
    assert_eq!(reports.make(now, NTP, Some(own(now, 5))), None);
}
