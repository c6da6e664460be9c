//! What plays, through everything that happens to a call: nothing stale, nothing twice, nothing in the clear.

use std::time::Duration;

use loopback::{Cue, Impairment};
use mixer::generate::Tone;
use mixer::{Ended, FrameLength, TrackId, prefetch};
use model::{FRAME, FRAME_SAMPLES};
use opus::Decoder;
use udp::rtp::Header;

use super::world::{World, channel, guild, pitch, user};
use crate::config::Config;
use crate::encoder::EncoderSettings;
use crate::event::{Event, Recovery};
use crate::media::{Command, Outbound, OutboundSettings, Prepared, Removed, Session, Update};

const SECOND: Duration = Duration::from_secs(1);

/// The sending half of a call that plays a tone, beat by beat.
struct Speaker {
    outbound: Outbound,
    opener: crypto::Opener,
    reader: prefetch::Reader,
}

impl Speaker {
    fn new() -> Self {
        let (mode, key) = (crypto::Mode::Aes256GcmRtpsize, crypto::Key::new([7; 32]));
        let mut outbound = Outbound::new(&OutboundSettings::from(&Config::default()));
        let opener = crypto::Opener::new(mode, &key, crypto::Backend::AwsLc);
        let (seq, time) = (model::Seq(0), model::RtpTime(0));
        outbound.update(&Update::Session(Session { ssrc: model::Ssrc(1), mode, key, seq, time, encrypted: false }));
        let (reader, feed) = prefetch::pipe(Box::new(Tone::new(440.0, 0.5, None)), prefetch::Config::default());
        outbound.command(Command::Add { id: TrackId(1), track: Box::new(mixer::Track::new(feed)) });
        Self { outbound, opener, reader }
    }

    /// The packets of one beat: RTP time and Opus packet of each.
    fn beat(&mut self) -> Vec<(u32, Vec<u8>)> {
        while let prefetch::Step::Progress = self.reader.step() {}
        let mut packets = Vec::new();
        let mut buffer = [0; _];
        let mut prepared = self.outbound.prepare(1, &mut buffer);
        while let Prepared::Packet(len) = prepared {
            let mut packet = buffer[..len].to_vec();
            let time = Header::read(&packet).unwrap().time.0;
            packets.push((time, self.opener.open(&mut packet, 12).expect("authentic").to_vec()));
            prepared = self.outbound.finish(true, &mut buffer);
        }
        packets
    }
}

#[test]
fn frames_of_another_length_go_on_where_those_before_ended() {
    let mut speaker = Speaker::new();
    let mut packets = Vec::new();
    for length in [FrameLength::Ms20, FrameLength::Ms10, FrameLength::Ms40, FrameLength::Ms10, FrameLength::Ms60] {
        speaker.outbound.command(Command::Encoder(EncoderSettings::default().frame(length)));
        for _ in 0..60 {
            packets.extend(speaker.beat());
        }
    }
    let mut decoder = Decoder::new(48_000, opus::Channels::Stereo).unwrap();
    let mut pcm = vec![0.0; 5_760 * 2];
    let mut time = packets[0].0;
    for (n, (at, packet)) in packets.iter().enumerate() {
        assert_eq!(*at, time, "packet {n} of {}", packets.len());
        let samples = decoder.decode_float(packet, &mut pcm, false).unwrap();
        time = time.wrapping_add(samples as u32);
        let peak = pcm[..samples * 2].iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!(n < 3 || (0.4..0.6).contains(&peak), "packet {n}: {} bytes, peak {peak}", packet.len());
    }
}

#[test]
fn what_is_stopped_while_everything_stands_is_gone_at_once() {
    let stop = || Command::Stop { id: TrackId(1), ramp: SECOND };
    let mut speaker = Speaker::new();
    (0..10).for_each(|_| _ = speaker.beat());
    assert!(speaker.outbound.command(stop()).is_none(), "it fades out");
    (0..60).for_each(|_| _ = speaker.beat());
    assert!(matches!(speaker.outbound.pop_ended(), Some((TrackId(1), Ended::Stopped, _))));

    let (hold, detach) = (|| Command::Mute { muted: true, hold: true }, Update::Detach);
    for held in [true, false] {
        let mut speaker = Speaker::new();
        (0..10).for_each(|_| _ = speaker.beat());
        if held {
            speaker.outbound.command(hold());
        } else {
            speaker.outbound.update(&detach);
        }
        let position = speaker.outbound.position(TrackId(1));
        (0..10).for_each(|_| _ = speaker.beat());
        assert_eq!(speaker.outbound.position(TrackId(1)), position);
        assert!(matches!(speaker.outbound.command(stop()), Some(Removed::Track(TrackId(1), _))), "held: {held}");
        assert!(speaker.outbound.command(stop()).is_none() && speaker.outbound.is_idle());
    }
}

