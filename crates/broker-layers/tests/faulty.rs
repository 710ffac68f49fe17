//! Faults replay by their seed, fall as the odds say, and repeating what failed is safe.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    AccountInfo, BrokerOptions, ContainerInfo, ContainerRecord, ContainerRow, Engine, ErrorKind,
    Location, MergeOptions, NameHash, NewAccount, Outcome, PolicyIndex, Result, RowId, StoreKind,
};
use broker_layers::{Call, Drawn, Faulty, Odds, Target};
use common::{
    MANY, at, block_on, container, contents, history, info, initialize, merge, put, reads,
};
use engine_memory::MemoryEngine;
use proptest::prelude::*;
use std::sync::Arc;

fn faulty(seed: u64, odds: Odds) -> (Arc<dyn Engine>, broker_layers::Faults) {
    Faulty::over(MemoryEngine::open().unwrap(), seed, odds)
}

fn only(not_happened: u32, not_reported: u32) -> Odds {
    Odds {
        not_happened,
        not_reported,
        kinds: vec![ErrorKind::Io],
    }
}

/// What callers of two stores saw of a hundred writes and reads each.
async fn seen(seed: u64, interleaved: bool) -> Vec<Vec<(Option<ErrorKind>, Option<Outcome>)>> {
    let (engine, _) = faulty(seed, Odds::even(300));
    let targets = [container(&engine, 1), container(&engine, 2)];
    let calls = |number: u64| [merge(vec![put("o", number)]), Call::Exists];
    let mut seen = vec![Vec::new(), Vec::new()];
    let order: Vec<(usize, u64)> = match interleaved {
        true => (1..50)
            .flat_map(|number| [(0, number), (1, number)])
            .collect(),
        false => (0..2)
            .flat_map(|store| (1..50).map(move |number| (store, number)))
            .collect(),
    };
    for (store, number) in order {
        for call in calls(number) {
            let error = targets[store].ask(call).await.err();
            let error = error.map(|error| (error.kind(), error.outcome()));
            seen[store].push((error.map(|it| it.0), error.map(|it| it.1)));
        }
    }
    seen
}

/// A failing test is worth nothing when it cannot be run again.
#[tokio::test]
async fn seed_replays_identically() {
    let first = seen(7, false).await;
    assert_eq!(first, seen(7, false).await);
    assert_eq!(first, seen(7, true).await, "another order of the stores");
    assert_ne!(first, seen(8, false).await, "another seed");
    assert_ne!(first[0], first[1], "two stores");
}

/// What is reported as not applied is not there.
#[tokio::test]
async fn refused_write_does_not_happen() {
    let (engine, faults) = faulty(1, Odds::none());
    let target = container(&engine, 1);
    target.ask(initialize()).await.unwrap();
    faults.set(only(1000, 0));
    let error = target.ask(merge(vec![put("o", 2)])).await.unwrap_err();
    let said = (error.kind(), error.outcome(), error.operation());
    assert_eq!(said, (ErrorKind::Io, Outcome::NotApplied, "merge_items"));
    faults.set(Odds::none());
    assert_eq!(contents(&target).await.unwrap(), []);
    assert_eq!(
        faults.drawn(),
        Drawn {
            well: 2,
            refused: 1,
            ..Drawn::default()
        }
    );
}

/// The case that everyone forgets: it happened, and the caller saw an error.
#[tokio::test]
async fn hidden_write_happens() {
    let (engine, faults) = faulty(1, Odds::none());
    let target = container(&engine, 1);
    target.ask(initialize()).await.unwrap();
    faults.set(only(0, 1000));
    let error = target.ask(merge(vec![put("o", 2)])).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    faults.set(Odds::none());
    assert_eq!(contents(&target).await.unwrap().len(), 1);
    assert_eq!(faults.drawn().hidden, 1);
}

/// Neither happened nor reported: as far as the caller knows, the same as the case above.
#[tokio::test]
async fn lost_write_does_not_happen() {
    let (engine, faults) = faulty(1, Odds::none());
    let target = container(&engine, 1);
    target.ask(initialize()).await.unwrap();
    faults.set(only(1000, 1000));
    let error = target.ask(merge(vec![put("o", 2)])).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    let read = target.ask(Call::Exists).await.unwrap_err();
    assert_eq!(
        read.outcome(),
        Outcome::NotApplied,
        "a read changes nothing"
    );
    faults.set(Odds::none());
    assert_eq!(contents(&target).await.unwrap(), []);
    assert_eq!(faults.drawn().lost, 1);
}

/// Every operation may fail, not only writes.
#[tokio::test]
async fn odds_hold_for_every_operation() {
    let (engine, _) = faulty(3, only(1000, 0));
    let target = container(&engine, 1);
    let location = target.location().unwrap().clone();
    for call in reads().into_iter().chain([initialize(), Call::Upgrade]) {
        assert!(target.ask(call).await.is_err());
    }
    assert!(engine.remove(&location).await.is_err());
    assert!(
        engine
            .stores("sda", location.kind(), None, 1)
            .await
            .is_err()
    );
    assert!(engine.device_health("sda").await.is_err());
}

