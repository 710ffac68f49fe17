//! Merge rules, content types and the hash, without any storage.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use broker_api::content_type::extract_swift_bytes;
use broker_api::merge::{
    container_batch_sync_point, merge_container, merge_object, object_batch_sync_point,
};
use broker_api::rolling_hash::container_row_suffix;
use broker_api::{
    ContainerRecord, ErrorKind, ObjectRecord, ObjectRow, ObjectTimestamps, PolicyIndex,
    RollingHash, RowId, Timestamp, TimestampText,
};
use proptest::prelude::*;

fn record(created_at: &str, size: i64, kind: &str, etag: &str) -> ObjectRecord {
    let times = ObjectTimestamps::decode(created_at).unwrap();
    ObjectRecord {
        created_at: times,
        ..ObjectRecord::put("o", times.data, size, kind, etag)
    }
}

fn fold(records: &[ObjectRecord]) -> Option<ObjectRow> {
    let mut row = None;
    for record in records {
        row = merge_object(row.as_ref(), record).unwrap().or(row);
    }
    row
}

/// `o` is not deleted: name, created_at, size, content type.
fn told(row: &ObjectRow) -> (&str, i64, &str, bool) {
    (&row.created_at, row.size, &row.content_type, row.deleted)
}

/// The worked examples of content types that outlive data, and data that outlives them.
#[test]
fn data_and_content_type_are_decided_apart() {
    let nine = "0000000003.00000+927c0";
    let puts = [
        record(nine, 10, "text/plain;swift_bytes=7", "E"),
        record("0000000005.00000", 99, "text/html;swift_bytes=9", "N"),
        ObjectRecord {
            name: "o".into(),
            ..ObjectRecord::delete("o", Timestamp::from_seconds(5))
        },
        record("0000000006.00000", 3, "text/x", "e6"),
    ];
    let row = fold(&puts[..2]).unwrap();
    assert_eq!(
        told(&row),
        (
            "0000000005.00000+61a80+0",
            99,
            "text/plain;swift_bytes=9",
            false
        )
    );
    let row = fold(&[puts[0].clone(), puts[2].clone()]).unwrap();
    assert_eq!(
        told(&row),
        ("0000000005.00000+61a80+0", 0, "text/plain", true)
    );
    let row = fold(&[puts[0].clone(), puts[2].clone(), puts[3].clone()]).unwrap();
    assert_eq!(
        told(&row),
        ("0000000006.00000+493e0+0", 3, "text/plain", false)
    );
}

/// A record that wins nothing gives nothing to write.
#[test]
fn record_that_wins_nothing_changes_nothing() {
    let first = record("0000000005.00000_ff", 1, "t", "E");
    let row = fold(std::slice::from_ref(&first)).unwrap();
    assert_eq!(merge_object(Some(&row), &first).unwrap(), None);
    let older = record("0000000005.00000", 9, "t", "N");
    assert_eq!(merge_object(Some(&row), &older).unwrap(), None);
    let later = record("0000000005.00000_100", 9, "t", "N");
    assert_eq!(
        merge_object(Some(&row), &later)
            .unwrap()
            .unwrap()
            .created_at,
        "0000000005.00000_100"
    );
}

