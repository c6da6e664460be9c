use std::time::Duration;

use voice_model::{FRAME, RtpTime, Seq, Ssrc};
use voice_receive::Kind;

use crate::script::{SSRC, Script, Tone, fixed};

/// Twenty packets, then twenty from another place of the number spaces.
fn jump(seq: u16, time: u32) -> Script {
    let packets = Tone::new(440.0).packets(40);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        let (seq, time) = if number < 20 { (1000, 0) } else { (seq, time) };
        script.play(number as u16 + seq, time.wrapping_add(960 * number as u32), packet);
    }
    script.end(40 + seq, time.wrapping_add(960 * 40));
    script
}

#[test]
fn case_09_a_jump_by_60_000_resynchronizes() {
    let script = jump(61_000_u16.wrapping_sub(20), 3_000_000_000);
    assert_eq!(script.stats().resyncs, 1);
    assert_eq!(script.stats().lost, 0);
    assert_eq!(script.mix().concealed, 0);
    // What was buffered of the old stream is gone, nothing of the new one is.
    assert!(script.mix().received >= (18 + 20) * 960);
    assert_eq!(script.heard.iter().filter(|frame| frame.time >= 3_000_000_000).count(), 25);
}

#[test]
fn a_restart_close_behind_is_believed_at_its_second_packet() {
    let script = jump(500, 4_000_000);
    assert_eq!(script.stats().resyncs, 1);
    assert_eq!(script.heard.iter().filter(|frame| frame.time >= 4_000_000).count(), 24);
    assert!(script.mix().concealed <= 960);
}

#[test]
fn a_stray_packet_from_long_ago_restarts_nothing() {
    let packets = Tone::new(440.0).packets(40);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        script.play(1000 + number as u16, 960 * number as u32, packet);
        if number == 20 {
            script.push(500, 0, packet);
        }
    }
    script.end(1040, 960 * 40);
    let stats = script.stats();
    assert_eq!((stats.resyncs, stats.late, stats.received), (0, 1, 46));
    assert_eq!(script.mix().received, 40 * 960);
}

#[test]
fn a_timestamp_set_back_is_followed() {
    let packets = Tone::new(440.0).packets(40);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        let time = if number < 20 { 10_000_000 } else { 50_000 };
        script.play(number as u16, time + 960 * number as u32, packet);
    }
    script.end(40, 50_000 + 960 * 40);
    assert_eq!(script.mix().received, 40 * 960);
    assert_eq!(script.mix().concealed, 0);
    assert_eq!(script.stats().resyncs, 1);
}

#[test]
fn an_outage_of_seconds_is_counted_and_not_played() {
    let packets = Tone::new(440.0).packets(40);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        if number == 20 {
            script.ticks(200);
        }
        let number = if number < 20 { number } else { number + 200 };
        script.play(number as u16, 960 * number as u32, packet);
    }
    script.end(240, 960 * 240);
    assert_eq!(script.stats().lost, 200);
    assert_eq!(script.mix().received, 40 * 960);
    assert_eq!(script.mix().concealed, 120 * 48);
}

#[test]
fn a_path_that_becomes_slower_costs_no_packet() {
    let packets = Tone::new(440.0).packets(60);
    let mut script = Script::new(fixed());
    for (number, packet) in packets.iter().enumerate() {
        if number == 20 {
            script.ticks(6);
        }
        script.play(number as u16, 960 * number as u32, packet);
    }
    script.end(60, 960 * 60);
    let stats = script.stats();
    assert_eq!((stats.late, stats.lost, script.mix().received), (0, 0, 60 * 960));
    // What was missing when it was due was made up, and the delay has grown by that.
    assert_eq!((script.mix().concealed, stats.held_samples), (4 * 960, 4 * 960));
    assert_eq!(stats.longest_gap, Duration::from_millis(80));
}

