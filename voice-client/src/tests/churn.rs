//! Members come and go while others talk, and their gateway messages are late, each in their own way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use loopback::{Cue, Trick};
use mixer::{Chunk, Format, Info, Source, SourceError};
use model::{SILENCE_FRAME, UserId};
use opus::{Application, Channels, Encoder};
use udp::rtp::Header;

use super::wire::{self, roll};
use super::world::World;
use crate::config::Config;
use crate::encryption::EncryptionEvent;
use crate::event::Event;

/// Latest that a message of the gateway, or its answer, is.
const LAG: Duration = Duration::from_millis(400);
/// Long enough for every message to arrive, for every transition to be executed (2 s at most), and for who has just joined to
/// let go of frames from before (another 2 s).
const QUIET: Duration = Duration::from_secs(7);
const MOST: usize = 10;

/// Somebody who talks without end.
struct Speech {
    packets: Arc<[Vec<u8>]>,
    next: usize,
}

impl Source for Speech {
    fn open(&mut self) -> Result<Info, SourceError> {
        Ok(Info::new(Format::Opus))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        chunk.set_packet(&self.packets[self.next % self.packets.len()], 0, 0);
        self.next += 1;
        Ok(true)
    }

    fn seek(&mut self, _to: Duration) -> Result<Duration, SourceError> {
        Ok(Duration::ZERO)
    }
}

/// A call whose members come and go.
struct Call {
    world: World,
    noise: u64,
    next_user: u64,
    speech: Arc<[Vec<u8>]>,
    /// Who is in the call, by place in the world.
    present: Vec<usize>,
    heard: u64,
}

impl Call {
    fn new(seed: u64) -> Self {
        let mut encoder = Encoder::new(48_000, Channels::Stereo, Application::Audio).unwrap();
        let hum = |n: usize| (0..1_920).map(|i| ((n * 960 + i / 2) as f32 * 0.05).sin() * 0.3).collect::<Vec<f32>>();
        let speech = (0..50).map(|n| encoder.encode_vec_float(&hum(n), 1_275).unwrap()).collect();
        let world = World::encrypted(seed);
        Self { world, noise: seed, next_user: 10, speech, present: Vec::new(), heard: 0 }
    }

    /// Somebody joins, and talks for as long as they are there.
    fn join(&mut self) {
        let config = Config::default()
            .e2ee_hold(Duration::ZERO)
            .receive(receive::Config::default().decode(receive::Decode::Packets));
        let (world, id) = (&mut self.world, self.next_user);
        self.next_user += 1;
        let peer = world.add_or_replace(id, &config);
        // Half of them are announced (op 11) after they were proposed (op 27).
        let user = Some(world.peers[peer].user);
        if roll(&mut self.noise) < 0.5 {
            world.cue(Cue::Trick { user, trick: Trick::LateConnect, times: 1 });
        }
        world.lag(peer, LAG.mul_f64(roll(&mut self.noise)));
        world.start_join(peer);
        world.play(peer, Speech { packets: self.speech.clone(), next: 0 });
        self.present.push(peer);
    }

    fn leave(&mut self) {
        let index = wire::next(&mut self.noise) as usize % self.present.len();
        let peer = self.present.swap_remove(index);
        self.check(peer);
        self.world.peers[peer].control.leave(self.world.now);
    }

    /// What this peer heard of each of those who are, or were, there: once it heard anything of them, it missed nothing.
    fn check(&mut self, peer: usize) {
        let mut last: BTreeMap<(UserId, u32), u16> = BTreeMap::new();
        let peer = &mut self.world.peers[peer];
        for arrival in &peer.ears.arrivals {
            self.heard += 1;
            if let Some(before) = last.insert((arrival.user, arrival.ssrc.0), arrival.seq.0) {
                let (user, seq) = (arrival.user, arrival.seq.0);
                assert_eq!(seq, before.wrapping_add(1), "{} missed a frame of {user} after {before}", peer.user);
            }
        }
        let received = peer.inbound.received();
        assert_eq!(received.plain + received.refused_plain + received.replayed + received.implausible, 0);
        let sent = peer.outbound.sent();
        assert_eq!((sent.packets, sent.unsealable), (sent.sealed, 0), "nothing left unsealed");
    }

    /// Comings and goings, one each fifth of a second on average.
    fn churn(&mut self, changes: usize) {
        for _ in 0..changes {
            let few = self.present.len() <= 2;
            match roll(&mut self.noise) {
                _ if few => self.join(),
                _ if self.present.len() >= MOST => self.leave(),
                chance if chance < 0.5 => self.join(),
                _ => self.leave(),
            }
            self.world.run(LAG.mul_f64(roll(&mut self.noise)));
        }
    }

