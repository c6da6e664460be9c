//! The `davey` crate in one process with ours: tests of the workspace `interop/`.

use crate::run::{self, Failure};

pub(super) fn run() -> Result<(), Failure> {
    run::run(&mut run::beside("interop", &["test", "--tests"])?)
}
