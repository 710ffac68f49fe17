//! Merging one object record with the row that is there.

use super::{deleted, merge, numbered, object, object_row, object_rows, put, triple, unit};
use crate::case::cases;
use crate::check::{Check, check, check_eq};
use crate::door::Door;
use crate::fixture::{Fixture, seconds, time};
use crate::shown;
use broker_api::{
    ContainerBroker, ContainerBrokerExt, ObjectRecord, ObjectRow, ObjectTimestamps, PolicyIndex,
    Timestamp,
};

const FIVE: &str = "0000000005.00000";

fn at(record: ObjectRecord, created_at: ObjectTimestamps) -> ObjectRecord {
    ObjectRecord {
        created_at,
        ..record
    }
}

/// An object of one size, content type and etag.
fn described(
    name: &str,
    times: ObjectTimestamps,
    size: i64,
    kind: &str,
    etag: &str,
) -> ObjectRecord {
    at(ObjectRecord::put(name, times.data, size, kind, etag), times)
}

async fn row(broker: &dyn ContainerBroker, name: &str) -> Check<ObjectRow> {
    let row = object_row(broker, name).await?;
    row.ok_or_else(|| crate::check::Failure::new(format!("there is no row {name}")))
}

/// Holds a row against the times, and the size, content type and etag that it must have, as far as the door
/// shows them.
#[track_caller]
fn check_row(
    fixture: &Fixture,
    row: &ObjectRow,
    created_at: &str,
    (size, kind, etag): (i64, &str, &str),
) -> Check {
    let expected = ObjectRow {
        created_at: created_at.into(),
        size,
        content_type: kind.into(),
        etag: etag.into(),
        ..row.clone()
    };
    let expected = match fixture.door() {
        Door::Process => expected,
        Door::Wire => shown::row(expected)?,
    };
    check_eq!(*row, expected);
    Ok(())
}

/// Merges the records one after the other and returns the row.
async fn merged(broker: &dyn ContainerBroker, records: Vec<ObjectRecord>) -> Check<ObjectRow> {
    let name = records[0].name.clone();
    for record in records {
        merge(broker, vec![record]).await?;
    }
    row(broker, &name).await
}

