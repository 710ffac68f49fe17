use super::{Happened, Sequential, explain};

/// A number that is set, read, or raised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Register(i64);

#[derive(Debug, Clone)]
enum Call {
    Set(i64),
    Raise,
    Read,
}

impl Sequential for Register {
    type Call = Call;
    type Answer = Option<i64>;

    fn step(&self, call: &Call) -> (Self, Option<i64>) {
        match call {
            Call::Set(value) => (Register(*value), None),
            Call::Raise => (Register(self.0 + 1), Some(self.0 + 1)),
            Call::Read => (self.clone(), Some(self.0)),
        }
    }
}

fn at(called: u64, answered: u64, call: Call, answer: Option<i64>) -> Happened<Call, Option<i64>> {
    Happened {
        call,
        answer,
        called,
        answered,
    }
}

fn is_explained(history: &[Happened<Call, Option<i64>>]) -> bool {
    explain(&Register(0), history).is_ok()
}

#[test]
fn overlapping_read_may_see_either_side_of_a_write() {
    for seen in [0, 1] {
        let history = [
            at(0, 3, Call::Set(1), None),
            at(1, 2, Call::Read, Some(seen)),
        ];
        assert!(is_explained(&history), "{seen}");
    }
}

#[test]
fn stale_read_is_impossible() {
    let history = [at(0, 1, Call::Set(1), None), at(2, 3, Call::Read, Some(0))];
    let unexplained = explain(&Register(0), &history).unwrap_err();
    assert_eq!((unexplained.placed, unexplained.stuck), (vec![0], vec![1]));
}

#[test]
fn value_that_nobody_wrote_is_impossible() {
    let history = [at(0, 3, Call::Set(1), None), at(1, 2, Call::Read, Some(7))];
    assert!(!is_explained(&history));
}

#[test]
fn reads_that_go_back_are_impossible() {
    let history = [
        at(0, 9, Call::Set(1), None),
        at(1, 2, Call::Read, Some(1)),
        at(3, 4, Call::Read, Some(0)),
    ];
    assert!(!is_explained(&history));
    let other_readers = [
        at(0, 9, Call::Set(1), None),
        at(1, 4, Call::Read, Some(1)),
        at(2, 3, Call::Read, Some(0)),
    ];
    assert!(is_explained(&other_readers), "while they overlap, they may");
}

#[test]
fn lost_update_is_impossible() {
    let history = [
        at(0, 3, Call::Raise, Some(1)),
        at(1, 2, Call::Raise, Some(1)),
    ];
    assert!(!is_explained(&history));
    let history = [
        at(0, 3, Call::Raise, Some(2)),
        at(1, 2, Call::Raise, Some(1)),
        at(4, 5, Call::Read, Some(2)),
    ];
    assert!(is_explained(&history));
}

#[test]
fn order_between_readers_is_one_for_all() {
    let both = |first: [i64; 2], second: [i64; 2]| {
        [
            at(0, 20, Call::Set(1), None),
            at(1, 21, Call::Set(2), None),
            at(2, 3, Call::Read, Some(first[0])),
            at(4, 5, Call::Read, Some(first[1])),
            at(6, 7, Call::Read, Some(second[0])),
            at(8, 9, Call::Read, Some(second[1])),
        ]
    };
    assert!(is_explained(&both([1, 1], [2, 2])));
    assert!(!is_explained(&both([1, 2], [2, 1])));
}

/// As many operations as there may be, half of them at once, must not take for ever.
#[test]
fn wide_histories_are_searched_in_time() {
    let mut history: Vec<_> = (0..12)
        .map(|i| at(i, 100 + i, Call::Raise, Some(12 - i as i64)))
        .collect();
    history.extend((0..116).map(|i| at(200 + 2 * i, 201 + 2 * i, Call::Read, Some(12))));
    assert!(is_explained(&history));
    history[127].answer = Some(11);
    assert!(!is_explained(&history));
}

#[test]
fn empty_history_is_explained() {
    assert!(is_explained(&[]));
}
