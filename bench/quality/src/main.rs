//! Sends speech through seeded lossy links and writes what each receiver makes of it, as WAV files that start where the
//! reference starts, with a list of them in `runs.csv`. `score.py` does the rest.
//!
//! ```text
//! voice-bench-quality REFERENCE.wav OUT_DIR [--seeds N] [--stereo]
//! ```

mod link;
mod receiver;
mod sender;
mod sound;

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::ValueExt;
use link::{Link, Model};
use receiver::Kind;
use sender::{Fec, Width};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Packets lost, in percent.
const LOSSES: [u32; 6] = [0, 2, 5, 10, 15, 20];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voice-bench-quality: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Order {
    reference: PathBuf,
    out: PathBuf,
    seeds: u64,
    width: Width,
}

fn order() -> Outcome<Order> {
    let (mut paths, mut seeds, mut width) = (Vec::new(), 3, Width::Mono);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("seeds") => seeds = arguments.value()?.parse()?,
            lexopt::Arg::Long("stereo") => width = Width::Stereo,
            lexopt::Arg::Value(path) => paths.push(PathBuf::from(path)),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let [reference, out] =
        <[PathBuf; 2]>::try_from(paths).map_err(|_| "wanted: REFERENCE.wav OUT_DIR [--seeds N] [--stereo]")?;
    Ok(Order { reference, out, seeds, width })
}

fn run() -> Outcome {
    let order = order()?;
    fs::create_dir_all(&order.out)?;
    let speech = sound::read(&order.reference)?;
    sound::write(&order.out.join("reference.wav"), &speech)?;
    let mut list = BufWriter::new(File::create(order.out.join("runs.csv"))?);
    writeln!(list, "file,clean,fec,model,loss,seed,receiver,lost,delay_ms")?;

    for fec in [Fec::On, Fec::Off] {
        let stream = sender::encode(&speech, order.width, fec)?;
        let clean = format!("clean-{fec}.wav");
        sound::write(&order.out.join(&clean), &receiver::decode_all(&stream)?)?;
        let kbits = stream.packets.iter().map(Vec::len).sum::<usize>() as f64 * 0.4 / stream.packets.len() as f64;
        eprintln!("{} packets, FEC {fec}, {kbits:.1} kbit/s", stream.packets.len());
        for (model, loss, seed) in settings(order.seeds) {
            let link = Link::new(model, loss, seed);
            let arrivals = link.carry(stream.packets.len());
            let lost = 100.0 * (1.0 - arrivals.len() as f64 / stream.packets.len() as f64);
            for kind in Kind::ALL {
                let heard = receiver::hear(kind, &stream, &arrivals)?;
                let file = format!("{fec}-{model}-{loss:02}-{seed}-{kind}.wav");
                sound::write(&order.out.join(Path::new(&file)), &heard.pcm)?;
                let delay = heard.delay_ms;
                writeln!(list, "{file},{clean},{fec},{model},{loss},{seed},{kind},{lost:.2},{delay:.1}")?;
            }
        }
    }
    list.flush()?;
    Ok(())
}

/// Every link, one after the other. The seeds are the same ones at every rate.
fn settings(seeds: u64) -> impl Iterator<Item = (Model, u32, u64)> {
    Model::ALL.into_iter().flat_map(move |model| {
        LOSSES.into_iter().flat_map(move |loss| (1..=seeds).map(move |seed| (model, loss, seed)))
    })
}
