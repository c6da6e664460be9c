//! A call's [`Stats`] for whatever recorder the application has installed for the `metrics` crate: Prometheus, StatsD,
//! OpenTelemetry. With the feature `metrics` only.
//!
//! All names begin with `voice_`. Everything has the label `guild`; what is told of a speaker has `user` as well. Counters
//! grow by what was counted since they were told last: over all calls in a guild they only rise. Times are in seconds.
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
//! | `voice_speaker_target_seconds` | gauge | `user` | what the delay of the buffer is meant to be |
//! | `voice_speaker_delay_p50_seconds`, `voice_speaker_delay_p95_seconds` | gauge | `user` | how long packets waited in the buffer: half of them, 95 of 100 no longer |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Label, counter, gauge};
use model::{GuildId, SAMPLE_RATE, UserId};

use crate::call::Call;
use crate::driver::within;
use crate::stats::Stats;

/// Figures are asked for not more often than this.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Tells the recorder the figures of one call, each time the difference to the time before. See the
/// [table](self) for the names.
#[derive(Debug)]
pub struct CallMetrics {
    guild: String,
    /// What the recorder was told of, by name, label and user.
    told: BTreeMap<(&'static str, &'static str, Option<UserId>), u64>,
}

impl CallMetrics {
    /// Nothing is told yet, of a call in this guild: make one for each call.
    pub fn new(guild: GuildId) -> Self {
        Self { guild: guild.to_string(), told: BTreeMap::new() }
    }

    /// Tells the recorder what the figures are now.
    pub fn record(&mut self, stats: &Stats) {
        self.measure("voice_connected", f64::from(u8::from(stats.connected)));
        self.time("voice_ws_round_trip_seconds", stats.ws_round_trip);
        self.time("voice_udp_round_trip_seconds", stats.udp_round_trip);

        let sent = &stats.sent;
        self.count("voice_sent_packets", sent.packets);
        self.count("voice_sent_bytes", sent.bytes);
        let dropped = [("dropped", sent.dropped), ("no_key", sent.no_key), ("unsealable", sent.unsealable)];
        self.count_by("voice_sent_dropped", "reason", None, &dropped);

        let received = &stats.received;
        self.count("voice_received_packets", received.packets);
        self.count("voice_received_bytes", received.bytes);
        self.count("voice_received_rtcp", received.rtcp);
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
        self.count_by("voice_received_failed", "reason", None, &failed);
        self.count("voice_consumer_lost", received.consumer_lost);

        if let Some(quality) = &stats.send_quality {
            self.measure("voice_send_loss_ratio", quality.fraction_lost.into());
            self.measure("voice_send_lost_packets", quality.lost.into());
            self.time("voice_send_jitter_seconds", Some(quality.jitter));
            self.time("voice_send_round_trip_seconds", quality.round_trip);
        }

        let watchdog = &stats.watchdog;
        let actions =
            [("rediscover", watchdog.rediscoveries), ("resume", watchdog.resumes), ("rejoin", watchdog.rejoins)];
        self.count_by("voice_watchdog_actions", "rung", None, &actions);
        self.count("voice_watchdog_recovered", watchdog.recovered);

        for (user, heard) in &stats.heard {
            self.hear(*user, heard);
        }
    }

    fn hear(&mut self, user: UserId, heard: &receive::Stats) {
        let fates = [
            ("received", heard.received),
            ("lost", heard.lost),
            ("late", heard.late),
            ("duplicate", heard.duplicate),
            ("malformed", heard.malformed),
            ("fec", heard.fec),
        ];
        self.count_by("voice_speaker_packets", "fate", Some(user), &fates);
        let concealed = heard.concealed_samples as f64 / f64::from(SAMPLE_RATE);
        for (name, value) in [
            ("voice_speaker_concealed_seconds", Some(concealed)),
            ("voice_speaker_buffer_seconds", Some(heard.depth.as_secs_f64())),
            ("voice_speaker_jitter_seconds", Some(heard.jitter.as_secs_f64())),
            ("voice_speaker_target_seconds", Some(heard.target.as_secs_f64())),
            ("voice_speaker_delay_p50_seconds", heard.delay.p50().map(|delay| delay.as_secs_f64())),
            ("voice_speaker_delay_p95_seconds", heard.delay.p95().map(|delay| delay.as_secs_f64())),
        ] {
            if let Some(value) = value {
                gauge!(name, self.labels(Some(user), None)).set(value);
            }
        }
    }

    fn labels(&self, user: Option<UserId>, more: Option<(&'static str, &'static str)>) -> Vec<Label> {
        let mut labels = vec![Label::new("guild", self.guild.clone())];
        labels.extend(user.map(|user| Label::new("user", user.to_string())));
        labels.extend(more.map(|(label, value)| Label::new(label, value)));
        labels
    }

    fn measure(&self, name: &'static str, value: f64) {
        gauge!(name, self.labels(None, None)).set(value);
    }

    fn time(&self, name: &'static str, value: Option<Duration>) {
        if let Some(value) = value {
            self.measure(name, value.as_secs_f64());
        }
    }

    fn count(&mut self, name: &'static str, total: u64) {
        let more = self.news(name, "", None, total);
        counter!(name, self.labels(None, None)).increment(more);
    }

    fn count_by(
        &mut self,
        name: &'static str,
        label: &'static str,
        user: Option<UserId>,
        totals: &[(&'static str, u64)],
    ) {
        for (value, total) in totals {
            let more = self.news(name, value, user, *total);
            counter!(name, self.labels(user, Some((label, value)))).increment(more);
        }
    }

    /// How much of it is not told yet. A total that has become less is another one, from 0.
    fn news(&mut self, name: &'static str, value: &'static str, user: Option<UserId>, total: u64) -> u64 {
        let told = self.told.insert((name, value, user), total).unwrap_or(0);
        total.checked_sub(told).unwrap_or(total)
    }
}

/// Tells the recorder the figures of a call now, again after each `every` (at least 100 ms), and once more when it is over,
/// left by the end of its last handle or not: a future for you to spawn. It does not keep the call from ending, and ends
/// with it.
pub fn record_metrics_every(call: &Call, every: Duration) -> impl Future<Output = ()> + Send + use<> {
    let (shared, mut metrics) = (Arc::downgrade(call.shared()), CallMetrics::new(call.guild()));
    let (mut closed, last) = (call.shared().closed(), call.shared().last());
    async move {
        let mut latest = Stats::default();
        // Its task may be gone without a reason.
        while closed.borrow().is_none() && closed.has_changed().is_ok() {
            // The handle is gone again before the wait, or the call would never be left for want of handles.
            let Some(call) = shared.upgrade().map(Call::from_shared) else { break };
            if let Some(stats) = call.stats().await {
                metrics.record(&stats);
                latest = stats;
            }
            drop(call);
            within(every.max(MIN_INTERVAL), closed.wait_for(Option::is_some)).await;
        }
        let _ = closed.wait_for(Option::is_some).await;
        let stats = last.get().map_or(latest, |stats| (**stats).clone());
        metrics.record(&Stats { connected: false, ..stats });
    }
}
