//! What is on the wire, and what noise on it does.

use std::time::Duration;

use loopback::{Cue, Impairment};
use mixer::generate::Tone;
use model::FRAME_SAMPLES;
use udp::rtp::Header;

use super::world::{World, user};
use crate::config::Config;
use crate::media::OutboundSettings;

const SECOND: Duration = Duration::from_secs(1);

fn caller(seed: u64) -> (World, usize) {
    let mut world = World::new(seed);
    let a = world.add(10, &Config::default(), Impairment::default());
    world.join(a);
    (world, a)
}

fn headers(world: &World, peer: usize) -> Vec<Header> {
    world.peers[peer].wire.iter().map(|(_, packet)| Header::read(packet).unwrap()).collect()
}

#[test]
fn case_2_five_silence_frames_of_their_own_then_time_runs_on_and_the_marker_follows() {
    let (mut world, a) = caller(40);
    for _ in 0..2 {
        world.play(a, Tone::new(440.0, 0.5, Some(SECOND)));
        world.run(3 * SECOND);
    }
    let headers = headers(&world, a);
    let marked: Vec<usize> = (0..headers.len()).filter(|index| headers[*index].marker).collect();
    assert_eq!(marked.len(), 2, "the first packet of each spurt");
    let second = marked[1];
    assert_eq!(marked[0], 0);
    assert!(headers.windows(2).all(|pair| pair[1].seq == pair[0].seq.next()), "not a number is skipped");
    let gap = headers[second].time.since(headers[second - 1].time);
    let elapsed = world.peers[a].wire[second].0 - world.peers[a].wire[second - 1].0;
    assert_eq!(gap as u128, elapsed.as_millis() * 48, "timestamps tell real time");
    assert_eq!(gap % FRAME_SAMPLES as i32, 0);
    assert_eq!(world.peers[a].outbound.sent().silence, 10, "five silence frames after each spurt");
}

#[test]
fn muting_ends_speech_lets_tracks_run_and_emits_nothing_stale() {
    let (mut world, a) = caller(41);
    world.play(a, Tone::new(440.0, 0.5, Some(10 * SECOND)));
    world.run(SECOND);
    world.peers[a].control.set_mute(true);
    world.run(SECOND);
    let sent = world.peers[a].outbound.sent();
    assert_eq!((sent.silence, sent.dropped), (5, 50));
    let muted = world.peers[a].wire.len();
    world.peers[a].control.set_mute(false);
    world.run(SECOND);
    assert_eq!(world.peers[a].wire.len() - muted, 50);
    assert!(headers(&world, a)[muted].marker);
    let position = world.peers[a].outbound.position(mixer::TrackId(1)).unwrap();
    assert_eq!(position.as_millis() / 20, 150, "the track ran on");
}

#[test]
fn a_deaf_call_drops_and_counts_what_comes() {
    let mut world = World::new(42);
    let a = world.add(10, &Config::default(), Impairment::default());
    let b = world.add(11, &Config::default().deaf(true), Impairment::default());
    world.join(a);
    world.join(b);
    world.play(a, Tone::new(440.0, 0.5, Some(SECOND)));
    world.run(2 * SECOND);
    let received = world.peers[b].inbound.received();
    assert_eq!(received.deafened, world.peers[a].outbound.sent().packets);
    assert!(world.peers[b].ears.pcm.is_empty());
}

#[test]
fn case_7_garbage_from_the_servers_own_address_changes_nothing() {
    let mut world = World::new(43);
    let a = world.add(10, &Config::default(), Impairment::default());
    let b = world.add(11, &Config::default(), Impairment::default());
    world.join(a);
    world.join(b);
    world.play(a, Tone::new(440.0, 0.5, Some(3 * SECOND)));
    world.run(SECOND / 2);
    let mut sent = 0;
    for len in (0..200).chain([1_471, 9_000, 65_507]) {
        world.cue(Cue::Garbage { user: Some(user(11)), len });
        sent += 1;
        world.run(Duration::from_millis(5));
    }
    // All CC values, marker, extension and padding bits, in lengths that contradict them.
    let now = world.now;
    for first in 0x80..=0xBF_u8 {
        for len in 1..100 {
            let mut datagram = vec![0x55; len];
            datagram[0] = first;
            if len > 1 {
                datagram[1] = if len % 2 == 0 { 0x78 } else { 0xF8 };
            }
            let peer = &mut world.peers[b];
            let discovery = peer.inbound.handle_datagram(now, &mut datagram, &mut peer.ears);
            assert!(!discovery);
            sent += 1;
        }
    }
    world.run(3 * SECOND);
    let received = world.peers[b].inbound.received();
    let noise = received.unauthentic + received.malformed + received.unknown + received.other_media;
    assert_eq!(noise, sent - discovery_like(), "{received:?}");
    assert_eq!(received.packets, world.peers[a].outbound.sent().packets);
    let heard = world.peers[b].inbound.heard()[&user(10)];
    assert_eq!((heard.lost, heard.late, heard.concealed_samples), (0, 0, 0), "{heard:?}");
}

/// How many of the random datagrams look like answers of IP discovery, which go to control: the seed gives none.
fn discovery_like() -> u64 {
    0
}

