//! The mirror is silent where engines agree, and finds every difference that is planted.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    ContainerBrokerExt, Engine, Error, ErrorKind, MergeOptions, Outcome, Result, RollingHash,
};
use broker_layers::{Answer, Call, Difference, Layer, Layered, Mirror, Target, Visitor};
use common::{block_on, container, everything, history, initialize, merge, put, reads};
use engine_memory::MemoryEngine;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::sync::{Arc, Mutex};

/// What one of two engines does differently.
#[derive(Debug, Clone, Copy)]
struct Planted {
    call: fn(&mut Call),
    answer: fn(&Call, &mut Result<Answer>),
}

const NOTHING: Planted = Planted {
    call: |_| {},
    answer: |_, _| {},
};

impl Layer for Planted {
    async fn play(&self, target: &Target, mut call: Call, visitor: Visitor) -> Result<Answer> {
        (self.call)(&mut call);
        let mut answer = target.play(call.clone(), visitor).await;
        (self.answer)(&call, &mut answer);
        answer
    }
}

/// Plays a history to an engine with a difference beside one without; what the mirror said.
async fn differences(planted: Planted, history: &[Call]) -> Result<Vec<Difference>> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&found);
    let engine = Mirror::beside(MemoryEngine::open()?)
        .on_difference(move |difference| heard.lock().unwrap().push(difference.clone()))
        .over(Layered::over(MemoryEngine::open()?, planted));
    let target = container(&engine, 1);
    target.ask(initialize()).await?;
    for change in history {
        // A change that is refused is refused by both.
        let _ = target.ask(change.clone()).await;
        for read in reads() {
            let _ = target.ask(read).await;
        }
        if let Target::Container(container, _) = &target {
            let _ = container.object_page(&everything()).await;
        }
    }
    walk(&engine, &target).await?;
    drop((engine, target));
    Ok(Arc::into_inner(found).unwrap().into_inner().unwrap())
}

async fn walk(engine: &Arc<dyn Engine>, target: &Target) -> Result<()> {
    let location = target.location().unwrap();
    engine.set_synced(location, true).await?;
    engine.synced(location.device(), None, 10).await?;
    engine
        .stores(location.device(), location.kind(), None, 1)
        .await?;
    engine.device_health(location.device()).await.map(drop)
}

