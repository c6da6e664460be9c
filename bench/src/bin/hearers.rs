//! `hearers ENDPOINT CALLS`: joins so many calls on one core, listens to everybody as Opus, and says once it reads a line what
//! was delivered and what that took: `name=value`.

#![forbid(unsafe_code)]

#[path = "../process.rs"]
#[allow(dead_code, reason = "only time is looked at here")]
mod process;

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::thread::{CpuSet, sched_setaffinity};
use voice_client::listen::{ListenOptions, Mode};
use voice_client::{ChannelId, Client, Config, ConnectionInfo, E2ee, GuildId, UserId};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, calls] = &arguments[..] else { return Err("hearers ENDPOINT CALLS".into()) };
    let mut core = CpuSet::new();
    core.set(0);
    // Every thread that is started from here on stays there too.
    sched_setaffinity(None, &core)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(hear(endpoint, calls.parse()?))
}

async fn hear(endpoint: &str, calls: u64) -> Outcome {
    let client = Client::new(Config::default().plain_ws(true).e2ee(E2ee::Off).audio_queue(2_048));
    let delivered = Arc::new(AtomicU64::new(0));
    let mut joined = Vec::new();
    for number in 1..=calls {
        let call = client.join(info(endpoint, number)?).await?;
        let ears = call.listen(ListenOptions::default().mode(Mode::Opus))?;
        let delivered = delivered.clone();
        tokio::spawn(async move {
            while let Some(sound) = ears.next().await {
                delivered.fetch_add(u64::from(!sound.opus().is_empty()), Ordering::Relaxed);
            }
        });
        joined.push(call);
    }
    println!("joined {calls}");
    stdout().flush()?;
    let before = process::cpu();
    tokio::task::spawn_blocking(|| stdin().read_line(&mut String::new())).await??;
    let cpu = process::cpu() - before;
    let (mut packets, mut lost, mut late, mut skipped) = (0, 0, 0, 0);
    for call in &joined {
        let stats = call.stats().await.ok_or("a call is over")?;
        packets += stats.received.packets;
        lost += stats.received.consumer_lost;
        for heard in stats.heard.values() {
            late += heard.late + heard.lost;
            skipped += heard.skipped_samples;
        }
    }
    println!("delivered={}\npackets={packets}\nconsumer-lost={lost}", delivered.load(Ordering::Relaxed));
    println!("late={late}\nskipped={}", skipped / 960);
    println!("cpu={}", cpu.as_nanos());
    Ok(())
}

fn info(endpoint: &str, number: u64) -> Outcome<ConnectionInfo> {
    let (guild, channel) = (GuildId::new(number).ok_or("0")?, ChannelId::new(number).ok_or("0")?);
    let user = UserId::new(1).ok_or("0")?;
    let (session, token) = (format!("session-{number}"), format!("token-{number}").into());
    Ok(ConnectionInfo { endpoint: endpoint.to_owned(), guild, channel, user, session, token })
}
