//! Golden vectors through the programs that other implementers can run too.

use crate::cmake;
use crate::run::{self, Failure};
use crate::source;

/// Every crate with an example `vectors` runs the files of its `tests/vectors/`.
pub(crate) fn run() -> Result<(), Failure> {
    cmake::ensure()?;
    let mut ran = 0;
    for package in source::packages(&run::metadata()?)? {
        let files = source::files(&package.folder.join("tests/vectors"), "json")?;
        if files.is_empty() || !package.examples.iter().any(|example| example == "vectors") {
            continue;
        }
        run::run(run::cargo(&["run", "--package", &package.name, "--example", "vectors", "--"]).args(files))?;
        ran += 1;
    }
    if ran == 0 { Err("no crate has an example `vectors` and files to run through it".into()) } else { Ok(()) }
}
