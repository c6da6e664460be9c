use std::fmt;
use std::sync::{Arc, Weak};

use model::UserId;
use tokio::sync::watch;

use super::options::checked_gain;
use super::state::State;
use super::{Hearing, ListenError, ListenOptions, Mode, Outcome, Sound, Users, Why};
use crate::call::{Call, Shared};
use crate::driver::{Request, Tapped};
use crate::error::Closed;

/// One listener of a call, made by [`Call::listen`]. Cheap to clone: clones share one queue. Dropping the last one stops it.
///
/// Bounded, lossy, and lossy for itself only: what its reader is too slow for is dropped, newest first, and counted.
#[derive(Clone)]
pub struct Listener {
    handle: Arc<Handle>,
}

struct Handle {
    state: Arc<State>,
    /// Not the call itself, which would never be left then.
    call: Weak<Shared>,
    closed: watch::Receiver<Option<Closed>>,
    options: ListenOptions,
}

/// What listeners say to the receive task.
pub(crate) enum Order {
    Begin(Box<Hearing>),
    Change(Arc<State>, Change),
    End(Arc<State>),
}

/// What may change about a listener.
pub(crate) enum Change {
    Mode(Mode),
    UserMode(UserId, Option<Mode>),
    Users(Users),
    Gain(UserId, f32),
    /// Paused or resumed.
    Phase,
}

impl Listener {
    /// Begins to listen; with options that were not checked.
    pub(crate) fn begin(call: &Call, capacity: usize, options: ListenOptions) -> Self {
        let state = State::new(options.queue.unwrap_or(capacity), options.paused);
        let hearing = Hearing::new(state.clone(), call.user(), options.clone());
        call.tell(Request::Tap(Tapped::Listener(Order::Begin(Box::new(hearing)))));
        let handle = Handle { state, call: Arc::downgrade(call.shared()), closed: call.shared().closed(), options };
        Self { handle: Arc::new(handle) }
    }

    pub(crate) fn checked(call: &Call, capacity: usize, options: ListenOptions) -> Result<Self, ListenError> {
        options.checked()?;
        if call.is_closed().is_some() {
            return Err(ListenError::CallClosed);
        }
        Ok(Self::begin(call, capacity, options))
    }

    /// The next sound; `None` when it is stopped or the call is over, and nothing is left.
    pub async fn next(&self) -> Option<Sound> {
        self.handle.state.next().await
    }

    /// The next sound if there is one already.
    pub fn try_next(&self) -> Option<Sound> {
        self.handle.state.try_next()
    }

    /// Hears nothing until it is resumed. What comes meanwhile is discarded, and not decoded for it; what waits in its queue
    /// stays there.
    ///
    /// # Errors
    ///
    /// [`AlreadyPaused`](ListenError::AlreadyPaused), [`AlreadyStopped`](ListenError::AlreadyStopped),
    /// [`CallClosed`](ListenError::CallClosed).
    pub fn pause(&self) -> Result<(), ListenError> {
        self.handle.state.pause()?;
        self.handle.tell(Change::Phase);
        Ok(())
    }

    /// Hears again, from now on.
    ///
    /// # Errors
    ///
    /// [`NotPaused`](ListenError::NotPaused), [`AlreadyStopped`](ListenError::AlreadyStopped),
    /// [`CallClosed`](ListenError::CallClosed).
    pub fn resume(&self) -> Result<(), ListenError> {
        self.handle.state.resume()?;
        self.handle.tell(Change::Phase);
        Ok(())
    }

    /// Hears nothing any more. What waits in its queue can still be read; [`stopped`](Self::stopped) tells when all that was
    /// held for it is let go.
    ///
    /// # Errors
    ///
    /// [`AlreadyStopped`](ListenError::AlreadyStopped), [`CallClosed`](ListenError::CallClosed).
    pub fn stop(&self) -> Result<(), ListenError> {
        self.handle.stop()
    }

    /// Resolves when the session is up and not deafened: who speaks from now on is heard. At once when that is so already;
    /// paused or not does not matter.
    ///
    /// # Errors
    ///
    /// [`AlreadyStopped`](ListenError::AlreadyStopped), [`CallClosed`](ListenError::CallClosed), also when that happens
    /// meanwhile.
    pub async fn ready(&self) -> Result<(), ListenError> {
        self.handle.state.ready().await
    }