#[test]
fn case_14_15_extension_padding_and_marker_are_taken_off_before_decoding() {
    let config = loopback::Config::default().extension(true).padding(true).seed(44);
    let mut world = World::with(config);
    let a = world.add(10, &Config::default(), Impairment::default());
    let b = world.add(11, &Config::default(), Impairment::default());
    world.join(a);
    world.join(b);
    world.play(a, Tone::new(440.0, 0.5, Some(2 * SECOND)));
    world.run(3 * SECOND);
    assert!(headers(&world, a)[0].marker);
    let received = world.peers[b].inbound.received();
    assert_eq!(received.packets, world.peers[a].outbound.sent().packets);
    assert_eq!((received.malformed, received.unauthentic), (0, 0));
    let pcm = &world.peers[b].ears.pcm[&user(10)];
    assert!((super::world::pitch(&pcm[48_000..144_000]) - 440.0).abs() < 3.0);
    assert_eq!(world.peers[b].inbound.heard()[&user(10)].malformed, 0);
}

#[test]
fn keepalives_go_out_every_five_seconds_and_are_answered() {
    let (mut world, a) = caller(45);
    world.run(21 * SECOND);
    assert_eq!(world.server.stats().pings, 5, "one at once, then one every five seconds");
    assert!(world.peers[a].inbound.round_trip().is_some());
}

#[test]
fn a_repeated_description_keeps_the_stream_and_a_new_key_seals_anew() {
    for fresh_key in [false, true] {
        let mut world = World::new(46);
        let a = world.add(10, &Config::default(), Impairment::default());
        let b = world.add(11, &Config::default(), Impairment::default());
        world.join(a);
        world.join(b);
        world.play(a, Tone::new(440.0, 0.5, Some(3 * SECOND)));
        world.run(SECOND);
        world.cue(Cue::Describe { user: Some(user(10)), fresh_key });
        world.run(SECOND);
        let nonces: Vec<[u8; 4]> =
            world.peers[a].wire.iter().map(|(_, packet)| *packet.last_chunk().unwrap()).collect();
        let restarts = nonces.iter().filter(|nonce| **nonce == [0; 4]).count();
        assert_eq!(restarts, if fresh_key { 2 } else { 1 });
        let headers = headers(&world, a);
        assert!(headers.windows(2).all(|pair| pair[1].seq == pair[0].seq.next()), "one stream");
        assert_eq!(world.server.stats().not_authentic, 0);
    }
}

#[test]
fn a_minute_of_speech_is_played_out_evenly_through_keepalives_and_strangers() {
    let mut world = World::new(47);
    let link = Impairment { jitter: Duration::from_millis(5), ..Impairment::default() };
    let a = world.add(10, &Config::default(), Impairment::default());
    let stranger = world.add(12, &Config::default(), Impairment::default());
    let b = world.add(11, &Config::default(), link);
    world.join(a);
    world.join(b);
    // Whose packets expire in B, at any time.
    world.cue(Cue::Withhold { user: Some(user(11)), op: 5, times: u32::MAX });
    world.join(stranger);
    world.play(a, Tone::new(440.0, 0.5, Some(60 * SECOND)));
    world.play(stranger, Tone::new(880.0, 0.5, Some(60 * SECOND)));
    world.run(61 * SECOND);
    let heard = world.peers[b].inbound.heard()[&user(10)];
    assert_eq!((heard.lost, heard.late, heard.concealed_samples, heard.skipped_samples), (0, 0, 0, 0), "{heard:?}");
    assert!(world.peers[b].inbound.received().unattributed > 2_000);
}

#[test]
fn time_runs_on_over_rests_of_any_length() {
    use crate::media::{Command, Outbound, Prepared, Session, Update};

    let session = Session {
        ssrc: model::Ssrc(1),
        mode: crypto::Mode::Aes256GcmRtpsize,
        key: crypto::Key::new([7; 32]),
        seq: model::Seq(0),
        time: model::RtpTime(0),
        encrypted: false,
    };
    let mut outbound = Outbound::new(&OutboundSettings::from(&Config::default()));
    outbound.update(&Update::Session(session));
    let mut elapsed = 0_u64;
    // 17 and 60 hours: half of the timestamp's circle, and more than all of it.
    for beats in [1, 3_000_000, 7, 10_800_000, u32::MAX] {
        let source = Tone::new(440.0, 0.5, Some(Duration::from_millis(100)));
        let (mut reader, feed) = mixer::prefetch::pipe(Box::new(source), mixer::prefetch::Config::default());
        while matches!(reader.step(), mixer::prefetch::Step::Progress) {}
        outbound.command(Command::Add { id: mixer::TrackId(1), track: Box::new(mixer::Track::new(feed)) });
        let mut buffer = [0; _];
        let mut prepared = outbound.prepare(beats, &mut buffer);
        elapsed += u64::from(beats);
        let mut packets = 0;
        while let Prepared::Packet(len) = prepared {
            let header = Header::read(&buffer[..len]).unwrap();
            assert_eq!(header.time.0, (elapsed * FRAME_SAMPLES as u64) as u32, "after {beats} beats");
            outbound.finish(true, &mut buffer);
            prepared = outbound.prepare(1, &mut buffer);
            elapsed += 1;
            packets += 1;
        }
        assert!(packets >= 10, "five frames and five of silence: {packets}");
    }
}
