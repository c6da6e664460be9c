use std::collections::BTreeMap;
use std::time::Instant;

use proptest::prelude::{any, prop, proptest};
use voice_model::{RtpTime, Seq};

use super::{Content, Insertion, Jitter, Packet, Passed, Place};

const CAPACITY: usize = 16;

fn insert(jitter: &mut Jitter, seq: u16, content: Content) -> Insertion {
    #[allow(clippy::disallowed_methods)]
    let arrival = Instant::now();
    let packet =
        Packet { seq: Seq(seq), time: RtpTime(960 * u32::from(seq)), arrival, place: Place::default(), content };
    jitter.insert(packet, &seq.to_be_bytes())
}

fn audio(jitter: &mut Jitter, seq: u16) -> Insertion {
    insert(jitter, seq, Content::Audio { samples: 960, quiet: false })
}

/// Takes the head: its sequence number, those missing before it, those that never came.
fn take(jitter: &mut Jitter) -> Option<(u16, u32, u32)> {
    let head = jitter.head()?;
    let lost = jitter.take(&head);
    assert_eq!(jitter.bytes(head.packet.seq), head.packet.seq.0.to_be_bytes());
    Some((head.packet.seq.0, head.missing, lost))
}

#[test]
fn packets_come_out_in_order_and_holes_are_told() {
    let mut jitter = Jitter::new(CAPACITY);
    for seq in [65_534, 65_533, 1, 65_535, 2] {
        assert_eq!(audio(&mut jitter, seq), Insertion::Stored);
    }
    assert_eq!((jitter.packets(), jitter.samples()), (5, 4800));
    let order: Vec<_> = std::iter::from_fn(|| take(&mut jitter)).collect();
    assert_eq!(order, [(65_533, 0, 0), (65_534, 0, 0), (65_535, 0, 0), (1, 1, 1), (2, 0, 0)]);
    assert_eq!((jitter.packets(), jitter.samples()), (0, 0));
}

#[test]
fn before_the_first_is_taken_earlier_ones_are_welcome_as_far_as_there_is_room() {
    let mut jitter = Jitter::new(CAPACITY);
    audio(&mut jitter, 100);
    audio(&mut jitter, 105);
    assert_eq!(audio(&mut jitter, 90), Insertion::Stored);
    assert_eq!(audio(&mut jitter, 89), Insertion::Late { was_lost: false });
    assert_eq!(take(&mut jitter), Some((90, 0, 0)));
    assert_eq!(audio(&mut jitter, 88), Insertion::Late { was_lost: false });
    take(&mut jitter);
    assert_eq!(audio(&mut jitter, 95), Insertion::Late { was_lost: true });
}

#[test]
fn late_and_duplicate_are_told_apart() {
    let mut jitter = Jitter::new(CAPACITY);
    for seq in [10, 12, 13] {
        audio(&mut jitter, seq);
    }
    assert_eq!(audio(&mut jitter, 13), Insertion::Duplicate);
    take(&mut jitter);
    take(&mut jitter);
    assert_eq!(audio(&mut jitter, 10), Insertion::Duplicate);
    assert_eq!(audio(&mut jitter, 11), Insertion::Late { was_lost: true });
    assert_eq!(audio(&mut jitter, 11), Insertion::Duplicate);
    assert_eq!(jitter.packets(), 1);
}

#[test]
fn empty_packets_are_passed_and_broken_ones_are_missed() {
    let mut jitter = Jitter::new(CAPACITY);
    audio(&mut jitter, 0);
    insert(&mut jitter, 1, Content::Empty);
    insert(&mut jitter, 2, Content::Broken);
    audio(&mut jitter, 3);
    assert_eq!(take(&mut jitter), Some((0, 0, 0)));
    assert_eq!(take(&mut jitter), Some((3, 1, 0)));
    for seq in 4..200 {
        assert_eq!(insert(&mut jitter, seq, Content::Empty), Insertion::Stored);
    }
    assert_eq!(audio(&mut jitter, 200), Insertion::Stored);
    assert_eq!(take(&mut jitter), Some((200, 0, 0)));
    assert_eq!(insert(&mut jitter, 150, Content::Empty), Insertion::Duplicate);
}

