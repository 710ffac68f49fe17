//! The metadata dictionary: merging, limits, spelling.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use broker_api::{Metadata, MetadataEntry, MetadataLimits, Timestamp};
use proptest::prelude::*;

const ONE: &str = "0000000001.00000";
const TWO: &str = "0000000002.00000";

fn limits() -> MetadataLimits {
    MetadataLimits::default()
}

fn user(count: usize, value: &str) -> Vec<MetadataEntry> {
    let key = |i| format!("X-Container-Meta-{i}");
    (0..count)
        .map(|i| MetadataEntry::new(key(i), value, ONE))
        .collect()
}

fn with(entries: &[MetadataEntry]) -> Metadata {
    let mut metadata = Metadata::default();
    metadata.update(entries, None).unwrap();
    metadata
}

/// The later text wins, an equal one does not.
#[test]
fn later_timestamps_win() {
    let mut metadata = with(&[MetadataEntry::new("Z", "v", TWO)]);
    let mut update = |value, at| {
        metadata
            .update(&[MetadataEntry::new("Z", value, at)], None)
            .unwrap()
    };
    assert!(!update("v2", TWO));
    assert!(!update("old", ONE));
    assert!(update("v3", "0000000002.00000_0000000000000001"));
    assert!(update("", "0000000003.00000"));
    assert!(!update("back", TWO));
    assert!(metadata.get("Z").unwrap().is_removed());
    assert!(metadata.get("z").is_none());
}

/// The limits count user metadata with values, in characters.
#[test]
fn limits_are_swifts() {
    let fits = |entries: &[MetadataEntry]| with(entries).check(&limits()).is_ok();
    assert!(fits(&user(90, "v")) && !fits(&user(91, "v")));
    let mut some_removed = user(95, "v");
    some_removed[..5]
        .iter_mut()
        .for_each(|entry| entry.value = "".into());
    assert!(fits(&some_removed));
    let system: Vec<_> = (0..200)
        .map(|i| MetadataEntry::new(format!("X-Container-Sysmeta-{i}"), "v", ONE))
        .collect();
    assert!(fits(&system));
    let one = |key: &str, value: String| {
        fits(&[MetadataEntry::new(
            format!("X-Account-Meta-{key}"),
            value,
            ONE,
        )])
    };
    assert!(one("a", "x".repeat(4095)) && !one("a", "x".repeat(4096)));
    assert!(one("é", "é".repeat(4095)) && !one("é", "é".repeat(4096)));
    assert!(!fits(&[MetadataEntry::new("any", "a\0b", ONE)]));
    assert!(!fits(&[MetadataEntry::new("any\0", "v", ONE)]));
    assert!(fits(&[MetadataEntry::new("", "a\nb", ONE)]));
}

/// What changes nothing is not checked; what is refused changes nothing.
#[test]
fn refused_update_changes_nothing() {
    let mut metadata = with(&user(95, "v"));
    let before = metadata.clone();
    assert!(!metadata.update(&user(95, "w"), Some(&limits())).unwrap());
    let other = [MetadataEntry::new("other", "v", ONE)];
    assert!(metadata.update(&other, Some(&limits())).is_err());
    assert_eq!(metadata, before);
}

/// The text that replicas exchange is Python's; a fresh store has none, an emptied one an empty object.
#[test]
fn spelling_is_pythons() {
    let metadata = with(&[MetadataEntry::new("é😀", "\"\\\n\u{1}\u{7f}", ONE)]);
    let json = r#"{"\u00e9\ud83d\ude00": ["\"\\\n\u0001\u007f", "0000000001.00000"]}"#;
    assert_eq!(metadata.to_json(), json);
    assert_eq!(Metadata::default().to_json(), "{}");
    assert_eq!(Metadata::from_json("").unwrap(), Metadata::default());
}

/// Stored text that is no dictionary is reported.
#[test]
fn other_json_is_refused() {
    for text in [
        "[]",
        "null",
        "{",
        "{\"a\": 1}",
        "{\"a\": [\"v\"]}",
        "{\"a\": [\"v\", 1]}",
        "{\"a\": [1, \"2\", 3]}",
    ] {
        assert!(Metadata::from_json(text).is_err(), "{text}");
    }
}

/// Only removed entries that are older by value go.
#[test]
fn reclaim_takes_old_removed_entries() {
    let removed = |key: &str, at: &str| MetadataEntry::new(key, "", at);
    let mut metadata = with(&[
        removed("a", ONE),
        removed("b", "0000000001.00000_0000000000000001"),
        MetadataEntry::new("c", "v", ONE),
        removed("d", TWO),
        removed("e", "not a time"),
    ]);
    assert!(!metadata.reclaim(Timestamp::from_seconds(1)));
    assert!(metadata.reclaim(Timestamp::from_seconds(2)));
    let keys: Vec<_> = metadata
        .entries()
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    assert_eq!(keys, ["c", "d", "e"]);
}

/// Deletion blanks everything but what ties a shard to its root.
#[test]
fn deletion_clears_all_but_sharding() {
    let keys = [
        "X-Container-Sysmeta-Shard-Root",
        "x-container-sysmeta-shard-quoted-ROOT",
        "X-Container-Sysmeta-Sharding",
        "X-Container-Sysmeta-Shard-Roots",
        "K",
    ];
    let entries = keys.map(|key| MetadataEntry::new(key, "v", ONE));
    let cleared = |keep| {
        with(&entries)
            .cleared_at(TWO, keep)
            .into_iter()
            .map(|e| e.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(cleared(true), keys[3..]);
    assert_eq!(cleared(false), keys);
}

fn entry() -> impl Strategy<Value = MetadataEntry> {
    let key = prop_oneof![Just("a".to_owned()), Just("A".to_owned()), "\\PC{0,4}"];
    (key, "\\PC{0,4}|", 1u64..1000).prop_map(|(key, value, at)| {
        MetadataEntry::new(key, value, Timestamp::from_seconds(at).internal())
    })
}

proptest! {
    /// What is written reads back.
    #[test]
    fn spelling_reads_back(entries in proptest::collection::vec(entry(), 0..6)) {
        let metadata = with(&entries);
        prop_assert_eq!(Metadata::from_json(&metadata.to_json()).unwrap(), metadata);
    }

    /// The latest value of each key stays, whatever came in between.
    #[test]
    fn latest_value_of_each_key_stays(entries in proptest::collection::vec(entry(), 1..10)) {
        let mut metadata = Metadata::default();
        for entry in &entries {
            metadata.update(std::slice::from_ref(entry), None).unwrap();
        }
        for stored in metadata.entries() {
            let of_key = entries.iter().filter(|entry| entry.key == stored.key);
            let latest = of_key.map(|entry| &entry.timestamp).max();
            prop_assert_eq!(Some(&stored.timestamp), latest);
        }
        let before = metadata.clone();
        prop_assert!(!metadata.update(&entries, None).unwrap());
        prop_assert_eq!(metadata, before);
    }
}
