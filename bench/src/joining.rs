//! Many calls of one client, each in a guild of its own.

use std::ops::RangeInclusive;
use std::path::Path;

use tokio::task::JoinSet;
use voice_client::{Call, ChannelId, Client, Config, ConnectionInfo, GuildId, UserId};

use crate::Outcome;

/// Joins at the same time.
const AT_ONCE: usize = 25;

/// A client that trusts the authority in this file, and asks for real-time priority if that is wanted.
///
/// # Errors
///
/// It cannot be read.
pub fn client(ca: &Path, realtime: bool) -> Outcome<Client> {
    Ok(Client::new(Config::default().ca(Some(std::fs::read(ca)?)).realtime(realtime)))
}

/// Joins the calls of these numbers. `member` tells those apart who join the same guilds.
///
/// # Errors
///
/// One does not get in.
pub async fn join(client: &Client, endpoint: &str, numbers: RangeInclusive<u64>, member: u64) -> Outcome<Vec<Call>> {
    let mut calls = Vec::new();
    let mut joining = JoinSet::new();
    for number in numbers {
        if joining.len() == AT_ONCE
            && let Some(call) = joining.join_next().await
        {
            calls.push(call??);
        }
        let client = client.clone();
        let info = ConnectionInfo {
            endpoint: endpoint.to_owned(),
            guild: GuildId::new(number).ok_or("a guild 0")?,
            channel: ChannelId::new(100_000 + number).ok_or("a channel 0")?,
            user: UserId::new(member * 1_000_000 + number).ok_or("a user 0")?,
            session: format!("session-{member}-{number}"),
            token: format!("token-{member}-{number}").into(),
        };
        joining.spawn(async move { client.join(info).await });
    }
    while let Some(call) = joining.join_next().await {
        calls.push(call??);
    }
    Ok(calls)
}
