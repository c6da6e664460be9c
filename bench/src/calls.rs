//! Many calls on one clock thread: each alone in its guild, each with an Opus source that passes through.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use voice_client::{Call, ChannelId, Client, Config, ConnectionInfo, GuildId, UserId};

use crate::Outcome;
use crate::process;
use crate::row::{Figure, Row, Wanted};
use crate::server::Server;
use crate::source::{Endless, packets};
use crate::suite::Suite;

const CALLS: u64 = 500;
/// Joins at the same time.
const AT_ONCE: usize = 25;
/// Two sockets each, here and, because it inherits the limit, in the server; and some for everything else.
const FILES: u64 = 2 * CALLS + 200;
/// For the last joins to be over with.
const SETTLE: Duration = Duration::from_secs(2);
const SPAN: Duration = Duration::from_secs(10);
const PER_SECOND: u64 = 50;

const NAMES: [&str; 4] =
    ["calls-500/late", "calls-500/latest", "calls-500/cpu-per-packet", "calls-500/memory-per-call"];

pub fn run(suite: &Suite) -> Outcome<Vec<Row>> {
    if !NAMES.iter().any(|name| suite.wants(name)) {
        return Ok(Vec::new());
    }
    process::allow_files(FILES)?;
    let server = Server::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut rows = runtime.block_on(measure(&server.endpoint))?;
    rows.retain(|row| suite.wants(&row.name));
    Ok(rows)
}

async fn measure(endpoint: &str) -> Outcome<Vec<Row>> {
    let packets: Arc<[Vec<u8>]> = packets()?.into();
    let client = Client::new(Config::default().plain_ws(true).clock_threads(1));
    let empty = process::resident();

    println!("calls: {CALLS} join");
    let calls = join(&client, endpoint).await?;
    for call in &calls {
        call.play(Endless::opus(packets.clone()));
    }
    for call in &calls {
        all_play(call).await?;
    }
    sleep(SETTLE).await;

    println!("calls: all play, measuring for {SPAN:?}");
    let (before, cpu, start) = (client.clock_stats(), process::cpu(), Instant::now());
    sleep(SPAN).await;
    let (after, cpu, span) = (client.clock_stats(), process::cpu() - cpu, start.elapsed());
    let full = process::resident();

    let (packets, late) = (after.packets - before.packets, after.late - before.late);
    let due = span.as_secs_f64() * (CALLS * PER_SECOND) as f64;
    println!(
        "calls: {packets} packets, {due:.0} were due; {:.0} % of a core",
        cpu.as_secs_f64() / span.as_secs_f64() * 100.0
    );
    // Beats that were left out are no packets, but late.
    if ((packets + late) as f64) < 0.98 * due {
        return Err(
            format!("{packets} packets left and {late} were late, {due:.0} were due: some calls are silent").into()
        );
    }
    let [late_name, latest, cpu_name, memory] = NAMES;
    let mut rows = vec![
        Row::new(late_name, Figure::Share(late as f64 / packets as f64)).wanted(Wanted::AtMost(0.001)),
        Row::new(latest, Figure::Time(after.worst.as_secs_f64() * 1e9)),
        Row::new(cpu_name, Figure::Time(cpu.as_secs_f64() * 1e9 / packets as f64)),
    ];
    if let (Some(empty), Some(full)) = (empty, full) {
        rows.push(Row::new(memory, Figure::Memory(full.saturating_sub(empty) as f64 / CALLS as f64)));
    }
    Ok(rows)
}

async fn join(client: &Client, endpoint: &str) -> Outcome<Vec<Call>> {
    let mut calls = Vec::new();
    let mut joining = JoinSet::new();
    for number in 1..=CALLS {
        if joining.len() == AT_ONCE
            && let Some(call) = joining.join_next().await
        {
            calls.push(call??);
        }
        let client = client.clone();
        let info = ConnectionInfo {
            endpoint: endpoint.to_owned(),
            guild: GuildId::new(number).ok_or("a guild 0")?,
            channel: ChannelId::new(10_000 + number).ok_or("a channel 0")?,
            user: UserId::new(20_000 + number).ok_or("a user 0")?,
            session: format!("session-{number}"),
            token: format!("token-{number}").into(),
        };
        joining.spawn(async move { client.join(info).await });
    }
    while let Some(call) = joining.join_next().await {
        calls.push(call??);
    }
    Ok(calls)
}

async fn all_play(call: &Call) -> Outcome {
    for _ in 0..100 {
        let stats = call.stats().await.ok_or("a call ended")?;
        if stats.sent.packets > 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err("a call does not play".into())
}
