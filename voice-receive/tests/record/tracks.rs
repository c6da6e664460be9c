//! Places on the time line, whatever the network and the sender do.

use std::convert::Infallible;
use std::time::Duration;

use proptest::prelude::{any, prop, prop_assert, proptest};
use voice_model::{RtpTime, SILENCE_FRAME, Seq, Ssrc, UserId};
use voice_receive::record::{Correction, Recorder, Restart, Settings, Track, TrackNote};

use super::files::{Memory, packets};
use super::people::{DELAY, Flights, Person, captured, duration, land, stamped};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Packets of 20 ms by arrival in ms, sequence number and timestamp; where each goes, and what is noted.
fn place(packets: &[(u64, u32, u16, u32)]) -> (Vec<(u64, u8)>, Vec<TrackNote>, Track) {
    place_with(Correction::Packets, packets)
}

fn place_with(correction: Correction, packets: &[(u64, u32, u16, u32)]) -> (Vec<(u64, u8)>, Vec<TrackNote>, Track) {
    let mut track = Track::new(ms(500), correction);
    let (mut placed, mut notes) = (Vec::new(), Vec::new());
    for (number, (at, ssrc, seq, time)) in packets.iter().enumerate() {
        let mut frame = stamped(0);
        frame[20] = number as u8;
        track.push(ms(*at), Ssrc(*ssrc), Seq(*seq), RtpTime(*time), &frame);
        let release: Result<(), Infallible> = track.release(
            ms(*at),
            &mut |it| {
                placed.push((it.position, it.frame[20]));
                Ok(())
            },
            &mut |_, note| notes.push(note),
        );
        release.unwrap_or_else(|never| match never {});
    }
    let release: Result<(), Infallible> = track.interrupt(
        &mut |it| {
            placed.push((it.position, it.frame[20]));
            Ok(())
        },
        &mut |_, note| notes.push(note),
    );
    release.unwrap_or_else(|never| match never {});
    notes.retain(|note| !matches!(note, TrackNote::Speaking(_)));
    (placed, notes, track)
}

const fn first(ssrc: u32) -> TrackNote {
    restart(ssrc, Restart::First)
}

const fn restart(ssrc: u32, why: Restart) -> TrackNote {
    // Notes are made by the crate alone elsewhere; this is how they are compared.
    TrackNote::Restart { ssrc: Ssrc(ssrc), why }
}

#[test]
fn a_late_first_packet_does_not_shift_the_track() {
    let (placed, notes, _) = place(&[(300, 1, 0, 0), (301, 1, 1, 960), (302, 1, 2, 1_920), (303, 1, 15, 14_400)]);
    assert_eq!(placed, [(120, 0), (1_080, 1), (2_040, 2), (14_520, 3)]);
    assert_eq!(notes, [first(1), TrackNote::Lost(12)]);
}

#[test]
fn packets_are_sorted_across_both_wraps_and_twins_are_dropped() {
    let time = u32::MAX - 959;
    let (placed, notes, track) = place(&[
        (100, 1, 65_535, time),
        (120, 1, 1, 960),
        (121, 1, 0, 0),
        (122, 1, 0, 0),
        (160, 1, 2, 1_920),
        (700, 1, 3, 2_880),
        (1_300, 1, 3, 2_880),
        (1_301, 1, 50, 48_000),
    ]);
    assert_eq!(
        placed.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        [0, 1, 2, 4, 5, 7].map(|n| match n {
            1 => 2,
            2 => 1,
            other => other,
        })
    );
    assert_eq!((notes[0], track.report().duplicate, track.report().late), (first(1), 2, 0));
}

#[test]
fn what_comes_after_those_behind_it_is_late() {
    let (placed, _, track) = place(&[(0, 1, 0, 0), (40, 1, 2, 1_920), (600, 1, 3, 2_880), (601, 1, 1, 960)]);
    assert_eq!(placed.len(), 3);
    assert_eq!((track.report().late, track.report().duplicate, track.report().lost), (1, 0, 1));
}

#[test]
fn another_ssrc_goes_on_with_the_same_track() {
    let (placed, notes, track) = place(&[
        (100, 1, 7, 5_000),
        (120, 1, 8, 5_960),
        (2_120, 9, 60_000, 4_000_000_000),
        (2_140, 9, 60_001, 4_000_000_960),
    ]);
    assert_eq!(placed, [(4_800, 0), (5_760, 1), (101_760, 2), (102_720, 3)]);
    assert_eq!(notes, [first(1), restart(9, Restart::Ssrc)]);
    assert_eq!(track.report().lost, 0);
}

