//! Faults by a seed: what happens and what is reported are drawn apart.
//!
//! ```text
//!                    reported                      not reported
//! happened           the answer                    an error, outcome unknown
//! did not happen     an error, not applied         an error, outcome unknown
//! ```
//!
//! The case that is easily forgotten is the upper right one: the change is there and its caller was told
//! otherwise. A read has nothing to happen: whichever coin falls badly, it fails with nothing applied.

use crate::call::{Answer, Call, Visitor};
use crate::deadline::run_to_its_end;
use crate::layer::{Layer, Layered};
use crate::operation::Operation;
use crate::target::Target;
use broker_api::{Engine, Error, ErrorKind, Outcome, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// How often operations go wrong, in thousandths, and how they say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odds {
    /// Of a thousand operations, those that do not happen.
    pub not_happened: u32,
    /// Of a thousand operations, those whose outcome is not reported.
    pub not_reported: u32,
    /// Kinds of errors, drawn evenly. Without any, nothing goes wrong.
    pub kinds: Vec<ErrorKind>,
}

impl Odds {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self {
            not_happened: 0,
            not_reported: 0,
            kinds: Vec::new(),
        }
    }

    /// Each of the two coins falls badly so often; the kinds are those of a device in trouble.
    pub fn even(per_thousand: u32) -> Self {
        Self {
            not_happened: per_thousand,
            not_reported: per_thousand,
            kinds: vec![ErrorKind::Busy, ErrorKind::Io, ErrorKind::Full],
        }
    }
}

/// How many operations met each of the four cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drawn {
    /// Happened and reported: nothing went wrong.
    pub well: u64,
    /// Did not happen, and said so.
    pub refused: u64,
    /// Happened, and was reported as unknown.
    pub hidden: u64,
    /// Did not happen, and was reported as unknown.
    pub lost: u64,
}

/// The handle with which a test switches the odds while the engine is in use.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    seed: u64,
    odds: Odds,
    drawn: Drawn,
    /// How many operations each place has seen.
    seen: HashMap<String, u64>,
}

impl Faults {
    /// Changes the odds for every operation that begins from now on.
    pub fn set(&self, odds: Odds) {
        self.0.lock().odds = odds;
    }

    /// What was drawn so far.
    pub fn drawn(&self) -> Drawn {
        self.0.lock().drawn
    }
}

/// Makes operations fail.
///
/// The draw depends on the seed, the store and how many operations the store has seen, so that a seed
/// replays identically however the operations of several stores are interleaved.
///
/// # Examples
/// ```
/// use broker_layers::{Faulty, Odds};
///
/// let engine = engine_memory::MemoryEngine::open()?;
/// let (engine, faults) = Faulty::over(engine, 0x5eed, Odds::even(100));
/// // … a test works on `engine` and repeats what fails …
/// faults.set(Odds::none());
/// # drop(engine);
/// # Ok::<(), broker_api::Error>(())
/// ```
#[derive(Debug)]
pub struct Faulty {
    faults: Faults,
}

impl Faulty {
    /// An engine whose operations fail by a seed, and the handle on its odds.
    pub fn over(engine: Arc<dyn Engine>, seed: u64, odds: Odds) -> (Arc<dyn Engine>, Faults) {
        let state = State {
            seed,
            odds,
            drawn: Drawn::default(),
            seen: HashMap::new(),
        };
        let faults = Faults(Arc::new(Mutex::new(state)));
        let layer = Self {
            faults: faults.clone(),
        };
        (Layered::over(engine, layer), faults)
    }
}

impl Layer for Faulty {
    async fn play(&self, target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
        let operation = call.operation();
        let draw = self.faults.0.lock().draw(target, &call);
        match draw {
            Draw::Well => target.play(call, visitor).await,
            Draw::Refused(kind) => Err(fault(target, operation, kind, Outcome::NotApplied)),
            Draw::Lost(kind) => Err(fault(target, operation, kind, Outcome::Unknown)),
            Draw::Hidden(kind) => {
                // Whether it succeeds is what the caller does not learn.
                let _ = run_to_its_end(target.clone(), call, visitor).await;
                Err(fault(target, operation, kind, Outcome::Unknown))
            }
        }
    }
}

enum Draw {
    Well,
    Refused(ErrorKind),
    Hidden(ErrorKind),
    Lost(ErrorKind),
}

impl State {
    fn draw(&mut self, target: &Target, call: &Call) -> Draw {
        let location = target.location().or(call.location());
        let place = location.map_or_else(|| "the engine".to_owned(), ToString::to_string);
        let seen = self.seen.entry(place.clone()).or_default();
        *seen += 1;
        let mut random = Random::new(self.seed ^ mixed(*seen), &place);
        let happened = random.below(1000) >= self.odds.not_happened.into();
        let reported = random.below(1000) >= self.odds.not_reported.into();
        let kinds = &self.odds.kinds;
        let kind = kinds.get(random.below(kinds.len().max(1) as u64) as usize);
        let drawn = &mut self.drawn;
        match (kind, happened, reported) {
            (None, ..) | (_, true, true) => {
                drawn.well += 1;
                Draw::Well
            }
            (Some(kind), false, true) => {
                drawn.refused += 1;
                Draw::Refused(*kind)
            }
            (Some(kind), ..) if !call.operation().is_mutation() => {
                drawn.refused += 1;
                Draw::Refused(*kind)
            }
            (Some(kind), true, false) => {
                drawn.hidden += 1;
                Draw::Hidden(*kind)
            }
            (Some(kind), false, false) => {
                drawn.lost += 1;
                Draw::Lost(*kind)
            }
        }
    }
}

fn fault(target: &Target, operation: Operation, kind: ErrorKind, outcome: Outcome) -> Error {
    let error = Error::new(kind, "a fault that a test asked for")
        .during(operation.as_str())
        .with_outcome(outcome);
    match target.location() {
        Some(location) => error.on(location),
        None => error,
    }
}

/// Random numbers that depend on a seed and a text alone.
struct Random(u64);

impl Random {
    fn new(seed: u64, text: &str) -> Self {
        let fold = |state: u64, byte: u8| mixed(state ^ u64::from(byte));
        Self(text.bytes().fold(seed, fold))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mixed(self.0) % limit
    }
}

/// The finisher of SplitMix64: every bit of the input moves every bit of the output.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