#[test]
fn clocks_that_drift_apart_keep_the_delay_bounded() {
    let packet = Tone::new(440.0).packet(960);
    // A minute, 1 % fast or slow: a hundred times worse than real clocks, and nothing may be stretched.
    for period in [19_800, 20_200] {
        let mut script = Script::new(fixed());
        let start = script.now;
        let mut sent = 0;
        while sent < 3000 {
            while start + Duration::from_micros(u64::from(sent) * period) <= script.now {
                script.push(sent as u16, 960 * sent, &packet);
                sent += 1;
            }
            script.tick();
        }
        script.drain();
        let stats = script.stats();
        assert!(script.heard.iter().all(|frame| frame.depth <= Duration::from_millis(400)));
        assert!(script.mix().received > 2850 * 960, "{stats:?}");
        assert!(script.mix().concealed < 40 * 960, "{stats:?}");
        assert!(stats.lost == 0 && (stats.resyncs > 0) == (period < 20_000), "{stats:?}");
    }
}

#[test]
fn a_stall_that_ends_in_a_burst_loses_nothing() {
    let packets = Tone::new(440.0).packets(60);
    let mut script = Script::new(fixed());
    let mut held = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        if (20..27).contains(&number) {
            held.push((number, packet));
            script.tick();
            continue;
        }
        for (number, packet) in held.drain(..) {
            script.push(number as u16, 960 * number as u32, packet);
        }
        script.play(number as u16, 960 * number as u32, packet);
    }
    script.end(60, 960 * 60);
    let stats = script.stats();
    assert_eq!((stats.late, stats.lost, stats.resyncs, script.mix().received), (0, 0, 0, 60 * 960));
    // The place in the stream stood still for as long as something was made up.
    let held = script.times().windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!((held, script.mix().concealed), (5, 5 * 960));
    // The delay is brought down again in the silence at the end.
    assert_eq!(script.mix().silence, 960);
}

#[test]
fn speakers_are_bounded_and_the_quietest_goes() {
    let packet = Tone::new(440.0).packet(960);
    let mut script = Script::new(fixed().max_speakers(3));
    for ssrc in [4, 3, 2, 1] {
        script.receiver.push(script.now, Ssrc(ssrc), Seq(0), RtpTime(0), &packet);
        script.now += Duration::from_millis(1);
    }
    assert_eq!(script.receiver.speakers().map(|(ssrc, _)| ssrc).collect::<Vec<_>>(), [Ssrc(1), Ssrc(2), Ssrc(3)]);
    assert_eq!(script.receiver.stats(Ssrc(4)), None);
    script.receiver.forget(Ssrc(1));
    script.receiver.forget(Ssrc(2));
    script.receiver.forget(Ssrc(3));
    assert_eq!(script.receiver.speakers().count(), 0);
    assert_eq!(script.receiver.poll_timeout(), None);
}

#[test]
fn an_idle_speaker_is_evicted_before_an_active_one() {
    let packet = Tone::new(440.0).packet(960);
    let mut script = Script::new(fixed().max_speakers(2));
    script.receiver.push(script.now, Ssrc(1), Seq(0), RtpTime(0), &packet);
    script.ticks(30);
    script.receiver.push(script.now, Ssrc(2), Seq(0), RtpTime(0), &packet);
    // Padding makes nobody active, but it is the latest arrival.
    script.receiver.push(script.now + FRAME, Ssrc(1), Seq(1), RtpTime(960), &[]);
    script.receiver.push(script.now + FRAME, Ssrc(3), Seq(0), RtpTime(0), &packet);
    assert_eq!(script.receiver.speakers().map(|(ssrc, _)| ssrc).collect::<Vec<_>>(), [Ssrc(2), Ssrc(3)]);
}

#[test]
fn the_schedule_of_ticks_does_not_drift_and_forgives_a_long_sleep() {
    let packets = Tone::new(440.0).packets(20);
    let mut script = Script::new(fixed());
    let start = script.now;
    for (number, packet) in packets.iter().enumerate() {
        script.push(number as u16, 960 * number as u32, packet);
    }
    let mut kinds = Vec::new();
    let mut tick = |late: Duration| {
        let due = script.receiver.poll_timeout().expect("active");
        script.receiver.tick(due + late, &mut |heard| kinds.push(heard.kind));
        script.receiver.poll_timeout().expect("still active").duration_since(start)
    };
    let (first, millis) = (Duration::from_millis(10), Duration::from_millis);
    assert_eq!(tick(millis(3)), first + FRAME);
    assert_eq!(tick(millis(30)), first + 2 * FRAME);
    assert_eq!(tick(millis(400)), first + 3 * FRAME + millis(400));
    assert_eq!(kinds, [Kind::Received; 3]);
    assert!(script.receiver.stats(SSRC).is_some());
}
