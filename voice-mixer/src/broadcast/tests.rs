use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{MAX_PACKET, Station};
use crate::opus::OpusError;
use crate::prefetch::Feed;
use crate::{EncoderConfig, Mixer, Tick, Track, TrackId};

/// Configuration 31 of a packet of one frame: CELT, full band, 20 ms.
const TOC: u8 = 31 << 3;

fn station() -> Station {
    Station::new(Arc::new(|| {}))
}

/// A packet that says which one it is, of a length of its own, all of it following from its number.
fn packet(number: u64, out: &mut Vec<u8>) {
    out.clear();
    out.push(TOC);
    out.extend_from_slice(&number.to_le_bytes());
    let mut state = number;
    for _ in 0..number % 300 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        out.push((state >> 56) as u8);
    }
}

/// The next packet of a feed, as a tick takes it.
fn take(feed: &mut Feed, out: &mut Vec<u8>) -> bool {
    let ended = feed.end().is_some();
    feed.attend(960, true);
    let record = feed.peek();
    if let Some(record) = record {
        out.resize(usize::from(record.len), 0);
        feed.pop(record, out);
    } else {
        assert!(!ended || feed.is_empty());
    }
    feed.pass_tick();
    record.is_some()
}

fn number(packet: &[u8]) -> u64 {
    u64::from_le_bytes(packet[1..9].try_into().expect("eight bytes"))
}

#[test]
fn every_tap_hears_packets_in_order_whole_and_counts_what_it_skips() {
    const PACKETS: u64 = 100_000;
    let mut station = station();
    let tuner = station.tuner().max_lag(Duration::from_secs(60));
    let counted = Arc::new(AtomicU64::new(0));
    thread::scope(|scope| {
        // Two of them are slow.
        for reader in 0..8_u64 {
            let (tuner, counted) = (tuner.clone(), Arc::clone(&counted));
            scope.spawn(move || {
                let mut feed = tuner.tap();
                let (mut out, mut expected) = (Vec::new(), Vec::new());
                let (mut last, mut gaps, mut heard) = (0, 0, 0_u64);
                loop {
                    let ended = feed.end().is_some();
                    if !take(&mut feed, &mut out) {
                        if ended {
                            break;
                        }
                        thread::yield_now();
                        continue;
                    }
                    let number = number(&out);
                    packet(number, &mut expected);
                    assert_eq!(out, expected, "reader {reader}");
                    assert!(number > last, "reader {reader}: {number} after {last}");
                    gaps += number - last - 1;
                    (last, heard) = (number, heard + 1);
                    if reader % 4 == 3 && number.is_multiple_of(64) {
                        thread::yield_now();
                    }
                }
                assert_eq!(last, PACKETS, "reader {reader} hears the last one");
                assert_eq!(heard + gaps, PACKETS);
                counted.fetch_add(gaps, Ordering::Relaxed);
            });
        }
        while tuner.taps() < 8 {
            thread::yield_now();
        }
        let mut out = Vec::new();
        for number in 1..=PACKETS {
            packet(number, &mut out);
            station.push(&out).expect("a legal packet");
            if number.is_multiple_of(32) {
                thread::yield_now();
            }
        }
        drop(station);
    });
    assert_eq!(tuner.skipped(), counted.load(Ordering::Relaxed));
    assert_eq!(tuner.taps(), 0);
}

#[test]
fn who_joins_late_begins_behind_a_cushion() {
    let mut station = station();
    let tuner = station.tuner();
    let mut out = Vec::new();
    for number in 1..=100 {
        packet(number, &mut out);
        station.push(&out).expect("a legal packet");
    }
    let mut tap = tuner.tap();
    let mut cautious = tuner.clone().cushion(5).tap();
    assert!(!take(&mut tap, &mut out), "is it on the air?");
    assert!(!take(&mut cautious, &mut out));
    packet(101, &mut out);
    station.push(&out).expect("a legal packet");
    for expected in 99..=101 {
        assert!(take(&mut tap, &mut out));
        assert_eq!(number(&out), expected);
    }
    assert!(!take(&mut tap, &mut out) && tap.is_idle_sink());
    assert!(take(&mut cautious, &mut out));
    assert_eq!(number(&out), 96);
    assert_eq!((tuner.skipped(), station.taps()), (0, 2));
}

#[test]
fn last_words_of_long_ago_are_not_heard() {
    let mut station = station();
    let mut out = Vec::new();
    packet(1, &mut out);
    station.push(&out).expect("a legal packet");
    let mut tap = station.tuner().tap();
    assert!(!tap.is_idle_sink());
    for _ in 0..10 {
        assert!(!take(&mut tap, &mut out));
    }
    assert!(tap.is_idle_sink(), "its call may rest");
    for number in 2..=3 {
        packet(number, &mut out);
        station.push(&out).expect("a legal packet");
    }
    assert!(take(&mut tap, &mut out));
    assert_eq!(number(&out), 2);
}

