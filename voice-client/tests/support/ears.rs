//! What a listener makes of what arrives: how loud it is, how high, and whether packets follow each other.

use std::f32::consts::SQRT_2;
use std::ops::RangeBounds;

use voice_client::layer::model::SILENCE_FRAME;
use voice_client::{Arrival, Audio, Frame, Stream};

use super::{PATIENCE, within};

/// Amplitude of the sine that is as loud as these samples.
fn amplitude(samples: impl Iterator<Item = f32> + Clone) -> f32 {
    let count = samples.clone().count() as f32;
    (samples.map(|sample| sample * sample).sum::<f32>() / count).sqrt() * SQRT_2
}

/// Amplitude of a frame, left and right.
pub(crate) fn level(frame: &Frame) -> [f32; 2] {
    [0, 1].map(|side| amplitude(frame.pcm.iter().skip(side).step_by(2).copied()))
}

/// The next frame.
pub(crate) async fn heard(audio: &mut Audio, what: &str) -> Frame {
    within(PATIENCE, what, audio.next()).await.unwrap_or_else(|| panic!("the call is over before: {what}"))
}

/// Listens until five frames in a row are within this range, left and right; returns the amplitude.
pub(crate) async fn steady(audio: &mut Audio, what: &str, range: impl RangeBounds<f32>) -> f32 {
    let mut latest = Vec::new();
    let listening = async {
        let mut run = 0;
        while run < 5 {
            let Some(frame) = audio.next().await else { panic!("the call is over before: {what}") };
            let sides = level(&frame);
            run = if sides.iter().all(|side| range.contains(side)) { run + 1 } else { 0 };
            latest.push(sides[0]);
        }
    };
    if tokio::time::timeout(std::time::Duration::from_secs(PATIENCE), listening).await.is_err() {
        let tail = latest.len().saturating_sub(20);
        panic!("not within {PATIENCE} s: {what}; latest amplitudes: {:?}", &latest[tail..]);
    }
    latest[latest.len() - 1]
}

/// Listens until half a second in a row has about this frequency.
pub(crate) async fn pitched(audio: &mut Audio, what: &str, hertz: f64) {
    let listening = async {
        let mut pcm: Vec<f32> = Vec::new();
        loop {
            let Some(frame) = audio.next().await else { panic!("the call is over before: {what}") };
            pcm.extend(frame.pcm.iter().step_by(2));
            if pcm.len() < 24_000 {
                continue;
            }
            pcm.drain(..pcm.len() - 24_000);
            if (pitch(&pcm) - hertz).abs() < 0.03 * hertz {
                return;
            }
        }
    };
    within(PATIENCE, what, listening).await;
}

/// Frequency of one channel by its zero crossings.
fn pitch(pcm: &[f32]) -> f64 {
    let crossings = pcm.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    crossings as f64 * 48_000.0 / pcm.len() as f64
}

/// The next `count` packets that arrive. None may be missing.
pub(crate) async fn packets(arrivals: &mut Stream<Arrival>, what: &str, count: usize) -> Vec<Arrival> {
    let mut packets: Vec<Arrival> = Vec::new();
    let arriving = async {
        while packets.len() < count {
            let Some(arrival) = arrivals.next().await else { panic!("the call is over before: {what}") };
            packets.push(arrival);
        }
    };
    within(PATIENCE, what, arriving).await;
    contiguous(&packets, what);
    packets
}

/// In a tone, silence frames are the only packets that short, but for the first one after frames became shorter.
pub(crate) fn is_silence(arrival: &Arrival) -> bool {
    arrival.len == SILENCE_FRAME.len()
}

/// Sequence numbers follow each other, in order.
pub(crate) fn contiguous(packets: &[Arrival], what: &str) {
    for (n, pair) in packets.windows(2).enumerate() {
        assert_eq!(pair[1].seq, pair[0].seq.next(), "{what}: after packet {n} of {}", packets.len());
    }
}

/// RTP time from each packet to the next, in samples.
pub(crate) fn steps(packets: &[Arrival]) -> Vec<i32> {
    packets.windows(2).map(|pair| pair[1].time.since(pair[0].time)).collect()
}
