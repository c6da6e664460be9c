//! The control machine against the requirements of the DAVE protocol, message by message.

#[path = "../support/mod.rs"]
mod support;

mod churn;
mod commits;
mod garbage;
mod groups;
mod overtaken;
mod proposals;
mod recoveries;
mod transitions;
mod trees;
mod welcomes;
