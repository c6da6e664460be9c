//! Files of packets.

use std::time::Duration;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use voice_model::{RtpTime, SILENCE_FRAME, Seq, Ssrc, UserId};
use voice_receive::record::{Gaps, OggOpus, Recorder, Rotate, Settings, What};

use super::files::{Memory, packets, pages};
use super::people::{captured, stamped};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn headers_are_those_of_rfc_7845() {
    let file = OggOpus::new(Vec::new(), 7, Gaps::Filled, &["TITLE=x".to_owned()]).expect("memory");
    let pages = pages(&file.finish(0).expect("memory")).expect("an Ogg file");
    assert_eq!(pages[0].packets, [b"OpusHead\x01\x02\0\x0F\x80\xBB\0\0\0\0\0".to_vec()]);
    assert!(pages[1].packets[0].starts_with(b"OpusTags"));
    assert!(pages[1].packets[0].ends_with(b"\x01\0\0\0\x07\0\0\0TITLE=x"));
    assert_eq!(pages.iter().map(|page| page.flags).collect::<Vec<_>>(), [2, 0, 4]);
}

#[test]
fn silence_of_every_length_is_silent() {
    for (toc, samples) in [(0xF8, 960), (0xF0, 480), (0xE8, 240), (0xE0, 120)] {
        let mut opus = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("a decoder");
        let mut pcm = vec![1.0; 2 * 5_760];
        let decoded = opus.decode_float(&[toc, 0xFF, 0xFE], &mut pcm, false).expect("a packet");
        assert_eq!(decoded, samples);
        assert!(pcm[..2 * samples].iter().all(|value| value.abs() < 1e-4), "{toc:x}");
    }
}

#[test]
fn a_real_gap_is_concealed_and_small() {
    let sizes = [Gaps::Filled, Gaps::Real].map(|gaps| {
        let mut encoder =
            opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio).expect("an encoder");
        let mut file = OggOpus::new(Vec::new(), 7, gaps, &[]).expect("memory");
        let tone = |at: u64| (0..960).flat_map(move |sample| [0.3 * ((at + sample) as f32 * 0.05).sin(); 2]);
        // A second of a tone; ten seconds and 2.5 ms of nothing; a second of a tone.
        let places =
            (0..50).chain(550..600).map(|number| 960 * number).map(|at| at + if at > 48_000 { 120 } else { 0 });
        for at in places {
            let pcm: Vec<f32> = tone(at).collect();
            file.write(at, 960, &encoder.encode_vec_float(&pcm, 1_275).expect("a packet")).expect("memory");
        }
        let file = file.finish(576_000 + 120).expect("memory");
        let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("a decoder");
        let (mut all, mut pcm) = (Vec::new(), vec![0.0; 2 * 5_760]);
        for (_, packet) in packets(&file) {
            let samples = decoder.decode_float(&packet, &mut pcm, false).expect("a packet");
            all.extend(pcm[..2 * samples].iter().step_by(2));
        }
        assert_eq!(all.len(), 576_120);
        let power = |from: usize, to: usize| all[from..to].iter().map(|value: &f32| value * value).sum::<f32>() / 48e3;
        assert!(power(0, 48_000) > 0.03 && power(528_120, 576_120) > 0.03, "both tones are there");
        assert!(power(96_000, 528_000) < 1e-5, "{gaps:?}: {}", power(96_000, 528_000));
        file.len()
    });
    // Without the tones, which both have.
    assert!(sizes[1] + 1_000 < sizes[0], "{sizes:?}");
}