    /// Resolves when it has ended and all that was held for it is let go; tells how it ended. The future is independent of the
    /// listener, and does not keep it on.
    pub fn stopped(&self) -> impl Future<Output = Outcome> + Send + use<> {
        let (state, mut closed) = (self.handle.state.clone(), self.handle.closed.clone());
        async move {
            state.over().await;
            let why = if state.is_stopped() {
                Why::Stopped
            } else {
                let closed = closed.wait_for(Option::is_some).await;
                Why::CallClosed(closed.ok().and_then(|closed| closed.clone()).unwrap_or(Closed::Aborted))
            };
            Outcome { why, delivered: state.delivered(), lost: state.lost() }
        }
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.handle.state.is_paused()
    }

    /// Whether it was stopped, or its call is over.
    pub fn is_stopped(&self) -> bool {
        self.handle.is_on().is_err()
    }

    /// Sounds put into its queue so far.
    pub fn delivered(&self) -> u64 {
        self.handle.state.delivered()
    }

    /// Sounds that its queue had no room for so far.
    pub fn lost(&self) -> u64 {
        self.handle.state.lost()
    }

    /// Hears everybody in this form from now on, but those with a form of their own.
    ///
    /// # Errors
    ///
    /// [`MixIsPcm`](ListenError::MixIsPcm), [`AlreadyStopped`](ListenError::AlreadyStopped),
    /// [`CallClosed`](ListenError::CallClosed).
    pub fn set_mode(&self, mode: Mode) -> Result<(), ListenError> {
        self.handle.options.checked_mode(mode)?;
        self.handle.change(Change::Mode(mode))
    }

    /// Hears this user in a form of their own from now on, whether they are there already or not; in the form of everybody with
    /// `None`. In a mix a user can only be [`Off`](Mode::Off) or not.
    ///
    /// # Errors
    ///
    /// [`AlreadyStopped`](ListenError::AlreadyStopped), [`CallClosed`](ListenError::CallClosed).
    pub fn set_user_mode(&self, user: UserId, mode: impl Into<Option<Mode>>) -> Result<(), ListenError> {
        self.handle.change(Change::UserMode(user, mode.into()))
    }

    /// Hears these users from now on.
    ///
    /// # Errors
    ///
    /// [`AlreadyStopped`](ListenError::AlreadyStopped), [`CallClosed`](ListenError::CallClosed).
    pub fn set_users(&self, users: Users) -> Result<(), ListenError> {
        self.handle.change(Change::Users(users))
    }

    /// Hears this user so loud, 0 to [`MAX_GAIN`](super::MAX_GAIN), whether they are there already or not; PCM only. Goes there
    /// within 20 ms of audio.
    ///
    /// # Errors
    ///
    /// [`Gain`](ListenError::Gain), [`AlreadyStopped`](ListenError::AlreadyStopped), [`CallClosed`](ListenError::CallClosed).
    pub fn set_gain(&self, user: UserId, gain: f32) -> Result<(), ListenError> {
        checked_gain(gain)?;
        self.handle.change(Change::Gain(user, gain))
    }
}

impl Handle {
    fn is_on(&self) -> Result<(), ListenError> {
        self.state.is_on()
    }

    fn change(&self, change: Change) -> Result<(), ListenError> {
        self.is_on()?;
        self.tell(change);
        Ok(())
    }

    fn stop(&self) -> Result<(), ListenError> {
        self.state.stop()?;
        self.order(Order::End(self.state.clone()));
        Ok(())
    }

    fn tell(&self, change: Change) {
        self.order(Order::Change(self.state.clone(), change));
    }

    fn order(&self, order: Order) {
        // Nobody has the call any more: it ends, and this listener with it.
        if let Some(call) = self.call.upgrade() {
            call.tell(Request::Tap(Tapped::Listener(order)));
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Stopped or over already: nothing is left to stop.
        let _ = self.stop();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = &self.handle.state;
        f.debug_struct("Listener")
            .field("paused", &state.is_paused())
            .field("stopped", &self.is_stopped())
            .field("delivered", &state.delivered())
            .field("lost", &state.lost())
            .finish_non_exhaustive()
    }
}
