//! A link that loses and delays packets, the same ones for the same seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use voice_model::FRAME;

/// Greatest delay that the link adds; evenly distributed, so that neighbours change places.
const JITTER_MS: f64 = 40.0;
/// Mean length of a burst of losses, in packets.
const BURST: f64 = 3.0;

/// Which packets are lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// Each by itself.
    Random,
    /// In bursts, three packets long on average: Gilbert's model with two states.
    Bursts,
}

impl Model {
    pub(crate) const ALL: [Self; 2] = [Self::Random, Self::Bursts];
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "random",
            Self::Bursts => "bursts",
        })
    }
}

/// A packet that arrives.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// Since the first packet was sent.
    pub(crate) at: Duration,
    /// Which one.
    pub(crate) number: u16,
}

pub(crate) struct Link {
    model: Model,
    loss: f64,
    rng: Rng,
}

impl Link {
    /// `loss` in percent.
    pub(crate) fn new(model: Model, loss: u32, seed: u64) -> Self {
        Self { model, loss: f64::from(loss) / 100.0, rng: Rng::with_seed(seed) }
    }

    /// What arrives of so many packets, sent every 20 ms, in the order of arrival.
    pub(crate) fn carry(mut self, packets: usize) -> Vec<Arrival> {
        let mut bad = false;
        let mut arrivals = Vec::with_capacity(packets);
        for number in 0..packets as u16 {
            // Both are drawn for every packet, so that a seed has the same jitter at every rate.
            let (chance, delay) = (self.rng.f64(), self.rng.f64() * JITTER_MS / 1000.0);
            bad = match self.model {
                Model::Random => chance < self.loss,
                Model::Bursts if bad => chance >= 1.0 / BURST,
                Model::Bursts => chance < self.loss / (1.0 - self.loss) / BURST,
            };
            if !bad {
                arrivals.push(Arrival { at: u32::from(number) * FRAME + Duration::from_secs_f64(delay), number });
            }
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }
}
