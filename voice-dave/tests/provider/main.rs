//! The MLS provider against published vectors, against the stock provider of openmls, and in whole groups.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod group;
mod hpke;
mod member;
mod primitives;
mod storage;
