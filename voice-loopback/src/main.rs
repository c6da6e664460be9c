//! A Discord voice server on this machine; `--help` lists the flags.
#![forbid(unsafe_code)]

mod flags;

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::time::sleep;
use tracing_subscriber::EnvFilter;
use voice_loopback::Loopback;

use crate::flags::{Command, Flags, USAGE};

/// Wrong use of the flags, as of getopt(1) and most of its kin.
const EXIT_USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let logs = EnvFilter::builder().with_default_directive(tracing::level_filters::LevelFilter::WARN.into());
    tracing_subscriber::fmt().with_env_filter(logs.from_env_lossy()).with_writer(io::stderr).init();
    let outcome = match flags::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(flags)) => run(*flags).await,
        Ok(Command::Help) => io::stdout().write_all(USAGE.as_bytes()),
        Err(error) => {
            _ = write!(io::stderr(), "voice-loopback: {error}\n`voice-loopback --help` lists the flags.\n");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "voice-loopback: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> io::Result<()> {
    let loopback = Loopback::start(flags.options).await?;
    match (&flags.ca_out, loopback.ca_pem()) {
        (Some(path), Some(pem)) => std::fs::write(path, pem)
            .map_err(|cause| io::Error::new(cause.kind(), format!("cannot write {}: {cause}", path.display())))?,
        (Some(path), None) => {
            let path = path.display();
            writeln!(io::stderr(), "voice-loopback: {path} is not written: with --plain-ws there is no certificate")?;
        }
        (None, _) => {}
    }
    writeln!(io::stdout(), "LISTENING ws={} udp={}", loopback.ws_addr(), loopback.udp_addr())?;
    io::stdout().flush()?;
    let time_up = async {
        match flags.exit_after {
            Some(after) => sleep(after).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = time_up => {}
    }
    loopback.shutdown().await;
    Ok(())
}
