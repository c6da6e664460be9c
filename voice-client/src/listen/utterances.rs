use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use model::{FRAME, RtpTime, UserId};
use receive::convert::{Channels, Format, Rate, SampleKind};
use receive::speech::{Chunk, Cut, Segmenter, Segments};

use super::{ListenError, ListenOptions, Listener, Mode, Sound, Users, Who};
use crate::call::Call;
use crate::driver::sleep_until;

/// People whose noise is known; beyond that, who has not spoken for a while is forgotten.
const PEOPLE: usize = 64;
/// That long.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// How [`Call::utterances`] cuts speech.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UtteranceOptions {
    /// Where utterances begin and end, and whether they are given out in parts.
    pub segments: Segments,
    /// Samples a second, mono; 16 kHz by default, which recognisers of speech want.
    pub rate: Rate,
    /// Of whom.
    pub users: Users,
}

impl Default for UtteranceOptions {
    fn default() -> Self {
        Self { segments: Segments::default(), rate: Rate::Hz16000, users: Users::default() }
    }
}

impl UtteranceOptions {
    /// Sets [`segments`](Self#structfield.segments).
    #[must_use]
    pub fn segments(mut self, segments: Segments) -> Self {
        self.segments = segments;
        self
    }

    /// Sets [`rate`](Self#structfield.rate).
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rate = rate;
        self
    }

    /// Sets [`users`](Self#structfield.users).
    #[must_use]
    pub fn users(mut self, users: Users) -> Self {
        self.users = users;
        self
    }
}

/// What one person said without a longer pause, or, with [`Segments::partial`], has said so far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Utterance {
    /// Who said it.
    pub user: UserId,
    /// Which one of this person, from 0; the parts of one have the same number.
    pub number: u64,
    /// When its first sample would have sounded.
    pub at: Instant,
    /// Timestamp of its first sample on the 48 kHz clock of the stream.
    pub time: RtpTime,
    /// Samples a second.
    pub rate: u32,
    /// All of it so far, mono, full scale at 1.0.
    pub pcm: Vec<f32>,
    /// How many samples at its end were in no earlier part.
    pub fresh: usize,
    /// How many of its samples were lost and made up: words there are less certain.
    pub concealed: usize,
    /// Why it ends here; `None` while the person still talks.
    pub cut: Option<Cut>,
}

impl Utterance {
    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.pcm.len() as f64 / f64::from(self.rate))
    }

    /// The samples as 16-bit integers in little-endian bytes, as recognisers read them from a pipe.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.pcm.iter().flat_map(|sample| receive::convert::to_i16(*sample).to_le_bytes()).collect()
    }
}

/// Utterances of everybody in a call, in the order in which they end. Made by [`Call::utterances`].
///
/// Its reader does the work: what it is too slow for is lost, as with any [`Listener`].
pub struct Utterances {
    listener: Listener,
    segments: Segments,
    rate: u32,
    people: BTreeMap<UserId, Person>,
    ready: VecDeque<Utterance>,
}

struct Person {
    segmenter: Segmenter,
    heard: Instant,
}

impl Utterances {
    pub(crate) fn new(call: &Call, options: UtteranceOptions) -> Result<Self, ListenError> {
        let UtteranceOptions { segments, rate, users } = options;
        let format = Format { rate, channels: Channels::Mono, sample: SampleKind::F32 };
        let listener = call.listen(ListenOptions::default().mode(Mode::Pcm(format)).users(users))?;
        Ok(Self { listener, segments, rate: rate.hertz(), people: BTreeMap::new(), ready: VecDeque::new() })
    }

    /// The next one; `None` when the call is over or the [listener](Self::listener) was stopped, and all is told. May be
    /// dropped at any time without losing anything.
    pub async fn next(&mut self) -> Option<Utterance> {
        loop {
            if let Some(utterance) = self.ready.pop_front() {
                return Some(utterance);
            }
            let deadline = self.people.values().filter_map(|person| person.segmenter.poll_timeout()).min();
            tokio::select! {
                // What waits was said before: time passes only where nothing more comes.
                biased;
                sound = self.listener.next() => match sound {
                    Some(sound) => self.hear(&sound),
                    None if self.people.is_empty() => return None,
                    None => self.end(),
                },
                () = sleep_until(deadline) => self.expire(deadline),
            }
        }
    }

    /// The listener behind it: to pause, to stop, to choose other users.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    fn hear(&mut self, sound: &Sound) {
        let Who::User { user, .. } = sound.who else { return };
        let (rate, segments) = (self.rate, self.segments);
        if self.people.len() >= PEOPLE && !self.people.contains_key(&user) {
            self.people.retain(|_, person| person.segmenter.is_speaking() || person.heard + FORGOTTEN > sound.at);
        }
        let fresh = || Person { segmenter: Segmenter::new(segments, rate), heard: sound.at };
        let person = self.people.entry(user).or_insert_with(fresh);
        person.heard = sound.at;
        let ready = &mut self.ready;
        person.segmenter.push(sound.at, sound.time, sound.kind, sound.f32(), &mut |chunk| {
            ready.push_back(utterance(user, rate, sound.at + FRAME, &chunk));
        });
    }

    /// Ends what those were saying who send nothing any more.
    fn expire(&mut self, deadline: Option<Instant>) {
        let Some(now) = deadline else { return };
        let Self { people, ready, rate, .. } = self;
        for (user, Person { segmenter, heard }) in people {
            let end = *heard + FRAME;
            segmenter.handle_timeout(now, &mut |chunk| ready.push_back(utterance(*user, *rate, end, &chunk)));
        }
    }

    /// Ends all: the call is over.
    fn end(&mut self) {
        for (user, mut person) in std::mem::take(&mut self.people) {
            let (end, rate, ready) = (person.heard + FRAME, self.rate, &mut self.ready);
            person.segmenter.end(&mut |chunk| ready.push_back(utterance(user, rate, end, &chunk)));
        }
    }
}

/// An utterance whose last sample sounds before `end`.
fn utterance(user: UserId, rate: u32, end: Instant, chunk: &Chunk<'_>) -> Utterance {
    let Chunk { utterance: number, time, pcm, fresh, concealed, cut, .. } = *chunk;
    let at = end - Duration::from_secs_f64(pcm.len() as f64 / f64::from(rate));
    Utterance { user, number, at, time, rate, pcm: pcm.to_vec(), fresh, concealed, cut }
}
