//! `replay NAME FILE...`: runs one target on files, for what libFuzzer found.

use std::process::ExitCode;

use voice_fuzz::TARGETS;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        eprintln!("usage: replay NAME FILE..., where NAME is one of {:?}", TARGETS.map(|(name, _)| name));
        return ExitCode::from(2);
    };
    for file in arguments {
        match std::fs::read(&file) {
            Ok(data) => target(&data),
            Err(error) => {
                eprintln!("cannot read {file}: {error}");
                return ExitCode::FAILURE;
            }
        }
        println!("{name}: {file} passed");
    }
    ExitCode::SUCCESS
}