#[test]
fn a_tap_that_slept_jumps_and_goes_on_without_a_gap() {
    let mut station = station();
    let tuner = station.tuner();
    let mut tap = tuner.tap();
    let mut out = Vec::new();
    let mut push = |number| {
        let mut out = Vec::new();
        packet(number, &mut out);
        station.push(&out).expect("a legal packet");
    };
    (1..=11).for_each(&mut push);
    assert!(take(&mut tap, &mut out));
    assert_eq!(number(&out), 10, "200 ms are ten packets, it is eleven behind");
    assert_eq!(tuner.skipped(), 9);
    for sent in 12..=50 {
        push(sent);
        assert!(take(&mut tap, &mut out));
        assert_eq!(number(&out), sent - 1);
    }
    // Longer than the ring.
    (51..=500).for_each(&mut push);
    assert!(take(&mut tap, &mut out));
    assert_eq!(number(&out), 499);
    assert_eq!(tuner.skipped(), 9 + 449);
}

#[test]
fn a_late_packet_is_waited_for_once() {
    let mut station = station();
    let mut tap = station.tuner().tap();
    let mut out = Vec::new();
    let mut push = |number| {
        let mut out = Vec::new();
        packet(number, &mut out);
        station.push(&out).expect("a legal packet");
    };
    push(1);
    assert!(!take(&mut tap, &mut out), "a cushion is built first");
    push(2);
    let mut heard = Vec::new();
    for sent in 3..20 {
        // One comes a tick late.
        match sent {
            10 => {}
            11 => [10, 11].into_iter().for_each(&mut push),
            _ => push(sent),
        }
        assert!(take(&mut tap, &mut out), "tick {sent}");
        heard.push(number(&out));
    }
    assert_eq!(heard, (1..=17).collect::<Vec<_>>());
    // A lone packet is not kept back for ever.
    while take(&mut tap, &mut out) {}
    push(20);
    assert_eq!((0..4).filter(|_| take(&mut tap, &mut out)).count(), 1);
}

#[test]
fn a_station_that_goes_ends_its_taps_after_what_is_left() {
    let mut station = station();
    let tuner = station.tuner();
    let mut tap = tuner.tap();
    let mut out = Vec::new();
    for number in 1..=5 {
        packet(number, &mut out);
        station.push(&out).expect("a legal packet");
    }
    assert!(take(&mut tap, &mut out) && tap.end().is_none());
    drop(station);
    assert!(tap.end().is_some() && !tap.is_empty());
    for expected in 2..=5 {
        assert!(take(&mut tap, &mut out));
        assert_eq!(number(&out), expected);
    }
    assert!(tap.is_empty() && !take(&mut tap, &mut out));
    assert!(tuner.tap().end().is_some(), "who comes after the end hears its end");
}

#[test]
fn calls_that_rest_are_called() {
    let calls = Arc::new(AtomicUsize::new(0));
    let ring = Arc::clone(&calls);
    let mut station = Station::new(Arc::new(move || {
        ring.fetch_add(1, Ordering::Relaxed);
    }));
    let mut tap = station.tuner().tap();
    let mut out = Vec::new();
    packet(1, &mut out);
    let mut push = || {
        station.push(&out.clone()).expect("a legal packet");
        calls.load(Ordering::Relaxed)
    };
    assert!(tap.is_idle_sink());
    assert_eq!(push(), 1);
    assert_eq!((push(), push()), (1, 1), "nobody rests");
    let mut heard = Vec::new();
    while take(&mut tap, &mut heard) {}
    assert!(tap.is_idle_sink());
    assert_eq!((push(), push()), (2, 2));
    drop(station);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn only_legal_packets_that_fit_are_sent() {
    let mut station = station();
    assert_eq!(station.push(&[]), Err(OpusError::Empty));
    assert_eq!(station.push(&[TOC | 1; MAX_PACKET - 1]), Ok(()));
    // Two frames, each as long as the first of them.
    assert_eq!(
        station.push(&[TOC | 1; MAX_PACKET + 1]),
        Err(OpusError::TooLong { len: MAX_PACKET + 1, max: MAX_PACKET })
    );
}

#[test]
fn what_the_station_sends_is_what_calls_send() {
    let mut station = station();
    let mut mixers: Vec<Mixer> = (0..3).map(|_| Mixer::new(EncoderConfig::default())).collect();
    for mixer in &mut mixers {
        mixer.add(TrackId(1), Track::new(station.tuner().tap()));
    }
    let mut out = [0; 1_400];
    let mut sent = vec![Vec::new(); 3];
    let mut expected = Vec::new();
    for number in 1..=50 {
        let mut bytes = Vec::new();
        packet(number, &mut bytes);
        station.push(&bytes).expect("a legal packet");
        expected.push(bytes);
        for (mixer, sent) in mixers.iter_mut().zip(&mut sent) {
            assert!(!mixer.is_idle());
            match mixer.tick(&mut out) {
                Tick::Frame { len, samples, more } => {
                    assert_eq!((samples, more), (960, false));
                    sent.push(out[..len].to_vec());
                }
                other => assert_eq!((other, number), (Tick::Idle, 1)),
            }
        }
    }
    drop(station);
    for (mixer, sent) in mixers.iter_mut().zip(&mut sent) {
        while let Tick::Frame { len, .. } = mixer.tick(&mut out) {
            sent.push(out[..len].to_vec());
        }
        assert_eq!(*sent, expected);
        assert!(mixer.pop_ended().is_some());
        assert_eq!((mixer.stats().underruns, mixer.stats().encoded_frames), (0, 0));
    }
}
