//! Packets that are pushed from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Rig, TICK, opus};
use crate::mixer::{Ended, Tick};
use crate::opus::Packets;
use crate::prefetch::{self, Push};
use crate::{Track, TrackId};

#[test]
fn a_sink_is_idle_until_something_is_pushed() {
    let woken = Arc::new(AtomicU32::new(0));
    let waker = Arc::clone(&woken);
    let wake = Arc::new(move || _ = waker.fetch_add(1, Ordering::Relaxed));
    let (mut pusher, feed) = prefetch::sink(TICK, wake);
    let mut rig = Rig::new();
    rig.mixer.add(TrackId(1), Track::new(feed));
    assert_eq!(rig.tick(), Tick::Idle);
    assert!(rig.mixer.is_idle());
    let packets = opus(&[960; 12]);
    rig.add(2, Packets::new(packets[2..].to_vec()));
    assert_eq!(rig.packets(), packets[2..3], "an empty sink does not keep others from passing through");
    rig.mixer.remove(TrackId(2));
    for packet in &packets[..2] {
        assert_eq!(pusher.push(packet), Ok(Push::Done));
        assert_eq!(pusher.push(packet), Ok(Push::Full));
        assert!(!rig.mixer.is_idle());
        assert_eq!(rig.packets(), std::slice::from_ref(packet));
    }
    assert_eq!(woken.load(Ordering::Relaxed), 2);
    assert_eq!(rig.mixer.stats().underruns, 0);
    assert!(pusher.push(&[]).is_err());
    for packet in &opus(&[240; 4]) {
        assert_eq!(pusher.push(packet), Ok(Push::Done));
    }
    assert_eq!(rig.packets().len(), 4);
    drop(pusher);
    rig.tick();
    assert!(matches!(rig.ended()[..], [(1, Ended::Finished)]));
}

#[test]
fn a_sink_is_closed_when_its_track_is_dropped() {
    let woken = Arc::new(AtomicU32::new(0));
    let waker = Arc::clone(&woken);
    let (mut pusher, feed) = prefetch::sink(TICK, Arc::new(move || _ = waker.fetch_add(1, Ordering::Relaxed)));
    assert!(!pusher.is_closed());
    drop(feed);
    assert_eq!(woken.load(Ordering::Relaxed), 1, "who waits is woken");
    assert_eq!(pusher.push(&opus(&[960])[0]), Ok(Push::Closed));
}