fn planted() -> Vec<(&'static str, Planted)> {
    vec![
        (
            "a lost record",
            Planted {
                call: |call| {
                    if let Call::MergeObjects(records, _) = call
                        && records.len() > 2
                    {
                        records.pop();
                    }
                },
                ..NOTHING
            },
        ),
        (
            "a merged batch that should be refused",
            Planted {
                call: |call| {
                    if let Call::MergeObjects(_, options) = call {
                        *options = MergeOptions::default();
                    }
                },
                ..NOTHING
            },
        ),
        (
            "numbers one too high",
            Planted {
                answer: |_, answer| {
                    if let Ok(Answer::Objects(rows)) = answer {
                        rows.iter_mut().for_each(|row| row.row_id.0 += 1);
                    }
                },
                ..NOTHING
            },
        ),
        (
            "another hash",
            Planted {
                answer: |_, answer| {
                    if let Ok(Answer::ContainerInfo(Some(info))) = answer {
                        info.store.hash = RollingHash::default();
                    }
                },
                ..NOTHING
            },
        ),
        (
            "a listing of everything",
            Planted {
                call: |call| {
                    if let Call::ListObjects(query) = call {
                        query.deleted = broker_api::DeletedFilter::Both;
                    }
                },
                ..NOTHING
            },
        ),
        (
            "sync points that are not raised",
            Planted {
                answer: |_, answer| {
                    if let Ok(Answer::SyncPoints(points)) = answer {
                        points.iter_mut().for_each(|point| point.sync_point.0 = 0);
                    }
                },
                ..NOTHING
            },
        ),
        (
            "counts of a reclaim",
            Planted {
                answer: |_, answer| {
                    if let Ok(Answer::Reclaimed(done)) = answer {
                        done.tombstones += 1;
                    }
                },
                ..NOTHING
            },
        ),
        (
            "a store that is not found",
            Planted {
                answer: |call, answer| {
                    if let (Call::Stores { .. }, Ok(Answer::Locations(found))) = (call, answer) {
                        found.clear();
                    }
                },
                ..NOTHING
            },
        ),
        (
            "a synced container that is not found",
            Planted {
                answer: |call, answer| {
                    if let (Call::Synced { .. }, Ok(Answer::Locations(found))) = (call, answer) {
                        found.clear();
                    }
                },
                ..NOTHING
            },
        ),
        (
            "a failure",
            Planted {
                answer: |call, answer| {
                    if *call == Call::Exists {
                        *answer = Err(Error::new(ErrorKind::Io, "a failure"));
                    }
                },
                ..NOTHING
            },
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A mirror that cries wolf would be switched off.
    #[test]
    fn engines_that_agree_make_no_difference(history in history()) {
        let found = block_on(differences(NOTHING, &history)).unwrap();
        prop_assert!(found.is_empty(), "{}", found[0]);
    }
}

/// Each difference is found in a history that is long enough to show it.
#[test]
fn planted_differences_are_found() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let long = proptest::collection::vec(common::change(), 150);
    let history = long.new_tree(&mut runner).unwrap().current();
    for (what, planted) in planted() {
        let found = block_on(differences(planted, &history)).unwrap();
        assert!(!found.is_empty(), "{what} was not found");
    }
}

/// Where there is no hook, the caller is told, with both answers and what was asked.
#[tokio::test]
async fn difference_is_an_internal_error() {
    let broken = Planted {
        answer: |_, answer| {
            if let Ok(Answer::Exists(exists)) = answer {
                *exists = false;
            }
        },
        ..NOTHING
    };
    let first = Layered::over(MemoryEngine::open().unwrap(), broken);
    let engine = Mirror::beside(MemoryEngine::open().unwrap()).over(first);
    let target = container(&engine, 1);
    target.ask(initialize()).await.unwrap();
    let error = target.ask(Call::Exists).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    for part in [
        "sda/containers/7/0101",
        "Exists",
        "Exists(false)",
        "Exists(true)",
    ] {
        assert!(error.message().contains(part), "{part} is not in {error}");
    }
}

/// An engine that knows less about the outcome of a failure answers differently.
#[tokio::test]
async fn outcomes_of_failures_are_compared() {
    let unsure = Planted {
        answer: |_, answer| {
            if let Err(error) = answer {
                *answer = Err(error.clone().with_outcome(Outcome::Unknown));
            }
        },
        ..NOTHING
    };
    let first = Layered::over(MemoryEngine::open().unwrap(), unsure);
    let engine = Mirror::beside(MemoryEngine::open().unwrap()).over(first);
    let absent = container(&engine, 1).ask(Call::Upgrade).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Internal);
}

/// Both engines see the writes of many callers in one order, whoever stops waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_and_abandoned_calls_keep_engines_in_step() {
    let mirror = Mirror::beside(MemoryEngine::open().unwrap());
    let engine = mirror.over(MemoryEngine::open().unwrap());
    let target = container(&engine, 1);
    target.ask(initialize()).await.unwrap();
    let write = |number: u64| {
        let target = target.clone();
        tokio::spawn(async move {
            let name = format!("o{}", number % 7);
            target.ask(merge(vec![put(&name, number)])).await.map(drop)
        })
    };
    let writes: Vec<_> = (1..200).map(write).collect();
    for (number, write) in writes.into_iter().enumerate() {
        match number % 3 {
            0 => {
                tokio::task::yield_now().await;
                write.abort();
            }
            _ => write.await.unwrap().unwrap(),
        }
    }
    for read in reads() {
        target.ask(read).await.unwrap();
    }
}
