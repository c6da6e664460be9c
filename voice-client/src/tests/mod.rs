//! Behaviour of whole calls, in virtual time.

mod attribution;
mod calls;
mod churn;
mod encrypted;
mod fail_closed;
mod hostile;
mod media;
mod peer;
mod player;
mod quality;
mod reconnects;
mod watchdog;
mod wire;
mod world;
