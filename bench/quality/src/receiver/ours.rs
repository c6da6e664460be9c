//! voice-receive, with its own clock turned into an `Instant`.

use std::time::{Duration, Instant};

use voice_model::{FRAME_SAMPLES, RtpTime, Seq, Ssrc};
use voice_receive::{Config, Receiver};

use super::Receive;
use crate::Outcome;

const SSRC: Ssrc = Ssrc(1);

pub(super) struct Ours {
    start: Instant,
    receiver: Receiver,
}

impl Ours {
    pub(super) fn new(config: Config) -> Self {
        Self { start: Instant::now(), receiver: Receiver::new(config) }
    }
}

impl Receive for Ours {
    fn push(&mut self, now: Duration, number: u16, packet: &[u8]) {
        let time = RtpTime(u32::from(number) * FRAME_SAMPLES as u32);
        self.receiver.push(self.start + now, SSRC, Seq(number), time, packet);
    }

    fn tick(&mut self, now: Duration, pcm: &mut [f32]) -> Outcome<Option<u32>> {
        let mut time = None;
        self.receiver.tick(self.start + now, &mut |heard| {
            pcm.copy_from_slice(heard.pcm);
            time = Some(heard.time.0);
        });
        Ok(time)
    }
}
