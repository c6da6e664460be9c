//! A call's [`Stats`] for whatever recorder the application has installed for the `metrics` crate: Prometheus, StatsD,
//! OpenTelemetry. With the feature `metrics` only.
//!
//! All names begin with `voice_`. Everything has the label `guild`; what is told of a speaker has `user` as well. Counters are
//! set to what was counted since the call began, so a recorder may be told as often as one likes. Times are in seconds.
//!
//! | name | kind | labels beside `guild` | what |
//! | --- | --- | --- | --- |
//! | `voice_connected` | gauge | | 1 while the session and its WebSocket are up |
//! | `voice_ws_round_trip_seconds`, `voice_udp_round_trip_seconds` | gauge | | from heartbeats, from keepalive pings |
//! | `voice_sent_packets`, `voice_sent_bytes` | counter | | RTP on the wire |
//! | `voice_sent_dropped` | counter | `reason`: `dropped`, `no_key`, `unsealable` | frames that did not leave |
//! | `voice_received_packets`, `voice_received_bytes`, `voice_received_rtcp` | counter | | what opened with the session's key |
//! | `voice_received_failed` | counter | `reason`: `unauthentic`, `malformed`, `unattributed`, `refused_plain`, `no_key`, `undecryptable`, `replayed`, `implausible` | what could not be opened, or was not allowed to |
//! | `voice_consumer_lost` | counter | | frames that slow readers of audio lost |
//! | `voice_send_loss_ratio` | gauge | | share of our packets lost between the server's latest two reports, 0 to 1 |
//! | `voice_send_lost_packets` | gauge | | our packets that the server counts as lost |
//! | `voice_send_jitter_seconds`, `voice_send_round_trip_seconds` | gauge | | from the server's reports |
//! | `voice_watchdog_actions` | counter | `rung`: `rediscover`, `resume`, `rejoin` | what was done about a dead media path |
//! | `voice_watchdog_recovered` | counter | | how often that helped |
//! | `voice_speaker_packets` | counter | `user`, `fate`: `received`, `lost`, `late`, `duplicate`, `malformed`, `fec` | packets of a speaker |
//! | `voice_speaker_concealed_seconds` | gauge | `user` | audio made up because its packet was missing |
//! | `voice_speaker_buffer_seconds`, `voice_speaker_jitter_seconds` | gauge | `user` | audio that waits, interarrival jitter |

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{counter, gauge};
use model::{GuildId, SAMPLE_RATE};

use crate::call::Call;
use crate::driver::within;
use crate::stats::Stats;

/// Figures are asked for not more often than this.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Tells the recorder what the figures of a call in this guild are. See the [table](self) for the names.
pub fn record_metrics(stats: &Stats, guild: GuildId) {
    let guild = guild.to_string();
    let count = |name: &'static str, value: u64| counter!(name, "guild" => guild.clone()).absolute(value);
    let measure = |name: &'static str, value: f64| gauge!(name, "guild" => guild.clone()).set(value);
    let time = |name: &'static str, value: Option<Duration>| {
        if let Some(value) = value {
            measure(name, value.as_secs_f64());
        }
    };
    let count_by = |name: &'static str, label: &'static str, counts: &[(&'static str, u64)]| {
        for (value, count) in counts {
            counter!(name, "guild" => guild.clone(), label => *value).absolute(*count);
        }
    };

    measure("voice_connected", f64::from(u8::from(stats.connected)));
    time("voice_ws_round_trip_seconds", stats.ws_round_trip);
    time("voice_udp_round_trip_seconds", stats.udp_round_trip);

    let sent = &stats.sent;
    count("voice_sent_packets", sent.packets);
    count("voice_sent_bytes", sent.bytes);
    let dropped = [("dropped", sent.dropped), ("no_key", sent.no_key), ("unsealable", sent.unsealable)];
    count_by("voice_sent_dropped", "reason", &dropped);

    let received = &stats.received;
    count("voice_received_packets", received.packets);
    count("voice_received_bytes", received.bytes);
    count("voice_received_rtcp", received.rtcp);
    let failed = [
        ("unauthentic", received.unauthentic),
        ("malformed", received.malformed),
        ("unattributed", received.unattributed),
        ("refused_plain", received.refused_plain),
        ("no_key", received.no_key),
        ("undecryptable", received.undecryptable),
        ("replayed", received.replayed),
        ("implausible", received.implausible),
    ];
    count_by("voice_received_failed", "reason", &failed);
    count("voice_consumer_lost", received.consumer_lost);

    if let Some(quality) = &stats.send_quality {
        measure("voice_send_loss_ratio", quality.fraction_lost.into());
        measure("voice_send_lost_packets", quality.lost.into());
        time("voice_send_jitter_seconds", Some(quality.jitter));
        time("voice_send_round_trip_seconds", quality.round_trip);
    }

    let watchdog = &stats.watchdog;
    let actions = [("rediscover", watchdog.rediscoveries), ("resume", watchdog.resumes), ("rejoin", watchdog.rejoins)];
    count_by("voice_watchdog_actions", "rung", &actions);
    count("voice_watchdog_recovered", watchdog.recovered);

    for (user, heard) in &stats.heard {
        let user = user.to_string();
        let fates = [
            ("received", heard.received),
            ("lost", heard.lost),
            ("late", heard.late),
            ("duplicate", heard.duplicate),
            ("malformed", heard.malformed),
            ("fec", heard.fec),
        ];
        for (fate, count) in fates {
            let packets =
                counter!("voice_speaker_packets", "guild" => guild.clone(), "user" => user.clone(), "fate" => fate);
            packets.absolute(count);
        }
        let concealed = heard.concealed_samples as f64 / f64::from(SAMPLE_RATE);
        for (name, value) in [
            ("voice_speaker_concealed_seconds", concealed),
            ("voice_speaker_buffer_seconds", heard.depth.as_secs_f64()),
            ("voice_speaker_jitter_seconds", heard.jitter.as_secs_f64()),
        ] {
            gauge!(name, "guild" => guild.clone(), "user" => user.clone()).set(value);
        }
    }
}

/// Tells the recorder the figures of a call now, again after each `every` (at least 100 ms), and once more when it is over:
/// a future for you to spawn. It does not keep the call from ending, and ends with it.
pub fn record_metrics_every(call: &Call, every: Duration) -> impl Future<Output = ()> + Send + use<> {
    let (shared, guild) = (Arc::downgrade(call.shared()), call.guild());
    let mut closed = call.shared().closed();
    async move {
        loop {
            let is_over = closed.borrow().is_some();
            // The handle is gone again before the wait, or the call would never be left for want of handles.
            let Some(call) = shared.upgrade().map(Call::from_shared) else { return };
            if let Some(stats) = call.stats().await {
                record_metrics(&stats, guild);
            }
            drop(call);
            if is_over {
                return;
            }
            within(every.max(MIN_INTERVAL), closed.wait_for(Option::is_some)).await;
        }
    }
}
