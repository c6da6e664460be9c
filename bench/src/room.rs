//! A thousand calls at once, with their sockets: what is left of a tick when the system's part is taken away.

use std::cell::RefCell;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use voice_client::EncoderSettings;
use voice_client::layer::mixer::broadcast::Station;
use voice_client::layer::mixer::hint::STEPS;
use voice_client::layer::mixer::prefetch::Feed;
use voice_client::media::{Outbound, Packet};

use crate::Outcome;
use crate::playing::{AHEAD, batch, outbound, prepare, seal, to_nowhere};
use crate::program;
use crate::row::{Figure, Row, Wanted};
use crate::signal::in_stretches;
use crate::source::{Endless, Filler, packets};
use crate::suite::{Side, Suite};

const CALLS: usize = 1_000;
/// A socket and its sink each, and some for everything else.
const FILES: u64 = 2 * CALLS as u64 + 200;
/// Calls that a clock thread beats for at the same time: it prepares them all, then sends.
const PHASE: usize = CALLS / 40;
/// Packets that a tap lets come before it plays the first.
const CUSHION: u64 = 2;
const TIME: Duration = Duration::from_secs(6);
/// What all but `send` may cost a call and frame.
const BAR: f64 = 450.0;

pub fn run(suite: &mut Suite) -> Outcome {
    let name = "room-1000/passthrough/dave";
    if suite.wants(name) {
        let packets: Arc<[_]> = packets()?.into();
        let (filler, feeds) = Filler::start(CALLS, AHEAD, || Endless::opus(packets.clone()));
        measure(suite, name, feeds, |_| filler.fill())?;
    }
    let name = "room-1000/broadcast/dave";
    if suite.wants(name) {
        let packets = packets()?;
        let mut station = Station::new(Arc::new(|| {}));
        // A stretch of it is there at once.
        let tuner = station.tuner().max_lag(Duration::from_secs(1));
        let feeds = (0..CALLS).map(|_| tuner.tap()).collect();
        let mut next = 0;
        let mut push = |frames: u64| {
            for _ in 0..frames {
                station.push(&packets[next % packets.len()]).expect("libopus makes legal packets");
                next += 1;
            }
        };
        // What a tap waits for before it begins.
        push(CUSHION);
        measure(suite, name, feeds, push)?;
    }
    Ok(())
}

/// `refill` sees to it that each feed has so many frames.
fn measure(suite: &mut Suite, name: &str, feeds: Vec<Feed>, refill: impl FnMut(u64)) -> Outcome {
    program::allow_files(FILES)?;
    let calls = feeds.into_iter().map(|feed| {
        let mut outbound = outbound(EncoderSettings::default(), vec![feed], 1.0);
        seal(&mut outbound);
        Ok(Member { outbound, socket: to_nowhere()?, len: 0 })
    });
    let room = Room { calls: calls.collect::<Outcome<_>>()?, packets: vec![[0; _]; PHASE], refill, frames: 0 };
    let room = RefCell::new(room);
    room.borrow_mut().play(1);
    let sides: [&mut dyn Side; 2] =
        [&mut |frames| room.borrow_mut().play(frames), &mut |frames| room.borrow_mut().send(frames)];
    let [playing, sending] = suite.compare(name, TIME, sides);
    room.borrow().check();
    let each = |frame: f64| frame / CALLS as f64;
    let more = each(playing.beyond(&sending).median());
    let limit = each(sending.median());
    suite.push(Row::new(name, Figure::Time(limit + more)).limit(limit).wanted(Wanted::AboveLimit(BAR)));
    Ok(())
}

struct Member {
    outbound: Outbound,
    socket: UdpSocket,
    len: usize,
}

struct Room<F> {
    calls: Vec<Member>,
    /// Of one phase.
    packets: Vec<Packet>,
    refill: F,
    frames: u64,
}

impl<F: FnMut(u64)> Room<F> {
    /// Time in which so many frames of each call are prepared, sealed twice, and sent; reading ahead is not part of it.
    fn play(&mut self, frames: u64) -> Duration {
        let mut time = Duration::ZERO;
        let mut left = frames;
        while left > 0 {
            let batch = left.min(batch(AHEAD));
            (self.refill)(batch);
            let start = Instant::now();
            for phase in (0..batch).flat_map(|_| 0..CALLS / PHASE) {
                let phase = &mut self.calls[phase * PHASE..][..PHASE];
                for n in 0..phase.len() {
                    for ahead in 1..=STEPS {
                        if let Some(next) = phase.get_mut(n + ahead) {
                            next.outbound.prefetch(STEPS - ahead);
                        }
                    }
                    phase[n].len = prepare(&mut phase[n].outbound, &mut self.packets[n]);
                }
                for (call, packet) in phase.iter_mut().zip(&mut self.packets) {
                    let sent = call.socket.send(&packet[..call.len]).is_ok();
                    call.outbound.finish(sent, packet);
                }
            }
            time += start.elapsed();
            left -= batch;
        }
        self.frames += frames;
        time
    }

    /// Time in which the same sockets send the packets that they sent last as often.
    fn send(&mut self, frames: u64) -> Duration {
        in_stretches(frames, || {
            for phase in self.calls.chunks(PHASE) {
                for (call, packet) in phase.iter().zip(&self.packets) {
                    call.socket.send(&packet[..call.len]).expect("the socket takes any packet");
                }
            }
        })
    }

    fn check(&self) {
        for call in &self.calls {
            let sent = call.outbound.sent();
            assert_eq!((sent.packets, sent.sealed), (self.frames, self.frames), "not every frame left, sealed");
        }
    }
}
