//! Everything that has sockets, threads, tasks and clocks. One task per call owns its [`Control`]; a receive task and a
//! clock thread own its media.

mod airing;
mod clock;
mod decode;
mod dial;
mod dispose;
mod inlet;
mod reader;
mod request;
pub(crate) mod taps;
mod time;
mod timers;
mod udp;
mod writer;
mod ws;

use std::net::{IpAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_channel::mpsc as post;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::control::{Control, Done, Output};
use crate::dialer::Dialer;
use crate::encryption::Encryption;
use crate::end::TrackEnd;
use crate::error::{Closed, JoinError};
use crate::event::{Event, Queue, tell};
use crate::info::VoiceStateCommand;
use crate::link::MainGateway;
use crate::media::{Command, Notice, Update};
use crate::player::{Closing, Order, Player};
use crate::stats::{Sent, Stats};

pub(crate) use airing::{Airing, Listeners, OnAir, Station, air};
pub(crate) use clock::{Beat, Clock, Place, Sending};
pub use clock::{ClockStats, ClockThread, Realtime};
pub(crate) use decode::Decoders;
pub(crate) use dial::dialer;
use dispose::let_go;
pub(crate) use reader::{Mailbox, Readers, is_sought};
pub(crate) use request::{Request, Target};
pub(crate) use taps::Tapped;
use time::now;
pub(crate) use time::sleep_until;
#[cfg(feature = "metrics")]
pub(crate) use time::within;
use timers::Timers;
use udp::Message;
pub(crate) use writer::{Commands, record};
use ws::{Incoming, Ws, WsEvent};

/// What a call's task is made of.
pub(crate) struct CallTask {
    pub(crate) config: Arc<Config>,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) link: Option<Arc<dyn MainGateway>>,
    pub(crate) control: Control,
    pub(crate) player: Player,
    pub(crate) orders: post::UnboundedReceiver<Order>,
    pub(crate) place: Place,
    pub(crate) inbound: crate::media::Inbound,
    pub(crate) decoders: Arc<Decoders>,
    pub(crate) requests: post::UnboundedReceiver<Request>,
    pub(crate) notices: post::UnboundedReceiver<Notice>,
    pub(crate) events: Arc<Queue>,
    pub(crate) closed: watch::Sender<Option<Closed>>,
    pub(crate) encryption: watch::Sender<Encryption>,
    /// The figures of the call when it was over.
    pub(crate) last: Arc<OnceLock<Box<Stats>>>,
}

/// The task of one call while it runs.
struct Running {
    config: Arc<Config>,
    dialer: Arc<dyn Dialer>,
    link: Option<Arc<dyn MainGateway>>,
    control: Control,
    player: Player,
    timers: Timers,
    /// Whether tracks stand still while we are muted.
    hold: bool,
    place: Place,
    receive: post::UnboundedSender<Message>,
    ws: Option<Ws>,
    inbox: post::Sender<Incoming>,
    closing: JoinSet<()>,
    socket: Option<Arc<UdpSocket>>,
    waiter: Option<oneshot::Sender<Result<(), JoinError>>>,
    events: Vec<Arc<Queue>>,
    /// Where work that was done comes back from the threads that did it.
    done: post::UnboundedSender<Done>,
    encryption: watch::Sender<Encryption>,
    ended: Option<Closed>,
}