#[test]
fn a_mute_that_holds_goes_on_with_the_very_next_sample() {
    let mut speaker = Speaker::new();
    let mut spoken = 0;
    for _ in 0..3 {
        spoken += (0..20).map(|_| speaker.beat().len() as u32).sum::<u32>();
        let position = speaker.outbound.position(TrackId(1)).unwrap();
        assert_eq!(position, FRAME * spoken);
        speaker.outbound.command(Command::Mute { muted: true, hold: true });
        let silence: Vec<_> = (0..50).flat_map(|_| speaker.beat()).map(|(_, packet)| packet).collect();
        assert_eq!(silence, [model::SILENCE_FRAME; 5], "five, and each a packet of its own");
        assert_eq!(speaker.outbound.position(TrackId(1)), Some(position));
        assert!(speaker.outbound.is_idle(), "no beat is needed");
        speaker.outbound.command(Command::Mute { muted: false, hold: false });
    }
    let sent = speaker.outbound.sent();
    assert_eq!((sent.packets, sent.silence, sent.dropped), (u64::from(spoken) + 15, 15, 0));
}

fn headers(world: &World, peer: usize) -> Vec<Header> {
    world.peers[peer].wire.iter().map(|(_, packet)| Header::read(packet).unwrap()).collect()
}

fn attempts(world: &World, peer: usize, resume: bool) -> usize {
    let by = |event: &&Event| match event {
        Event::Reconnecting { by, .. } => matches!(by, Recovery::Resume { .. }) == resume,
        _ => false,
    };
    world.peers[peer].events.iter().filter(by).count()
}

#[test]
fn tracks_that_follow_each_other_do_so_through_resumes_and_fresh_joins() {
    let mut world = World::new(200);
    let a = world.add(10, &Config::default(), Impairment::default());
    let b = world.add(11, &Config::default(), Impairment::default());
    world.join(a);
    world.join(b);
    let mut before = world.play(a, Tone::new(440.0, 0.5, Some(5 * SECOND)));
    for n in 1..6 {
        // One falls into each interruption, too.
        let crossfade = if n % 2 == 0 { SECOND / 2 } else { Duration::ZERO };
        let next = world.play(a, Tone::new(440.0, 0.5, Some(5 * SECOND)));
        let cue = mixer::Cue::After { track: before, crossfade };
        world.peers[a].outbound.command(Command::Cue { id: next, cue });
        before = next;
    }
    for n in 0..6 {
        world.run(4 * SECOND);
        let cue = match n % 3 {
            0 => Cue::Sever { user: Some(user(10)) },
            1 => Cue::Close { user: Some(user(10)), code: 4_006, reason: String::new() },
            _ => Cue::ChangeEndpoint { guild: guild(), endpoint: None },
        };
        world.dead_dials = n % 2;
        world.cue(cue);
    }
    world.run(40 * SECOND);
    let peer = &world.peers[a];
    assert!(peer.closed.is_none() && peer.is_up());
    assert_eq!(peer.ended.iter().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6], "in order, each once");
    assert!(attempts(&world, a, true) >= 2 && attempts(&world, a, false) >= 2, "{:?}", peer.events);
    // What tracks stood still for was not lost: every frame of the 29 seconds left, in one go.
    let sent = peer.outbound.sent();
    let spoken = sent.packets - sent.silence + sent.dropped;
    assert_eq!(spoken, 29 * 50 + 1, "{sent:?}");
    let headers = headers(&world, a);
    for (n, pair) in headers.windows(2).enumerate() {
        if pair[0].ssrc == pair[1].ssrc {
            assert_eq!(pair[1].seq, pair[0].seq.next(), "packet {n}");
            assert!(pair[1].time.since(pair[0].time) >= FRAME_SAMPLES as i32, "packet {n}");
        } else {
            assert!(pair[1].marker, "packet {n}: a new stream begins");
        }
    }
    assert_eq!(world.server.stats().not_authentic, 0);
}

#[test]
fn case_3_and_4_a_pause_and_a_skip_leave_no_hole_in_the_sequence() {
    let mut world = World::new(201);
    let a = world.add(10, &Config::default(), Impairment::default());
    world.join(a);
    let first = world.play(a, Tone::new(440.0, 0.5, None));
    world.run(SECOND);
    world.peers[a].outbound.command(Command::Pause { id: first, paused: true });
    world.run(2 * SECOND);
    world.peers[a].outbound.command(Command::Pause { id: first, paused: false });
    world.run(SECOND);
    world.peers[a].outbound.command(Command::Stop { id: first, ramp: FRAME / 2 });
    world.play(a, Tone::new(880.0, 0.5, Some(SECOND)));
    world.run(3 * SECOND);
    let headers = headers(&world, a);
    let times: Vec<_> = world.peers[a].wire.iter().map(|(at, _)| *at).collect();
    for n in 1..headers.len() {
        assert_eq!(headers[n].seq, headers[n - 1].seq.next(), "packet {n}");
        let passed = (times[n] - times[n - 1]).as_millis() as i32 * 48;
        assert_eq!(headers[n].time.since(headers[n - 1].time), passed, "packet {n}: time is real time");
    }
    let marked: Vec<_> = (0..headers.len()).filter(|n| headers[*n].marker).collect();
    assert_eq!(marked.len(), 2, "at the beginning and after the pause, not at the skip");
    assert_eq!(world.peers[a].outbound.sent().silence, 10);
}

