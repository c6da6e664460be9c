use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use atomic_waker::AtomicWaker;
use mixer::TrackId;
use mixer::prefetch::{Flushed, PcmPusher, Pushed};

use crate::driver::Beat;
use crate::end::{Ending, TrackEnd};
use crate::media::Command;

/// The voice of an agent: PCM of any rate, written as it is made, that falls silent at once when somebody barges in.
///
/// Samples are counted per channel, at the rate that is written, since the agent was made. Dropping it lets all that was
/// written be heard, and ends it. It does not keep its call alive.
pub struct Agent {
    /// Set until it is dropped.
    pusher: Option<PcmPusher>,
    waker: Arc<AtomicWaker>,
    beat: Beat,
    id: TrackId,
    ended: Arc<Ending>,
}

/// Why samples were not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The samples are no whole frames of all channels. Nothing was taken.
    #[error("{len} samples are no whole frames of {channels} channels; write a multiple of {channels}")]
    Layout {
        /// How many were to be written.
        len: usize,
        /// Channels of the agent.
        channels: u16,
    },
    /// The agent is not heard any more.
    #[error("the agent is not heard any more: {}", why(.0))]
    Closed(TrackEnd),
}

fn why(end: &TrackEnd) -> String {
    match end {
        TrackEnd::Finished => "all of it was played".to_owned(),
        TrackEnd::Stopped => "its track was stopped".to_owned(),
        TrackEnd::Failed(error) => error.to_string(),
        TrackEnd::CallClosed => "the call is over".to_owned(),
    }
}

impl Agent {
    /// `waker` is woken by the pusher's `on_drain`.
    pub(crate) fn new(pusher: PcmPusher, waker: Arc<AtomicWaker>, beat: Beat, id: TrackId, ended: Arc<Ending>) -> Self {
        Self { pusher: Some(pusher), waker, beat, id, ended }
    }

    /// The name of its track.
    pub fn id(&self) -> TrackId {
        self.id
    }

    /// Queues interleaved samples, full scale at 1.0, waiting for room as long as there is none. Waits through pauses and
    /// reconnects. When the future is dropped, a part of them may have been taken.
    ///
    /// # Errors
    ///
    /// [`AgentError`]: the samples are no whole frames, or nobody hears them.
    pub async fn write(&mut self, samples: &[f32]) -> Result<(), AgentError> {
        self.write_all(samples, PcmPusher::push).await
    }