/// Runs a call until it is over, and everything that belongs to it has ended.
pub(crate) fn run(task: CallTask) -> impl Future<Output = ()> {
    // Not an async function, which would hold its argument beside what is made of it, for as long as the call lasts.
    let CallTask { config, dialer, link, control, player, mut orders, place, inbound, decoders, .. } = task;
    let CallTask { mut requests, mut notices, events, closed, encryption, last, .. } = task;
    let (receive, messages) = post::unbounded();
    let (done, mut works) = post::unbounded();
    let (report, mut discovery) = post::unbounded();
    let receiving = udp::run(inbound, decoders.play_out(), messages, report, place.beat().clone());
    let mut receiving = tokio::spawn(receiving);
    let (inbox, mut incoming) = Ws::channel();
    let (hold, closing_player) = (config.mute_holds, Closing(player.clone()));
    let mut running = Running {
        config,
        dialer,
        link,
        hold,
        control,
        player,
        timers: Timers::default(),
        place,
        receive,
        ws: None,
        inbox,
        closing: JoinSet::new(),
        socket: None,
        waiter: None,
        events: vec![events],
        done,
        encryption,
        ended: None,
    };
    async move {
        let _closing = closing_player;
        let (mut abandoned, mut deafened) = (false, false);
        while running.ended.is_none() {
            tokio::select! {
                request = requests.recv(), if !abandoned => match request {
                    Ok(request) => running.handle_request(request),
                    Err(_) => {
                        // The last handle is gone: leave.
                        abandoned = true;
                        running.control.leave(now());
                    }
                },
                Ok(incoming) = incoming.recv() => running.handle_ws(incoming),
                notice = notices.recv() => {
                    let Ok(notice) = notice else {
                        // The clock has let go of a call that has not left.
                        running.control.handle_panicked();
                        running.drain();
                        continue;
                    };
                    running.handle_notice(notice);
                }
                _ = &mut receiving, if !deafened => {
                    // It ends after this one, but for a panic.
                    deafened = true;
                    running.control.handle_panicked();
                }
                Ok(order) = orders.recv() => running.handle_order(order),
                () = sleep_until(running.timers.poll_timeout()) => running.handle_timers(),
                Ok(incoming) = discovery.recv() => running.handle_udp(incoming),
                Ok(done) = works.recv() => running.handle_done(done),
                () = sleep_until(running.control.poll_timeout()) => running.control.handle_timeout(now()),
            }
            running.drain();
        }
        let (reply, figures) = oneshot::channel();
        running.stats(reply);
        if let Ok(stats) = figures.await {
            let _ = last.set(Box::new(stats));
        }
        let Running { config, place, player, receive, ws, mut closing, mut events, ended, .. } = running;
        requests.close();
        drop((place, receive, incoming));
        if !deafened {
            let _ = receiving.await;
        }
        // Until the clock thread has let go of the call, whose remains are dropped here.
        while let Ok(notice) = notices.recv().await {
            if let Some(event) = let_go(&player, notice) {
                tell(&mut events, &event);
            }
        }
        if let Some(ws) = ws {
            ws.close(1000, config.deadlines.closing).await;
        }
        while closing.join_next().await.is_some() {}
        for track in player.close() {
            tell(&mut events, &Event::TrackEnded { track, end: TrackEnd::CallClosed });
        }
        // What the queue had to say to that.
        while let Ok(order) = orders.try_recv() {
            if let Order::Emit(event) = order {
                tell(&mut events, &event);
            }
        }
        if let Some(closed) = &ended {
            tell(&mut events, &Event::Closed(closed.clone()));
        }
        closed.send_replace(ended);
    }
}

impl Running {
    fn handle_request(&mut self, request: Request) {
        let control = &mut self.control;
        match request {
            Request::Join { target, reply } => {
                if let Some(earlier) = self.waiter.replace(reply) {
                    let _ = earlier.send(Err(JoinError::Superseded));
                }
                match target {
                    Target::Channel(channel) => control.join_channel(now(), channel),
                    Target::Info(info) => control.join_info(now(), *info),
                }
            }
            Request::VoiceState(update) => control.handle_voice_state(now(), *update),
            Request::VoiceServer(update) => control.handle_voice_server(now(), *update),
            Request::Mute { mute, hold } => {
                self.hold = hold;
                control.set_mute(mute);
                // It may have been muted already, in the other way.
                self.place.beat().command(Command::Mute { muted: mute, hold });
            }
            Request::Deaf(deaf) => control.set_deaf(deaf),
            Request::Speaking(flags) => control.set_speaking(now(), flags),
            Request::Send(message) => control.send(now(), &message),
            Request::Events(queue) => self.events.push(queue),
            Request::Tap(tap) => self.tell_receive(Message::Tap(tap)),
            Request::Stats(reply) => self.stats(reply),
            Request::Leave => control.leave(now()),
        }
    }

    fn handle_ws(&mut self, Incoming { generation, event }: Incoming) {
        let control = &mut self.control;
        match event {
            WsEvent::Open => control.handle_ws_open(now(), generation),
            WsEvent::Failed(reason) => control.handle_ws_failed(now(), generation, reason),
            WsEvent::Text(text) => control.handle_text(now(), generation, &text),
            WsEvent::Binary(frame) => control.handle_binary(now(), generation, &frame),
            WsEvent::Closed { code, reason } => control.handle_ws_closed(now(), generation, code, reason),
        }
    }

    fn handle_udp(&mut self, udp::Incoming { generation, said }: udp::Incoming) {
        match said {
            udp::Said::Discovery(datagram) => self.control.handle_discovery(now(), generation, &datagram),
            udp::Said::Failed(error) => self.control.handle_udp_failed(now(), generation, error.to_string()),
            udp::Said::Hopeless => self.control.handle_hopeless(now()),
            udp::Said::Speech(speech) => self.emit(&Event::Speech(speech)),
            udp::Said::Vital(vital) => self.control.handle_vital(now(), vital),
            udp::Said::Loss(percent) => self.place.beat().command(Command::Loss(percent)),
        }
    }

    fn handle_done(&mut self, done: Done) {
        self.control.handle_done(now(), done);
    }

