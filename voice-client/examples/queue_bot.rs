//! A queue as a music bot has it: entries and markers, crossfades, skip and back, repeats, shuffle, and a word in time
//! when little is left.
//!
//! ```text
//! cargo run -p voice-client --example queue_bot
//! ```
//!
//! Runs against a voice server on this machine; a listener in the call tells whether there was ever a gap.
#![allow(clippy::print_stdout)]

#[path = "support/stage.rs"]
mod stage;

use std::time::Duration;

use stage::{Ears, Result, Stage, asset, ms, promise, secs};
use voice_client::source::file::File;
use voice_client::{
    Back, Call, Element, Entry, Event, Events, Item, Join, Low, Marker, Metadata, Queue, QueueEvent, Repeat, TrackEvent,
};

/// Whatever you want to find again at an entry.
struct Request {
    by: &'static str,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut stage = Stage::open().await?;
    let (call, mut ears) = stage.join().await?;
    play(&call, &mut ears).await?;
    stage.close().await;
    Ok(())
}

async fn play(call: &Call, ears: &mut Ears) -> Result<()> {
    let (queue, mut events) = (call.queue(), call.events());
    queue.set_join(Join::Crossfade(ms(400)));
    queue.add(song("Bells", "bells-44k-mono.wav", 3_000, "Ada"));
    queue.add(song("Arpeggio", "arpeggio-48k-stereo.flac", 3_000, "Grace"));
    queue.add(song("March", "march-48k-stereo-opus.ogg", 3_100, "Ada"));
    queue.add_marker(Marker::new("the second half"));
    queue.add(song("Waltz", "waltz-44k-stereo.mp3", 3_100, "Grace"));
    // Told when no more than one is to come after what plays.
    queue.set_low(Some(Low::Entries(1)));
    show(&queue);
    until(&mut events, &queue, |event| matches!(event, QueueEvent::Started { .. })).await?;

    // One fades into the other; in between there is always something to be heard.
    let (_, bells) = queue.current().ok_or("nothing plays")?;
    bells.seek(ms(2_000)).await?;
    let next = until(&mut events, &queue, |event| matches!(event, QueueEvent::Started { .. }));
    let (next, heard) = tokio::join!(next, ears.listen(ms(900)));
    next?;
    println!("          {heard}");
    promise(!heard.is_silent(), "a crossfade has no gap")?;

    println!("\nskip, and back again");
    queue.skip();
    until(&mut events, &queue, |event| matches!(event, QueueEvent::Started { .. })).await?;
    queue.back(Back::Previous)?;
    until(&mut events, &queue, |event| matches!(event, QueueEvent::Started { .. })).await?;
    promise(title(&queue) == "Arpeggio", "back is the entry before")?;

    println!("\nthe order is shuffled, the marker stays where it is; then on to it");
    queue.shuffle();
    show(&queue);
    let reached = queue.skip_to_marker().ok_or("no marker")?;
    promise(reached.1.text() == "the second half", "a skip to the marker reaches it")?;
    until(&mut events, &queue, |event| matches!(event, QueueEvent::Started { .. })).await?;

    println!("\none entry, over and over");
    queue.clear();
    queue.insert(0, song("Ding", "ding-48k-mono.wav", 400, "Ada"));
    queue.skip();
    until(&mut events, &queue, |event| matches!(event, QueueEvent::Started { .. })).await?;
    queue.set_repeat(Repeat::Track);
    let (_, ding) = queue.current().ok_or("nothing plays")?;
    let mut rounds = ding.events();
    for _ in 0..2 {
        while rounds.next().await.ok_or("the ding has ended")? != TrackEvent::Looped {}
        println!("looped    {} so far", secs(ding.played()));
    }
    queue.set_repeat(Repeat::Off);
    until(&mut events, &queue, |event| matches!(event, QueueEvent::Empty)).await?;

    println!("\nplayed    {}", titles(queue.history().into_iter()));
    Ok(())
}

/// An entry is opened when its turn comes near; until then it is known by what it was added with.
fn song(title: &str, file: &str, millis: u64, by: &'static str) -> Entry {
    Entry::new(File::new(asset(file)))
        .metadata(Metadata::default().title(title))
        .duration(Duration::from_millis(millis))
        .data(Request { by })
}

/// Tells what happens in the queue, until it is what is waited for.
async fn until(events: &mut Events, queue: &Queue, wanted: impl Fn(&QueueEvent) -> bool) -> Result<()> {
    let waiting = async {
        while let Some(event) = events.next().await {
            let Event::Queue(event) = event else { continue };
            match &event {
                QueueEvent::Started { .. } => println!("started   {}", now(queue)),
                QueueEvent::Ended { how, .. } => println!("ended     {how:?}"),
                QueueEvent::Failed { item, error } => println!("failed    {}: {error}", name(item)),
                QueueEvent::Marker { marker, .. } => println!("marker    {}", marker.text()),
                QueueEvent::Low { remaining } => println!("low       {} left: add something", secs(remaining.known)),
                QueueEvent::Empty => println!("empty"),
                other => println!("{other:?}"),
            }
            if wanted(&event) {
                return Ok(());
            }
        }
        Err("the call is over".into())
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await?
}

fn show(queue: &Queue) {
    let upcoming = queue.upcoming();
    let list: Vec<String> = upcoming
        .iter()
        .map(|element| match element {
            Element::Entry(item) => name(item),
            Element::Marker(_, marker) => format!("[{}]", marker.text()),
        })
        .collect();
    println!("to come   {}; {} left", list.join(", "), secs(queue.remaining().known));
}

fn now(queue: &Queue) -> String {
    let Some((item, _)) = queue.current() else { return "nothing".into() };
    let by = item.data::<Request>().map_or("nobody", |request| request.by);
    format!("{}, wished for by {by}; {} left in all", name(&item), secs(queue.remaining().known))
}

fn title(queue: &Queue) -> String {
    queue.current().map(|(item, _)| name(&item)).unwrap_or_default()
}

fn titles(items: impl Iterator<Item = Item>) -> String {
    items.map(|item| name(&item)).collect::<Vec<_>>().join(", ")
}

fn name(item: &Item) -> String {
    item.metadata.as_ref().and_then(|metadata| metadata.title.as_deref()).unwrap_or("?").to_owned()
}