cases! {
    /// The plainest case: what is put is what is stored, tombstones too.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "VALUE-1", "ENCODE-1"])]
    async fn new_record_is_stored_as_it_is(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let odd = "text/plain ; charset = UTF-8;swift_bytes=7; ;x";
        let record = described("o", ObjectTimestamps::all(seconds(5)), 7, odd, "e\"1");
        let row = merged(&*broker, vec![record]).await?;
        let expected = ObjectRow {
            row_id: broker_api::RowId(1),
            name: "o".into(),
            created_at: FIVE.into(),
            size: 7,
            content_type: odd.into(),
            etag: "e\"1".into(),
            deleted: false,
            policy_index: PolicyIndex(0),
        };
        check_eq!(row, expected);
        let gone = merged(&*broker, vec![deleted("gone", 6)]).await?;
        check_eq!(
            (gone.size, gone.deleted, gone.etag.as_str()),
            (0, true, "noetag")
        );
        check_eq!(gone.content_type, "application/deleted");
        Ok(())
    }

    /// Object servers send content-type and metadata times beside the data time.
    #[case(Core, clauses = ["ENCODE-1", "OBJECT-MERGE-1"])]
    async fn separate_times_replace_encoded_ones(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        // Encoded, content-type time, metadata time; then what is stored.
        let table = [
            (
                "0000000005.00000+a+5",
                Some(6),
                None,
                "0000000005.00000+186a0+0",
            ),
            (
                "0000000005.00000+a+5",
                None,
                Some(6),
                "0000000005.00000+a+18696",
            ),
            (FIVE, Some(6), Some(7), "0000000005.00000+186a0+186a0"),
            (FIVE, Some(4), None, "0000000005.00000-186a0+0"),
            (FIVE, Some(5), Some(5), FIVE),
        ];
        for (number, (created_at, kind, meta, stored)) in table.into_iter().enumerate() {
            let record = ObjectRecord {
                ctype_timestamp: kind.map(seconds),
                meta_timestamp: meta.map(seconds),
                ..object(&format!("o{number}"), created_at)
            };
            let row = merged(&*broker, vec![record]).await?;
            check_row(&fixture, &row, stored, (0, "text/plain", "e"))?;
        }
        Ok(())
    }

    /// Data, content type and metadata of an object arrive apart; each is decided by its own time.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "OBJECT-MERGE-2", "ENCODE-1"])]
    async fn each_group_is_decided_by_its_own_time(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let three = "1234567890.00003";
        // Stored; times of the record; then what is stored, whether size and etag, and the content
        // type, are the record's, and whether there is a new row.
        let table = [
            ("", (0, 1, 3), "1234567890.00003", false, false, false),
            (
                "+2+2",
                (3, 5, 7),
                "1234567890.00003+2+2",
                false,
                false,
                false,
            ),
            ("", (4, 5, 6), "1234567890.00004+1+1", true, true, true),
            ("", (3, 3, 4), "1234567890.00003+0+1", false, false, true),
            ("", (3, 4, 4), "1234567890.00003+1+0", false, true, true),
            ("+2+2", (3, 6, 8), "1234567890.00003+3+2", false, true, true),
            ("+2+2", (4, 4, 6), "1234567890.00004+1+2", true, false, true),
            ("+2+2", (4, 6, 6), "1234567890.00004+2+1", true, true, true),
            ("+2+2", (6, 6, 8), "1234567890.00006+0+2", true, true, true),
            (
                "+2+2",
                (2, 20, 30),
                "1234567890.00003+11+a",
                false,
                true,
                true,
            ),
        ];
        for (number, (deltas, times, stored, data, kind, renewed)) in table.into_iter().enumerate()
        {
            let name = format!("o{number}");
            let old = ObjectTimestamps::decode(&format!("{three}{deltas}"))?;
            let new = triple(unit(times.0), unit(times.1), unit(times.2));
            let first = merged(&*broker, vec![described(&name, old, 1, "t/old", "old")]).await?;
            let row = merged(&*broker, vec![described(&name, new, 2, "t/new", "new")]).await?;
            let (size, etag) = if data { (2, "new") } else { (1, "old") };
            let kind = if kind { "t/new" } else { "t/old" };
            check_row(&fixture, &row, stored, (size, kind, etag))?;
            if fixture.door() == Door::Process {
                let found = row.row_id > first.row_id;
                check_eq!(found, renewed, "{three}{deltas} with {times:?} has a new row");
            }
        }
        Ok(())
    }

    /// The size of a large object's data belongs to the data, wherever the content type comes from.
    #[case(Core, clauses = ["OBJECT-MERGE-1"])]
    async fn swift_bytes_follow_the_data(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let newer_type = triple(seconds(3), seconds(4), seconds(4));
        let row = merged(
            &*broker,
            vec![
                described(
                    "a",
                    ObjectTimestamps::all(seconds(3)),
                    10,
                    "text/plain;swift_bytes=7",
                    "e",
                ),
                described("a", newer_type, 99, "text/html;swift_bytes=9", "n"),
            ],
        )
        .await?;
        let stored = "0000000003.00000+186a0+0";
        check_row(&fixture, &row, stored, (10, "text/html;swift_bytes=7", "e"))
    }

    /// A content type set later than the data outlives new data.
    #[case(Core, clauses = ["OBJECT-MERGE-1"])]
    async fn later_content_type_outlives_new_data(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let first = triple(seconds(3), seconds(9), seconds(9));
        let row = merged(
            &*broker,
            vec![
                described("a", first, 10, "text/plain;swift_bytes=7", "e"),
                described(
                    "a",
                    ObjectTimestamps::all(seconds(5)),
                    99,
                    "text/html;swift_bytes=9",
                    "n",
                ),
            ],
        )
        .await?;
        let stored = "0000000005.00000+61a80+0";
        check_row(&fixture, &row, stored, (99, "text/plain;swift_bytes=9", "n"))
    }

    /// A content type set later than the data outlives a deletion, and data after that.
    #[case(Core, clauses = ["OBJECT-MERGE-1"])]
    async fn later_content_type_outlives_a_deletion(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let first = triple(seconds(3), seconds(9), seconds(9));
        let row = merged(
            &*broker,
            vec![
                described("b", first, 10, "text/plain;swift_bytes=7", "e"),
                deleted("b", 5),
            ],
        )
        .await?;
        check_eq!(
            (row.size, row.deleted, row.etag.as_str()),
            (0, true, "noetag")
        );
        check_eq!(row.content_type, "text/plain");
        let again = described("b", ObjectTimestamps::all(seconds(6)), 3, "text/x", "e6");
        let row = merged(&*broker, vec![again]).await?;
        check_eq!((row.size, row.deleted, row.etag.as_str()), (3, false, "e6"));
        check_eq!(row.content_type, "text/plain");
        check_eq!(row.created_at, "0000000006.00000+493e0+0");
        Ok(())
    }

    /// A merge normalises the parameters of a content type; replicas must do it alike.
    #[case(Core, clauses = ["OBJECT-MERGE-1"])]
    async fn merging_normalises_the_content_type(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let odd = "text/plain; charset=UTF-8; swift_bytes=7; x";
        let first = described("a", ObjectTimestamps::all(seconds(3)), 1, odd, "e");
        let touch = triple(seconds(3), seconds(3), seconds(4));
        let row = merged(&*broker, vec![first, described("a", touch, 1, "t/n", "e")]).await?;
        let kind = "text/plain;charset=UTF-8;x=;swift_bytes=7";
        check_row(&fixture, &row, "0000000003.00000+0+186a0", (1, kind, "e"))
    }

    /// Offsets order writes of one moment; an engine that drops them loses the later one.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "ENCODE-1"])]
    async fn offsets_decide_between_equal_times(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let sized = |created_at: &str, size| ObjectRecord {
            size,
            ..object("a", created_at)
        };
        let row = merged(
            &*broker,
            vec![sized("0000000005.00000_ff", 1), sized(FIVE, 9)],
        )
        .await?;
        check_row(&fixture, &row, "0000000005.00000_ff", (1, "text/plain", "e"))?;
        let row = merged(&*broker, vec![sized("0000000005.00000_100", 3)]).await?;
        check_row(&fixture, &row, "0000000005.00000_100", (3, "text/plain", "e"))?;
        let row = merged(&*broker, vec![sized("0000000005.00001", 4)]).await?;
        check_row(&fixture, &row, "0000000005.00001", (4, "text/plain", "e"))
    }

    /// Redelivery is the rule in replication: it must cost nothing and change nothing.
    #[case(Core, clauses = ["OBJECT-MERGE-2", "INFO-3"])]
    async fn merging_again_changes_nothing(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let records = vec![
            put("a", 5),
            deleted("b", 5),
            object("c", "0000000005.00000_ff+a+5"),
        ];
        merge(&*broker, records.clone()).await?;
        let before = (broker.get_info().await?, object_rows(&*broker).await?);
        for _ in 0..3 {
            merge(&*broker, records.clone()).await?;
            for record in &records {
                broker.put_object(record.clone()).await?;
            }
        }
        check_eq!(
            (broker.get_info().await?, object_rows(&*broker).await?),
            before
        );
        Ok(())
    }

    /// An older record, whatever it says, leaves even the row number alone.
    #[case(Core, clauses = ["OBJECT-MERGE-2"])]
    async fn older_record_changes_nothing(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 5)]).await?;
        let before = (broker.get_info().await?, object_rows(&*broker).await?);
        merge(&*broker, vec![put("a", 4), deleted("a", 3)]).await?;
        broker.delete_object("a", seconds(4)).await?;
        check_eq!(
            (broker.get_info().await?, object_rows(&*broker).await?),
            before
        );
        Ok(())
    }

    /// A PUT and a DELETE of one moment: the first to arrive stays, and the hash cannot tell.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "HASH-1"])]
    async fn first_of_equal_times_stays(fixture: Fixture) -> Check {
        let hash = "c32e2acf79d592c22899821a69ceb9f7";
        let orders = [
            [put("o", 5), deleted("o", 5)],
            [deleted("o", 5), put("o", 5)],
        ];
        for (number, records) in orders.into_iter().enumerate() {
            let location = fixture.location(broker_api::StoreKind::Container, number as u64 + 1);
            let broker = fixture.container_at(&location);
            crate::fixture::create_container(&*broker, &crate::fixture::at(1), 0).await?;
            let first_is_deleted = records[0].deleted;
            let row = merged(&*broker, records.to_vec()).await?;
            check_eq!(row.deleted, first_is_deleted);
            check_eq!(broker.get_info().await?.store.hash.to_string(), hash);
        }
        Ok(())
    }

    /// Offsets of the content-type time are not kept, so such a record wins each time it comes.
    #[case(Core, clauses = ["ENCODE-1", "OBJECT-MERGE-1"])]
    async fn offset_of_content_type_time_is_not_kept(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let record = ObjectRecord {
            ctype_timestamp: Some(time("5_1")),
            ..object("a", FIVE)
        };
        let first = merged(&*broker, vec![record.clone()]).await?;
        check_eq!(first.created_at, FIVE);
        let second = merged(&*broker, vec![record]).await?;
        check_eq!(second.created_at, FIVE);
        check!(second.row_id > first.row_id, "the row was not replaced");
        Ok(())
    }

    /// One name in two policies is two objects until the reconciler has moved one.
    #[case(Core, clauses = ["OBJECT-MERGE-1"])]
    async fn rows_are_matched_by_name_and_policy(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![put("a", 5), put("a", 6).in_policy(PolicyIndex(1))],
        )
        .await?;
        merge(&*broker, vec![deleted("a", 7).in_policy(PolicyIndex(1))]).await?;
        let rows = object_rows(&*broker).await?.into_iter();
        let found: Vec<_> = rows.map(|row| (row.policy_index.0, row.deleted)).collect();
        check_eq!(found, [(0, false), (1, true)]);
        Ok(())
    }

    /// put_object and delete_object are merges of one record.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "INFO-1"])]
    async fn put_and_delete_are_merges(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.put_object(put("a", 5)).await?;
        broker.put_object(put("a", 3)).await?;
        broker.delete_object("a", seconds(4)).await?;
        check_eq!(row(&*broker, "a").await?.created_at, FIVE);
        check_eq!(broker.get_info().await?.object_count(), 1);
        broker.delete_object("a", seconds(6)).await?;
        check_eq!(broker.get_info().await?.object_count(), 0);
        broker.delete_object("never there", seconds(6)).await?;
        let gone = row(&*broker, "never there").await?;
        check_eq!(
            (gone.deleted, gone.created_at.as_str()),
            (true, "0000000006.00000")
        );
        let rows = numbered(&*broker).await?;
        check_eq!(rows.len(), 2);
        Ok(())
    }

    /// Times over the whole range of timestamps survive the encoding.
    #[case(Core, clauses = ["ENCODE-1"])]
    async fn encoding_keeps_distant_times(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let last = time("9999999999.99999");
        let table = [
            (
                triple(last, Timestamp::ZERO, last),
                "9999999999.99999-38d7ea4c67fff+38d7ea4c67fff",
            ),
            (
                triple(Timestamp::ZERO, last, Timestamp::ZERO),
                "0000000000.00000+38d7ea4c67fff-38d7ea4c67fff",
            ),
            (
                triple(time("1000_18"), Timestamp::ZERO, seconds(999)),
                "0000001000.00000_18-5f5e100+5f45a60",
            ),
        ];
        for (number, (times, stored)) in table.into_iter().enumerate() {
            let record = at(put(&format!("o{number}"), 1), times);
            let row = merged(&*broker, vec![record]).await?;
            check_row(&fixture, &row, stored, (1, "text/plain", "e"))?;
            if fixture.door() == Door::Process {
                check_eq!(ObjectTimestamps::decode(&row.created_at)?, times);
            }
        }
        Ok(())
    }
}
