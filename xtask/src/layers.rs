//! Layers import `voice-model` and nothing else of ours, and are told the time.

use serde_json::Value;

use crate::run::{self, Failure};
use crate::source::{self, Package};

const MODEL: &str = "voice-model";
const LAYERS: [&str; 6] = ["voice-gateway", "voice-udp", "voice-crypto", "voice-dave", "voice-mixer", "voice-receive"];
const CLIENT: &str = "voice-client";
const LOOPBACK: &str = "voice-loopback";
const XTASK: &str = "xtask";

/// What a layer gets from its caller, or leaves to it.
const FORBIDDEN: [&str; 12] = [
    "tokio",
    "std::thread",
    "thread::spawn",
    "Instant::now",
    "SystemTime::now",
    "getrandom",
    "Mutex",
    "RwLock",
    "Condvar",
    "mpsc",
    "UdpSocket",
    "TcpStream",
];

/// Checks manifests and sources of the workspace.
pub(crate) fn run() -> Result<(), Failure> {
    let metadata = run::metadata()?;
    let mut broken = imports(&metadata)?;
    for package in source::packages(&metadata)? {
        if !is_layer(&package.name) {
            continue;
        }
        for path in source::files(&package.folder.join("src"), "rs")? {
            let shown = path.strip_prefix(run::root()).unwrap_or(&path);
            let found = if source::is_test(shown) { Vec::new() } else { ambient(&source::read(&path)?) };
            let broke = |(line, word)| format!("{}:{line}: `{word}` has no place in a layer", shown.display());
            broken.extend(found.into_iter().map(broke));
        }
    }
    if broken.is_empty() {
        println!("layers: every arrow points the right way, and no layer reads a clock, locks or does I/O");
        return Ok(());
    }
    Err(broken.join("\n").into())
}

fn is_layer(name: &str) -> bool {
    name == MODEL || LAYERS.contains(&name)
}

/// Broken rules among the dependencies.
fn imports(metadata: &Value) -> Result<Vec<String>, Failure> {
    let packages = source::packages(metadata)?;
    let is_ours = |name: &str| packages.iter().any(|package| package.name == name);
    Ok(packages.iter().flat_map(|package| broken_by(package, is_ours)).collect())
}

fn broken_by(package: &Package, is_ours: impl Fn(&str) -> bool) -> Vec<String> {
    let name = package.name.as_str();
    let may_import = |other: &str| match name {
        MODEL | XTASK => false,
        CLIENT => other != XTASK && other != LOOPBACK,
        LOOPBACK => other != XTASK && other != CLIENT,
        _ => other == MODEL,
    };
    let mut broken = Vec::new();
    for dependency in &package.dependencies {
        let other = dependency.name.as_str();
        let what = match (is_ours(other), dependency.is_dev) {
            (true, false) if !may_import(other) => "imports",
            (true, true) if name == XTASK || name == MODEL => "imports (even if for tests)",
            (false, false) if name == MODEL => "is the leaf, yet depends on",
            (false, false) if is_layer(name) && other == "tokio" => "is a layer, yet depends on",
            _ => continue,
        };
        broken.push(format!("{name} {what} {other}"));
    }
    broken
}

/// Line numbers and words of what a layer's source may not name.
fn ambient(source: &str) -> Vec<(usize, &'static str)> {
    let code = source::code(source);
    let lines = code.lines().enumerate();
    let found = |(index, line)| {
        FORBIDDEN.into_iter().filter(move |word| source::names(line, word)).map(move |w| (index + 1, w))
    };
    lines.flat_map(found).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ambient, imports};

    /// A workspace as it should be, with `package` depending on `other` besides.
    fn with(package: &str, other: &str, kind: &Value) -> Vec<String> {
        let arrows: [(&str, &[&str]); 6] = [
            ("voice-model", &[]),
            ("voice-gateway", &["voice-model", "serde_json"]),
            ("voice-crypto", &["voice-model", "aws-lc-rs"]),
            ("voice-client", &["voice-model", "voice-gateway", "voice-crypto", "tokio"]),
            ("voice-loopback", &["voice-model", "voice-gateway", "voice-crypto", "tokio"]),
            ("xtask", &["serde_json"]),
        ];
        let packages: Vec<Value> = arrows
            .iter()
            .map(|(name, dependencies)| {
                let mut all: Vec<Value> = dependencies.iter().map(|name| json!({"name": name, "kind": null})).collect();
                if *name == package {
                    all.push(json!({"name": other, "kind": kind}));
                }
                json!({"name": name, "manifest_path": format!("/ours/{name}/Cargo.toml"), "dependencies": all, "targets": []})
            })
            .collect();
        imports(&json!({"packages": packages})).expect("metadata of the right form")
    }

    #[test]
    fn the_house_as_designed_passes() {
        assert!(with("nobody", "nothing", &Value::Null).is_empty());
    }

    #[test]
    fn a_layer_imports_no_layer() {
        assert_eq!(with("voice-gateway", "voice-crypto", &Value::Null), ["voice-gateway imports voice-crypto"]);
        assert_eq!(with("voice-gateway", "voice-crypto", &json!("build")).len(), 1);
        assert!(with("voice-gateway", "voice-crypto", &json!("dev")).is_empty());
        assert_eq!(with("voice-crypto", "voice-client", &Value::Null).len(), 1);
    }

    #[test]
    fn the_leaf_depends_on_nothing() {
        assert_eq!(with("voice-model", "voice-crypto", &Value::Null).len(), 1);
        assert_eq!(with("voice-model", "thiserror", &Value::Null).len(), 1);
        assert!(with("voice-model", "proptest", &json!("dev")).is_empty());
    }

    #[test]
    fn no_layer_has_a_runtime() {
        assert_eq!(with("voice-crypto", "tokio", &Value::Null), ["voice-crypto is a layer, yet depends on tokio"]);
    }

    #[test]
    fn the_client_knows_the_server_in_tests_only() {
        assert_eq!(with("voice-client", "voice-loopback", &Value::Null).len(), 1);
        assert!(with("voice-client", "voice-loopback", &json!("dev")).is_empty());
        assert_eq!(with("voice-loopback", "voice-client", &Value::Null).len(), 1);
    }

    #[test]
    fn xtask_links_nothing_of_ours() {
        assert_eq!(with("xtask", "voice-model", &Value::Null).len(), 1);
        assert_eq!(with("xtask", "voice-client", &json!("dev")).len(), 1);
    }

    #[test]
    fn metadata_of_another_form_is_an_error() {
        assert!(imports(&json!({})).is_err());
        assert!(imports(&json!({"packages": [{"name": 1}]})).is_err());
    }

    #[test]
    fn a_layer_names_no_clock_lock_thread_or_socket() {
        for line in [
            "use tokio::net;",
            "std::thread::sleep(d);",
            "let now = Instant::now();",
            "SystemTime::now()",
            "struct A(std::sync::Mutex<u8>);",
            "RwLock::new(1)",
            "UdpSocket::bind(a)",
        ] {
            assert!(!ambient(line).is_empty(), "{line}");
        }
        assert_eq!(ambient("fn a(now: Instant) {}\nlet m = Mutex::new(1);\n"), [(2, "Mutex")]);
        assert!(
            ambient("// Instant::now() is the caller's\n/// ```\n/// Instant::now();\n/// ```\nfn a() {}").is_empty()
        );
        assert!(ambient("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { Instant::now(); }\n}\n").is_empty());
    }
}
