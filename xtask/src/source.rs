//! Reading the workspace's Rust source, just well enough to check rules on it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::run::Failure;

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) examples: Vec<String>,
}

/// What a package names in its manifest.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Serves tests and examples only.
    pub(crate) is_dev: bool,
}

/// The packages in what `cargo metadata` prints.
pub(crate) fn packages(metadata: &Value) -> Result<Vec<Package>, Failure> {
    let package = |package: &Value| {
        let dependency = |dependency: &Value| {
            let name = dependency["name"].as_str()?.to_owned();
            Some(Dependency { name, is_dev: dependency["kind"] == "dev" })
        };
        let example =
            |target: &Value| (target["kind"] == json!(["example"])).then(|| target["name"].as_str().map(str::to_owned));
        let manifest = Path::new(package["manifest_path"].as_str()?);
        Some(Package {
            name: package["name"].as_str()?.to_owned(),
            folder: manifest.parent()?.to_owned(),
            dependencies: package["dependencies"].as_array()?.iter().map(dependency).collect::<Option<_>>()?,
            examples: package["targets"].as_array()?.iter().filter_map(example).collect::<Option<_>>()?,
        })
    };
    let listed = metadata["packages"].as_array();
    let packages = listed.and_then(|list| list.iter().map(package).collect::<Option<Vec<_>>>());
    Ok(packages.ok_or("cargo metadata has another form than expected")?)
}

/// The files below a folder whose names end in `.{ending}`, sorted; none when there is no such folder.
pub(crate) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        let cannot = |error| format!("cannot read {}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is in a folder, sorted; nothing when there is no such folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let listed = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut listed: Vec<PathBuf> = listed.map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    listed.sort();
    Ok(listed)
}

/// Whether a path belongs to a test module with files of its own.
pub(crate) fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// The text of a source file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    Ok(fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?)
}

/// The code alone: comments, literals and `#[cfg(test)]` items are blanked, line breaks stay where they were.
pub(crate) fn code(source: &str) -> String {
    without_tests(&without_words(source))
}

/// Blanks comments and literals.
fn without_words(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < text.len() {
        let end = match (text[at], text.get(at + 1)) {
            ('/', Some('/')) => at + text[at..].iter().take_while(|&&c| c != '\n').count(),
            ('/', Some('*')) => comment_end(&text, at),
            ('"', _) => string_end(&text, at),
            ('r', Some('"' | '#')) if at == 0 || !is_word(text[at - 1]) || text[at - 1] == 'b' => raw_end(&text, at),
            // A lifetime has no closing quote: two quotes enclose one character, or an escape.
            ('\'', Some('\\')) => 3 + at + text[(at + 3).min(text.len())..].iter().take_while(|&&c| c != '\'').count(),
            ('\'', Some(_)) if text.get(at + 2) == Some(&'\'') => at + 3,
            _ => at,
        };
        if end == at {
            code.push(text[at]);
            at += 1;
        } else {
            let end = end.min(text.len());
            code.extend(text[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

fn comment_end(text: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => depth += 1,
            ('*', Some('/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(text: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Of `r"..."` or `r##"..."##`; the start itself for a raw identifier.
fn raw_end(text: &[char], start: usize) -> usize {
    let hashes = text[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return start;
    }
    let closes =
        |at: usize| text[at] == '"' && text[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    (open + 1..text.len()).find(|&at| closes(at)).map_or(text.len(), |at| at + 1 + hashes)
}

/// Blanks every item under `#[cfg(test)]`, up to its closing brace or semicolon.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let (mut kept, mut rest) = (String::with_capacity(code.len()), code);
    while let Some(start) = rest.find(MARK) {
        let (before, item) = rest.split_at(start);
        let mut depth = 0_usize;
        let end = item.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ';' => {}
                _ => return None,
            }
            (depth == 0).then_some(at + 1)
        });
        let (item, after) = item.split_at(end.unwrap_or(item.len()));
        kept.push_str(before);
        kept.extend(item.chars().filter(|&c| c == '\n'));
        rest = after;
    }
    kept + rest
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `word` (a path such as `std::thread`) occurs as whole words.
pub(crate) fn names(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

#[cfg(test)]
mod tests {
    use super::{code, names};

    #[test]
    fn comments_and_literals_are_no_code() {
        let source = r##"
            // tokio
            /* tokio /* tokio */ tokio */ let a = "tokio \" tokio"; let b = r#"tokio " tokio"#; let c = '"';
            fn f<'a>(x: &'a str) -> char { '\'' } /// tokio
            let r#type = 'x'; let d = b"tokio";
        "##;
        let code = code(source);
        assert!(!names(&code, "tokio"), "{code}");
        for kept in ["let a", "let b", "let c", "fn f<'a>(x: &'a str) -> char", "let r#type", "let d"] {
            assert!(code.contains(kept), "{kept} is gone from {code}");
        }
        assert_eq!(code.lines().count(), source.lines().count());
    }

    #[test]
    fn tests_are_no_code() {
        let code = code(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { tokio(); }\n}\n#[cfg(test)]\nmod tests;\nfn c() {}\n",
        );
        assert!(code.contains("fn a") && code.contains("fn c") && !code.contains("tokio"));
        assert_eq!(code.lines().count(), 8);
    }

    #[test]
    fn unfinished_source_is_read_to_its_end() {
        for source in
            ["/* a", "\"a", "r#\"a", "'\\", "'\\'", "#[cfg(test)]", "#[cfg(test)] mod tests {", "\"\\", "r", "r#"]
        {
            assert!(code(source).len() <= source.len());
        }
    }

    #[test]
    fn names_are_whole_words() {
        assert!(names("use tokio::net;", "tokio"));
        assert!(names("std::sync::Mutex<u8>", "Mutex"));
        assert!(!names("my_tokio_like", "tokio"));
        assert!(!names("Mutexes", "Mutex"));
    }
}
