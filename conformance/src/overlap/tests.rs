use super::{AccountModel, Asked, ContainerModel, Seen, Written, check_explained};
use crate::linear::Happened;

fn written(name: &str, time: u64, tag: i64) -> Written {
    Written {
        name: name.into(),
        time,
        tag,
        deleted: false,
    }
}

fn merge(records: &[Written]) -> (Asked, Seen) {
    (Asked::Merge(records.to_vec()), Seen::Done)
}

fn list(rows: &[(&str, i64)]) -> (Asked, Seen) {
    let rows = rows.iter().map(|(name, tag)| ((*name).to_owned(), *tag));
    (Asked::List(String::new()), Seen::Listed(rows.collect()))
}

type History = Vec<Happened<Asked, Seen>>;

/// Operations with the moments of their calls and answers.
fn history(operations: Vec<(u64, u64, (Asked, Seen))>) -> History {
    let happened = |(called, answered, (call, answer))| Happened {
        call,
        answer,
        called,
        answered,
    };
    operations.into_iter().map(happened).collect()
}

fn fits(history: &History) -> bool {
    check_explained::<ContainerModel>(history.clone()).is_ok()
}

#[test]
fn half_a_batch_is_impossible() {
    let batch = merge(&[written("a", 2, 1), written("b", 2, 2)]);
    let seen = |rows| history(vec![(0, 9, batch.clone()), (1, 2, list(rows))]);
    assert!(fits(&seen(&[])) && fits(&seen(&[("a", 1), ("b", 2)])));
    assert!(!fits(&seen(&[("a", 1)])));
}

#[test]
fn older_record_never_shows_over_a_newer_one() {
    let (new, old) = (merge(&[written("a", 5, 1)]), merge(&[written("a", 4, 2)]));
    let seen = |tag| {
        history(vec![
            (0, 3, new.clone()),
            (1, 2, old.clone()),
            (4, 5, list(&[("a", tag)])),
        ])
    };
    assert!(fits(&seen(1)));
    assert!(!fits(&seen(2)));
}

#[test]
fn overwritten_row_does_not_come_back() {
    let (old, new) = (merge(&[written("a", 4, 1)]), merge(&[written("a", 5, 2)]));
    let seen = |first, second| {
        history(vec![
            (0, 1, old.clone()),
            (2, 9, new.clone()),
            (3, 4, list(&[("a", first)])),
            (5, 6, list(&[("a", second)])),
        ])
    };
    assert!(fits(&seen(1, 2)));
    assert!(!fits(&seen(2, 1)));
}

#[test]
fn record_that_wins_nothing_takes_no_number() {
    let info = |highest| (Asked::Info, Seen::Info(1, 1, highest));
    let (new, old) = (merge(&[written("a", 5, 1)]), merge(&[written("a", 4, 2)]));
    let seen = |highest| {
        history(vec![
            (0, 1, new.clone()),
            (2, 3, old.clone()),
            (4, 5, info(highest)),
        ])
    };
    assert!(fits(&seen(1)));
    assert!(!fits(&seen(2)));
}

#[test]
fn last_report_of_a_container_counts() {
    let (one, other) = (merge(&[written("a", 5, 1)]), merge(&[written("a", 4, 2)]));
    let seen = |tag| {
        let history = history(vec![
            (0, 1, one.clone()),
            (2, 3, other.clone()),
            (4, 5, list(&[("a", tag)])),
        ]);
        check_explained::<AccountModel>(history).is_ok()
    };
    assert!(seen(2));
    assert!(!seen(1));
}

#[test]
fn failure_tells_what_does_not_fit() {
    let wrong = history(vec![
        (0, 1, merge(&[written("a", 5, 1)])),
        (2, 3, list(&[])),
    ]);
    let failure = check_explained::<ContainerModel>(wrong).unwrap_err();
    assert!(
        failure
            .message()
            .contains("[2..3] List(\"\") answered Listed([])"),
        "{failure}"
    );
}
