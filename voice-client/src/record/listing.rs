use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path};

use serde_json::Value;

/// The files that a recording has made, by the `file` events of its journal: names in its folder, and nothing else.
pub(crate) fn listed(journal: impl Read) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for line in BufReader::new(journal).split(b'\n') {
        // A line that is no JSON is torn, or was not written by a recorder.
        let Ok(line) = serde_json::from_slice::<Value>(&line?) else { continue };
        if line["event"] == "file"
            && let Some(name) = line["name"].as_str()
            && is_plain(name)
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Whether it leads nowhere else.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn only_files_of_the_folder_are_listed() {
        let journal = [
            r#"{"t":0.0,"event":"start"}"#,
            r#"{"t":0.1,"event":"file","name":"1.ogg"}"#,
            r#"{"t":0.2,"event":"file","name":"../other.ogg"}"#,
            r#"{"t":0.2,"event":"file","name":"/etc/passwd"}"#,
            r#"{"t":0.2,"event":"note","name":"2.ogg"}"#,
            r#"{"t":0.3,"event":"file","name":"mix.002.flac"}"#,
            r#"{"t":0.4,"event":"file","na"#,
        ];
        assert_eq!(listed(journal.join("\n").as_bytes()).expect("memory"), ["1.ogg", "mix.002.flac"]);
    }
}