proptest! {
    #[test]
    fn packets_are_where_they_were_put_whatever_they_are(
        given in prop::collection::vec((0_u64..3_000, prop::collection::vec(any::<u8>(), 0..1_300)), 1..40),
        real in any::<bool>(),
    ) {
        let gaps = if real { Gaps::Real } else { Gaps::Filled };
        let mut file = OggOpus::new(Vec::new(), 7, gaps, &[]).expect("memory");
        let (mut at, mut wanted) = (0, Vec::new());
        for (gap, rest) in given {
            let mut packet = vec![0xFC];
            packet.extend(rest);
            at += gap * 120;
            file.write(at, 960, &packet).expect("memory");
            wanted.push((at, packet));
            at += 960;
        }
        let end = (at + 48_000).next_multiple_of(960);
        let file = file.finish(end).expect("memory");
        let pages = pages(&file).expect("an Ogg file");
        prop_assert!(pages.iter().all(|page| page.sum == page.right_sum));
        prop_assert!(pages.iter().enumerate().all(|(number, page)| page.number as usize == number));
        prop_assert_eq!(pages.iter().filter(|page| page.flags == 4).count(), 1);
        prop_assert_eq!(pages.last().map(|page| (page.flags, page.granule)), Some((4, end + 3_840)));
        let mut granule = 0;
        for page in &pages[2..] {
            let samples = |packet: &Vec<u8>| opus::packet::get_nb_samples(packet, 48_000).expect("a packet") as u64;
            granule += page.packets.iter().map(samples).sum::<u64>();
            // It may jump nowhere (RFC 7845, section 4.1).
            prop_assert_eq!(page.granule, granule);
        }
        let mut written = packets(&file);
        written.retain(|(_, packet)| packet[0] == 0xFC);
        prop_assert_eq!(written, wanted);
    }
}

/// Records 50 packets a second; `late` of them come in reversed pairs.
fn record(settings: Settings, packets: std::ops::Range<u64>, memory: &Memory) -> voice_receive::record::Report {
    let mut recorder = Recorder::new(memory.clone(), settings);
    let user = UserId::new(5).expect("not zero");
    for pair in packets.clone().step_by(2) {
        for number in [pair + 1, pair] {
            let at = ms(20 * (pair + 1));
            let time = RtpTime((number * 960) as u32);
            recorder.push(at, user, Ssrc(1), Seq(number as u16), time, &stamped(number * 960));
        }
        recorder.tick(ms(20 * (pair + 1))).expect("memory");
    }
    let (report, result) = recorder.finish(ms(20 * packets.end + 100));
    result.expect("memory");
    report
}

#[test]
fn packets_are_sorted_and_equal_what_was_sent() {
    let memory = Memory::default();
    let report = record(Settings::default(), 0..500, &memory);
    let written = packets(&memory.file("5.ogg"));
    let stamped: Vec<_> = (0..500).map(|number| stamped(number * 960)).collect();
    let sent: Vec<&Vec<u8>> = written.iter().map(|(_, packet)| packet).filter(|packet| packet.len() == 60).collect();
    assert!(sent.into_iter().eq(&stamped));
    let track = &report.users[&UserId::new(5).expect("not zero")].track;
    assert_eq!((track.packets, track.lost, track.late, track.duplicate, track.restarts), (500, 0, 0, 0, 1));
    // The second of a pair is 20 ms late: it is the first that says where they belong.
    assert_eq!(written.iter().find(|(_, packet)| packet.len() == 60).map(|(at, _)| *at), Some(0));
}

#[test]
fn parts_begin_at_the_same_moment() {
    for rotate in [Rotate::Every(ms(10_500)), Rotate::Bytes(20_000)] {
        let memory = Memory::default();
        let mut settings = Settings::default();
        settings.rotate = Some(rotate);
        let report = record(settings, 0..1_500, &memory);
        let files = &report.users[&UserId::new(5).expect("not zero")].files;
        assert_eq!(memory.names(), files.iter().map(|file| file.name.clone()).collect::<Vec<_>>());
        assert!(files.len() > 2, "{files:?}");
        assert_eq!(files[1].start % 48_000, 0);
        for pair in files.windows(2) {
            assert!(pair[1].start.abs_diff(pair[0].start + pair[0].samples) < 960, "{pair:?}");
        }
        let mut all = Vec::new();
        for file in files {
            let bytes = memory.file(&file.name);
            assert_eq!(bytes.len() as u64, file.bytes);
            all.extend(
                packets(&bytes)
                    .into_iter()
                    .filter(|(_, packet)| packet.len() == 60)
                    .map(|(at, packet)| (file.start + at, packet)),
            );
        }
        assert_eq!(all.len(), 1_500);
        assert!(all.windows(2).all(|pair| pair[1].0 == pair[0].0 + 960));
    }
}

