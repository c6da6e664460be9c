//! `calls ENDPOINT CA COUNT SECONDS` joins so many calls, waits for a line when everybody has company, rests, plays an
//! endless Opus source in each of them, and says what that took: `name=value`, in nanoseconds, bytes or a share of 1. A
//! program of its own: its memory is that of the calls.

#![forbid(unsafe_code)]

#[path = "../joining.rs"]
mod joining;
#[path = "../process.rs"]
mod process;
#[path = "../signal.rs"]
#[allow(dead_code, reason = "only the tune is played here")]
mod signal;
#[path = "../source.rs"]
#[allow(dead_code, reason = "only Opus is played here")]
mod source;

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use voice_client::{Call, Client};

use source::{Endless, packets};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How long the calls are watched that have nothing to send.
const RESTING: Duration = Duration::from_secs(5);
/// For the last of anything to be over with.
const SETTLE: Duration = Duration::from_secs(3);
const PER_SECOND: u64 = 50;
/// Between two looks.
const MOMENT: Duration = Duration::from_millis(50);
/// For all to be encrypted, and to play.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, ca, count, seconds] = &arguments[..] else { return Err("calls ENDPOINT CA COUNT SECONDS".into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = joining::client(ca.as_ref())?;
    // What is made once per process is no memory of a call.
    let packets: Arc<[Vec<u8>]> = packets()?.into();
    let empty = process::resident();
    let calls = runtime.block_on(joining::join(&client, endpoint, count.parse()?, 1))?;
    println!("joined {}", calls.len());
    stdout().flush()?;
    stdin().read_line(&mut String::new())?;
    runtime.block_on(measure(&client, &calls, empty, packets, Duration::from_secs(seconds.parse()?)))
}

async fn measure(
    client: &Client,
    calls: &[Call],
    empty: Option<u64>,
    packets: Arc<[Vec<u8>]>,
    span: Duration,
) -> Outcome {
    for call in calls {
        let company = async {
            while call.encryption().members.len() < 2 {
                sleep(MOMENT).await;
            }
        };
        timeout(PATIENCE, company).await.map_err(|_| "a call has no company")?;
    }
    sleep(SETTLE).await;
    let (cpu, start) = (process::cpu(), Instant::now());
    sleep(RESTING).await;
    let resting = (process::cpu() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    let idle = process::resident();

    for call in calls {
        call.play(Endless::opus(packets.clone()));
    }
    for call in calls {
        let plays = async {
            while call.stats().await.is_some_and(|it| it.sent.sealed == 0) {
                sleep(MOMENT).await;
            }
        };
        timeout(PATIENCE, plays).await.map_err(|_| "a call does not play")?;
    }
    sleep(SETTLE).await;
    let (before, cpu, start) = (client.clock_stats(), process::cpu(), Instant::now());
    sleep(span).await;
    let (after, cpu, span) = (client.clock_stats(), process::cpu() - cpu, start.elapsed());
    let full = process::resident();

    let (packets, late) = (after.packets - before.packets, after.late - before.late);
    let due = span.as_secs_f64() * (calls.len() as u64 * PER_SECOND) as f64;
    // Beats that were left out are no packets, but late.
    if ((packets + late) as f64) < 0.98 * due {
        return Err(format!("{packets} packets left and {late} were late, {due:.0} were due").into());
    }
    let count = calls.len() as f64;
    println!("late={}", late as f64 / due);
    println!("latest={}", after.worst.as_secs_f64() * 1e9);
    println!("cpu-per-packet={}", cpu.as_secs_f64() * 1e9 / packets as f64);
    println!("cpu-per-idle-second={}", resting * 1e9 / count);
    if let (Some(empty), Some(idle), Some(full)) = (empty, idle, full) {
        println!("memory-per-idle-call={}", idle.saturating_sub(empty) as f64 / count);
        println!("memory-per-call={}", full.saturating_sub(empty) as f64 / count);
    }
    Ok(())
}
