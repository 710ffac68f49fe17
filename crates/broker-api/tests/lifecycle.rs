//! The truth tables of what is deleted, empty and reclaimable.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use broker_api::{
    AccountInfo, ContainerInfo, DbState, Metadata, MetadataEntry, PolicyIndex, PolicyStat,
    Reported, RollingHash, RowId, StoreInfo, Timestamp, TimestampText,
};

fn store(put: &str, delete: &str, status: &str) -> StoreInfo {
    let text = |text: &str| TimestampText::parse(text).unwrap();
    StoreInfo {
        account: "a".into(),
        created_at: text("1"),
        put_timestamp: text(put),
        delete_timestamp: text(delete),
        status: status.into(),
        status_changed_at: text(put),
        hash: RollingHash::default(),
        id: "id".into(),
        raw_metadata: String::new(),
        max_row: RowId::NONE,
    }
}

fn account(store: StoreInfo, container_count: i64) -> AccountInfo {
    AccountInfo {
        store,
        container_count,
        object_count: 0,
        bytes_used: 0,
        policy_stats: vec![],
    }
}

/// A container of policy 0 with counts by policy.
fn container(store: StoreInfo, counts: &[(i64, i64)]) -> ContainerInfo {
    let stat = |(index, object_count): &(i64, i64)| PolicyStat {
        policy_index: PolicyIndex(*index),
        object_count: *object_count,
        bytes_used: 0,
    };
    ContainerInfo {
        store,
        container: "c".into(),
        policy_index: PolicyIndex(0),
        policy_stats: counts.iter().map(stat).collect(),
        reported: Reported::default(),
        x_container_sync_point1: -1,
        x_container_sync_point2: -1,
        reconciler_sync_point: -1,
        db_state: DbState::default(),
    }
}

const OLD: (&str, &str) = ("0000000005.00000", "0000000004.00000");
const EQUAL: (&str, &str) = ("0000000005.00000", "0000000005.00000");
const LATER: (&str, &str) = ("0000000005.00000", "0000000006.00000");

fn age() -> Timestamp {
    Timestamp::from_seconds(100)
}

/// Accounts: status, containers, timestamps.
#[test]
fn account_truth_table() {
    for count in [-1, 0, 1] {
        for status in ["", "DELETED"] {
            for (put, delete) in [OLD, EQUAL, ("5", "0"), LATER] {
                let later = (put, delete) == LATER;
                let info = account(store(put, delete, status), count);
                let marked = status == "DELETED";
                let what = format!("count {count}, status {status:?}, put {put}, delete {delete}");
                assert_eq!(info.is_deleted(), marked || (count == 0 && later), "{what}");
                assert_eq!(info.is_empty(), count == 0, "{what}");
                assert_eq!(info.is_reclaimable(age()), count == 0 && later, "{what}");
                if put.len() > 1 {
                    assert_eq!(info.is_status_deleted(), marked || later, "{what}");
                }
            }
        }
    }
}

/// Containers: counts of the own policy decide deletion, all of them emptiness; status nothing.
#[test]
fn container_truth_table() {
    // Own count, other count: is_empty.
    let counts = [
        (0, None, true),
        (0, Some(0), true),
        (0, Some(1), false),
        (1, None, false),
        (-1, None, false),
        (1, Some(1), false),
    ];
    for (own, other, empty) in counts {
        for status in ["", "DELETED"] {
            for (put, delete) in [OLD, EQUAL, LATER] {
                let later = (put, delete) == LATER;
                let mut stats = vec![(0, own)];
                stats.extend(other.map(|count| (1, count)));
                let info = container(store(put, delete, status), &stats);
                let what = format!("own {own}, other {other:?}, put {put}, delete {delete}");
                assert_eq!(info.is_deleted(), own == 0 && later, "{what}");
                assert_eq!(info.is_empty(), empty, "{what}");
                assert_eq!(info.is_reclaimable(age()), empty && later, "{what}");
                assert_eq!(info.is_old_enough_to_reclaim(age()), later, "{what}");
            }
        }
    }
}

/// The largest count decides emptiness; no counts are empty, and no own count is zero.
#[test]
fn emptiness_looks_at_the_largest_count() {
    let info = |counts: &[(i64, i64)]| container(store("5", "6", ""), counts);
    assert!(info(&[]).is_empty() && info(&[]).is_deleted());
    assert!(info(&[(0, -1), (1, 0)]).is_empty());
    assert!(!info(&[(0, -1)]).is_empty());
    assert_eq!(info(&[(3, 7)]).object_count(), 0);
}

/// Offsets count, equality deletes nothing, and unnormalised text sorts late.
#[test]
fn boundaries_of_deletion() {
    let one = "0000000005.00000_0000000000000001";
    let table = [
        (EQUAL, (false, false)),
        ((EQUAL.0, one), (true, true)),
        ((one, EQUAL.1), (false, false)),
        (("0", "0"), (false, false)),
        (("0000000002.00000", "1"), (false, true)),
    ];
    for ((put, delete), expected) in table {
        let info = account(store(put, delete, ""), 0);
        assert_eq!(
            (info.is_deleted(), info.is_status_deleted()),
            expected,
            "{put} {delete}"
        );
    }
}

/// All comparisons with the age are strict.
#[test]
fn boundaries_of_reclaim() {
    let reclaimable = |put, delete, age| {
        account(store(put, delete, ""), 0).is_reclaimable(Timestamp::from_seconds(age))
    };
    assert!(reclaimable("850", "875", 900));
    assert!(!reclaimable("850", "900", 900));
    assert!(!reclaimable("850", "850", 900));
    assert!(!reclaimable("850", "0", 900));
}

/// The four columns are destination, secret, whether the container is deleted, and the judgement.
#[test]
fn container_is_synced_when_it_has_destination_and_secret_and_is_not_deleted() {
    let (live, deleted) = (EQUAL, LATER);
    for (to, key, times, expected) in [
        (None, None, live, None),
        (None, None, deleted, None),
        (Some("//r/c/a/c"), Some("k"), live, Some(true)),
        (Some("//r/c/a/c"), Some("k"), deleted, Some(false)),
        (Some("//r/c/a/c"), None, live, Some(false)),
        (None, Some("k"), live, Some(false)),
        (Some(""), Some("k"), live, Some(false)),
        (Some("//r/c/a/c"), Some(""), live, Some(false)),
        (Some(""), Some(""), live, Some(false)),
        (Some(""), Some(""), deleted, Some(false)),
    ] {
        let mut metadata = Metadata::default();
        let given = [("X-Container-Sync-To", to), ("X-Container-Sync-Key", key)];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let mut updates = vec![MetadataEntry::new("X-Container-Meta-Sync-To", "v", "1")];
        updates.extend(given.map(|(name, value)| MetadataEntry::new(name, value, "1")));
        metadata.update(&updates, None).unwrap();
        let mut store = store(times.0, times.1, "");
        store.raw_metadata = metadata.to_json();
        let info = container(store, &[(0, 0)]);
        assert_eq!(
            info.is_synced().unwrap(),
            expected,
            "{to:?} {key:?} {times:?}"
        );
    }
    let mut broken = store(EQUAL.0, EQUAL.1, "");
    broken.raw_metadata = "[".into();
    assert!(container(broken, &[]).is_synced().is_err());
}