#[test]
fn parts_are_told_when_they_begin_and_a_stall_across_some_changes_nothing() {
    let memory = Memory::default();
    let mut settings = Settings::default();
    settings.rotate = Some(Rotate::Every(ms(10_000)));
    let mut recorder = Recorder::new(memory.clone(), settings);
    let user = UserId::new(5).expect("not zero");
    let mut told = Vec::new();
    for number in 0..2_000_u64 {
        let at = ms(20 * number);
        let frame = stamped(number * 960);
        recorder.push(at, user, Ssrc(1), Seq(number as u16), RtpTime(960 * number as u32), &frame);
        // Nothing is ticked from 8 s to 13 s.
        if !(400..650).contains(&number) {
            recorder.tick(at).expect("memory");
            while let Some(note) = recorder.poll_note() {
                told.extend(match note.what {
                    What::Part(part) => Some((part, note.at, number)),
                    _ => None,
                });
            }
            let parts: Vec<u32> = told.iter().map(|(part, _, _)| *part).collect();
            for name in memory.names() {
                let part = name.split('.').nth(1).and_then(|part| part.parse().ok()).expect("a part");
                assert!(part == 1 || parts.contains(&part), "{name} is not known by then: {told:?}");
            }
        }
    }
    assert_eq!(told, [(2, 480_000, 650), (3, 960_000, 1_000), (4, 1_440_000, 1_500)]);
    // Two parts begin and end without a tick.
    for number in 3_000..3_010_u64 {
        recorder.push(
            ms(20 * number),
            user,
            Ssrc(1),
            Seq(number as u16),
            RtpTime(960 * number as u32),
            &stamped(number * 960),
        );
    }
    let (report, result) = recorder.finish(ms(71_000));
    result.expect("memory");
    while let Some(note) = recorder.poll_note() {
        told.extend(match note.what {
            What::Part(part) => Some((part, note.at, 0)),
            _ => None,
        });
    }
    assert_eq!(told[3..], [(5, 1_920_000, 0), (6, 2_400_000, 0), (7, 2_880_000, 0), (8, 3_360_000, 0)]);
    let files = &report.users[&user].files;
    let begun: Vec<(&str, u64, u64)> =
        files.iter().map(|it| (it.name.as_str(), it.start / 48_000, it.samples / 48_000)).collect();
    let wanted = [
        ("5.001.ogg", 0, 10),
        ("5.002.ogg", 10, 10),
        ("5.003.ogg", 20, 10),
        ("5.004.ogg", 30, 10),
        ("5.007.ogg", 60, 10),
    ];
    assert_eq!(begun, wanted);
    for file in files {
        let found = packets(&memory.file(&file.name));
        let stamped =
            found.iter().filter_map(|(at, packet)| captured(packet).map(|captured| (file.start + at, captured)));
        let (mut count, mut right) = (0, 0);
        stamped.for_each(|(at, captured)| (count, right) = (count + 1, right + usize::from(at == captured)));
        assert!(count > 0 && count == right, "{}: {right} of {count}", file.name);
    }
}

#[test]
fn what_is_finished_stays_so() {
    let memory = Memory::default();
    let mut recorder = Recorder::new(memory.clone(), Settings::default());
    let user = UserId::new(5).expect("not zero");
    recorder.push(ms(0), user, Ssrc(1), Seq(0), RtpTime(0), &stamped(0));
    let (report, result) = recorder.finish(ms(1_000));
    result.expect("memory");
    let before = memory.files.borrow().clone();
    for number in 1..100_u16 {
        let at = ms(1_000 + 20 * u64::from(number));
        recorder.push(at, user, Ssrc(1), Seq(number), RtpTime(960 * u32::from(number)), &stamped(0));
        assert_eq!(recorder.tick(at).expect("nothing to do"), None);
    }
    let (again, result) = recorder.finish(ms(9_000));
    result.expect("nothing to do");
    assert_eq!((again, &*memory.files.borrow()), (report, &before));
}

#[test]
fn silence_frames_are_kept_as_they_came() {
    let memory = Memory::default();
    let mut recorder = Recorder::new(memory.clone(), Settings::default());
    let user = UserId::new(5).expect("not zero");
    for number in 0..10_u16 {
        let frame = if number < 5 { stamped(u64::from(number)) } else { SILENCE_FRAME.to_vec() };
        let time = RtpTime(960 * u32::from(number));
        recorder.push(ms(20 * u64::from(number)), user, Ssrc(1), Seq(number), time, &frame);
    }
    let (report, result) = recorder.finish(ms(200));
    result.expect("memory");
    assert_eq!(packets(&memory.file("5.ogg")).len(), 10);
    assert_eq!(report.users[&user].track.silence, 5 * 960);
}