    /// As [`write`](Self::write), with 16-bit samples.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub async fn write_i16(&mut self, samples: &[i16]) -> Result<(), AgentError> {
        self.write_all(samples, PcmPusher::push_i16).await
    }

    async fn write_all<T>(
        &mut self,
        samples: &[T],
        push: fn(&mut PcmPusher, &[T]) -> Pushed,
    ) -> Result<(), AgentError> {
        let channels = self.pusher().channels();
        if !samples.len().is_multiple_of(usize::from(channels)) {
            return Err(AgentError::Layout { len: samples.len(), channels });
        }
        let mut rest = samples;
        while !rest.is_empty() {
            let pushed = self
                .wait(|pusher| {
                    let pushed = push(pusher, rest);
                    (pushed.taken > 0 || pushed.is_closed).then_some(pushed)
                })
                .await;
            if pushed.is_closed {
                return Err(AgentError::Closed(self.end().await));
            }
            rest = &rest[pushed.taken..];
            self.beat.wake();
        }
        Ok(())
    }

    /// Lets all that was written be heard to its last sample, though nothing follows for now: the end of an utterance.
    /// Without this, up to 10 ms of it wait for the next one.
    pub fn complete(&mut self) {
        self.pusher_mut().complete();
        self.beat.wake();
    }

    /// [Completes](Self::complete) what was written, and resolves when it was played, or is not heard any more.
    pub async fn drain(&mut self) {
        self.complete();
        self.wait(|pusher| (pusher.queued().is_zero() || pusher.is_closed()).then_some(())).await;
    }

    /// Barge-in: silent within a frame, fading over at most 5 ms. What was written before and not heard is dropped, what is
    /// written afterwards is kept. Says what was really played.
    ///
    /// Happens even when the future is dropped. Resolves within a frame, through pauses and reconnects too.
    pub async fn flush(&mut self) -> Flushed {
        self.pusher_mut().flush();
        // Ends a rest too, and does it when tracks stand still.
        self.beat.command(Command::Flush { id: self.id });
        self.wait(PcmPusher::poll_flushed).await
    }

    /// The end: resolves when all that was written has been played, or is not heard any more. Dropping the agent is the
    /// same without the waiting.
    pub async fn finish(mut self) -> TrackEnd {
        self.pusher_mut().finish();
        self.beat.wake();
        self.end().await
    }

    /// Resolves when little is queued, see [`PushConfig::low_water`](mixer::prefetch::PushConfig::low_water): time to
    /// write more. At once when nobody hears it any more.
    pub async fn low_water(&mut self) {
        self.wait(|pusher| (pusher.is_low() || pusher.is_closed()).then_some(())).await;
    }

    /// How much was played, without what flushes dropped.
    pub fn played(&self) -> Duration {
        self.pusher().played()
    }

    /// [`played`](Self::played) in samples.
    pub fn played_samples(&self) -> u64 {
        self.pusher().played_samples()
    }

    /// How much was written and is still to be played.
    pub fn queued(&self) -> Duration {
        self.pusher().queued()
    }

    /// Asks until there is an answer, again whenever the audio thread calls.
    async fn wait<T>(&mut self, mut ask: impl FnMut(&mut PcmPusher) -> Option<T>) -> T {
        let waker = Arc::clone(&self.waker);
        let pusher = self.pusher_mut();
        poll_fn(|context| {
            let mut answer = ask(pusher);
            if answer.is_none() {
                waker.register(context.waker());
                // Asked again, for what came in between.
                answer = ask(pusher);
            }
            answer.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    async fn end(&mut self) -> TrackEnd {
        self.ended.wait().await.clone()
    }

    fn pusher(&self) -> &PcmPusher {
        self.pusher.as_ref().expect("invariant: only drop takes it")
    }

    fn pusher_mut(&mut self) -> &mut PcmPusher {
        self.pusher.as_mut().expect("invariant: only drop takes it")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A call at rest would not notice the end of its track.
        self.pusher = None;
        self.beat.wake();
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("id", &self.id).field("pusher", &self.pusher).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_channel::mpsc as post;
    use mixer::Track;
    use mixer::prefetch::{PushConfig, pcm_sink};

    use super::*;
    use crate::config::Config;
    use crate::driver::{Clock, Place};
    use crate::media::{Notice, Outbound, OutboundSettings, Session, Update};

    const ID: TrackId = TrackId(1);
    /// Far beyond what anything here takes.
    const DEADLINE: Duration = Duration::from_secs(60);

    /// A call on a clock thread of its own, without a socket: what it sends is lost, its tracks run.
    struct Rig {
        place: Place,
        notices: post::UnboundedReceiver<Notice>,
        end: Arc<Ending>,
        agent: Agent,
    }

    fn rig() -> Rig {
        let (sender, notices) = post::unbounded();
        let outbound = Outbound::new(&OutboundSettings::from(&Config::default()));
        let place = Clock::new(&Config::default()).add(outbound, sender).expect("a thread");
        let waker = Arc::new(AtomicWaker::new());
        let on_drain = Arc::clone(&waker);
        let config =
            PushConfig::new(24_000, 1).capacity(Duration::from_millis(300)).low_water(Duration::from_millis(60));
        let (pusher, feed) = pcm_sink(config, Arc::new(move || on_drain.wake())).expect("a legal layout");
        place.beat().command(Command::Add { id: ID, track: Box::new(Track::new(feed)) });
        let end = Arc::<Ending>::default();
        let agent = Agent::new(pusher, waker, place.beat().clone(), ID, end.clone());
        Rig { place, notices, end, agent }
    }

    fn connect(place: &Place) {
        place.beat().update(Update::Session(Session {
            ssrc: model::Ssrc(1),
            mode: crypto::Mode::Aes256GcmRtpsize,
            key: crypto::Key::new([7; 32]),
            seq: model::Seq(0),
            time: model::RtpTime(0),
            encrypted: false,
        }));
    }

    async fn in_time<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, future).await.expect("in time")
    }

    #[tokio::test]
    async fn speech_is_paced_interrupted_and_finished() {
        let Rig { place, mut notices, end, mut agent } = rig();
        connect(&place);
        let second = vec![0.1; 24_000];
        in_time(agent.write(&second)).await.expect("it is heard");
        assert!(agent.played_samples() > 0 && agent.queued() <= Duration::from_millis(300));
        in_time(agent.low_water()).await;
        assert!(agent.played_samples() > 20_000);
        in_time(agent.drain()).await;
        assert_eq!((agent.played_samples(), agent.played()), (24_000, Duration::from_secs(1)));
        // The call rests; it is woken.
        in_time(agent.write_i16(&[1_000; 7_200])).await.expect("it is heard");
        let flushed = in_time(agent.flush()).await;
        assert_eq!(flushed.played_samples + flushed.dropped_samples, 24_000 + 7_200);
        assert_eq!((agent.played_samples(), agent.queued()), (flushed.played_samples, Duration::ZERO));
        // After a flush there is nothing to flush, and a call at rest says so.
        let again = in_time(agent.flush()).await;
        assert_eq!((again.played_samples, again.dropped_samples), (flushed.played_samples, 0));
        in_time(agent.write(&second[..2_400])).await.expect("it is heard");
        let finish = tokio::spawn(agent.finish());
        loop {
            match in_time(notices.recv()).await.expect("the call is there") {
                Notice::TrackEnded { id, .. } => {
                    assert_eq!(id, ID);
                    break;
                }
                _ => continue,
            }
        }
        end.tell(TrackEnd::Finished);
        assert!(matches!(in_time(finish).await, Ok(TrackEnd::Finished)));
    }

    #[tokio::test]
    async fn a_flush_needs_no_connection() {
        let Rig { place, mut agent, .. } = rig();
        in_time(agent.write(&[0.1; 7_200])).await.expect("there is room");
        let flushed = in_time(agent.flush()).await;
        assert_eq!((flushed.played_samples, flushed.dropped_samples), (0, 7_200));
        // Nor does one in the middle of a sound, when the connection is lost.
        connect(&place);
        in_time(agent.write(&[0.1; 14_400])).await.expect("it is heard");
        place.beat().update(Update::Detach);
        let flushed = in_time(agent.flush()).await;
        assert_eq!(flushed.played_samples + flushed.dropped_samples, 21_600 - 7_200);
        // What is written waits for the connection, and goes on with it.
        in_time(agent.write(&[0.1; 7_200])).await.expect("there is room");
        assert_eq!(agent.queued(), Duration::from_millis(300));
        let played = agent.played_samples();
        let write = tokio::spawn(async move {
            let written = agent.write(&[0.1; 14_400]).await;
            (agent, written)
        });
        tokio::task::yield_now().await;
        assert!(!write.is_finished(), "there is no room");
        connect(&place);
        let (mut agent, written) = in_time(write).await.expect("no panic");
        written.expect("it is heard");
        in_time(agent.drain()).await;
        assert_eq!(agent.played_samples(), played + 21_600);
    }

    #[tokio::test]
    async fn who_is_not_heard_is_told() {
        let Rig { place, end, mut agent, .. } = rig();
        let (sink, _feed) = pcm_sink(PushConfig::new(48_000, 2), Arc::new(|| {})).expect("a legal layout");
        let mut stereo = Agent::new(sink, Arc::default(), place.beat().clone(), TrackId(2), agent.ended.clone());
        let error = stereo.write(&[0.0; 3]).await.expect_err("half a frame");
        assert!(matches!(error, AgentError::Layout { len: 3, channels: 2 }), "{error}");
        place.beat().command(Command::Stop { id: ID, ramp: Duration::ZERO });
        connect(&place);
        end.tell(TrackEnd::Stopped);
        let write = async {
            loop {
                if let Err(error) = agent.write(&[0.1; 2_400]).await {
                    break error;
                }
            }
        };
        // The notice that carries the track away is dropped with the rig.
        let error = in_time(write).await;
        assert!(matches!(error, AgentError::Closed(TrackEnd::Stopped)), "{error}");
        assert_eq!(in_time(agent.flush()).await.played_samples, agent.played_samples());
        in_time(agent.low_water()).await;
        in_time(agent.drain()).await;
    }
}
