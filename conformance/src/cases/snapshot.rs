//! Restoring whole stores.

use super::reopen::{AccountState, ContainerState, account_state, container_state};
use super::{deleted, everything, list, list_containers, merge, merge_reports, put, report};
use crate::case::cases;
use crate::check::{Check, Failure, check, check_eq, check_refused};
use crate::fixture::{Fixture, at, create_account, create_container, seconds};
use broker_api::{
    AccountBroker, AccountBrokerExt, AccountPolicyStat, Broker, ContainerBroker,
    ContainerBrokerExt, ContainerMarks, ContainerRow, Direction, Facts, ListingQuery,
    MetadataEntry, ObjectRow, PolicyIndex, RemoveObjects, Reported, RollingHash, RowId, Rows,
    Snapshot, StoreImage, StoreKind, SyncPoint, Tally,
};
use std::sync::Arc;

fn snapshot<B: Broker + ?Sized>(broker: &B) -> Check<&dyn Snapshot> {
    let missing = || Failure::new("the engine claims the level and offers no snapshots");
    broker.snapshot().ok_or_else(missing)
}

async fn sync_points<B: Broker + ?Sized>(broker: &B) -> Check {
    for (direction, id, point) in [
        (Direction::Incoming, "R", 5),
        (Direction::Outgoing, "S", -1),
        (Direction::Incoming, "Q", 3),
    ] {
        let points = [SyncPoint::new(id, RowId(point))];
        broker
            .replicate()
            .merge_sync_points(direction, &points)
            .await?;
    }
    Ok(())
}

/// A container with something of everything: gaps between numbers, a highest number that no row has,
/// two policies, a third without rows and a fourth with a tombstone alone, metadata, marks.
async fn rich_container(fixture: &Fixture) -> Check<Arc<dyn ContainerBroker>> {
    let broker = fixture.container_of_policy(1).await?;
    let other = |record: broker_api::ObjectRecord| record.in_policy(PolicyIndex(1));
    merge(
        &*broker,
        vec![
            put("a", 2),
            other(put("a", 2)),
            put("b", 2),
            deleted("c", 3),
        ],
    )
    .await?;
    merge(
        &*broker,
        vec![
            put("a", 4),
            other(put("d\0\u{10ffff}/x", 4)),
            deleted("dead", 4).in_policy(PolicyIndex(3)),
            deleted("e", 4),
        ],
    )
    .await?;
    merge(&*broker, vec![other(put("f", 5)), other(put("last", 5))]).await?;
    let remove = RemoveObjects {
        lower: "f".into(),
        ..RemoveObjects::default()
    };
    broker.remove_objects(&remove).await?;
    let entries = [
        MetadataEntry::new("é", "☃", at(2).as_str()),
        MetadataEntry::new("gone", "", "1"),
    ];
    broker.update_metadata(&entries, None).await?;
    broker.delete(seconds(6)).await?;
    broker
        .set_storage_policy_index(PolicyIndex(2), seconds(7))
        .await?;
    let mut marks = ContainerMarks::default();
    marks.reported = Some(Reported {
        object_count: 5,
        ..Reported::default()
    });
    marks.x_container_sync_point1 = Some(8);
    marks.reconciler_sync_point = Some(9);
    broker.set_marks(&marks).await?;
    sync_points(&*broker).await?;
    Ok(broker)
}

/// An account with something of everything.
async fn rich_account(fixture: &Fixture) -> Check<Arc<dyn AccountBroker>> {
    let broker = fixture.account().await?;
    let mut other = report("b", "1", "2", 0, 0);
    other.policy_index = PolicyIndex(7);
    merge_reports(&*broker, vec![report("a", "5", "0", 3, 30), other]).await?;
    let spelled = report("c/☃", "0000000005.00000_0000000000000001", "0", 1, 1);
    merge_reports(&*broker, vec![report("a", "6", "0", 7, 70), spelled]).await?;
    // The statistic of its first policy stays behind, at zero.
    let mut moved = report("d", "5", "0", 1, 1);
    merge_reports(&*broker, vec![moved.clone()]).await?;
    moved.policy_index = PolicyIndex(9);
    merge_reports(&*broker, vec![moved]).await?;
    let entries = [MetadataEntry::new("k", "", at(2).as_str())];
    broker.update_metadata(&entries, None).await?;
    broker.delete(seconds(6)).await?;
    sync_points(&*broker).await?;
    Ok(broker)
}

