//! A file has one noun, and an end.

use crate::run::{self, Failure};
use crate::source;

/// Lines, tests not counted.
const MOST: usize = 450;

/// Checks the sources, examples and programs of every package.
pub(crate) fn run() -> Result<(), Failure> {
    let mut long = Vec::new();
    for package in source::packages(&run::metadata()?)? {
        for folder in ["src", "examples"] {
            for path in source::files(&package.folder.join(folder), "rs")? {
                let shown = path.strip_prefix(run::root()).unwrap_or(&path);
                let lines = lines(&source::read(&path)?);
                if !source::is_test(shown) && lines > MOST {
                    long.push(format!("{} has {lines} lines without its tests, allowed are {MOST}", shown.display()));
                }
            }
        }
    }
    if long.is_empty() { Ok(()) } else { Err(long.join("\n").into()) }
}

/// Lines of a file up to its test module, which comes last.
fn lines(source: &str) -> usize {
    source.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn the_test_module_is_not_counted() {
        assert_eq!(lines("a\nb\n"), 2);
        assert_eq!(lines("a\n\n#[cfg(test)]\nmod tests {\n}\n"), 2);
    }
}
