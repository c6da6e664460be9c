#![allow(clippy::disallowed_methods, missing_docs)]
use std::time::{Duration, Instant};
use voice_mixer::generate::Tone;
use voice_mixer::opus::Packets;
use voice_mixer::prefetch::*;
use voice_mixer::*;
fn main() {
    let mut out = [0u8; 1400];
    for round in 0..2 {
    let mut base = 0.0;
    for (n, ramp) in [(1, false), (1, true), (4, false), (16, false), (64, false), (64, true)] {
        let mut mixer = Mixer::new(EncoderConfig::default().complexity(0));
        let mut readers = Vec::new();
        for id in 0..n {
            let (mut reader, feed) = pipe(Box::new(Tone::new(300.0 + id as f64, 0.01, None)), Config::default().length(Duration::from_secs(1)));
            while let Step::Progress = reader.step() {}
            readers.push(reader);
            mixer.add(TrackId(id), Track::new(feed).volume(0.7));
            if ramp { mixer.set_volume(TrackId(id), 0.9, Duration::from_secs(100)); }
        }
        mixer.tick(&mut out);
        let mut total = Duration::MAX;
        let mut ticks = 0;
        for _ in 0..60 {
            let t = Instant::now();
            for _ in 0..45 { mixer.tick(&mut out); } ticks = 45;
            total = total.min(t.elapsed());
            for r in &mut readers { while let Step::Progress = r.step() {} }
        }
        let per = total.as_nanos() as f64 / ticks as f64;
        if n == 1 { base = per; }
        println!("{round} n={n} ramp={ramp}: {per:.0} ns/tick, per extra track {:.0} ns", (per - base) / (n.max(2) - 1) as f64);
        assert_eq!(mixer.stats().underruns, 0);
    }
    let mut mixer = Mixer::new(EncoderConfig::default());
    let packets: Vec<Vec<u8>> = (0..100_000).map(|n| { let mut p = vec![n as u8; 160]; p[0] = 0xFC; p }).collect();
    let (mut reader, feed) = pipe(Box::new(Packets::new(packets)), Config::default().length(Duration::from_secs(1)));
    mixer.add(TrackId(1), Track::new(feed));
    while let Step::Progress = reader.step() {}
    mixer.tick(&mut out);
    let mut total = Duration::ZERO;
    for _ in 0..1000 {
        let t = Instant::now();
        for _ in 0..40 { mixer.tick(&mut out); }
        total += t.elapsed();
        while let Step::Progress = reader.step() {}
    }
    println!("{round} passthrough {:.0} ns", total.as_nanos() as f64 / 40_000.0);
    }
}