#[test]
fn a_straggler_of_the_ssrc_before_changes_nothing() {
    let mut sent: Vec<(u64, u32, u16, u32)> = (0..50).map(|n| (20 * u64::from(n), 1, n, 960 * u32::from(n))).collect();
    sent.extend((0..100).map(|n| (1_000 + 20 * u64::from(n), 2, 7 + n, 500 + 960 * u32::from(n))));
    sent.insert(70, (1_385, 1, 50, 48_000));
    sent.insert(110, (2_165, 1, 51, 48_960));
    let (placed, notes, track) = place(&sent);
    let wanted: Vec<u64> = (0..150).map(|number| 960 * number).collect();
    let mut at: Vec<u64> = placed.iter().map(|(at, _)| *at).collect();
    at.retain(|at| wanted.contains(at));
    // The first straggler takes the place of a packet, the second one comes too late.
    assert!(at.len() >= 148, "{at:?}");
    assert!(track.report().late >= 1 && track.report().restarts == 2, "{:?} {notes:?}", track.report());
}

#[test]
fn jumps_of_sequence_and_time_are_placed_by_arrival() {
    let (placed, notes, _) = place(&[
        (0, 1, 0, 0),
        (20, 1, 1, 960),
        // Both begin anew.
        (1_000, 1, 30_000, 77),
        (1_020, 1, 30_001, 1_037),
        // Ten minutes ahead.
        (2_000, 1, 30_002, 28_800_000),
        (2_020, 1, 30_003, 28_800_960),
        // A clock that stood still, and a packet that is late as well.
        (6_030, 1, 30_004, 28_801_920),
        (6_040, 1, 30_005, 28_802_880),
        (6_060, 1, 30_006, 28_803_840),
    ]);
    let wanted = [0, 960, 48_000, 48_960, 96_000, 96_960, 288_960, 289_920, 290_880];
    assert_eq!(placed.iter().map(|(at, _)| *at).collect::<Vec<_>>(), wanted);
    let why = [Restart::Sequence, Restart::Timestamp, Restart::Timestamp];
    assert_eq!(notes[..1], [first(1)]);
    assert_eq!(notes[1..], why.map(|why| restart(1, why)));
}

#[test]
fn a_stall_of_the_network_is_no_jump() {
    let mut sent: Vec<(u64, u32, u16, u32)> = (0..100).map(|n| (20 * u64::from(n), 1, n, 960 * u32::from(n))).collect();
    // Two seconds' worth come at once.
    sent.extend((100..200).map(|n| (4_000, 1, n, 960 * u32::from(n))));
    sent.extend((200..250).map(|n| (20 * u64::from(n), 1, n, 960 * u32::from(n))));
    let (placed, notes, track) = place(&sent);
    assert!(placed.iter().enumerate().all(|(number, (at, _))| *at == 960 * number as u64), "{placed:?}");
    assert_eq!((notes, track.report().lost), (vec![first(1)], 0));
}

#[test]
fn what_was_sent_before_the_recording_is_left_out_as_a_whole() {
    // Two seconds' worth from before come at once, then it is live.
    let mut sent: Vec<(u64, u32, u16, u32)> = (0..100).map(|n| (0, 1, n, 960 * u32::from(n))).collect();
    sent.extend((100..200).map(|n| (20 * u64::from(n - 99), 1, n, 960 * u32::from(n))));
    for correction in [Correction::Packets, Correction::Samples] {
        let (placed, notes, track) = place_with(correction, &sent);
        let wanted: Vec<(u64, u8)> = (99..200).map(|n| (960 * (u64::from(n) - 99), n)).collect();
        assert_eq!(placed, wanted);
        assert_eq!((notes, track.report().dropped, track.report().lost), (vec![first(1)], 99, 0));
    }
}

#[test]
fn a_flood_between_two_ticks_takes_bounded_memory_and_is_counted() {
    for (ssrcs, length, most) in [(1, 60, 512), (10_000, 60, 512), (1, 1_200, 256 * 1024 / 1_200)] {
        let mut track = Track::new(ms(500), Correction::Packets);
        let used = allocation_counter::measure(|| {
            for number in 0..10_000_u32 {
                let (seq, time) = (Seq(number as u16), RtpTime(960 * number));
                track.push(ms(0), Ssrc(number % ssrcs), seq, time, &vec![0xF8; length][..]);
            }
        });
        assert!(used.bytes_max < 512 * 1024, "{} bytes", used.bytes_max);
        let mut given = 0;
        let counted: Result<(), Infallible> = track.interrupt(
            &mut |_| {
                given += 1;
                Ok(())
            },
            &mut |_, _| {},
        );
        counted.unwrap_or_else(|never| match never {});
        assert!(given <= most && track.report().dropped >= 10_000 - most, "{given}: {:?}", track.report());
    }
}

