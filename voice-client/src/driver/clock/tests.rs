//! Real threads, real sockets: nothing is lost, doubled or overtaken when calls move. No test says when anything happens.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crypto::{Key, Mode};
use mixer::prefetch::{self, Pusher};
use mixer::{Ended, Track, TrackId};
use model::{RtpTime, SILENCE_FRAME, Seq, Ssrc};

use super::*;
use crate::media::{OutboundSettings, Removed, Session};

/// How long a single thing may take: far more than it ever needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything moves, all the time.
const RESTLESS: Balance = Balance {
    period: Duration::from_millis(15),
    full: -1.0,
    late: 2.0,
    late_from: 0.0,
    room: 0.0,
    gap: -2.0,
    quiet: 0.0,
    quiet_for: PATIENCE,
};

/// One call, its notices, and a socket that hears it.
struct Heard {
    place: Place,
    notices: post::UnboundedReceiver<Notice>,
    socket: UdpSocket,
    next_track: u64,
}

impl Heard {
    fn new(clock: &Clock, ssrc: u32) -> Self {
        let (notify, notices) = post::unbounded();
        let place = clock.add(Outbound::new(&OutboundSettings::from(&Config::default())), notify).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(socket.local_addr().unwrap()).unwrap();
        place.beat().socket(Arc::new(sender));
        let (mode, key) = (Mode::Aes256GcmRtpsize, Key::new([9; 32]));
        let (seq, time) = (Seq(u16::MAX - 20), RtpTime(u32::MAX - 9_600));
        let session = Session { ssrc: Ssrc(ssrc), mode, key, seq, time, encrypted: false };
        place.beat().update(Update::Session(session));
        Self { place, notices, socket, next_track: 0 }
    }

    fn beat(&self) -> &Beat {
        self.place.beat()
    }

    /// Plays a sink that sends silence frames of 20 ms, and says when it has room.
    fn sink(&mut self, on_drain: Arc<dyn Fn() + Send + Sync>) -> (TrackId, Pusher) {
        let (pusher, feed) = prefetch::sink(Duration::from_secs(1), on_drain);
        self.next_track += 1;
        let id = TrackId(self.next_track);
        self.beat().command(Command::Add { id, track: Box::new(Track::new(feed)) });
        (id, pusher)
    }

    /// The packets that came since the last time: sequence number and RTP time of each.
    fn packets(&self) -> Vec<(u16, u32)> {
        let mut datagram = [0; 1_500];
        let mut packets = Vec::new();
        while let Ok(len) = self.socket.recv(&mut datagram) {
            let header: [u8; 12] = datagram[..len.min(12)].try_into().unwrap();
            let [_, _, s0, s1, t0, t1, t2, t3, ..] = header;
            packets.push((u16::from_be_bytes([s0, s1]), u32::from_be_bytes([t0, t1, t2, t3])));
        }
        packets
    }
}

fn nothing() -> Arc<dyn Fn() + Send + Sync> {
    Arc::new(|| {})
}

