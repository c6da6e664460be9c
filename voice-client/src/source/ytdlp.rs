//! Whatever [yt-dlp](https://github.com/yt-dlp/yt-dlp) can find: searches, playlists, and the audio of a web page.
//!
//! The program is the user's: it has to be installed, and kept up to date, because the sites that it knows change often. It
//! is started without a shell and without its configuration files; what it is asked for stands behind `--`, so that no
//! query can become an option of it.

mod ask;
mod expiry;
mod json;
mod play;
mod question;

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mixer::{Chunk, Format, Info, Source, SourceError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::AbortHandle;

pub use self::ask::YtDlpError;
use self::expiry::has_expired;
pub use self::json::{Found, Resolved};
use self::play::play_url;
use self::question::Question;
use super::passage::Passage;
use super::process::{ProcessError, Program};

/// How long one question may take: extracting runs scripts of the sites.
const TIMEOUT: Duration = Duration::from_secs(60);

/// This much must be heard of what was resolved anew before it is resolved once more: addresses last for hours.
const RENEWAL: Duration = Duration::from_secs(5);

/// Something to be found, or played, by yt-dlp. As a source it is lazy: nothing is asked before it is opened.
///
/// Addresses that were resolved expire. When one is refused (401, 403, 404 or 410) after it has been played from, it is
/// resolved anew, once, and played on where it was or is to go. Where neither HTTP nor HLS leads, yt-dlp downloads, and a
/// seek reads on there, or has it download again.
///
/// ```no_run
/// # async fn example(call: &voice_client::Call) -> Result<(), voice_client::source::ytdlp::YtDlpError> {
/// use voice_client::source::ytdlp::YtDlp;
///
/// call.play(YtDlp::new("https://example.com/watch?v=1"));
/// call.play(YtDlp::new("never gonna give you up")); // the first that a search finds
///
/// let search = YtDlp::new("lo-fi beats").binary("/opt/yt-dlp").arguments(["--cookies", "cookies.txt"]);
/// for found in search.search(5).await? {
///     println!("{:?} {:?}", found.metadata.title, found.duration);
///     call.play(search.of(&found));
/// }
/// # Ok(())
/// # }
/// ```
pub struct YtDlp {
    question: Question,
    state: State,
    /// What was said of itself when it was first opened.
    info: Option<Info>,
    passage: Passage,
    /// Refused where it was resolved to, and to go on where it is resolved to next.
    lost: Option<SourceError>,
    /// How much was heard since it was last resolved anew.
    renewed: Option<Duration>,
}

enum State {
    Idle,
    Resolving(oneshot::Receiver<Result<Resolved, YtDlpError>>, Task),
    Playing(Box<dyn Source>, Box<Resolved>),
    Failed(SourceError),
}

/// A task that nobody needs without who holds this.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl YtDlp {
    /// A URL (`http:` or `https:`), a search in yt-dlp's own words (`scsearch3:..`, `ytsearch:..`), or anything else, for
    /// which YouTube is searched.
    pub fn new(query: impl Into<Arc<str>>) -> Self {
        let question = Question { program: Program::new("yt-dlp"), query: query.into(), timeout: TIMEOUT };
        Self::from_question(question)
    }

    fn from_question(question: Question) -> Self {
        let (state, passage) = (State::Idle, Passage::default());
        Self { question, state, info: None, passage, lost: None, renewed: None }
    }

    /// The program, if it is not `yt-dlp` on the `PATH`.
    #[must_use]
    pub fn binary(mut self, program: impl Into<OsString>) -> Self {
        self.question.program.name = program.into();
        self
    }

    /// More arguments for it, such as `--cookies` or `--proxy`. They are trusted: some make yt-dlp run other programs.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.question.program.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// How long one question may take; 60 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.question.timeout = timeout;
        self
    }

    /// Something that was found, with the same program, arguments and timeout.
    pub fn of(&self, found: &Found) -> Self {
        let question = Question { query: found.url.clone(), ..self.question.clone() };
        Self::from_question(question)
    }

    /// The first `n` that a search for these words finds, without looking into them.
    ///
    /// # Errors
    ///
    /// [`YtDlpError`]; finding nothing is none.
    pub fn search(&self, n: usize) -> impl Future<Output = Result<Vec<Found>, YtDlpError>> + Send + use<> {
        let question = self.question.clone();
        async move { question.search(n).await }
    }

    /// The first `limit` entries of a playlist, channel or album, without looking into them; of a single piece, that one.
    ///
    /// # Errors
    ///
    /// [`YtDlpError`]
    pub fn playlist(&self, limit: usize) -> impl Future<Output = Result<Vec<Found>, YtDlpError>> + Send + use<> {
        let question = self.question.clone();
        async move { question.playlist(limit).await }
    }

    /// Asks where the audio is, and what it is.
    ///
    /// # Errors
    ///
    /// [`YtDlpError`], [`NothingFound`](YtDlpError::NothingFound) among them.
    pub fn resolve(&self) -> impl Future<Output = Result<Resolved, YtDlpError>> + Send + use<> {
        let question = self.question.clone();
        async move { question.resolve().await }
    }

    /// Moves on towards playing; whether it has come there, or nowhere.
    fn settle(&mut self, wait: bool) -> bool {
        if let State::Idle = self.state {
            self.state = self.begin();
        }
        let (mut answer, task) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Resolving(answer, task) => (answer, task),
            settled => {
                self.state = settled;
                return true;
            }
        };
        let answer = if wait {
            answer.blocking_recv().map_err(|_| TryRecvError::Closed)
        } else {
            match answer.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.state = State::Resolving(answer, task);
                    return false;
                }
                answer => answer,
            }
        };
        self.state = match answer {
            Ok(Ok(resolved)) => State::Playing(play_url(&self.question, &resolved), Box::new(resolved)),
            Ok(Err(error)) => State::Failed(self.failed(error)),
            Err(_) => State::Failed(SourceError::Deserted),
        };
        true
    }

    fn begin(&self) -> State {
        let question = self.question.clone();
        let Ok(runtime) = Handle::try_current() else {
            return State::Failed(self.failed(ProcessError::NoRuntime { program: question.program.title() }.into()));
        };
        let (tell, answer) = oneshot::channel();
        let task = runtime.spawn(async move {
            // Nobody may want to know any more.
            let _ = tell.send(question.resolve().await);
        });
        State::Resolving(answer, Task(task.abort_handle()))
    }

    fn failed(&self, error: YtDlpError) -> SourceError {
        SourceError::other(self.question.query.clone(), error)
    }

    /// Asks anew where it is, if that is what it has failed for.
    fn renew(&mut self, error: SourceError) -> Result<(), SourceError> {
        if !has_expired(&error) || self.renewed.is_some_and(|heard| heard < RENEWAL) {
            return Err(error);
        }
        tracing::debug!(%error, "what yt-dlp resolved has expired, is resolved anew");
        self.state = self.begin();
        (self.lost, self.renewed) = (Some(error), Some(Duration::ZERO));
        Ok(())
    }

    /// Goes where it was lost, in what was resolved anew.
    fn resume(&mut self) -> Result<(), SourceError> {
        let Some(error) = self.lost.take() else { return Ok(()) };
        let (before, to) = (self.info.as_ref().map(|info| info.format), self.passage.goal());
        let source = self.playing()?.0;
        let info = source.open()?;
        // Whoever plays it has been told which of both comes.
        if before.is_some_and(|before| (before == Format::Opus) != (info.format == Format::Opus)) {
            return Err(error);
        }
        match source.seek(to) {
            Ok(landed) => {
                self.passage = Passage::at(landed);
                self.passage.aim(to, &info);
            }
            // It is live.
            Err(SourceError::Unseekable { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn playing(&mut self) -> Result<(&mut dyn Source, &Resolved), SourceError> {
        self.settle(true);
        match &mut self.state {
            State::Playing(source, resolved) => Ok((&mut **source, resolved)),
            State::Failed(error) => Err(error.clone()),
            State::Idle | State::Resolving(..) => Err(SourceError::Deserted),
        }
    }
}

impl Source for YtDlp {
    fn open(&mut self) -> Result<Info, SourceError> {
        if let Some(info) = &self.info {
            return Ok(info.clone());
        }
        let (source, resolved) = self.playing()?;
        let info = source.open()?;
        let duration = resolved.duration.or(info.duration);
        let info = info.metadata(resolved.metadata.clone()).duration(duration);
        Ok(self.info.insert(info).clone())
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.open()?;
        self.resume()?;
        match self.playing()?.0.read(chunk) {
            Ok(more) => {
                let heard = self.passage.pass(chunk);
                self.renewed = self.renewed.map(|before| before + heard);
                Ok(more)
            }
            Err(error) => {
                chunk.clear();
                self.renew(error).map(|()| true)
            }
        }
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        let info = self.open()?;
        if self.lost.is_none() {
            match self.playing()?.0.seek(to) {
                Ok(landed) => {
                    self.passage = Passage::at(landed);
                    return Ok(landed);
                }
                Err(error @ SourceError::Unseekable { .. }) => return Err(error),
                Err(error) => self.renew(error)?,
            }
        }
        self.passage = Passage::default();
        Ok(self.passage.aim(to, &info))
    }

    fn is_ready(&mut self) -> bool {
        if !self.settle(false) {
            return false;
        }
        match &mut self.state {
            State::Playing(source, _) => source.is_ready(),
            _ => true,
        }
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        Some(Box::new(Self::from_question(self.question.clone())))
    }
}

impl fmt::Debug for YtDlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments may hold a password.
        f.debug_struct("YtDlp").field("query", &self.question.query).finish_non_exhaustive()
    }
}