proptest! {
    #[test]
    fn whatever_comes_a_track_runs_forward_and_never_ahead_of_the_time(
        packets in prop::collection::vec(
            (0_u64..300, 0_u32..3, any::<u16>(), any::<u32>(), any::<bool>(), prop::sample::select(vec![0xF8_u8, 0xE0, 0x1B, 0x19])),
            1..400,
        ),
        samples in any::<bool>(),
    ) {
        let mut track = Track::new(ms(500), if samples { Correction::Samples } else { Correction::Packets });
        let (mut at, mut seq, mut time, mut end) = (0, 7_u16, 9_u32, 0);
        let mut packets = packets;
        // And in the end everything comes out.
        packets.push((5_000, 0, 0, 0, false, 0xF8));
        for (wait, ssrc, any_seq, any_time, is_wild, toc) in packets {
            at += wait / 4;
            seq = if is_wild && any_seq % 3 == 0 { any_seq } else { seq.wrapping_add(1 + any_seq % 2) };
            time = if is_wild && any_time % 3 == 0 { any_time } else { time.wrapping_add(960) };
            track.push(ms(at), Ssrc(ssrc), Seq(seq), RtpTime(time), &[toc, 0x02, 0, 1, 2, 3]);
            let mut wrong = None;
            let release: Result<(), Infallible> = track.release(
                ms(at),
                &mut |it| {
                    let is_wrong = it.position < end || it.end != end || !it.position.is_multiple_of(120);
                    if is_wrong || it.length() == 0 || it.cut > it.samples / 2 || it.repeat > it.samples {
                        wrong = Some((it.position, end));
                    }
                    end = it.position + u64::from(it.length());
                    Ok(())
                },
                &mut |_, _| {},
            );
            release.unwrap_or_else(|never| match never {});
            prop_assert!(wrong.is_none(), "{wrong:?}");
            prop_assert!(end <= 48 * at + 48_000 + 2 * 5_760, "ends at {end} after {at} ms");
            prop_assert!(track.end() == end);
        }
    }
}

/// An hour of one person; how far packets are off, and the report.
fn hour(person: &mut Person, settings: Settings) -> (i64, i64, voice_receive::record::TrackReport) {
    let memory = Memory::default();
    let mut recorder = Recorder::new(memory.clone(), settings);
    let mut flights = Flights::new();
    for tenth in 1..=36_000 {
        let now = f64::from(tenth) * 4_800.0;
        if tenth < 35_990 {
            person.speak(now, false, stamped, &mut flights);
        }
        land(&mut recorder, &mut flights, now);
        recorder.tick(duration(now)).expect("memory");
        while recorder.poll_note().is_some() {}
    }
    let (report, result) = recorder.finish(duration(36_000.0 * 4_800.0));
    result.expect("memory");
    let file = memory.file(&format!("{}.ogg", person.user));
    let errors = packets(&file)
        .into_iter()
        .filter_map(|(at, packet)| captured(&packet).map(|captured| at as i64 - captured as i64 - DELAY as i64));
    let (least, most) = errors.fold((0, 0), |(least, most), error| (error.min(least), error.max(most)));
    (least, most, report.users[&person.user].track)
}

#[test]
fn speech_without_pause_or_loss_is_corrected_packet_by_packet() {
    for ppm in [200.0, -200.0] {
        let mut person = Person::new(1, ppm, 1.0);
        person.loss = 0.0;
        let (least, most, report) = hour(&mut person, Settings::default());
        println!("{ppm} ppm: off by {least} to {most} samples, {report:?}");
        assert!(least >= -600 && most <= 600, "{least} to {most}");
        // 0.72 s in an hour, 7.5 ms at a time.
        assert!((80..=110).contains(&report.corrections), "{report:?}");
        assert_eq!(report.packets + report.dropped, person.sent);
        assert_eq!((report.lost, report.late), (0, 0));
    }
}

#[test]
fn a_clock_that_stands_still_in_pauses_is_followed() {
    let mut person = Person::new(2, 50.0, 0.4);
    person.stands_still = true;
    let (_, _, report) = hour(&mut person, Settings::default());
    // Short pauses may take until the clock is believed; none of them adds up.
    assert!(report.restarts > 100 && report.last_error.abs() < 9_600, "{report:?}");
}