    fn handle_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Farewelled => self.control.handle_farewelled(),
            Notice::KeyExhausted => self.control.handle_key_exhausted(now()),
            Notice::Track { id, event } => {
                if !self.player.handle_event(id, &event) {
                    self.emit(&Event::Track { track: id, event });
                }
            }
            Notice::TrackEnded { .. } | Notice::Dispose(_) => {
                if let Some(event) = let_go(&self.player, notice) {
                    self.emit(&event);
                }
            }
        }
    }

    fn handle_order(&mut self, order: Order) {
        match order {
            Order::Emit(event) => self.emit(&event),
            Order::Timer { id, when } => self.timers.set(now(), id, when),
        }
    }

    fn handle_timers(&mut self) {
        for id in self.timers.handle_timeout(now()) {
            self.emit(&Event::Timer(id));
        }
    }

    fn drain(&mut self) {
        // Before the events that tell of it.
        self.encryption.send_if_modified(|known| {
            let changed = known != self.control.encryption();
            if changed {
                known.clone_from(self.control.encryption());
            }
            changed
        });
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Dial { generation, endpoint } => {
                    let secure = !self.config.plain_ws;
                    self.ws = Some(Ws::dial(self.dialer.clone(), endpoint, secure, generation, self.inbox.clone()));
                }
                Output::Text(text) => {
                    if let Some(ws) = &self.ws {
                        ws.text(text);
                    }
                }
                Output::Binary(frame) => {
                    if let Some(ws) = &self.ws {
                        ws.binary(frame);
                    }
                }
                Output::HangUp { code } => {
                    if let Some(ws) = self.ws.take() {
                        self.closing.spawn(ws.close(code, self.config.deadlines.closing));
                        // Those that have closed need no more waiting for.
                        while self.closing.try_join_next().is_some() {}
                    }
                }
                Output::OpenUdp { generation, server } => self.open_udp(generation, server),
                Output::Datagram(datagram) => {
                    if let Some(Err(error)) = self.socket.as_ref().map(|socket| socket.send(&datagram)) {
                        self.control.handle_unsent(error.to_string());
                    }
                }
                Output::Work(work) => {
                    let done = self.done.clone();
                    // The call may be over by then.
                    tokio::task::spawn_blocking(move || _ = done.unbounded_send(work.run()));
                }
                Output::Update(update) => self.update(update),
                Output::MainGateway(command) => self.tell_main_gateway(command),
                // The last event of all: told when the tracks have told their ends.
                Output::Event(Event::Closed(_)) => {}
                Output::Event(event) => self.emit(&event),
                Output::Joined => self.answer(Ok(())),
                Output::JoinFailed(error) => self.answer(Err(error)),
                Output::Ended(closed) => self.ended = Some(closed),
            }
        }
    }

    /// Tells each half of media what concerns it: the clock is not woken for nothing.
    fn update(&self, update: Update) {
        match update {
            Update::Mute(muted) => self.place.beat().command(Command::Mute { muted, hold: self.hold }),
            Update::Farewell
            | Update::Dave(dave::Update::Seal(_) | dave::Update::Withhold | dave::Update::SendPlain) => {
                self.place.beat().update(update);
            }
            Update::Deaf(_) | Update::Speaker { .. } | Update::Gone(_) | Update::Dave(_) => {
                self.tell_receive(Message::Update(update));
            }
            Update::Session(_) | Update::Detach => {
                self.place.beat().update(update.clone());
                self.tell_receive(Message::Update(update));
            }
        }
    }

    fn tell_main_gateway(&mut self, command: VoiceStateCommand) {
        let Some(link) = self.link.clone() else { return };
        // User code: a panic in it is its failure, not the end of this task.
        let told = catch_unwind(AssertUnwindSafe(|| link.update_voice_state(command)));
        let failure = match told {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        self.control.handle_link_failed(now(), failure);
    }

    fn open_udp(&mut self, generation: u64, server: std::net::SocketAddr) {
        let bind: IpAddr = self.config.bind;
        match udp::open(bind, server) {
            Ok(socket) => {
                let socket = Arc::new(socket);
                self.place.beat().socket(socket.clone());
                self.tell_receive(Message::Socket { generation, socket: socket.clone() });
                self.socket = Some(socket);
                self.control.handle_udp_open(now(), generation);
            }
            Err(error) => {
                let reason = format!("from {bind} to {server}: {error}");
                self.control.handle_udp_failed(now(), generation, reason);
            }
        }
    }

    fn answer(&mut self, result: Result<(), JoinError>) {
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.send(result);
        }
    }

    fn emit(&mut self, event: &Event) {
        tell(&mut self.events, event);
    }

    fn tell_receive(&self, message: Message) {
        // The receive task ends after this one.
        let _ = self.receive.unbounded_send(message);
    }

    fn stats(&self, reply: oneshot::Sender<Stats>) {
        let described = self.control.described();
        let mut stats = Stats {
            connected: self.control.is_up(),
            mode: described.map(|(mode, _)| mode),
            dave_version: described.map_or(0, |(_, version)| version),
            encryption: self.control.encryption().clone(),
            ws_round_trip: self.control.round_trip(),
            watchdog: self.control.watchdog(),
            ..Stats::default()
        };
        let (figures, answer) = oneshot::channel();
        self.tell_receive(Message::Figures(figures));
        let beat = self.place.beat().clone();
        tokio::spawn(async move {
            stats.sent = beat.figures().await.map_or_else(|_| Sent::default(), |sending| sending.sent);
            if let Ok(figures) = answer.await {
                stats.received = figures.received;
                stats.heard = figures.heard;
                stats.udp_round_trip = figures.round_trip;
                stats.send_quality = figures.send_quality;
            }
            let _ = reply.send(stats);
        });
    }
}

/// A lock whose holder cannot have panicked in a way that matters.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