/// Looks again and again until it is so.
#[expect(clippy::disallowed_methods, reason = "waits for other threads")]
fn until(what: &str, mut look: impl FnMut() -> bool) {
    let start = now();
    while !look() {
        assert!(now() < start + PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn answer<T>(what: &str, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut done = None;
    until(what, || match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => {
            done = Some(value);
            true
        }
        Poll::Pending => false,
    });
    done.unwrap()
}

/// Packets follow each other: no number twice or left out, and time goes on by beats.
fn assert_contiguous(packets: &[(u16, u32)], what: &str) {
    for (n, pair) in packets.windows(2).enumerate() {
        let ((before, then), (after, time)) = (pair[0], pair[1]);
        assert_eq!(after, before.wrapping_add(1), "{what}: packet {n} of {}: {packets:?}", packets.len());
        let passed = time.wrapping_sub(then);
        assert!(
            passed >= 960 && passed % 960 == 0 && passed < 48_000 * 60,
            "{what}: {passed} samples after packet {n}"
        );
    }
}

#[test]
fn calls_move_and_every_one_of_their_packets_arrives_in_order() {
    const CALLS: u32 = 64;
    let clock = Clock::with(4, false, RESTLESS);
    let mut calls: Vec<Heard> = (1..=CALLS).map(|ssrc| Heard::new(&clock, ssrc)).collect();
    let mut sinks: Vec<Pusher> = calls.iter_mut().map(|call| call.sink(nothing()).1).collect();
    let mut heard: Vec<Vec<(u16, u32)>> = vec![Vec::new(); calls.len()];
    let mut spread = false;
    // They rest at home until something is pushed. From then on nobody runs dry.
    until("everybody having moved about, on four threads", || {
        for ((call, sink), heard) in calls.iter().zip(&mut sinks).zip(&mut heard) {
            while let Ok(prefetch::Push::Done) = sink.push(&SILENCE_FRAME) {}
            call.beat().wake();
            heard.extend(call.packets());
        }
        let stats = clock.stats();
        spread |= stats.threads.len() == 4 && stats.threads.iter().all(|thread| thread.beating > 0);
        spread && stats.moved > u64::from(CALLS) * 10 && heard.iter().all(|heard| heard.len() > 100)
    });
    for (n, heard) in heard.iter().enumerate() {
        assert_contiguous(heard, &format!("call {n}"));
    }
    let stats = clock.stats();
    assert!(stats.packets >= heard.iter().map(|heard| heard.len() as u64).sum(), "{stats:?}");

    // They leave wherever they are, and nothing of them stays.
    for mut call in calls {
        drop(call.place);
        let gone = |notice| matches!(notice, Notice::Dispose(Removed::Call(_)));
        until("the end", || call.notices.try_recv().is_ok_and(gone));
        until("nothing after it", || matches!(call.notices.try_recv(), Err(post::TryRecvError::Closed)));
    }
    until("no calls", || clock.stats().threads.iter().all(|thread| thread.calls == 0 && thread.beating == 0));
}

#[test]
fn what_is_said_to_calls_that_move_is_heard_once_and_in_order() {
    const CALLS: u32 = 8;
    const ROUNDS: usize = 300;
    let clock = Clock::with(3, false, RESTLESS);
    let mut calls: Vec<Heard> = (1..=CALLS).map(|ssrc| Heard::new(&clock, ssrc)).collect();
    // Kept busy, or nobody would move.
    let mut sinks: Vec<Pusher> = calls.iter_mut().map(|call| call.sink(nothing()).1).collect();
    // Kept as well: the end of a pusher is its track's.
    let mut pushers = Vec::new();
    for round in 0..ROUNDS {
        for (call, sink) in calls.iter_mut().zip(&mut sinks) {
            while let Ok(prefetch::Push::Done) = sink.push(&SILENCE_FRAME) {}
            call.beat().wake();
            // Each of these only works after the one before it.
            let (id, pusher) = call.sink(nothing());
            call.beat().command(Command::Pause { id, paused: true });
            call.beat().command(Command::Stop { id, ramp: Duration::ZERO });
            assert_eq!(id, TrackId(round as u64 + 2));
            pushers.push(pusher);
        }
        if round % 50 == 0 {
            for call in &calls {
                assert!(answer("figures", call.beat().figures()).is_ok());
            }
            let moved = clock.stats().moved;
            until("further moves", || clock.stats().moved > moved + 20);
        }
    }
    for call in &mut calls {
        let mut removed = Vec::new();
        until("all tracks stopped", || {
            while let Ok(notice) = call.notices.try_recv() {
                match notice {
                    Notice::TrackEnded { id, ended: Ended::Stopped, .. } => removed.push(id.0),
                    Notice::TrackEnded { id, .. } => panic!("{id:?} was paused before it could end"),
                    _ => {}
                }
            }
            removed.len() >= ROUNDS
        });
        assert_eq!(removed, (2..ROUNDS as u64 + 2).collect::<Vec<_>>());
    }
}

#[test]
fn a_quiet_thread_gives_its_calls_back_and_ends() {
    // Whatever the load, threads are quiet, and home has room.
    let balance =
        Balance { quiet: 2.0, quiet_for: Duration::from_millis(100), room: 10.0, full: -1.0, late: 2.0, ..RESTLESS };
    // With that much room nobody gives anything away but who is saturated: here nobody, as threads are 100 % busy at most.
    let clock = Clock::with(3, false, Balance { room: 0.0, ..balance });
    let mut call = Heard::new(&clock, 1);
    let mut other = Heard::new(&clock, 2);
    let (mut sink, mut second) = (call.sink(nothing()).1, other.sink(nothing()).1);
    let mut heard = [Vec::new(), Vec::new()];
    let mut seen = (false, false);
    let mut feed = |heard: &mut [Vec<(u16, u32)>; 2]| {
        for (n, (call, sink)) in [(&call, &mut sink), (&other, &mut second)].into_iter().enumerate() {
            while let Ok(prefetch::Push::Done) = sink.push(&SILENCE_FRAME) {}
            call.beat().wake();
            heard[n].extend(call.packets());
        }
    };
    until("another thread, which has a call", || {
        feed(&mut heard);
        let threads = clock.stats().threads;
        seen.0 |= threads.len() > 1 && threads[1..].iter().any(|thread| thread.beating > 0);
        seen.0
    });
    drop(sink);
    drop(second);
    until("only one thread", || {
        for (n, call) in [&call, &other].into_iter().enumerate() {
            heard[n].extend(call.packets());
        }
        seen.1 |= clock.stats().threads.len() == 1;
        seen.1
    });
    for (n, heard) in heard.iter().enumerate() {
        assert_contiguous(heard, &format!("call {n}"));
    }
    assert!(answer("figures", call.beat().figures()).is_ok(), "it is still there");
    let stats = clock.stats();
    assert_eq!(stats.threads[0].calls, 2, "{stats:?}");
}

/// A waker that panics, as user code may.
struct Bomb(AtomicUsize);

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a waker that panics, as this test wants it to");
    }
}

