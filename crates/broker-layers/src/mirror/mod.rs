//! Two engines side by side: every operation is played to both, every answer compared.
//!
//! ```text
//! call ──► turn of the store ──► first  ──► answer ─┐
//!                           └──► second ──► answer ─┴─► the same by the contract? ──► the first answer
//!                                                                              └─no─► hook, or Internal
//! ```
//!
//! One wrapper turns every test of an engine into a differential test. Answers are compared by what the
//! contract promises of them:
//!
//! | answer | compared |
//! |---|---|
//! | errors | kind and outcome; messages are for people |
//! | facts, rows, counts | whole, row numbers included |
//! | sync points | without `updated_at`, which each engine takes from the clock |
//! | listings | entry by entry; rows of one name and several policies come in no particular order |
//! | `stores`, `synced` | all pages as sets, since each engine chooses its own order |
//! | `device_health` | not: it is about the device, not about what is stored |
//! | `export` | not: the file is written by the first engine alone |
//!
//! An engine may acknowledge client writes before it numbers them (`MergeOptions::may_buffer`), and then
//! two writes of one name may take one number or two. So that numbers stay comparable, a change that
//! changes nothing follows each such write: it makes both engines number what they acknowledged.
//!
//! Operations of one store take turns, so that both engines see them in one order; operations that look
//! at all stores of a device wait until no other runs. What the mirror costs in concurrency makes it a
//! tool for tests.

mod compare;

use crate::call::{Answer, Call, Visitor};
use crate::layer::{Layer, Layered};
use crate::target::Target;
use broker_api::{Engine, Error, ErrorKind, Location, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard, OwnedRwLockReadGuard};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

/// An operation that two engines answered differently.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The store, or the engine when the operation is about no single one.
    pub place: String,
    /// What was asked.
    pub call: Call,
    /// What the first engine answered.
    pub first: String,
    /// What the second engine answered.
    pub second: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the engines differ on {} after {:?}: the first says {}, the second {}",
            self.place, self.call, self.first, self.second
        )
    }
}

type Hook = Arc<dyn Fn(&Difference) + Send + Sync>;

/// Plays every operation to two engines and compares their answers.
///
/// # Errors
/// A difference is an error of kind [`ErrorKind::Internal`], unless there is a hook: then the hook hears
/// of it and the caller has the answer of the first engine.
///
/// # Examples
/// ```
/// use broker_layers::Mirror;
/// use engine_memory::MemoryEngine;
///
/// let mirror = Mirror::beside(MemoryEngine::open()?)
///     .on_difference(|difference| eprintln!("{difference}"))
///     .over(MemoryEngine::open()?);
/// # drop(mirror);
/// # Ok::<(), broker_api::Error>(())
/// ```
pub struct Mirror {
    second: Arc<dyn Engine>,
    turns: Turns,
    hook: Option<Hook>,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("second", &self.second)
            .finish_non_exhaustive()
    }
}

impl Mirror {
    /// Compares with this engine, which must hold what the first one holds, as a rule nothing.
    pub fn beside(second: Arc<dyn Engine>) -> Self {
        Self {
            second,
            turns: Turns::default(),
            hook: None,
        }
    }

    /// Tells of differences instead of failing.
    #[must_use]
    pub fn on_difference(mut self, hook: impl Fn(&Difference) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// The engine that answers; its name and its capabilities are those of `first`.
    pub fn over(self, first: Arc<dyn Engine>) -> Arc<dyn Engine> {
        Layered::over(first, self)
    }
}

impl Layer for Mirror {
    async fn play(&self, target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
        let turn = self.turns.take(target, &call).await;
        let (first, second) = (target.clone(), target.on(&self.second));
        let hook = self.hook.clone();
        // In a task of its own: a caller that stops waiting must not leave one engine behind the other.
        let both = tokio::spawn(async move {
            let _turn = turn;
            play_both(&first, &second, call, visitor, hook).await
        });
        let failed = |error| {
            Err(Error::new(ErrorKind::Internal, "the comparison did not end").caused_by(error))
        };
        both.await.unwrap_or_else(failed)
    }
}

async fn play_both(
    first: &Target,
    second: &Target,
    call: Call,
    visitor: Visitor,
    hook: Option<Hook>,
) -> Result<Answer> {
    let answers = compare::answers(first, second, &call).await;
    if let Some((one, other)) = compare::difference(&call, &answers) {
        let difference = Difference {
            place: place(first, &call),
            call,
            first: one,
            second: other,
        };
        match hook {
            Some(hook) => hook(&difference),
            None => {
                let error = Error::new(ErrorKind::Internal, difference.to_string());
                return Err(error.during(difference.call.operation().as_str()));
            }
        }
    }
    Ok(answers.first?.shown_to(visitor))
}

fn place(target: &Target, call: &Call) -> String {
    let location = target.location().or(call.location());
    location.map_or_else(|| "the engine".to_owned(), ToString::to_string)
}

/// Who may play now.
#[derive(Default)]
struct Turns {
    all: Arc<RwLock<()>>,
    stores: Mutex<HashMap<Location, Arc<TurnMutex<()>>>>,
}

/// The right to play; ends when it is dropped.
enum Turn {
    Store {
        _all: OwnedRwLockReadGuard<()>,
        _store: OwnedMutexGuard<()>,
    },
    Engine {
        _all: OwnedRwLockWriteGuard<()>,
    },
}

impl Turns {
    async fn take(&self, target: &Target, call: &Call) -> Turn {
        let Some(location) = target.location().or(call.location()) else {
            let _all = Arc::clone(&self.all).write_owned().await;
            return Turn::Engine { _all };
        };
        let _all = Arc::clone(&self.all).read_owned().await;
        let store = Arc::clone(self.stores.lock().entry(location.clone()).or_default());
        let _store = store.lock_owned().await;
        Turn::Store { _all, _store }
    }
}
