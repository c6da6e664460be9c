//! What another program prints: raw PCM, or a file in any container.
//!
//! ```text
//! program --stdout--> task --bounded pipe--> reader thread
//!         --stderr--> its last 4 KiB, for the error message
//! ```
//!
//! The program is started when the source is opened, without a shell and with nothing on its standard input. It is not read
//! faster than it is played: 256 KiB ahead. When it ends with a failure, what it printed is played, and then the track fails
//! with [`ProcessError`]. It is killed when the source is dropped, on Unix with all that it started itself (its process group).

mod program;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mixer::file::Streamed;
use mixer::pcm::{Encoding, Pcm};
use mixer::{Chunk, Info, Metadata, Source, SourceError};
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

pub use self::program::ProcessError;
pub(in crate::source) use self::program::{Program, Running};
use super::passage::Passage;
use super::pipe::{Failure, Gauge, Inlet, Size, pipe};
use super::read::Slot;
use super::{OPENING, PACKET, blame};

/// What is read of a program at once.
const CHUNK: usize = 16 * 1024;

/// How long a program that has closed its output may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// What a program prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Interleaved samples, without a header.
    Pcm {
        /// How each sample is written.
        encoding: Encoding,
        /// Samples per second and channel.
        rate: u32,
        /// Channels, 1 to 8.
        channels: u16,
    },
    /// A file that [`file`](mixer::file) can play, such as Ogg Opus, whose packets are passed through.
    Media,
}

/// A program whose standard output is played.
///
/// ```no_run
/// use voice_client::source::pcm::Encoding;
/// use voice_client::source::process::{Output, Process};
///
/// let speech = Process::new("espeak-ng").args(["--stdout", "Hello there"]).yields(Output::Media);
/// let noise = Process::new("sox").args(["-n", "-t", "s16", "-r", "48000", "-c", "2", "-", "synth", "3", "pinknoise"])
///     .yields(Output::Pcm { encoding: Encoding::I16, rate: 48_000, channels: 2 });
/// let film = Process::ffmpeg("film.mkv");
/// ```
pub struct Process {
    program: Program,
    /// Where in the arguments the option goes that makes the program begin later, and its name.
    start: Option<(usize, OsString)>,
    /// Without such an option: seeks by reading on, if need be from the beginning of another run.
    rereads: bool,
    passage: Passage,
    output: Output,
    metadata: Metadata,
    duration: Option<Duration>,
    /// Where the next run begins.
    from: Duration,
    run: Option<Run>,
    failed: Option<SourceError>,
}

/// One run of the program.
struct Run {
    source: Box<dyn Source>,
    gauge: Gauge,
    opened: bool,
}

impl Process {
    /// This program, found on the `PATH` or by its full path, which prints 16-bit PCM at 48 kHz in stereo unless
    /// [`yields`](Self::yields) says otherwise.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self::from_program(Program::new(program))
    }

    pub(in crate::source) fn from_program(program: Program) -> Self {
        Self {
            program,
            start: None,
            rereads: false,
            passage: Passage::default(),
            output: Output::Pcm { encoding: Encoding::I16, rate: 48_000, channels: 2 },
            metadata: Metadata::default(),
            duration: None,
            from: Duration::ZERO,
            run: None,
            failed: None,
        }
    }

    /// `ffmpeg -nostdin -hide_banner -loglevel error [-ss SECONDS] -i INPUT -map 0:a:0 -f f32le -ar 48000 -ac 2 pipe:1`:
    /// the first audio of anything that FFmpeg can open, a path or a URL. Seekable, by starting it again.
    ///
    /// FFmpeg takes `input` as it takes any: `concat:`, `file:` and other protocols work, so let nobody choose it freely.
    pub fn ffmpeg(input: impl Into<OsString>) -> Self {
        Self::new("ffmpeg")
            .args(["-nostdin", "-hide_banner", "-loglevel", "error"])
            .start_option("-ss")
            .arg("-i")
            .arg(input)
            .args(["-map", "0:a:0", "-f", "f32le", "-ar", "48000", "-ac", "2", "pipe:1"])
            .yields(Output::Pcm { encoding: Encoding::F32, rate: 48_000, channels: 2 })
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.program.arguments.push(argument.into());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.program.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With this environment variable, beside those of this process.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.program.environment.push((name.into(), value.into()));
        self
    }

    /// In this working directory.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.program.folder = Some(folder.into());
        self
    }

    /// With this program in place of the one named first: `Process::ffmpeg(input).binary("/opt/ffmpeg/bin/ffmpeg")`.
    #[must_use]
    pub fn binary(mut self, program: impl Into<OsString>) -> Self {
        self.program.name = program.into();
        self
    }

    /// Makes the source seekable: it starts the program again with this option and the seconds (`-ss 12.345678`) at this place
    /// of its arguments. A seek to the beginning leaves both out.
    #[must_use]
    pub fn start_option(mut self, name: impl Into<OsString>) -> Self {
        self.start = Some((self.program.arguments.len(), name.into()));
        self
    }

    /// Prints this.
    #[must_use]
    pub fn yields(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Known by this.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// This long, as somebody knows who has asked.
    #[must_use]
    pub fn duration(mut self, duration: Option<Duration>) -> Self {
        self.duration = duration;
        self
    }

    /// Seekable, by reading on to where a seek goes.
    pub(in crate::source) fn rereads(mut self) -> Self {
        self.rereads = true;
        self
    }

    fn run(&mut self) -> Result<&mut Run, SourceError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let run = match self.run.take() {
            Some(run) => run,
            None => self.begin().inspect_err(|error| self.failed = Some(error.clone()))?,
        };
        Ok(self.run.insert(run))
    }

    /// Starts the program.
    fn begin(&self) -> Result<Run, SourceError> {
        let name = self.program.title();
        let failed = |error| SourceError::other(name.clone(), error);
        let mut arguments: Vec<&OsStr> = self.program.arguments.iter().map(OsString::as_os_str).collect();
        let seconds = OsString::from(format!("{:.6}", self.from.as_secs_f64()));
        if let Some((place, option)) = self.start.as_ref().filter(|_| !self.from.is_zero()) {
            arguments.splice(place..place, [option.as_os_str(), seconds.as_os_str()]);
        }
        let running = self.program.start(arguments).map_err(failed)?;
        let (inlet, outlet) = pipe(0, Size::default());
        // There is one: the program has just been started in it.
        Handle::current().spawn(attend(running, inlet));
        let gauge = outlet.gauge();
        let source: Box<dyn Source> = match self.output {
            Output::Pcm { encoding, rate, channels } => Box::new(Pcm::stream(outlet, encoding, rate, channels)),
            Output::Media => {
                let slot = Slot::default();
                slot.put(outlet);
                Box::new(Streamed::new(name, move || Ok(Box::new(slot.take()?))))
            }
        };
        Ok(Run { source, gauge, opened: false })
    }
}

