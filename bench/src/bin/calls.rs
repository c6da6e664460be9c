//! `calls ENDPOINT CA COUNT SECONDS REALTIME` joins so many calls, waits for a line when everybody has company, rests, plays an
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
use voice_client::{Call, Client, Realtime};

use source::{Endless, packets};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Calls that bring in what there is once per process: their memory is not counted.
const FIRST: u64 = 25;
/// How long the calls are watched that have nothing to send.
const RESTING: Duration = Duration::from_secs(5);
/// How long the machine's own lateness is watched.
const WAITING: Duration = Duration::from_secs(10);
/// For the last of anything to be over with.
const SETTLE: Duration = Duration::from_secs(3);
const PER_SECOND: u64 = 50;
/// Between two looks.
const MOMENT: Duration = Duration::from_millis(50);
/// For all to be encrypted, and to play.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, ca, count, seconds, realtime] = &arguments[..] else {
        return Err("calls ENDPOINT CA COUNT SECONDS REALTIME".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = joining::client(ca.as_ref(), realtime.parse()?)?;
    let packets: Arc<[Vec<u8>]> = packets()?.into();
    let count = count.parse()?;
    let mut calls = runtime.block_on(joining::join(&client, endpoint, 1..=FIRST.min(count), 1))?;
    let empty = process::resident();
    calls.extend(runtime.block_on(joining::join(&client, endpoint, FIRST + 1..=count, 1))?);
    println!("joined {}", calls.len());
    stdout().flush()?;
    stdin().read_line(&mut String::new())?;
    runtime.block_on(measure(&client, &calls, empty, packets, Duration::from_secs(seconds.parse()?)))
}

/// The share of deadlines, one each half millisecond, that a thread which does nothing but wait for them comes more than 2 ms
/// late to: what the machine does to anybody.
fn late_by_itself() -> f64 {
    let start = std::time::Instant::now();
    let (mut deadline, mut deadlines, mut late) = (start, 0_u32, 0_u32);
    while deadline < start + WAITING {
        deadline += Duration::from_micros(500);
        std::thread::sleep(deadline.saturating_duration_since(std::time::Instant::now()));
        deadlines += 1;
        late += u32::from(deadline.elapsed() > Duration::from_millis(2));
    }
    f64::from(late) / f64::from(deadlines)
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
    println!("late-by-itself={}", tokio::task::spawn_blocking(late_by_itself).await?);
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

    for thread in &after.threads {
        if let Realtime::Refused(reason) = &thread.realtime {
            return Err(format!("no real-time priority: {reason}").into());
        }
    }
    let (packets, late) = (after.packets - before.packets, after.late - before.late);
    let due = span.as_secs_f64() * (calls.len() as u64 * PER_SECOND) as f64;
    // Beats that were left out are no packets, but late.
    if ((packets + late) as f64) < 0.98 * due {
        return Err(format!("{packets} packets left and {late} were late, {due:.0} were due").into());
    }
    let count = calls.len() as f64;
    let counted = count - FIRST as f64;
    println!("late={}", late as f64 / due);
    println!("latest={}", after.worst.as_secs_f64() * 1e9);
    println!("cpu-per-packet={}", cpu.as_secs_f64() * 1e9 / packets as f64);
    println!("cpu-per-idle-second={}", resting * 1e9 / count);
    if let (Some(empty), Some(idle), Some(full)) = (empty, idle, full) {
        println!("memory-per-idle-call={}", idle.saturating_sub(empty) as f64 / counted);
        println!("memory-per-call={}", full.saturating_sub(empty) as f64 / counted);
    }
    Ok(())
}
