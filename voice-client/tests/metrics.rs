//! What the recorder of the `metrics` crate is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopback::Config as Behaviour;
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use support::{PATIENCE, config, guild, pair, plain, until, within};
use voice_client::metrics::{CallMetrics, record_metrics_every};
use voice_client::source::generate::Tone;
use voice_client::{Client, Stats};

/// Keeps the latest value of everything, by name and labels.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<BTreeMap<String, f64>>>);

struct Page {
    notebook: Notebook,
    name: String,
}

impl Notebook {
    fn page(&self, key: &Key) -> Arc<Page> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Page { notebook: self.clone(), name: format!("{}{{{}}}", key.name(), labels.join(",")) })
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.lock().unwrap().get(name).copied()
    }
}

impl CounterFn for Page {
    fn increment(&self, value: u64) {
        *self.notebook.0.lock().unwrap().entry(self.name.clone()).or_default() += value as f64;
    }

    /// As the counters of `metrics` itself, and of Prometheus, do it.
    fn absolute(&self, value: u64) {
        let mut pages = self.notebook.0.lock().unwrap();
        let page = pages.entry(self.name.clone()).or_default();
        *page = page.max(value as f64);
    }
}

impl GaugeFn for Page {
    fn increment(&self, _value: f64) {
        panic!("{} is set, not counted here", self.name);
    }

    fn decrement(&self, _value: f64) {
        panic!("{} is set, not counted here", self.name);
    }

    fn set(&self, value: f64) {
        self.notebook.0.lock().unwrap().insert(self.name.clone(), value);
    }
}

impl Recorder for Notebook {
    fn describe_counter(&self, _name: KeyName, _unit: Option<Unit>, _description: SharedString) {}
    fn describe_gauge(&self, _name: KeyName, _unit: Option<Unit>, _description: SharedString) {}
    fn describe_histogram(&self, _name: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.page(key))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.page(key))
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn every_name_is_in_the_table() {
    let notebook = Notebook::default();
    metrics::with_local_recorder(&notebook, || CallMetrics::new(guild(7)).record(&Stats::default()));
    let source = include_str!("../src/metrics.rs");
    let table: String = source.lines().filter(|line| line.starts_with("//! |")).collect();
    let told = notebook.0.lock().unwrap();
    assert!(told.len() > 15, "{told:?}");
    for name in told.keys() {
        let (name, labels) = name.split_once('{').unwrap();
        assert!(table.contains(&format!("`{name}`")) && labels.starts_with("guild=7"), "{name} {labels}");
    }
    for name in source.split('"').filter(|text| text.starts_with("voice_")) {
        assert!(table.contains(&format!("`{name}`")), "{name} is told and not in the table");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_told_of_until_it_is_over() {
    let notebook = Notebook::default();
    metrics::set_global_recorder(notebook.clone()).unwrap();
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 3).await;
    let recording = tokio::spawn(record_metrics_every(&listener, Duration::from_millis(100)));
    talker.play(Tone::new(440.0, 0.5, None));
    let of_speaker = "voice_speaker_packets{guild=3,user=1,fate=received}";
    until("packets of the talker", || async { notebook.get(of_speaker).filter(|packets| *packets > 20.0) }).await;
    assert_eq!(notebook.get("voice_connected{guild=3}"), Some(1.0));
    listener.leave().await;
    within(PATIENCE, "the last figures", recording).await.unwrap();
    assert_eq!(notebook.get("voice_connected{guild=3}"), Some(0.0));
    let stats = listener.stats().await.unwrap();
    assert_eq!(notebook.get("voice_received_packets{guild=3}"), Some(stats.received.packets as f64));
}

#[test]
fn counters_go_on_over_calls_in_a_guild() {
    let notebook = Notebook::default();
    let mut totals = Vec::new();
    metrics::with_local_recorder(&notebook, || {
        for call in [[40, 100], [30, 50]] {
            let mut metrics = CallMetrics::new(guild(7));
            for packets in call {
                let mut stats = Stats::default();
                stats.sent.packets = packets;
                metrics.record(&stats);
                totals.push(notebook.get("voice_sent_packets{guild=7}"));
            }
        }
    });
    assert_eq!(totals, [40.0, 100.0, 130.0, 150.0].map(Some));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_last_handle_is_dropped_is_told_of_as_over() {
    let notebook = Notebook::default();
    let server = plain(Behaviour::default()).await;
    let client = Client::new(config());
    let (talker, listener) = pair(&server, &client, 4).await;
    let mut recording = Box::pin(record_metrics_every(&listener, Duration::from_millis(100)));
    let mut handle = Some(listener);
    // The recorder of this thread, wherever the task is polled.
    let told = std::future::poll_fn(|context| {
        let polled = metrics::with_local_recorder(&notebook, || recording.as_mut().poll(context));
        if notebook.get("voice_connected{guild=4}") == Some(1.0) {
            drop(handle.take());
        }
        polled
    });
    within(PATIENCE, "the last figures", told).await;
    assert!(handle.is_none(), "it was connected before");
    assert_eq!(notebook.get("voice_connected{guild=4}"), Some(0.0));
    drop(talker);
}