#[test]
fn case_5_with_minutes_queued_every_frame_can_be_opened_across_epochs() {
    let mut world = World::encrypted(202);
    for id in [10, 11] {
        let peer = world.add(id, &Config::default(), Impairment::default());
        world.join(peer);
    }
    world.run(2 * SECOND);
    // All of it is there before the first frame leaves.
    let minutes = prefetch::Config::default().length(60 * SECOND);
    let mut before = None;
    for _ in 0..3 {
        let (mut reader, feed) = prefetch::pipe(Box::new(Tone::new(440.0, 0.5, Some(59 * SECOND))), minutes.clone());
        while let prefetch::Step::Progress = reader.step() {}
        let peer = &mut world.peers[0];
        peer.next_track += 1;
        let id = TrackId(peer.next_track);
        let cue = before.map_or(mixer::Cue::Now, |track| mixer::Cue::After { track, crossfade: Duration::ZERO });
        let track = Box::new(mixer::Track::new(feed).cue(cue));
        peer.outbound.command(Command::Add { id, track });
        before = Some(id);
    }
    let epoch = |world: &World| world.peers[1].control.encryption().epoch;
    let mut epochs = vec![epoch(&world)];
    // Somebody comes and goes: each time the keys change, and the listener drops the old ones after ten seconds.
    for _ in 0..3 {
        let guest = world.add_or_replace(12, &Config::default());
        world.join(guest);
        world.run(25 * SECOND);
        epochs.push(epoch(&world));
        let now = world.now;
        world.peers[guest].control.leave(now);
        world.run(25 * SECOND);
        epochs.push(epoch(&world));
    }
    world.run(40 * SECOND);
    assert!(epochs.windows(2).all(|pair| pair[0] != pair[1]), "{epochs:?}");
    let (sent, received) = (world.peers[0].outbound.sent(), world.peers[1].inbound.received());
    assert_eq!(world.peers[0].ended.len(), 3);
    assert_eq!((sent.sealed, sent.no_key, sent.unsealable), (sent.packets, 0, 0), "{sent:?}");
    assert_eq!(sent.packets, 3 * 59 * 50 + 1 + 5);
    assert_eq!((received.opened, received.packets), (sent.packets, sent.packets), "{received:?}");
    assert_eq!(received.no_key + received.undecryptable + received.plain, 0, "{received:?}");
    let heard = world.peers[1].inbound.heard()[&user(10)];
    assert_eq!((heard.lost, heard.late, heard.concealed_samples), (0, 0, 0), "{heard:?}");
    let pcm = &world.peers[1].ears.pcm[&user(10)];
    for minute in pcm.chunks(60 * 96_000).filter(|minute| minute.len() == 60 * 96_000).take(2) {
        assert!((pitch(&minute[96_000..]) - 440.0).abs() < 3.0, "{} Hz", pitch(minute));
    }
}

#[test]
fn case_23_a_writer_who_is_blocked_across_a_region_change_sends_no_burst() {
    let mut world = World::new(203);
    let a = world.add(10, &Config::default(), Impairment::default());
    let b = world.add(11, &Config::default(), Impairment::default());
    world.join(a);
    world.join(b);
    let (mut pusher, feed) = prefetch::sink(FRAME, std::sync::Arc::new(|| {}));
    world.peers[a].outbound.command(Command::Add { id: TrackId(1), track: Box::new(mixer::Track::new(feed)) });
    let mut written = 0_u64;
    let mut errors = 0;
    let mut write_for = |world: &mut World, time: Duration| {
        let end = world.now + time;
        while world.now < end {
            // As often as it can, as a blocked writer does that is woken.
            loop {
                match pusher.push(&[0xFC; 40]) {
                    Ok(prefetch::Push::Done) => written += 1,
                    Ok(_) => break,
                    Err(_) => {
                        errors += 1;
                        break;
                    }
                }
            }
            world.run(Duration::from_millis(5));
        }
    };
    write_for(&mut world, SECOND);
    for outage in [1, 4] {
        // The region changes, and the new server cannot be reached at first.
        world.dead_dials = outage;
        world.cue(Cue::ChangeEndpoint { guild: guild(), endpoint: None });
        write_for(&mut world, 10 * SECOND);
    }
    world.cue(Cue::Move { user: user(10), channel: channel(2_001) });
    write_for(&mut world, 2 * SECOND);
    assert_eq!(errors, 0, "no frame was refused");
    let peer = &world.peers[a];
    assert!(peer.is_up() && peer.ended.is_empty());
    for (n, pair) in peer.wire.windows(2).enumerate() {
        assert!(pair[1].0 - pair[0].0 >= FRAME, "packet {n}: {:?} after the one before", pair[1].0 - pair[0].0);
    }
    let sent = peer.outbound.sent();
    assert!(written - (sent.packets - sent.silence) - sent.dropped <= 2, "{written} written, {sent:?}");
    let headers = headers(&world, a);
    let streams = 1 + headers.windows(2).filter(|pair| pair[0].ssrc != pair[1].ssrc).count();
    assert_eq!(streams, 4, "one for each server");
    assert_eq!(world.server.stats().not_authentic, 0);
}
