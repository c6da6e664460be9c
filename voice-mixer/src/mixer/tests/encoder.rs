//! Settings of the encoder.

use super::{Rig, noise};
use crate::EncoderConfig;
use crate::generate::Silence;
use crate::mixer::Tick;
use crate::pcm::Pcm;

#[test]
fn the_encoder_can_be_set_up_while_it_runs() {
    let mut rig = Rig::new();
    rig.add(1, Pcm::samples(&noise(48_000 * 4), 48_000, 1));
    let mean = |rig: &mut Rig| (0..50).map(|_| rig.packets()[0].len()).sum::<usize>() / 50;
    let normal = mean(&mut rig);
    rig.mixer.configure(EncoderConfig::default().bitrate(Some(16_000)).complexity(3).expected_loss(20));
    let small = mean(&mut rig);
    assert!((120..=200).contains(&normal) && (30..=50).contains(&small), "{normal} {small}");
}

#[test]
fn discontinuous_transmission_sends_no_silence() {
    let mut rig = Rig::new();
    rig.mixer.configure(EncoderConfig::default().dtx(true).signal(crate::Signal::Voice).bitrate(Some(24_000)));
    rig.add(1, Silence::new(None));
    let idle = (0..50).filter(|_| rig.tick() == Tick::Idle).count();
    assert!(idle > 20, "{idle}");
}