#[test]
fn two_hundred_users_take_bounded_memory() {
    let users = 200;
    let used = allocation_counter::measure(|| {
        let folder = super::long::Meter::default();
        let mut recorder = Recorder::new(folder, Settings::default());
        for packet in 0..500_u64 {
            let at = ms(20 * packet);
            for user in 0..users {
                let id = UserId::new(user + 1).expect("not zero");
                let time = RtpTime(960 * packet as u32);
                recorder.push(at, id, Ssrc(user as u32), Seq(packet as u16), time, &[0xF8; 200]);
            }
            recorder.tick(at).expect("a disk that takes all");
            while recorder.poll_note().is_some() {}
        }
        let (report, result) = recorder.finish(ms(10_000));
        result.expect("a disk that takes all");
        assert!(report.users.len() == users as usize && report.users.values().all(|user| user.track.packets == 500));
    });
    println!("{} KiB for {users} users", used.bytes_max / 1024);
    assert!(used.bytes_max < users * 64 * 1024, "{} bytes", used.bytes_max);
}

#[test]
fn users_beyond_the_limit_are_noted_and_not_recorded() {
    let memory = Memory::default();
    let mut settings = Settings::default();
    settings.max_users = 2;
    let mut recorder = Recorder::new(memory.clone(), settings);
    for user in [1, 2, 3, 3] {
        recorder.push(ms(0), UserId::new(user).expect("not zero"), Ssrc(user as u32), Seq(0), RtpTime(0), &stamped(0));
    }
    let (report, result) = recorder.finish(ms(100));
    result.expect("memory");
    assert_eq!((memory.names().len(), report.refused.len(), report.users.len()), (2, 1, 2));
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file_and_keeps_what_was_written() {
    let room = std::rc::Rc::new(std::cell::RefCell::new(20_000));
    let memory = Memory { room: Some(room), ..Memory::default() };
    let mut recorder = Recorder::new(memory.clone(), Settings::default());
    let user = UserId::new(5).expect("not zero");
    let failed = (0..1_000_u64).find_map(|number| {
        let at = ms(20 * number);
        recorder.push(at, user, Ssrc(1), Seq(number as u16), RtpTime(960 * number as u32), &stamped(number));
        recorder.tick(at).err()
    });
    let text = failed.expect("the disk is full").to_string();
    assert!(text.contains("5.ogg") && text.contains("make room"), "{text}");
    let (_, result) = recorder.finish(ms(20_000));
    result.expect_err("still full");
    let kept = packets(&memory.file("5.ogg"));
    assert!(
        kept.len() > 200 && kept.iter().all(|(at, packet)| packet.len() != 60 || captured(packet) == Some(at / 960))
    );
}

#[test]
fn limits_end_a_recording() {
    use voice_receive::record::Limit;
    for (duration, bytes, wanted) in [(Some(ms(1_000)), None, Limit::Duration), (None, Some(5_000), Limit::Bytes)] {
        let memory = Memory::default();
        let mut settings = Settings::default();
        (settings.max_duration, settings.max_bytes) = (duration, bytes);
        let mut recorder = Recorder::new(memory, settings);
        let user = UserId::new(5).expect("not zero");
        let limit = (0..1_000_u64).find_map(|number| {
            let at = ms(20 * number);
            let frame = if number % 50 < 5 { SILENCE_FRAME.to_vec() } else { stamped(number) };
            recorder.push(at, user, Ssrc(1), Seq(number as u16), RtpTime(960 * number as u32), &frame);
            recorder.tick(at).expect("memory")
        });
        assert_eq!(limit, Some(wanted));
    }
}

#[test]
fn a_limit_of_bytes_holds_for_files_that_are_finished() {
    use voice_receive::record::{Format, Limit};
    for (format, most) in [(Format::Wav, 10_000_000), (Format::Flac, 60_000), (Format::OggOpus, 60_000)] {
        let memory = Memory::default();
        let mut settings = Settings::default();
        (settings.format, settings.max_bytes) = (format, Some(most));
        let mut recorder = Recorder::new(memory.clone(), settings);
        // Ten come, one of whom talks on.
        let (ended, limit) = (0..20_000_u64)
            .find_map(|number| {
                let at = ms(20 * number);
                for user in 1..=if number < 5 { 10 } else { 1 } {
                    let id = UserId::new(user).expect("not zero");
                    let time = RtpTime(960 * number as u32);
                    recorder.push(at, id, Ssrc(user as u32), Seq(number as u16), time, &SILENCE_FRAME);
                }
                recorder.tick(at).expect("memory").map(|limit| (at, limit))
            })
            .expect("a limit");
        let (report, result) = recorder.finish(ended);
        result.expect("memory");
        let files: u64 = memory.files.borrow().values().map(|file| file.len() as u64).sum();
        let told: u64 = report.users.values().flat_map(|user| &user.files).map(|file| file.bytes).sum();
        println!("{format:?}: {files} of {most} bytes after {ended:?}");
        assert_eq!((limit, told), (Limit::Bytes, files));
        assert!((most * 19 / 20..most + most / 100).contains(&files), "{files} of {most}");
    }
}
