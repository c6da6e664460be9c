//! End-to-end encryption: the delivery service, with the sessions of `voice-dave` as members, and with hand-made messages.

mod call;
mod crowd;
mod lifecycle;
mod mls;
mod packages;
mod recovery;
mod rooms;
mod tricks;
mod validity;
mod versions;
