use std::net::SocketAddr;
use std::time::{Duration, Instant};

use voice_model::Ssrc;

use super::{LEN, read_response, request};

/// Requests do not follow each other faster than this, whatever was asked for.
const MIN_RETRY: Duration = Duration::from_millis(10);

/// Asks for the external address until an answer comes or the deadline passes.
#[derive(Debug)]
pub struct Discovery {
    ssrc: Ssrc,
    retry: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking {
        request_due: bool,
        attempts: u32,
        next: Option<Instant>,
        deadline: Option<Instant>,
    },
    /// Found or timed out; the output is there until it is polled.
    Ended(Option<Output>),
}

/// What [`Discovery`] wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send this datagram to the server.
    Send([u8; LEN]),
    /// The external address; nothing follows.
    Found(SocketAddr),
    /// No answer before the deadline; nothing follows. The server's UDP port is blocked, or the server is gone.
    TimedOut {
        /// Requests made.
        attempts: u32,
    },
}

impl Discovery {
    /// Starts asking at once, again after each `retry` (at least 10 ms), for as long as `deadline`.
    pub fn new(now: Instant, ssrc: Ssrc, retry: Duration, deadline: Duration) -> Self {
        let retry = retry.max(MIN_RETRY);
        let state = State::Asking {
            request_due: true,
            attempts: 1,
            next: now.checked_add(retry),
            deadline: now.checked_add(deadline),
        };
        Self { ssrc, retry, state }
    }

    /// Takes a datagram; `true` when it is an answer to us, even a repeated one.
    ///
    /// An answer without an address that media could be sent to is none.
    pub fn handle_datagram(&mut self, _now: Instant, datagram: &[u8]) -> bool {
        let Some(response) = read_response(datagram).filter(|response| response.ssrc == self.ssrc) else {
            return false;
        };
        if response.address.ip().is_unspecified() || response.address.port() == 0 {
            return false;
        }
        if matches!(self.state, State::Asking { .. }) {
            self.state = State::Ended(Some(Output::Found(response.address)));
        }
        true
    }

    /// Asks again, or gives up, when it is time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Asking { request_due, attempts, next, deadline } = &mut self.state else { return };
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.state = State::Ended(Some(Output::TimedOut { attempts: *attempts }));
        } else if next.is_some_and(|next| next <= now) {
            *next = now.checked_add(self.retry);
            // A request that nobody polled is still the same attempt.
            if !*request_due {
                *request_due = true;
                *attempts = attempts.saturating_add(1);
            }
        }
    }

    /// The next thing to do; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        match &mut self.state {
            State::Asking { request_due, .. } => std::mem::take(request_due).then(|| Output::Send(request(self.ssrc))),
            State::Ended(output) => output.take(),
        }
    }

    /// When to call [`Discovery::handle_timeout`]; `None` once it has ended.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Asking { next, deadline, .. } => next.into_iter().chain(deadline).min(),
            State::Ended(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