/// A stored row that does not decode is reported, not overwritten.
#[test]
fn unreadable_row_is_reported() {
    let mut row = fold(&[record("5", 1, "t", "E")]).unwrap();
    row.created_at = "nonsense".into();
    let error = merge_object(Some(&row), &record("6", 1, "t", "E")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// A merge re-spells content types as Swift's parser does.
#[test]
fn content_types_are_split_as_in_swift() {
    let table = [
        ("text/plain", "text/plain", None),
        ("", "", None),
        (
            "text/plain; charset=UTF-8; swift_bytes=7; x",
            "text/plain;charset=UTF-8;x=",
            Some("7"),
        ),
        ("a;swift_bytes=1;swift_bytes=2", "a", Some("2")),
        ("a;b=\"q;r\"", "a;b=\"q;r\"", None),
        ("a;b=\"x\\\"y\";c", "a;b=\"x\\\"y\";c=", None),
        ("a ; b = c ;; d", "a ;b=c;d=", None),
    ];
    for (text, kind, bytes) in table {
        let split = extract_swift_bytes(text);
        let found = (split.content_type.as_str(), split.swift_bytes.as_deref());
        assert_eq!(found, (kind, bytes), "{text}");
    }
}

/// What Swift's own database hashes to.
#[test]
fn hash_examples_are_swifts() {
    let hash = |rows: &[(&str, &str)]| {
        let rows = rows.iter();
        rows.fold(RollingHash::default(), |hash, (name, suffix)| {
            hash.toggled(name, suffix)
        })
        .to_string()
    };
    assert_eq!(
        hash(&[("o", "0000000005.00000")]),
        "c32e2acf79d592c22899821a69ceb9f7"
    );
    assert_eq!(
        hash(&[("☃", "0000000005.00000+a+0")]),
        "25d69624182f1f92a2b90ed21710e5a6"
    );
    let (a, b) = (("a", "0000000001.00000"), ("b", "0000000002.00000"));
    assert_eq!(hash(&[a, b]), "7948978920fc6813eb45134e5a3da0c6");
    assert_eq!(hash(&[b, a]), "7948978920fc6813eb45134e5a3da0c6");
    let suffix = container_row_suffix("0000000005.00000", "0", 3, 30);
    assert_eq!(hash(&[("c", &suffix)]), "8dca61ef466f20457ee785e6ed47527f");
    let old = RollingHash::parse("d41d8cd98f00b204e9800998ecf8427e").unwrap();
    let new = old.toggled("new name", "0000000001.00000").to_string();
    assert_eq!(new, "4f2ea31ac14d4273fe32ba08062b21de");
    assert_eq!(RollingHash::parse("0"), Some(RollingHash::default()));
    assert!(RollingHash::parse("xyz").is_none() && RollingHash::parse("+1").is_none());
}

fn report(put: &str, delete: &str, objects: i64) -> ContainerRecord {
    let text = |text: &str| TimestampText::parse(text).unwrap();
    ContainerRecord::report(
        "c",
        text(put),
        text(delete),
        objects,
        objects * 10,
        PolicyIndex(0),
    )
}

/// Reports: timestamps keep the later, counts the last.
#[test]
fn container_rows_keep_later_times_and_last_counts() {
    let stored = merge_container(None, &report("5", "0", 3)).unwrap();
    assert_eq!(
        (stored.put_timestamp.as_str(), stored.deleted),
        ("5", false)
    );
    let row = merge_container(Some(&stored), &report("4", "2", 1)).unwrap();
    let found = (
        row.put_timestamp.as_str(),
        row.delete_timestamp.as_str(),
        row.object_count,
    );
    assert_eq!(found, ("5", "2", 1));
    let flagged = ContainerRecord {
        deleted: true,
        ..report("4", "6", 1)
    };
    assert!(!merge_container(Some(&stored), &flagged).unwrap().deleted);
    assert!(merge_container(None, &flagged).unwrap().deleted);
    let gone = ContainerRecord {
        deleted: false,
        ..report("4", "6", 0)
    };
    assert!(merge_container(Some(&stored), &gone).unwrap().deleted);
    assert!(!merge_container(None, &gone).unwrap().deleted);
    let bare = ContainerRecord {
        put_timestamp: None,
        ..report("4", "6", 0)
    };
    assert_eq!(
        merge_container(None, &bare).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        merge_container(Some(&stored), &bare)
            .unwrap()
            .put_timestamp
            .as_str(),
        "5"
    );
}

/// The two kinds of store take their sources' points differently.
#[test]
fn sync_points_of_batches() {
    let object = |id| ObjectRecord {
        row_id: id,
        ..record("5", 1, "t", "E")
    };
    let container = |id| ContainerRecord {
        row_id: id,
        ..report("5", "0", 1)
    };
    let objects = [object(Some(RowId(7))), object(Some(RowId(5)))];
    assert_eq!(object_batch_sync_point(&objects).unwrap(), RowId(5));
    assert!(
        object_batch_sync_point(&[]).is_err() && object_batch_sync_point(&[object(None)]).is_err()
    );
    let containers = [container(Some(RowId(9))), container(Some(RowId(5)))];
    assert_eq!(container_batch_sync_point(&containers).unwrap(), RowId(9));
    assert_eq!(container_batch_sync_point(&[]).unwrap(), RowId::NONE);
    assert!(container_batch_sync_point(&[containers[0].clone(), container(None)]).is_err());
}

/// Records of one object, no two of whose times are equal.
fn history() -> impl Strategy<Value = Vec<ObjectRecord>> {
    let kind = prop_oneof![Just(""), Just(";swift_bytes=3"), Just(";swift_bytes=8")];
    let parts = (any::<bool>(), 0..1000i64, kind);
    (
        proptest::collection::vec(parts, 1..8),
        Just(()).prop_perturb(|(), mut rng| rng.random::<u64>()),
    )
        .prop_map(|(parts, seed)| {
            let mut times: Vec<u64> = (1..=3 * parts.len() as u64).collect();
            let mut state = seed | 1;
            for i in (1..times.len()).rev() {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                times.swap(i, (state >> 33) as usize % (i + 1));
            }
            let make = |(i, (deleted, size, bytes)): (usize, (bool, i64, &str))| {
                let at = |k: usize| Timestamp::new(100_000 + times[3 * i + k], 0).unwrap();
                ObjectRecord {
                    created_at: ObjectTimestamps {
                        data: at(0),
                        content_type: at(1),
                        metadata: at(2),
                    },
                    deleted,
                    ..ObjectRecord::put("o", at(0), size, format!("t/{i}{bytes}"), format!("e{i}"))
                }
            };
            parts.into_iter().enumerate().map(make).collect()
        })
}

proptest! {
    /// Replicas that get the same records in different orders and twice agree.
    #[test]
    fn order_and_repetition_do_not_matter(records in history(), turn in 0usize..8) {
        let expected = fold(&records);
        let mut turned = records.clone();
        turned.rotate_left(turn % records.len());
        turned.extend(records.iter().take(turn).cloned());
        // An inserted content type may be spelled otherwise than a merged one.
        prop_assert_eq!(fold(&turned), expected.clone());
        turned.reverse();
        prop_assert_eq!(fold(&turned), expected);
    }

    /// Merging the row that came out of a history changes nothing any more.
    #[test]
    fn result_wins_nothing_against_itself(records in history()) {
        let row = fold(&records).unwrap();
        let again = row.to_record().unwrap();
        prop_assert_eq!(merge_object(Some(&row), &again).unwrap(), None);
    }

    /// The hash is the same in every order, and removing undoes inserting.
    #[test]
    fn hash_is_commutative_and_its_own_inverse(rows in proptest::collection::vec(("\\PC*", "[0-9.]*"), 0..6)) {
        let toggle = |hash: RollingHash, row: &(String, String)| hash.toggled(&row.0, &row.1);
        let forward = rows.iter().fold(RollingHash::default(), toggle);
        let backward = rows.iter().rev().fold(RollingHash::default(), toggle);
        prop_assert_eq!(forward, backward);
        prop_assert_eq!(rows.iter().fold(forward, toggle), RollingHash::default());
        prop_assert_eq!(RollingHash::parse(&forward.to_string()), Some(forward));
    }

    /// Splitting a content type twice changes nothing more, and never panics.
    #[test]
    fn splitting_a_content_type_is_idempotent(text in "[a-z;=\" \\\\/]{0,30}|\\PC{0,20}") {
        let once = extract_swift_bytes(&text);
        let twice = extract_swift_bytes(&once.content_type);
        prop_assert_eq!(twice.content_type, once.content_type);
        prop_assert_eq!(twice.swift_bytes, None);
    }
}