fn container_image(state: &ContainerState) -> StoreImage {
    StoreImage {
        facts: Facts::Container(state.0.clone()),
        incoming: state.2.clone(),
        outgoing: state.3.clone(),
    }
}

fn account_image(state: &AccountState) -> StoreImage {
    StoreImage {
        facts: Facts::Account(state.0.clone()),
        incoming: state.2.clone(),
        outgoing: state.3.clone(),
    }
}

/// A container's state that no engine would come to by itself: old dates, odd spellings.
fn aged(mut state: ContainerState) -> ContainerState {
    state.2[0].updated_at = "1234567890".into();
    state.3[0].updated_at = String::new();
    state.0.store.put_timestamp = crate::fixture::text("5");
    state.0.store.created_at = crate::fixture::text("0000000004.00000_0000000000000001");
    state.0.store.id = "0d1f1f4e-6a5c-4f6c-9d8a-3f2b1c0a9e87-tmp".into();
    state
}

/// Restores a whole store in pages of three rows.
async fn restore(to: &dyn Snapshot, image: &StoreImage, rows: &[ObjectRow]) -> Check {
    check_eq!(to.begin(image).await?, RowId::NONE, "a fresh beginning");
    for page in rows.chunks(3) {
        to.add(Rows::Objects(page.to_vec())).await?;
    }
    Ok(to.finish().await?)
}

/// Another place on the second device.
fn elsewhere(fixture: &Fixture, kind: StoreKind) -> broker_api::Location {
    fixture.location_in(kind, 1, 3, 99)
}

/// An image whose facts are those that the rows give.
fn image_of(mut state: ContainerState, rows: &[ObjectRow]) -> StoreImage {
    let max_row = rows.iter().map(|row| row.row_id).max();
    state.0.store.max_row = max_row.unwrap_or(RowId::NONE);
    state.0.policy_stats.truncate(1);
    let mut image = container_image(&state);
    let mut tally = Tally::of(&image.facts);
    tally.all(&Rows::Objects(rows.to_vec()));
    image.facts = tally.facts().clone();
    image
}

