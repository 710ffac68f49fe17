//! What is done to old files: one story for each operation that may complete a file, and for those
//! that must leave it alone.

use crate::op::{ContainerItem, Names, ObjectItem, Op};
use serde_json::json;

/// A title, and operations with reads around them.
type Story = (&'static str, Vec<Op>);

const LATER: &str = "1700000009.00000";
/// Between the old tombstone of every file and its young rows, in units.
const AGE: u64 = 165_000_000_000_000;

/// Stories of container files.
pub(super) fn of_containers() -> Vec<Story> {
    let own = vec![
        ("put", vec![put_object("new", 0)]),
        ("put in another policy", vec![put_object("new", 1)]),
        ("delete object", vec![delete_object("a")]),
        ("merge", vec![merge_objects(None)]),
        ("merge from a source", vec![merge_objects(Some("remote-1"))]),
        ("merge nothing", vec![merge_nothing_into_container()]),
        ("new policy", vec![set_policy(1)]),
        ("same policy", vec![set_policy(0)]),
        ("reconciler mark", vec![marks(None, Some(7))]),
        ("sync marks", vec![marks(Some(4), None)]),
        (
            "sync marks, then policy",
            vec![marks(Some(4), None), set_policy(1)],
        ),
        ("reported", vec![reported()]),
        ("remove objects", vec![remove_objects()]),
        (
            "metadata, then merge",
            vec![metadata(), merge_objects(None)],
        ),
    ];
    with_reads(own.into_iter().chain(common()), &container_reads())
}

/// Stories of account files.
pub(super) fn of_accounts() -> Vec<Story> {
    let own = vec![
        ("put", vec![put_container("new", 0)]),
        ("put in another policy", vec![put_container("new", 1)]),
        ("merge", vec![merge_containers(None)]),
        (
            "merge from a source",
            vec![merge_containers(Some("remote-1"))],
        ),
        ("merge nothing", vec![merge_nothing_into_account()]),
        (
            "upgrade, then merge",
            vec![Op::Upgrade, merge_containers(None)],
        ),
        (
            "merge, then upgrade",
            vec![merge_containers(None), Op::Upgrade],
        ),
        (
            "metadata, then merge",
            vec![metadata(), merge_containers(None)],
        ),
    ];
    with_reads(own.into_iter().chain(common()), &account_reads())
}

/// What Swift does to a container file afterwards.
pub(super) fn container_sequel() -> Vec<Op> {
    let mut ops = vec![
        merge_objects(None),
        delete_object("d/x"),
        set_policy(2),
        metadata(),
    ];
    ops.extend(container_reads());
    ops
}

/// What Swift does to an account file afterwards.
pub(super) fn account_sequel() -> Vec<Op> {
    let mut ops = vec![merge_containers(None), Op::Upgrade, metadata()];
    ops.extend(account_reads());
    ops
}

fn common() -> Vec<Story> {
    vec![
        ("nothing", Vec::new()),
        ("metadata", vec![metadata()]),
        ("delete", vec![Op::Delete { at: LATER.into() }]),
        ("upgrade", vec![Op::Upgrade]),
        (
            "put timestamp",
            vec![Op::UpdatePutTimestamp { at: LATER.into() }],
        ),
        (
            "status",
            vec![Op::UpdateStatusChangedAt { at: LATER.into() }],
        ),
        ("timestamps", vec![timestamps()]),
        ("sync points", vec![sync_points(true), sync_points(false)]),
        ("new id", vec![new_id()]),
        ("reclaim", vec![reclaim(false)]),
        ("reclaim of sync points", vec![reclaim(true)]),
        (
            "delete, then reclaim",
            vec![
                Op::Delete {
                    at: "1600000000.00000".into(),
                },
                reclaim(true),
            ],
        ),
    ]
}

fn with_reads(stories: impl Iterator<Item = Story>, reads: &[Op]) -> Vec<Story> {
    stories
        .map(|(title, ops)| (title, [reads, &ops, reads].concat()))
        .collect()
}

fn common_reads() -> Vec<Op> {
    vec![
        Op::Info,
        Op::Predicates { age: AGE },
        Op::ItemsSince { start: 1, count: 2 },
        Op::SyncPoint {
            remote: "remote-1".into(),
            incoming: true,
        },
    ]
}

fn container_reads() -> Vec<Op> {
    let list = |delimiter: &str, deleted, policy| Op::ListObjects {
        names: names(delimiter),
        policy,
        all_policies: false,
        deleted,
        since_row: None,
    };
    let mut reads = common_reads();
    reads.extend([
        list("", Some(false), None),
        list("/", Some(false), None),
        list("", None, Some(0)),
        list("", Some(true), Some(0)),
        Op::Misplaced {
            start: -1,
            count: 10,
        },
    ]);
    reads
}

fn account_reads() -> Vec<Op> {
    let mut reads = common_reads();
    reads.extend(["", "-"].map(|delimiter| Op::ListContainers {
        names: names(delimiter),
    }));
    reads
}

fn names(delimiter: &str) -> Names {
    Names {
        limit: 100,
        delimiter: delimiter.into(),
        ..Names::default()
    }
}

fn object(name: &str, policy: i64) -> ObjectItem {
    ObjectItem {
        name: name.into(),
        created_at: LATER.into(),
        size: 3,
        content_type: "t/new".into(),
        etag: "new".into(),
        deleted: 0,
        storage_policy_index: policy,
        ctype_timestamp: None,
        meta_timestamp: None,
        row_id: Some(9),
    }
}

fn put_object(name: &str, policy: i64) -> Op {
    Op::PutObjects {
        records: vec![object(name, policy)],
    }
}

fn delete_object(name: &str) -> Op {
    Op::DeleteObject {
        name: name.into(),
        at: LATER.into(),
        policy: 0,
    }
}

fn merge_objects(source: Option<&str>) -> Op {
    Op::MergeObjects {
        records: vec![object("a", 0), object("d/\u{e9}", 2), object("z", 0)],
        source: source.map(Into::into),
    }
}

fn merge_nothing_into_container() -> Op {
    Op::MergeObjects {
        records: Vec::new(),
        source: None,
    }
}

fn set_policy(policy: i64) -> Op {
    Op::SetPolicy {
        policy,
        at: LATER.into(),
    }
}

fn marks(sync_point: Option<i64>, reconciler: Option<i64>) -> Op {
    Op::Marks {
        reported: None,
        sync_point1: sync_point,
        sync_point2: None,
        reconciler,
    }
}

fn reported() -> Op {
    Op::Marks {
        reported: Some((LATER.into(), "0".into(), 3, 4)),
        sync_point1: None,
        sync_point2: None,
        reconciler: None,
    }
}

fn remove_objects() -> Op {
    Op::RemoveObjects {
        lower: "a".into(),
        upper: "d/x".into(),
        max_row: Some(3),
    }
}

fn put_container(name: &str, policy: i64) -> Op {
    Op::PutContainers {
        records: vec![(name.into(), LATER.into(), "0".into(), 2, 3, policy)],
    }
}

fn merge_containers(source: Option<&str>) -> Op {
    let item = |name: &str, policy| ContainerItem {
        name: name.into(),
        put_timestamp: Some(LATER.into()),
        delete_timestamp: Some("0".into()),
        object_count: Some(1),
        bytes_used: Some(2),
        deleted: 0,
        storage_policy_index: policy,
        row_id: Some(9),
    };
    Op::MergeContainers {
        records: vec![item("a", 0), item("b", 1), item("z", 0)],
        source: source.map(Into::into),
    }
}

fn merge_nothing_into_account() -> Op {
    Op::MergeContainers {
        records: Vec::new(),
        source: None,
    }
}

fn metadata() -> Op {
    Op::UpdateMetadata {
        updates: vec![("X-New".into(), json!("\u{e9}"), LATER.into())],
        limits: None,
    }
}

fn timestamps() -> Op {
    Op::MergeTimestamps {
        created_at: "1400000000.00000".into(),
        put_timestamp: "1500000002.00000".into(),
        delete_timestamp: LATER.into(),
        now: 170_000_001_000_000,
    }
}

fn sync_points(incoming: bool) -> Op {
    Op::MergeSyncPoints {
        incoming,
        points: vec![("remote-1".into(), 4), ("remote-2".into(), 8)],
    }
}

fn new_id() -> Op {
    Op::NewId {
        remote: "remote-1".into(),
        uuid: "new".into(),
    }
}

fn reclaim(forget_sync_points: bool) -> Op {
    Op::Reclaim {
        age: AGE,
        forget_sync_points,
    }
}