#[test]
fn a_jump_begins_anew() {
    let mut jitter = Jitter::new(CAPACITY);
    audio(&mut jitter, 0);
    take(&mut jitter);
    assert_eq!(audio(&mut jitter, 16), Insertion::Stored);
    let passed = |lost, samples| Insertion::Restarted(Passed { lost, samples });
    assert_eq!(audio(&mut jitter, 47), passed(45, 960));
    assert_eq!(audio(&mut jitter, 60_017), passed(0, 960));
    assert_eq!(audio(&mut jitter, 60_016), Insertion::Stored);
    assert_eq!(take(&mut jitter), Some((60_016, 0, 0)));
    assert_eq!(audio(&mut jitter, 59_000), Insertion::Suspect);
    assert_eq!(audio(&mut jitter, 60_018), Insertion::Stored);
    assert_eq!(audio(&mut jitter, 59_001), Insertion::Suspect);
    assert_eq!(audio(&mut jitter, 59_002), passed(0, 2 * 960));
    assert_eq!(take(&mut jitter), Some((59_002, 0, 0)));
}

#[test]
fn where_there_is_no_room_the_oldest_go_and_only_what_never_came_is_lost() {
    let mut jitter = Jitter::new(CAPACITY);
    for seq in (65_530..65_535).chain([0, 1, 2, 5, 6]) {
        audio(&mut jitter, seq);
    }
    assert!(!jitter.is_crowded());
    assert_eq!(audio(&mut jitter, 8), Insertion::Stored);
    assert!(jitter.is_crowded());
    assert_eq!(audio(&mut jitter, 10), Insertion::Overrun(Passed { lost: 0, samples: 960 }));
    assert_eq!(audio(&mut jitter, 16), Insertion::Overrun(Passed { lost: 1, samples: 5 * 960 }));
    assert_eq!(audio(&mut jitter, 65_535), Insertion::Late { was_lost: true });
    assert_eq!(audio(&mut jitter, 65_534), Insertion::Duplicate);
    let order: Vec<_> = std::iter::from_fn(|| take(&mut jitter)).collect();
    assert_eq!(order, [(1, 0, 0), (2, 0, 0), (5, 2, 2), (6, 0, 0), (8, 1, 1), (10, 1, 1), (16, 5, 5)]);
    assert_eq!((jitter.packets(), jitter.samples()), (0, 0));
}

#[test]
fn buffers_are_reused() {
    let mut jitter = Jitter::new(CAPACITY);
    for seq in 0..1000 {
        audio(&mut jitter, seq);
        if seq % 4 == 3 {
            while take(&mut jitter).is_some() {}
        }
    }
    assert_eq!(jitter.buffers.len(), 4);
}

proptest! {
    /// Against a sorted map: the same packets are there, in the same order, whatever comes.
    #[test]
    fn holds_what_a_sorted_map_holds(operations in prop::collection::vec((0..24_u16, any::<bool>()), 0..400)) {
        let mut jitter = Jitter::new(CAPACITY);
        let mut model = BTreeMap::new();
        let mut base = 65_500_u16;
        audio(&mut jitter, base);
        take(&mut jitter);
        for (offset, taking) in operations {
            let seq = base.wrapping_add(1).wrapping_add(offset);
            if taking {
                let first = model.pop_first().map(|(distance, seq): (u64, u16)| (distance, seq));
                assert_eq!(take(&mut jitter).map(|(seq, ..)| seq), first.map(|(_, seq)| seq));
                base = first.map_or(base, |(_, seq)| seq);
                model = model.into_values().map(|seq| (u64::from(seq.wrapping_sub(base)), seq)).collect();
            } else if usize::from(offset) < CAPACITY {
                let new = model.insert(u64::from(seq.wrapping_sub(base)), seq).is_none();
                assert_eq!(audio(&mut jitter, seq), if new { Insertion::Stored } else { Insertion::Duplicate });
            }
            assert_eq!(jitter.packets(), model.len());
            assert_eq!(jitter.samples() as usize, 960 * model.len());
            assert!(jitter.buffers.len() <= CAPACITY + 1);
        }
    }
}
