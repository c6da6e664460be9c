//! Whatever [yt-dlp](https://github.com/yt-dlp/yt-dlp) can find: searches, playlists, and the audio of a web page.
//!
//! The program is the user's: it has to be installed, and kept up to date, because the sites that it knows change often. It
//! is started without a shell and without its configuration files; what it is asked for stands behind `--`, so that no
//! query can become an option of it.

mod ask;
mod json;
mod play;
mod question;

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mixer::{Chunk, Info, Source, SourceError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::AbortHandle;

pub use self::ask::YtDlpError;
pub use self::json::{Found, Resolved};
use self::play::play_url;
use self::question::Question;
use super::process::{ProcessError, Program};

/// How long one question may take: extracting runs scripts of the sites.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Something to be found, or played, by yt-dlp. As a source it is lazy: nothing is asked before it is opened.
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
        Self { question, state: State::Idle }
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
        Self { question, state: State::Idle }
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
        let (source, resolved) = self.playing()?;
        let info = source.open()?;
        let duration = resolved.duration.or(info.duration);
        Ok(info.metadata(resolved.metadata.clone()).duration(duration))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        self.playing()?.0.read(chunk)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        self.playing()?.0.seek(to)
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
        Some(Box::new(Self { question: self.question.clone(), state: State::Idle }))
    }
}

impl fmt::Debug for YtDlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments may hold a password.
        f.debug_struct("YtDlp").field("query", &self.question.query).finish_non_exhaustive()
    }
}
