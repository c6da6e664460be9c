use std::time::{Duration, Instant};

use voice_model::{FRAME, RtpTime};

use super::{Cut, Segmenter, Segments};
use crate::Kind;

const RATE: u32 = 16_000;
/// Samples in 20 ms.
const FRAME_LEN: usize = 320;

#[derive(Debug, PartialEq)]
struct Said {
    utterance: u64,
    time: u32,
    len: usize,
    fresh: usize,
    concealed: usize,
    cut: Option<Cut>,
}

struct Talk {
    segmenter: Segmenter,
    now: Instant,
    time: u32,
    said: Vec<Said>,
    pcm: Vec<f32>,
}

impl Talk {
    fn new(segments: Segments) -> Self {
        #[expect(clippy::disallowed_methods, reason = "time goes on from here by itself")]
        let now = Instant::now();
        Self { segmenter: Segmenter::new(segments, RATE), now, time: 0, said: Vec::new(), pcm: Vec::new() }
    }

    fn frames(&mut self, count: usize, amplitude: f32, kind: Kind) {
        for _ in 0..count {
            let Self { segmenter, now, time, said, pcm } = self;
            segmenter.push(*now, RtpTime(*time), kind, &[amplitude; FRAME_LEN], &mut |chunk| {
                pcm.extend(&chunk.pcm[chunk.pcm.len() - chunk.fresh..]);
                said.push(Said {
                    utterance: chunk.utterance,
                    time: chunk.time.0,
                    len: chunk.pcm.len(),
                    fresh: chunk.fresh,
                    concealed: chunk.concealed,
                    cut: chunk.cut,
                });
            });
            self.pass(1);
        }
    }

    fn pass(&mut self, frames: u32) {
        self.now += frames * FRAME;
        self.time = self.time.wrapping_add(960 * frames);
    }

    fn speak(&mut self, count: usize) {
        self.frames(count, 0.2, Kind::Received);
    }

    fn pause(&mut self, count: usize) {
        self.frames(count, 0.0, Kind::Received);
    }
}

#[test]
fn an_utterance_has_its_pre_roll_and_its_hang_over() {
    let mut talk = Talk::new(Segments::default());
    talk.pause(100);
    talk.speak(50);
    talk.pause(100);
    // 12 frames before, 35 after.
    let len = (12 + 50 + 35) * FRAME_LEN;
    assert_eq!(
        talk.said,
        [Said { utterance: 0, time: 88 * 960, len, fresh: len, concealed: 0, cut: Some(Cut::Pause) }]
    );
    assert!(talk.pcm[..12 * FRAME_LEN].iter().all(|sample| *sample == 0.0));
    assert!(talk.pcm[12 * FRAME_LEN..62 * FRAME_LEN].iter().all(|sample| *sample == 0.2));
}

#[test]
fn short_pauses_do_not_cut_and_clicks_are_left_out() {
    let mut talk = Talk::new(Segments::default());
    talk.speak(20);
    talk.pause(34);
    talk.speak(20);
    talk.pause(35);
    assert_eq!(talk.said.len(), 1);
    talk.speak(4);
    talk.pause(100);
    assert_eq!(talk.said.len(), 1, "80 ms are a click");
    assert!(!talk.segmenter.is_speaking());
}

#[test]
fn what_is_too_long_is_cut_without_losing_a_sample() {
    let mut talk = Talk::new(Segments::default().longest(Duration::from_secs(2)));
    talk.speak(250);
    talk.pause(35);
    let lens: Vec<_> = talk.said.iter().map(|said| (said.utterance, said.time / 960, said.len / FRAME_LEN)).collect();
    assert_eq!(lens, [(0, 0, 100), (1, 100, 100), (2, 200, 85)]);
    assert_eq!(talk.said[0].cut, Some(Cut::Length));
    assert_eq!(talk.pcm.iter().filter(|sample| **sample == 0.2).count(), 250 * FRAME_LEN);
}

#[test]
fn the_end_of_a_word_that_was_cut_is_delivered_however_short() {
    for pause in [0, 5, 34] {
        let mut talk = Talk::new(Segments::default().longest(Duration::from_secs(2)));
        talk.speak(100 - pause);
        talk.pause(pause);
        talk.speak(4);
        talk.pause(35);
        let lens: Vec<_> = talk.said.iter().map(|said| (said.time / 960, said.len / FRAME_LEN, said.cut)).collect();
        assert_eq!(lens, [(0, 100, Some(Cut::Length)), (100, 39, Some(Cut::Pause))], "after {pause}");
    }
    // What ends as it is cut has no rest.
    for pause in [0, 5] {
        let mut talk = Talk::new(Segments::default().longest(Duration::from_secs(2)));
        talk.speak(100 - pause);
        talk.pause(100);
        assert_eq!(talk.said.len(), 1, "after {pause}");
        talk.speak(4);
        talk.pause(100);
        assert_eq!(talk.said.len(), 1, "a click later");
        assert!(!talk.segmenter.is_speaking());
    }
}

#[test]
fn parts_come_while_the_person_still_talks() {
    let mut talk = Talk::new(Segments::default().partial(Some(Duration::from_millis(200))));
    talk.speak(25);
    talk.pause(35);
    let fresh: usize = talk.said.iter().map(|said| said.fresh).sum();
    let last = talk.said.last().expect("something was said");
    assert_eq!((fresh, last.len, last.cut), (60 * FRAME_LEN, 60 * FRAME_LEN, Some(Cut::Pause)));
    assert_eq!(talk.said.iter().filter(|said| said.cut.is_none()).count(), 5);
    assert!(talk.said.iter().all(|said| said.utterance == 0));
}

#[test]
fn gaps_in_the_timestamps_are_silence() {
    let mut talk = Talk::new(Segments::default());
    talk.speak(20);
    talk.pass(10);
    talk.speak(20);
    talk.pass(300);
    talk.speak(20);
    assert_eq!(talk.said.len(), 1, "the long gap ended it");
    assert_eq!((talk.said[0].len, talk.said[0].cut), (50 * FRAME_LEN, Some(Cut::Pause)));
    talk.time = 5;
    talk.speak(1);
    assert_eq!((talk.said[1].len, talk.said[1].cut), (20 * FRAME_LEN, Some(Cut::End)), "the clock was set back");
    assert_eq!(talk.said[1].time, 350 * 960, "nothing of before the gap is in it");
}

#[test]
fn who_sends_nothing_any_more_has_ended() {
    let mut talk = Talk::new(Segments::default());
    assert_eq!(talk.segmenter.poll_timeout(), None);
    talk.speak(20);
    let due = talk.segmenter.poll_timeout().expect("an utterance");
    let mut cuts = Vec::new();
    talk.segmenter.handle_timeout(due - FRAME, &mut |chunk| cuts.push(chunk.cut));
    assert!(cuts.is_empty());
    talk.segmenter.handle_timeout(due, &mut |chunk| cuts.push(chunk.cut));
    assert_eq!(cuts, [Some(Cut::Pause)]);
    assert_eq!(talk.segmenter.poll_timeout(), None);
    talk.speak(20);
    talk.segmenter.end(&mut |chunk| cuts.push(chunk.cut));
    assert_eq!(cuts, [Some(Cut::Pause), Some(Cut::End)]);
}

#[test]
fn what_was_made_up_is_told() {
    let mut talk = Talk::new(Segments::default());
    talk.speak(20);
    talk.frames(3, 0.2, Kind::Concealed);
    talk.frames(1, 0.2, Kind::Silence);
    talk.pause(34);
    assert_eq!(talk.said[0].concealed, 3 * FRAME_LEN);
}
