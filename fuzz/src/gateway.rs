//! A gateway machine at any stage, and what must hold of it whatever it is told.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use voice_gateway::{Config, Event, Gateway, Loss, Output, text};
use voice_model::{GuildId, UserId};

use crate::start;

/// The machine's own bound on outputs that nobody polls.
const MOST_QUEUED: usize = 1_024;
/// What one call may make without held messages (64) being released.
const MOST_PER_CALL: usize = 96;

const READY: &str = r#"{"op":2,"d":{"ssrc":1,"ip":"127.0.0.1","port":5000,"modes":["aead_aes256_gcm_rtpsize"]}}"#;
const HELLO: &str = r#"{"op":8,"d":{"v":8,"heartbeat_interval":13750}}"#;

/// The machine and its clock.
pub(crate) struct Machine {
    pub(crate) gateway: Gateway,
    pub(crate) now: Instant,
    opened: bool,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let server = GuildId::new(1).expect("not 0");
        let user = UserId::new(2).expect("not 0");
        let config = Config::new(server, user, "session".into(), "token".into());
        Self { gateway: Gateway::new(config), now: start(), opened: false }
    }

    /// As far as bits 0 to 3 say: opened, hello, ready, described.
    pub(crate) fn at_stage(stage: u8) -> Self {
        let mut machine = Self::new();
        if stage & 1 != 0 {
            machine.open();
        }
        if stage & 2 != 0 {
            machine.gateway.handle_text(machine.now, HELLO);
        }
        if stage & 4 != 0 {
            machine.gateway.handle_text(machine.now, READY);
        }
        if stage & 8 != 0 {
            let key = [7_u8; 32].map(|byte| byte.to_string()).join(",");
            let description = format!(
                r#"{{"op":4,"d":{{"mode":"aead_aes256_gcm_rtpsize","secret_key":[{key}],"dave_protocol_version":1}}}}"#
            );
            machine.gateway.handle_text(machine.now, &description);
        }
        machine.check();
        machine
    }

    pub(crate) fn open(&mut self) {
        self.opened = true;
        self.gateway.handle_open(self.now);
    }

    pub(crate) fn close(&mut self) {
        self.gateway.handle_closed(self.now);
    }

    /// Advances the clock by up to 25.5 s, stopping wherever the machine wants to.
    pub(crate) fn wait(&mut self, tenths: u8) {
        let end = self.now + Duration::from_millis(100) * u32::from(tenths);
        // The shortest interval that a hello can ask for is 100 ms, and op 5 has a pause of 250 ms.
        for _ in 0..1_024 {
            match self.gateway.poll_timeout().filter(|&due| due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
            self.gateway.handle_timeout(self.now);
            let due = self.gateway.poll_timeout();
            assert!(due.is_none_or(|due| due > self.now), "a timeout that is no future one: it would spin");
            self.check();
        }
        self.now = end;
    }

    pub(crate) fn select(&mut self, mode: &str) {
        self.gateway.select_protocol(SocketAddr::from(([127, 0, 0, 1], 5_001)), mode);
    }

    /// Drains the outputs and judges them.
    pub(crate) fn check(&mut self) {
        let mut count = 0;
        while let Some(output) = self.gateway.poll_output() {
            count += 1;
            assert!(count <= MOST_QUEUED, "more outputs than the machine may queue");
            match &output {
                Output::Text(text) => {
                    assert!(self.opened, "a message before there is a WebSocket");
                    text::read(text).expect("what the machine sends can be read");
                }
                Output::Binary(_) => assert!(self.opened, "a message before there is a WebSocket"),
                Output::Event(Event::Described { description, .. }) => {
                    assert_eq!(format!("{:?}", description.secret_key), "SecretKey(32 bytes)");
                }
                Output::Event(Event::Lost(Loss::Malformed { reason, .. })) => assert!(reason.len() <= 512),
                Output::Event(_) => {}
            }
        }
        assert!(count <= MOST_PER_CALL, "{count} outputs of one call");
    }
}