/// The four cases come about as often as two coins of three tenths say.
#[tokio::test]
async fn draws_follow_the_odds() {
    let (engine, faults) = faulty(11, Odds::even(300));
    let target = container(&engine, 1);
    for _ in 0..2000 {
        let _ = target.ask(Call::Upgrade).await;
    }
    let Drawn {
        well,
        refused,
        hidden,
        lost,
    } = faults.drawn();
    for (drawn, expected) in [(well, 980), (refused, 420), (hidden, 420), (lost, 180)] {
        assert!(
            drawn.abs_diff(expected) < expected / 4,
            "{drawn}, not about {expected}"
        );
    }
}

/// Repeats a call until it succeeds or is refused for a reason of its own.
async fn insist(target: &Target, call: &Call) -> Result<()> {
    loop {
        match target.ask(call.clone()).await {
            Err(error) if error.message().starts_with("a fault") => {}
            answer => return answer.map(drop),
        }
    }
}

async fn played(engine: &Arc<dyn Engine>, history: &[Call]) -> Target {
    let target = container(engine, 1);
    insist(&target, &initialize()).await.unwrap();
    for call in history {
        let _ = insist(&target, call).await;
    }
    target
}

/// All but what numbers the rows, and when sync points were merged.
fn comparable(mut info: ContainerInfo) -> ContainerInfo {
    info.store.max_row = broker_api::RowId::NONE;
    info
}

/// What container servers report to an account, in batches.
fn reports() -> impl Strategy<Value = Vec<Call>> {
    let record = ("[a-d]", 1..30u64, 0..30u64, 0..3i64);
    let record = record.prop_map(|(name, put, delete, objects)| {
        let (put, delete) = (at(put).into(), at(delete).into());
        ContainerRecord::report(name, put, delete, objects, 10 * objects, PolicyIndex(0))
    });
    let batch = proptest::collection::vec(record, 1..4);
    let batch = batch.prop_map(|records| Call::MergeContainers(records, MergeOptions::put()));
    proptest::collection::vec(batch, 20..40)
}

/// Rows without their numbers, and facts, of an account that reports were played to.
async fn reported(engine: &Arc<dyn Engine>, reports: &[Call]) -> (Vec<ContainerRow>, AccountInfo) {
    let location = Location::new(StoreKind::Account, "sda", "7", NameHash([1; 16])).unwrap();
    let target = Target::open(engine, &location, &BrokerOptions::default());
    let new = NewAccount {
        account: "a".into(),
        put_timestamp: at(1).into(),
        created_at: at(1),
        id: "id".into(),
    };
    insist(&target, &Call::InitializeAccount(new))
        .await
        .unwrap();
    for call in reports {
        insist(&target, call).await.unwrap();
    }
    let Target::Account(account, _) = target else {
        unreachable!("it was opened as an account");
    };
    let (mut rows, mut info) = loop {
        if let (Ok(rows), Ok(Some(info))) = (
            account.items_since(RowId::NONE, MANY).await,
            account.info().await,
        ) {
            break (rows, info);
        }
    };
    rows.iter_mut().for_each(|row| row.row_id = RowId::NONE);
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    info.store.max_row = RowId::NONE;
    (rows, info)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Reports that were repeated count once.
    #[test]
    fn repeating_reports_is_safe(reports in reports(), seed in any::<u64>()) {
        block_on(async {
            let calm = reported(&MemoryEngine::open().unwrap(), &reports).await;
            let (engine, faults) = faulty(seed, Odds::even(300));
            let troubled = reported(&engine, &reports).await;
            prop_assert!(faults.drawn().hidden + faults.drawn().lost > 0);
            prop_assert_eq!(troubled, calm);
            Ok(())
        })?;
    }

    /// A caller that repeats every write whose outcome it does not know ends where one ends that
    /// never saw a fault.
    #[test]
    fn repeating_after_unknown_is_safe(history in history(), seed in any::<u64>()) {
        // Row numbers tell repeated writes; a change that names them is another change then.
        let names_no_rows = |call: &Call| !matches!(call, Call::RemoveObjects(_));
        let history: Vec<_> = history.into_iter().filter(names_no_rows).collect();
        block_on(async {
            let calm = played(&MemoryEngine::open().unwrap(), &history).await;
            let (engine, faults) = faulty(seed, Odds::even(300));
            let troubled = played(&engine, &history).await;
            faults.set(Odds::none());
            prop_assert!(faults.drawn().hidden + faults.drawn().lost > 0);
            prop_assert_eq!(contents(&troubled).await.unwrap(), contents(&calm).await.unwrap());
            let found = comparable(info(&troubled).await.unwrap());
            prop_assert_eq!(found, comparable(info(&calm).await.unwrap()));
            Ok(())
        })?;
    }
}