#[test]
fn a_call_that_panics_ends_and_the_others_go_on() {
    for threads in [1, 3] {
        let clock = Clock::with(threads, false, RESTLESS);
        let mut calls: Vec<Heard> = (1..=8).map(|ssrc| Heard::new(&clock, ssrc)).collect();
        let mut sinks: Vec<Pusher> = calls.iter_mut().map(|call| call.sink(nothing()).1).collect();
        let mut heard: BTreeMap<usize, Vec<(u16, u32)>> = BTreeMap::new();
        let mut feed = |calls: &[Heard], count: usize| {
            until("packets", || {
                for (n, (call, sink)) in calls.iter().zip(&mut sinks).enumerate() {
                    while let Ok(prefetch::Push::Done) = sink.push(&SILENCE_FRAME) {}
                    call.beat().wake();
                    heard.entry(n).or_default().extend(call.packets());
                }
                heard.values().all(|heard| heard.len() >= count)
            });
        };
        feed(&calls, 20);

        let mut broken = Heard::new(&clock, 99);
        let bomb = Arc::new(Bomb(AtomicUsize::new(0)));
        let waker = Waker::from(bomb.clone());
        let (_, mut pusher) = broken.sink(Arc::new(move || waker.wake_by_ref()));
        assert!(matches!(pusher.push(&SILENCE_FRAME), Ok(prefetch::Push::Done)));
        broken.beat().wake();
        let mut remains = None;
        until("the end of it", || match broken.notices.try_recv() {
            Ok(Notice::Dispose(removed @ Removed::Call(_))) => {
                remains = Some(removed);
                false
            }
            Ok(_) => false,
            Err(error) => error == post::TryRecvError::Closed,
        });
        assert_eq!(bomb.0.load(Ordering::Relaxed), 1, "panicked once, on the clock thread");
        // Dropping it panics too: that is for control to bear.
        std::mem::forget(remains);
        assert!(answer("figures of what is gone", broken.beat().figures()).is_err());

        feed(&calls, 60);
        // On its way from one thread to another a call is on neither.
        until("eight calls", || clock.stats().threads.iter().map(|thread| thread.calls).sum::<usize>() == 8);
        for (n, heard) in heard {
            assert_contiguous(&heard, &format!("call {n}"));
        }
    }
}

#[test]
fn real_time_is_granted_or_refused_with_a_reason_and_calls_go_on() {
    for asked in [false, true] {
        let clock = Clock::with(2, asked, RESTLESS);
        let mut call = Heard::new(&clock, 1);
        let (_, mut sink) = call.sink(nothing());
        let mut heard = Vec::new();
        until("packets", || {
            while let Ok(prefetch::Push::Done) = sink.push(&SILENCE_FRAME) {}
            call.beat().wake();
            heard.extend(call.packets());
            heard.len() > 10
        });
        assert_contiguous(&heard, "the call");
        match &clock.stats().threads[0].realtime {
            Realtime::NotAsked => assert!(!asked),
            Realtime::Granted => assert!(asked && cfg!(target_os = "linux")),
            Realtime::Refused(reason) => assert!(asked && reason.len() > 10, "{reason}"),
        }
    }
}

#[test]
fn threads_end_with_the_last_call_when_the_clock_is_gone() {
    let clock = Clock::with(3, false, RESTLESS);
    let mut calls: Vec<Heard> = (1..=6).map(|ssrc| Heard::new(&clock, ssrc)).collect();
    let mut sinks: Vec<Pusher> = calls.iter_mut().map(|call| call.sink(nothing()).1).collect();
    until("three threads", || {
        for (call, sink) in calls.iter().zip(&mut sinks) {
            while let Ok(prefetch::Push::Done) = sink.push(&SILENCE_FRAME) {}
            call.beat().wake();
        }
        clock.stats().threads.len() == 3
    });
    let counters = Arc::downgrade(&clock.setup.counters);
    let beats: Vec<Beat> = calls.iter().map(|call| call.beat().clone()).collect();
    drop(clock);
    for call in &calls {
        assert!(answer("figures", call.beat().figures()).is_ok(), "calls outlive the client");
    }
    drop(calls);
    until("no thread", || counters.strong_count() == 0);
    // Handles may stay.
    assert!(answer("nothing", beats[0].figures()).is_err());
}

#[test]
fn a_track_that_ends_is_told_of_wherever_its_call_is() {
    let clock = Clock::with(3, false, RESTLESS);
    let mut calls: Vec<Heard> = (1..=6).map(|ssrc| Heard::new(&clock, ssrc)).collect();
    for _ in 0..10 {
        for call in &mut calls {
            let (id, mut sink) = call.sink(nothing());
            assert!(matches!(sink.push(&SILENCE_FRAME), Ok(prefetch::Push::Done)));
            drop(sink);
            call.beat().wake();
            let ended =
                |notice| matches!(notice, Notice::TrackEnded { id: it, ended: Ended::Finished, .. } if it == id);
            until("its end", || call.notices.try_recv().is_ok_and(ended));
        }
    }
}
