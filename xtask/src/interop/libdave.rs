//! Discord's own libdave, by its Python package: the same scenarios as with davey, each of its members in a process of
//! its own.

use super::pip;
use crate::run::{self, Failure};

pub(super) fn run() -> Result<(), Failure> {
    let Some(packages) = pip::packages("libdave")? else { return Ok(()) };
    let mut meet = run::beside("interop", &["run", "--package", "interop-e2ee", "--bin", "libdave", "--"])?;
    run::run(meet.arg(packages.python).arg(packages.folder))
}
