//! The media path of a session that is up: what is done when it is dead, and how our address is discovered anew.

use std::time::Instant;

use udp::{Discovery, discovery};

use super::{Control, Output, Rung, Symptom};
use crate::config::Deadlines;
use crate::error::Cause;
use crate::event::Event;
use crate::media::Vital;
use crate::stats::WatchdogCounts;

/// Lasts until op 1 has told the server where media goes now: over a resume, too, because until then it goes to a socket that
/// is no more.
pub(super) struct Rediscovery {
    /// Starts when the socket is open.
    discovery: Option<Discovery>,
}

impl Control {
    /// Media has noticed something about its path.
    pub(crate) fn handle_vital(&mut self, now: Instant, vital: Vital) {
        // What is asked for now is answered by what is under way.
        let judges = self.is_up() && !self.deaf && self.rediscovery.is_none();
        // Told once: it must not be lost.
        let is_over = vital == Vital::Opened || vital == Vital::Answered && self.rediscovery.is_none();
        if judges || is_over {
            let act = self.watchdog.handle(now, vital, self.top());
            self.climb(now, act);
        }
    }

    /// How often the watchdog acted.
    pub(crate) fn watchdog(&self) -> WatchdogCounts {
        self.watchdog.counts()
    }

    /// The last rung that can be taken: only a main-gateway link joins afresh.
    fn top(&self) -> Rung {
        if self.linked { Rung::Rejoin } else { Rung::Resume }
    }

    fn climb(&mut self, now: Instant, act: Option<(Rung, Symptom)>) {
        let Some((rung, why)) = act else { return };
        self.outputs.push_back(Output::Event(Event::Watchdog { rung, why }));
        match rung {
            Rung::Rediscover => self.rediscover(),
            Rung::Resume | Rung::Rejoin => self.lost(now, Cause::Media { why, rung }),
        }
    }

    fn rediscover(&mut self) {
        let Some(server) = self.live.as_ref().and_then(|live| live.server) else { return };
        self.rediscovery = Some(Rediscovery { discovery: None });
        self.outputs.push_back(Output::OpenUdp { generation: self.generation, server });
    }

    /// The session goes on over another WebSocket.
    pub(super) fn path_resumed(&mut self, now: Instant) {
        self.watchdog.settle(now);
        if self.rediscovery.is_some() {
            self.rediscover();
        }
    }

    /// When [`rediscovery_timeout`](Self::rediscovery_timeout) wants to be called.
    pub(super) fn rediscovery_due(&self) -> Option<Instant> {
        self.rediscovery.as_ref().filter(|_| self.is_up())?.discovery.as_ref()?.poll_timeout()
    }

    pub(super) fn rediscovery_open(&mut self, now: Instant) {
        let Deadlines { discovery, discovery_retry, .. } = self.settings.deadlines;
        if let (Some(rediscovery), Some(ssrc)) = (&mut self.rediscovery, self.live.as_ref().and_then(|it| it.ssrc)) {
            rediscovery.discovery = Some(Discovery::new(now, ssrc, discovery_retry, discovery));
            self.pump_rediscovery(now);
        }
    }

    pub(super) fn rediscovery_answered(&mut self, now: Instant, datagram: &[u8]) {
        if let Some(discovery) = self.asking() {
            discovery.handle_datagram(now, datagram);
            self.pump_rediscovery(now);
        }
    }

    pub(super) fn rediscovery_timeout(&mut self, now: Instant) {
        if let Some(discovery) = self.asking() {
            discovery.handle_timeout(now);
            self.pump_rediscovery(now);
        }
    }

    fn asking(&mut self) -> Option<&mut Discovery> {
        if self.is_up() { self.rediscovery.as_mut()?.discovery.as_mut() } else { None }
    }

    /// Our address cannot be discovered anew; whether it was to be.
    pub(super) fn rediscovery_failed(&mut self, now: Instant) -> bool {
        let was_asked = self.rediscovery.is_some();
        if was_asked && self.is_up() {
            let act = self.watchdog.fail(now, self.top());
            if act.is_none()
                && let (Some(rediscovery), Some(ssrc)) =
                    (&mut self.rediscovery, self.live.as_ref().and_then(|it| it.ssrc))
            {
                // Nothing else may be tried now, and it has to succeed some time.
                let Deadlines { discovery, .. } = self.settings.deadlines;
                rediscovery.discovery = Some(Discovery::new(now, ssrc, discovery, discovery));
            }
            self.climb(now, act);
        }
        was_asked
    }

    fn pump_rediscovery(&mut self, now: Instant) {
        while let Some(output) = self.asking().and_then(Discovery::poll_output) {
            match output {
                discovery::Output::Send(request) => self.outputs.push_back(Output::Datagram(request)),
                discovery::Output::Found(external) => {
                    self.rediscovery = None;
                    self.watchdog.settle(now);
                    if let Some(live) = &mut self.live
                        && let Some(mode) = live.mode
                    {
                        live.gateway.select_protocol(external, mode.name());
                    }
                    self.pump(now);
                }
                discovery::Output::TimedOut { .. } => _ = self.rediscovery_failed(now),
                _ => {}
            }
        }
    }
}