cases! {
    /// A container that moves to another engine must not change in any way that anybody can see.
    #[case(Snapshot, clauses = ["SNAPSHOT-2"])]
    async fn restored_container_is_its_image(fixture: Fixture) -> Check {
        let source = rich_container(&fixture).await?;
        let expected = aged(container_state(&*source).await?);
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        restore(snapshot(&*broker)?, &container_image(&expected), &expected.1).await?;
        check!(broker.exists().await?, "the restored container is absent");
        check_eq!(container_state(&*broker).await?, expected);
        check_eq!(list(&*broker, &everything()).await?, list(&*source, &everything()).await?);
        let mut all = everything();
        (all.policy, all.deleted) = (broker_api::PolicyFilter::All, broker_api::DeletedFilter::Both);
        check_eq!(list(&*broker, &all).await?.len(), expected.1.len());
        drop(broker);
        drop(source);
        let fixture = fixture.reopen().await?;
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        check_eq!(container_state(&*broker).await?, expected, "after reopening");
        Ok(())
    }

    /// An account that moves to another engine must not change in any way that anybody can see.
    #[case(Snapshot, clauses = ["SNAPSHOT-2"])]
    async fn restored_account_is_its_image(fixture: Fixture) -> Check {
        let source = rich_account(&fixture).await?;
        let mut expected = account_state(&*source).await?;
        expected.3[0].updated_at = "1234567890".into();
        let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
        let to = snapshot(&*broker)?;
        check_eq!(to.begin(&account_image(&expected)).await?, RowId::NONE);
        to.add(Rows::Containers(expected.1.clone())).await?;
        to.finish().await?;
        check_eq!(account_state(&*broker).await?, expected);
        let everything = ListingQuery::new(100);
        check_eq!(
            list_containers(&*broker, &everything).await?,
            list_containers(&*source, &everything).await?
        );
        Ok(())
    }

    /// A restored store takes writes as its source would: peers must not see which of the two they talk to.
    #[case(Snapshot, clauses = ["SNAPSHOT-2"])]
    async fn restored_container_goes_on_as_its_source(fixture: Fixture) -> Check {
        let source = rich_container(&fixture).await?;
        let before = container_state(&*source).await?;
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        restore(snapshot(&*broker)?, &container_image(&before), &before.1).await?;
        for one in [&source, &broker] {
            merge(&**one, vec![put("a", 8), put("new", 8), deleted("b", 8)]).await?;
            one.put_object(put("buffered", 9)).await?;
            let points = [SyncPoint::new("R", RowId(7)), SyncPoint::new("T", RowId(1))];
            one.replicate().merge_sync_points(Direction::Incoming, &points).await?;
        }
        let (mut ours, mut theirs) = (container_state(&*broker).await?, container_state(&*source).await?);
        for state in [&mut ours, &mut theirs] {
            state.2.iter_mut().for_each(|point| point.updated_at.clear());
        }
        check_eq!(ours, theirs);
        let first = ours.1.iter().find(|row| row.row_id > before.0.store.max_row);
        let next = RowId(before.0.store.max_row.0 + 1);
        check_eq!(first.map(|row| row.row_id), Some(next), "the next number");
        Ok(())
    }

    /// The same for an account, whose next number decides what its peers fetch.
    #[case(Snapshot, clauses = ["SNAPSHOT-2"])]
    async fn restored_account_goes_on_as_its_source(fixture: Fixture) -> Check {
        let source = rich_account(&fixture).await?;
        let before = account_state(&*source).await?;
        let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
        let to = snapshot(&*broker)?;
        to.begin(&account_image(&before)).await?;
        to.add(Rows::Containers(before.1)).await?;
        to.finish().await?;
        for one in [&source, &broker] {
            merge_reports(&**one, vec![report("a", "9", "0", 1, 1), report("n", "9", "0", 2, 2)]).await?;
            one.put_container(report("b", "9", "8", 0, 0)).await?;
        }
        check_eq!(account_state(&*broker).await?, account_state(&*source).await?);
        Ok(())
    }

    /// A store without rows has its facts all the same.
    #[case(Snapshot, clauses = ["SNAPSHOT-2"])]
    async fn stores_without_rows_are_restored(fixture: Fixture) -> Check {
        let container = container_state(&*fixture.container_of_policy(3).await?).await?;
        let account = account_state(&*fixture.account().await?).await?;
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        restore(snapshot(&*broker)?, &container_image(&container), &[]).await?;
        check_eq!(container_state(&*broker).await?, container);
        let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
        restore(snapshot(&*broker)?, &account_image(&account), &[]).await?;
        check_eq!(account_state(&*broker).await?, account);
        Ok(())
    }

    /// Half a container must not be served, replicated, or found by anybody.
    #[case(Snapshot, clauses = ["SNAPSHOT-1"])]
    async fn unfinished_store_is_absent(fixture: Fixture) -> Check {
        let source = rich_container(&fixture).await?;
        let state = container_state(&*source).await?;
        let place = elsewhere(&fixture, StoreKind::Container);
        let broker = fixture.container_at(&place);
        let to = snapshot(&*broker)?;
        to.begin(&container_image(&state)).await?;
        to.add(Rows::Objects(state.1.clone())).await?;
        check!(!broker.exists().await?, "an unfinished store exists");
        check_eq!(broker.info().await?, None);
        check_refused!(broker.put_object(put("x", 9)).await, NotFound);
        check_refused!(broker.replicate().sync_points(Direction::Incoming).await, NotFound);
        check_refused!(fixture.engine().quarantine(&place, "a case").await, NotFound);
        let found = fixture.engine().stores(place.device(), place.kind(), None, 10).await?;
        check_eq!(found, vec![], "stores on the device");
        Ok(())
    }

    /// A store that clients made meanwhile is theirs: what was restored must not take its place.
    #[case(Snapshot, clauses = ["SNAPSHOT-1"])]
    async fn store_is_not_restored_over_another(fixture: Fixture) -> Check {
        let source = rich_container(&fixture).await?;
        let state = container_state(&*source).await?;
        check_refused!(snapshot(&*source)?.begin(&container_image(&state)).await, InvalidInput);
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        let to = snapshot(&*broker)?;
        to.begin(&container_image(&state)).await?;
        to.add(Rows::Objects(state.1.clone())).await?;
        create_container(&*broker, &at(1), 0).await?;
        broker.put_object(put("theirs", 2)).await?;
        check_refused!(to.finish().await, InvalidInput);
        check_refused!(to.begin(&container_image(&state)).await, InvalidInput);
        check_eq!(list(&*broker, &everything()).await?, vec!["theirs".to_owned()]);
        Ok(())
    }

    /// A row that got lost on the way is noticed, and may still come.
    #[case(Snapshot, clauses = ["SNAPSHOT-3"])]
    async fn missing_rows_are_noticed(fixture: Fixture) -> Check {
        let source = rich_container(&fixture).await?;
        let state = container_state(&*source).await?;
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        let to = snapshot(&*broker)?;
        to.begin(&container_image(&state)).await?;
        let (last, rows) = state.1.split_last().ok_or_else(|| Failure::new("no rows"))?;
        to.add(Rows::Objects(rows.to_vec())).await?;
        check_refused!(to.finish().await, InvalidInput);
        check!(!broker.exists().await?, "a store without its last row exists");
        to.add(Rows::Objects(vec![last.clone()])).await?;
        to.finish().await?;
        check_eq!(container_state(&*broker).await?, state);
        Ok(())
    }

    /// Counts that are not those of the rows would be told to accounts and clients for ever.
    #[case(Snapshot, clauses = ["SNAPSHOT-3"])]
    async fn images_that_do_not_fit_the_rows_of_a_container_are_refused(fixture: Fixture) -> Check {
        type Spoil = fn(&mut broker_api::ContainerInfo);
        let spoils: [(&str, Spoil); 6] = [
            ("hash", |info| info.store.hash = RollingHash::default()),
            ("a count", |info| info.policy_stats[0].object_count += 1),
            ("a size", |info| info.policy_stats[1].bytes_used -= 1),
            ("a policy without rows", |info| info.policy_stats[2].object_count = 1),
            ("a policy left out", |info| info.policy_stats.truncate(1)),
            ("a policy of tombstones left out", |info| info.policy_stats.truncate(3)),
        ];
        let state = container_state(&*rich_container(&fixture).await?).await?;
        for (what, spoil) in spoils {
            let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
            let mut spoiled = state.clone();
            spoil(&mut spoiled.0);
            let to = snapshot(&*broker)?;
            check_eq!(to.begin(&container_image(&spoiled)).await?, RowId::NONE, "{what}");
            to.add(Rows::Objects(state.1.clone())).await?;
            check_refused!(to.finish().await, InvalidInput);
            check!(!broker.exists().await?, "exists in spite of {what}");
        }
        Ok(())
    }

    /// The same for an account.
    #[case(Snapshot, clauses = ["SNAPSHOT-3"])]
    async fn images_that_do_not_fit_the_rows_of_an_account_are_refused(fixture: Fixture) -> Check {
        type Spoil = fn(&mut broker_api::AccountInfo);
        let spoils: [(&str, Spoil); 6] = [
            ("hash", |info| info.store.hash = RollingHash::default()),
            ("a total", |info| info.container_count += 1),
            ("a size", |info| info.bytes_used += 1),
            ("a statistic", |info| info.policy_stats[0].object_count += 1),
            ("a policy left out", |info| info.policy_stats.truncate(2)),
            ("a policy of tombstones left out", |info| info.policy_stats.retain(|stat| stat.policy_index.0 != 7)),
        ];
        let state = account_state(&*rich_account(&fixture).await?).await?;
        for (what, spoil) in spoils {
            let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
            let mut spoiled = state.clone();
            spoil(&mut spoiled.0);
            let to = snapshot(&*broker)?;
            check_eq!(to.begin(&account_image(&spoiled)).await?, RowId::NONE, "{what}");
            to.add(Rows::Containers(state.1.clone())).await?;
            check_refused!(to.finish().await, InvalidInput);
            check!(!broker.exists().await?, "exists in spite of {what}");
        }
        Ok(())
    }

    /// Two rows of one name are no store: which of them would a client see?
    #[case(Snapshot, clauses = ["SNAPSHOT-3"])]
    async fn two_objects_of_one_name_are_refused(fixture: Fixture) -> Check {
        let state = container_state(&*rich_container(&fixture).await?).await?;
        let row = |number: i64, name: &str, policy: i64, deleted: bool| ObjectRow {
            row_id: RowId(number),
            name: name.into(),
            policy_index: PolicyIndex(policy),
            deleted,
            ..state.1[0].clone()
        };
        let doubled = [
            vec![row(1, "a", 0, false), row(2, "b", 0, false), row(3, "a", 0, false)],
            vec![row(1, "a", 0, true), row(2, "a", 0, true)],
            vec![row(1, "a", 1, true), row(2, "b", 1, true), row(4, "a", 1, false)],
        ];
        for rows in doubled {
            let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
            let to = snapshot(&*broker)?;
            to.begin(&image_of(state.clone(), &rows)).await?;
            to.add(Rows::Objects(rows)).await?;
            check_refused!(to.finish().await, InvalidInput);
            check!(!broker.exists().await?, "a store with two rows of one name exists");
        }
        // One of each policy is what containers hold while the reconciler works.
        let rows = [row(1, "a", 0, false), row(2, "a", 1, false), row(3, "a", 2, true)];
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        restore(snapshot(&*broker)?, &image_of(state.clone(), &rows), &rows).await
    }

    /// Accounts hold one row for a name, whatever its policy.
    #[case(Snapshot, clauses = ["SNAPSHOT-3"])]
    async fn two_containers_of_one_name_are_refused(fixture: Fixture) -> Check {
        let state = account_state(&*rich_account(&fixture).await?).await?;
        for deleted in [false, true] {
            let row = |number: i64, deleted: bool| ContainerRow {
                row_id: RowId(number),
                name: "a".into(),
                policy_index: PolicyIndex(number),
                deleted,
                ..state.1[0].clone()
            };
            let rows = Rows::Containers(vec![row(1, false), row(2, deleted)]);
            let mut image = account_image(&state);
            let mut tally = Tally::of(&image.facts);
            tally.all(&rows);
            image.facts = tally.facts().clone();
            let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
            let to = snapshot(&*broker)?;
            to.begin(&image).await?;
            to.add(rows).await?;
            check_refused!(to.finish().await, InvalidInput);
            check!(!broker.exists().await?, "a store with two rows of one name exists");
        }
        Ok(())
    }

    /// Copying millions of rows survives a restart: it goes on behind the last row that is there.
    #[case(Snapshot, clauses = ["SNAPSHOT-4"])]
    async fn unfinished_store_goes_on_after_reopening(fixture: Fixture) -> Check {
        let state = container_state(&*rich_container(&fixture).await?).await?;
        let (first, rest) = state.1.split_at(2);
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        let to = snapshot(&*broker)?;
        to.begin(&container_image(&state)).await?;
        to.add(Rows::Objects(first.to_vec())).await?;
        check_eq!(to.begin(&container_image(&state)).await?, first[1].row_id, "at once");
        drop(broker);
        let fixture = fixture.reopen().await?;
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        let to = snapshot(&*broker)?;
        check_eq!(to.begin(&container_image(&state)).await?, first[1].row_id, "after reopening");
        to.add(Rows::Objects(rest.to_vec())).await?;
        to.finish().await?;
        check_eq!(container_state(&*broker).await?, state);
        Ok(())
    }

    /// What was copied of a source that has changed since is worth nothing.
    #[case(Snapshot, clauses = ["SNAPSHOT-4"])]
    async fn another_image_starts_afresh(fixture: Fixture) -> Check {
        let source = rich_account(&fixture).await?;
        let before = account_state(&*source).await?;
        let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
        let to = snapshot(&*broker)?;
        to.begin(&account_image(&before)).await?;
        to.add(Rows::Containers(before.1)).await?;
        sync_points(&*source).await?;
        merge_reports(&*source, vec![report("a", "9", "0", 1, 1)]).await?;
        let after = account_state(&*source).await?;
        check_eq!(to.begin(&account_image(&after)).await?, RowId::NONE);
        to.add(Rows::Containers(after.1.clone())).await?;
        let mut other = account_image(&after);
        other.incoming[0].sync_point = RowId(70);
        check_eq!(to.begin(&other).await?, RowId::NONE, "another sync point");
        to.add(Rows::Containers(after.1.clone())).await?;
        to.finish().await?;
        check_eq!(account_state(&*broker).await?.1, after.1);
        Ok(())
    }

    /// A page that is sent twice, because nobody knows whether it arrived, counts once.
    #[case(Snapshot, clauses = ["SNAPSHOT-5"])]
    async fn repeated_rows_change_nothing(fixture: Fixture) -> Check {
        let state = container_state(&*rich_container(&fixture).await?).await?;
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        let to = snapshot(&*broker)?;
        to.begin(&container_image(&state)).await?;
        for rows in [0..2, 0..2, 1..4, 0..state.1.len(), 2..3] {
            to.add(Rows::Objects(state.1[rows].to_vec())).await?;
        }
        let mut other = state.1[1].clone();
        other.etag.push('x');
        to.add(Rows::Objects(vec![other])).await?;
        to.add(Rows::Objects(Vec::new())).await?;
        to.finish().await?;
        check_eq!(container_state(&*broker).await?, state);
        Ok(())
    }

    /// What cannot become a store is refused before it costs anything.
    #[case(Snapshot, clauses = ["SNAPSHOT-6"])]
    async fn bad_images_are_refused(fixture: Fixture) -> Check {
        let container = container_image(&container_state(&*rich_container(&fixture).await?).await?);
        let account = account_image(&account_state(&*rich_account(&fixture).await?).await?);
        let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
        let to = snapshot(&*broker)?;
        check_refused!(to.begin(&container).await, InvalidInput);
        type Spoil = fn(&mut StoreImage, &mut Vec<AccountPolicyStat>);
        let spoils: [Spoil; 4] = [
            |image, _| image.facts.store_mut().account.clear(),
            |_, stats| stats[0].container_count = None,
            |_, stats| stats.insert(0, stats[0]),
            |image, _| image.outgoing.push(image.outgoing[0].clone()),
        ];
        for spoil in spoils {
            let mut image = account.clone();
            let mut stats = match &image.facts {
                Facts::Account(info) => info.policy_stats.clone(),
                Facts::Container(_) => Vec::new(),
            };
            spoil(&mut image, &mut stats);
            if let Facts::Account(info) = &mut image.facts {
                info.policy_stats = stats;
            }
            check_refused!(to.begin(&image).await, InvalidInput);
        }
        check_refused!(to.finish().await, InvalidInput);
        check!(!broker.exists().await?, "a refused store exists");
        Ok(())
    }

    /// Rows that come from elsewhere, or in another order, would be taken for repetitions and lost.
    #[case(Snapshot, clauses = ["SNAPSHOT-6"])]
    async fn bad_rows_are_refused(fixture: Fixture) -> Check {
        let state = container_state(&*rich_container(&fixture).await?).await?;
        let reports = account_state(&*rich_account(&fixture).await?).await?.1;
        let broker = fixture.container_at(&elsewhere(&fixture, StoreKind::Container));
        let to = snapshot(&*broker)?;
        check_refused!(to.add(Rows::Objects(state.1.clone())).await, InvalidInput);
        to.begin(&container_image(&state)).await?;
        check_refused!(to.add(Rows::Containers(reports)).await, InvalidInput);
        let backwards = vec![state.1[1].clone(), state.1[0].clone()];
        check_refused!(to.add(Rows::Objects(backwards)).await, InvalidInput);
        let mut above = state.1.clone();
        above[2].row_id = RowId(state.0.store.max_row.0 + 1);
        check_refused!(to.add(Rows::Objects(above[..3].to_vec())).await, InvalidInput);
        to.add(Rows::Objects(state.1.clone())).await?;
        to.finish().await?;
        check_refused!(to.add(Rows::Objects(state.1.clone())).await, InvalidInput);
        check_eq!(container_state(&*broker).await?, state);
        Ok(())
    }

    /// Giving up leaves room for a new attempt, or for clients.
    #[case(Snapshot, clauses = ["SNAPSHOT-7"])]
    async fn abandoned_store_leaves_its_place(fixture: Fixture) -> Check {
        let state = account_state(&*rich_account(&fixture).await?).await?;
        let broker = fixture.account_at(&elsewhere(&fixture, StoreKind::Account));
        let to = snapshot(&*broker)?;
        to.abandon().await?;
        to.begin(&account_image(&state)).await?;
        to.add(Rows::Containers(state.1.clone())).await?;
        to.abandon().await?;
        to.abandon().await?;
        check_refused!(to.finish().await, InvalidInput);
        check_eq!(to.begin(&account_image(&state)).await?, RowId::NONE, "after abandoning");
        to.abandon().await?;
        create_account(&*broker, &at(1)).await?;
        check_eq!(account_state(&*broker).await?.1, vec![]);
        Ok(())
    }
}