    /// Everybody who is there agrees on who is.
    fn agree(&mut self) {
        self.world.run(QUIET);
        let views: Vec<_> = self.present.iter().map(|peer| self.world.peers[*peer].control.encryption()).collect();
        let members: Vec<UserId> = self.present.iter().map(|peer| self.world.peers[*peer].user).collect();
        for view in &views {
            assert_eq!((view.epoch, &view.privacy_code), (views[0].epoch, &views[0].privacy_code));
            assert!(view.privacy_code.is_some(), "{} are there", members.len());
            assert!(view.members.len() == members.len() && members.iter().all(|it| view.members.contains_key(it)));
        }
        self.all_hear_all();
    }

    /// The last packet of everybody was opened by everybody else.
    fn all_hear_all(&self) {
        for (&speaker, &ears) in self.present.iter().flat_map(|one| self.present.iter().map(move |other| (one, other)))
        {
            let [speaker, ears] = [&self.world.peers[speaker], &self.world.peers[ears]];
            if speaker.user == ears.user {
                continue;
            }
            let last = speaker.wire.last().and_then(|(_, packet)| Header::read(packet)).map(|header| header.seq);
            let heard = ears.ears.arrivals.iter().rfind(|arrival| arrival.user == speaker.user);
            assert!(last.is_some() && heard.map(|arrival| arrival.seq) == last, "{} of {}", ears.user, speaker.user);
        }
    }

    /// Frames that each member could not open. Those only who have a key already, and which group's that is: a new one begins
    /// when everybody else has left.
    fn unopened(&self) -> BTreeMap<(UserId, usize), u64> {
        let lost = |peer: &usize| {
            let peer = &self.world.peers[*peer];
            let state = |event: &&Event| matches!(event, Event::Encryption(EncryptionEvent::State(_)));
            let (received, groups) = (peer.inbound.received(), peer.events.iter().filter(state).count());
            let sends = peer.control.encryption().version() > 0;
            sends.then_some(((peer.user, groups), received.no_key + received.undecryptable))
        };
        self.present.iter().filter_map(lost).collect()
    }
}

#[expect(clippy::print_stdout, reason = "a failure must be repeatable")]
fn world(seed: u64, rounds: usize, changes: usize, heard: u64) {
    println!("seed {seed}");
    let mut call = Call::new(seed);
    for _ in 0..3 {
        call.join();
    }
    for _ in 0..rounds {
        let before = call.unopened();
        call.churn(changes);
        call.agree();
        for (member, unopened) in call.unopened() {
            assert_eq!(unopened, before.get(&member).copied().unwrap_or(unopened), "{member:?} stayed");
        }
        for peer in call.present.clone() {
            call.check(peer);
            call.world.peers[peer].ears.arrivals.clear();
            call.world.peers[peer].wire.clear();
        }
    }
    // Not a test of silence: everybody spoke all the time.
    assert!(call.heard > heard * (rounds * changes) as u64, "{} frames", call.heard);
}

#[test]
fn a_thousand_joins_and_leaves_cost_those_who_stay_nothing() {
    world(1, 20, 50, 200);
}

#[test]
fn those_who_wait_get_a_group_when_its_only_members_have_left() {
    world(9_038_507_777_755_985_633, 4, 25, 20);
}

#[test]
fn nor_do_they_with_a_seed_that_nobody_chose() {
    let random = getrandom::u64().expect("randomness");
    world(random, 4, 25, 20);
}

#[test]
fn memory_does_not_grow_with_what_is_over() {
    let mut call = Call::new(2);
    for _ in 0..3 {
        call.join();
    }
    let mut round = || {
        call.churn(60);
        while call.present.len() > 3 {
            call.leave();
        }
        call.agree();
        for peer in &mut call.world.peers {
            peer.ears = Default::default();
            peer.wire = Vec::new();
            peer.events = Vec::new();
            peer.answers = Vec::new();
            peer.commands = Vec::new();
        }
    };
    round();
    round();
    let grown: i64 = (0..3).map(|_| measure(&mut round).bytes_current).sum();
    assert!(grown < 64 * 1_024, "180 comings and goings left {grown} bytes behind");
}

#[test]
fn silence_is_sealed_too() {
    let mut call = Call::new(3);
    call.join();
    call.join();
    call.agree();
    let (a, b) = (call.present[0], call.present[1]);
    call.world.play(a, mixer::opus::Packets::new((0..20).map(|_| SILENCE_FRAME.to_vec()).collect::<Vec<_>>()));
    call.world.run(QUIET);
    assert_eq!(call.world.peers[b].inbound.received().silence, 0);
    call.check(a);
}
