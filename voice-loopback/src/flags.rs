use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crypto::Mode;
use lexopt::{Arg, Parser, ValueExt};
use voice_loopback::{Config, Impairment, Options};

pub(crate) const USAGE: &str = "\
A Discord voice server on this machine.

Usage: voice-loopback [--ws 127.0.0.1:9443] [--udp 127.0.0.1:9444] [FLAGS]

  --ws IP:PORT        where WebSockets are accepted; port 0 picks one
  --udp IP:PORT       where media is; port 0 picks one
  --media IP:PORT     tell clients to send media there instead: a socket of yours that answers IP discovery
  --connections N     WebSockets at a time, at most (default 4096)
  --plain-ws          ws instead of wss
  --ca-out FILE       write the certificate that clients must trust, PEM; there is none with --plain-ws
  --dave 0|1          the end-to-end encryption (DAVE) version (default 1); clients without it are refused then
  --dave-downgrade    admit them: the call goes on unencrypted until the last of them leaves
  --dave-batch MS     additions to the group wait this long for others to go with them (default 0)
  --stage             be a stage channel, which has DAVE version 0
  --channel ID        the channel of calls that no client names one for (names the MLS group)
  --grace SECS        how long a severed client keeps its place before the others see it leave (default 0)
  --modes A,B         the encryption modes on offer
  --extension         forwarded packets carry a header extension
  --padding           some forwarded packets carry padding
  --loss P            to clients: this share of datagrams is lost, 0 to 1
  --jitter MS         to clients: up to this much delay, without reordering
  --reorder P         to clients: this share of datagrams is overtaken by others, 0 to 1
  --duplicate P       to clients: this share of datagrams arrives twice, 0 to 1
  --seed N            repeatable randomness, keys included
  --exit-after SECS   end after this time
  --help              print this

Ready when it prints `LISTENING ws=IP:PORT udp=IP:PORT`. Ctrl-C ends it. RUST_LOG=debug shows more.
";

pub(crate) enum Command {
    Run(Box<Flags>),
    Help,
}

#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) options: Options,
    pub(crate) ca_out: Option<PathBuf>,
    pub(crate) exit_after: Option<Duration>,
}

/// Why the command line cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    #[error(transparent)]
    Syntax(#[from] lexopt::Error),
    #[error("--modes: {name:?} is no encryption mode; Discord's are {}", .known.map(Mode::name).join(" and "))]
    UnknownMode { name: String, known: [Mode; 2] },
    #[error("{flag}: {value} is not between 0 and {max}")]
    OutOfRange { flag: &'static str, value: f64, max: f64 },
}

/// A day: longer waits are mistakes.
const MAX_SECONDS: f64 = 86_400.0;

pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, FlagError> {
    let mut parser = Parser::from_args(args);
    let mut server = Config::default();
    let mut link = Impairment::default();
    let mut flags = Flags::default();
    let options = &mut flags.options;
    options.ws = ([127, 0, 0, 1], 9_443).into();
    options.udp = ([127, 0, 0, 1], 9_444).into();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("ws") => options.ws = parser.value()?.parse()?,
            Arg::Long("udp") => options.udp = parser.value()?.parse()?,
            Arg::Long("media") => server.media = Some(parser.value()?.parse()?),
            Arg::Long("connections") => server.max_connections = number(&mut parser)?,
            Arg::Long("plain-ws") => options.plain = true,
            Arg::Long("ca-out") => flags.ca_out = Some(parser.value()?.into()),
            Arg::Long("dave") => {
                server.dave_version = number(&mut parser)?;
                within("--dave", f64::from(server.dave_version), 1.0)?;
            }
            Arg::Long("dave-downgrade") => server.dave_downgrade = true,
            Arg::Long("dave-batch") => server.dave_batch = millis("--dave-batch", number(&mut parser)?)?,
            Arg::Long("stage") => server.stage = true,
            Arg::Long("channel") => server.channel = Some(number(&mut parser)?),
            Arg::Long("grace") => server.grace = seconds("--grace", number(&mut parser)?)?,
            Arg::Long("modes") => server.modes = modes(&parser.value()?.string()?)?,
            Arg::Long("extension") => server.extension = true,
            Arg::Long("padding") => server.padding = true,
            Arg::Long("loss") => link.loss = within("--loss", number(&mut parser)?, 1.0)?,
            Arg::Long("jitter") => link.jitter = millis("--jitter", number(&mut parser)?)?,
            Arg::Long("reorder") => link.reorder = within("--reorder", number(&mut parser)?, 1.0)?,
            Arg::Long("duplicate") => link.duplicate = within("--duplicate", number(&mut parser)?, 1.0)?,
            Arg::Long("seed") => options.seed = Some(number(&mut parser)?),
            Arg::Long("exit-after") => {
                flags.exit_after = Some(seconds("--exit-after", number(&mut parser)?)?);
            }
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            arg => return Err(arg.unexpected().into()),
        }
    }
    options.server = server;
    options.outgoing = link;
    Ok(Command::Run(Box::new(flags)))
}