impl Source for Process {
    fn open(&mut self) -> Result<Info, SourceError> {
        let name = self.program.title();
        let run = self.run()?;
        let info = blame(run.source.open(), |_| false, &name, Some(run.gauge.clone()))?;
        run.opened = true;
        let metadata = if self.metadata.is_empty() { info.metadata.clone() } else { self.metadata.clone() };
        let duration = self.duration.or(info.duration);
        Ok(info.metadata(metadata).duration(duration).seekable(self.start.is_some() || self.rereads))
    }

    fn read(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let name = self.program.title();
        let run = self.run()?;
        run.opened = true;
        let more = blame(run.source.read(chunk), |more| !more, &name, Some(run.gauge.clone()))?;
        self.passage.pass(chunk);
        Ok(more)
    }

    fn seek(&mut self, to: Duration) -> Result<Duration, SourceError> {
        if self.rereads {
            let info = self.open()?;
            let broken = self.run.as_ref().is_some_and(|run| run.gauge.failure().is_some());
            if broken || to < self.passage.position() {
                (self.run, self.passage) = (None, Passage::default());
                self.run()?;
            }
            // What comes before is left out by `read`, which holds no thread for it.
            return Ok(self.passage.aim(to, &info));
        }
        if self.start.is_none() {
            return Err(SourceError::Unseekable { name: self.program.title() });
        }
        // The program that runs is ended first.
        (self.run, self.failed, self.from) = (None, None, to);
        self.run()?;
        Ok(to)
    }

    fn is_ready(&mut self) -> bool {
        match (&self.run, self.output) {
            // To open it is to start it.
            (None, Output::Pcm { .. }) => true,
            (Some(run), Output::Pcm { .. }) => run.gauge.is_ready(1),
            // There is a header to be read, for which it has to be started now.
            (_, Output::Media) => {
                self.run().map_or(true, |run| run.gauge.is_ready(if run.opened { PACKET } else { OPENING }))
            }
        }
    }

    fn fresh(&self) -> Option<Box<dyn Source>> {
        let (program, start, metadata) = (self.program.clone(), self.start.clone(), self.metadata.clone());
        let fresh = Self { start, rereads: self.rereads, output: self.output, metadata, ..Self::from_program(program) };
        Some(Box::new(fresh.duration(self.duration)))
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and environment may hold what is not for logs.
        let Self { program, output, .. } = self;
        f.debug_struct("Process").field("program", &program.name).field("output", output).finish_non_exhaustive()
    }
}

/// Brings what a program prints into the pipe, and sees to its end.
async fn attend(mut running: Running, mut inlet: Inlet) {
    let Some(mut stdout) = running.child.stdout.take() else { return };
    let gauge = inlet.gauge();
    let mut buffer = vec![0; CHUNK];
    let end = loop {
        let read = tokio::select! {
            read = stdout.read(&mut buffer) => read,
            () = gauge.unread() => return running.kill().await,
        };
        match read {
            Ok(0) => break Ok(()),
            Ok(read) => {
                if inlet.write(&buffer[..read]).await.is_err() {
                    return running.kill().await;
                }
            }
            Err(cause) => break Err(running.unreadable(cause)),
        }
    };
    // Nobody is left to write to.
    drop(stdout);
    let finished = tokio::select! {
        finished = timeout(GRACE, running.finish()) => Some(finished),
        () = gauge.unread() => None,
    };
    let end = match finished {
        Some(Ok(finished)) => end.and(finished),
        Some(Err(_)) => {
            running.kill().await;
            end
        }
        None => return running.kill().await,
    };
    inlet.end(end.map_err(|error| Arc::new(error) as Failure));
}