fn number<T: FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(
    parser: &mut Parser,
) -> Result<T, lexopt::Error> {
    parser.value()?.parse()
}

fn within(flag: &'static str, value: f64, max: f64) -> Result<f64, FlagError> {
    if (0.0..=max).contains(&value) { Ok(value) } else { Err(FlagError::OutOfRange { flag, value, max }) }
}

fn seconds(flag: &'static str, value: f64) -> Result<Duration, FlagError> {
    within(flag, value, MAX_SECONDS).map(Duration::from_secs_f64)
}

fn millis(flag: &'static str, value: f64) -> Result<Duration, FlagError> {
    within(flag, value, MAX_SECONDS * 1_000.0).map(|millis| Duration::from_secs_f64(millis / 1_000.0))
}

fn modes(names: &str) -> Result<Vec<Mode>, FlagError> {
    let mode = |name: &str| {
        let name = name.trim();
        Mode::from_name(name).ok_or_else(|| FlagError::UnknownMode { name: name.to_owned(), known: Mode::DEFAULT })
    };
    names.split(',').map(mode).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crypto::Mode;
    use model::ChannelId;

    use super::{Command, Flags, parse};

    fn flags(line: &str) -> Flags {
        match parse(line.split_whitespace().map(Into::into)) {
            Ok(Command::Run(flags)) => *flags,
            Ok(Command::Help) => panic!("asked for help"),
            Err(error) => panic!("{error}"),
        }
    }

    fn error(line: &str) -> String {
        parse(line.split_whitespace().map(Into::into)).err().expect("an error").to_string()
    }

    #[test]
    fn every_flag_is_understood() {
        let flags = flags(
            "--ws 127.0.0.1:0 --udp [::1]:5 --media 127.0.0.2:6 --connections 9000 --plain-ws --dave 0 --dave-downgrade \
             --dave-batch 70 --stage --channel 9 --grace 2.5 --extension --padding --loss 0.01 \
             --modes aead_xchacha20_poly1305_rtpsize,aead_aes256_gcm_rtpsize \
             --jitter 30 --reorder 0.02 --duplicate 0.03 --seed 7 --exit-after 9",
        );
        let options = flags.options;
        assert_eq!((options.ws.port(), options.udp.to_string().as_str()), (0, "[::1]:5"));
        assert_eq!((options.server.media, options.server.max_connections), (Some(([127, 0, 0, 2], 6).into()), 9_000));
        assert_eq!((options.server.dave_version, options.server.dave_batch), (0, Duration::from_millis(70)));
        assert!(options.server.dave_downgrade && options.server.stage);
        assert_eq!(options.server.channel, ChannelId::new(9));
        assert!(options.plain && options.server.extension && options.server.padding);
        assert_eq!(options.server.modes, [Mode::XChaCha20Poly1305Rtpsize, Mode::Aes256GcmRtpsize]);
        assert_eq!(options.server.grace, Duration::from_millis(2_500));
        assert_eq!((options.outgoing.loss, options.outgoing.reorder, options.outgoing.duplicate), (0.01, 0.02, 0.03));
        assert_eq!((options.outgoing.jitter, options.seed), (Duration::from_millis(30), Some(7)));
        assert_eq!(flags.exit_after, Some(Duration::from_secs(9)));
        assert!(options.incoming.is_none());
    }

    #[test]
    fn plain_ws_and_ca_out_are_independent() {
        assert!(flags("--plain-ws --ca-out x").ca_out.is_some());
    }

    #[test]
    fn without_flags_the_ports_are_those_of_the_usage() {
        let options = flags("").options;
        assert_eq!((options.ws.port(), options.udp.port()), (9_443, 9_444));
        assert!(!options.plain && options.outgoing.is_none());
        assert_eq!((options.server.dave_version, options.server.stage), (1, false));
    }

    #[test]
    fn wrong_use_is_named() {
        assert_eq!(
            error("--modes aead_aes256_gcm_rtpsize,plain"),
            "--modes: \"plain\" is no encryption mode; Discord's are aead_aes256_gcm_rtpsize and \
             aead_xchacha20_poly1305_rtpsize"
        );
        assert_eq!(error("--dave 7 --stage"), "--dave: 7 is not between 0 and 1");
        assert_eq!(error("--jitter 90000000"), "--jitter: 90000000 is not between 0 and 86400000");
        assert_eq!(error("--loss 1.5"), "--loss: 1.5 is not between 0 and 1");
        assert_eq!(error("--grace -1"), "--grace: -1 is not between 0 and 86400");
        assert_eq!(error("--loss NaN"), "--loss: NaN is not between 0 and 1");
        assert!(error("--channel 0").contains('0') && error("--channel general").contains("general"));
        assert!(error("--wss 1").contains("--wss"));
        assert!(error("extra").contains("extra"));
        assert!(error("--ws nowhere").contains("nowhere"));
        assert!(error("--media 127.0.0.1").contains("127.0.0.1"));
        assert!(error("--ws").contains("--ws"));
        assert!(matches!(parse(["--help".into()]), Ok(Command::Help)));
    }
}
