//! Laws that random histories must obey, held against a model written apart from the rules.

use super::{container_rows, list, list_containers, merge, merge_reports, object_rows};
use crate::case::cases;
use crate::check::{Check, check_eq};
use crate::door::Door;
use crate::fixture::{Fixture, at, create_account, create_container};
use crate::model::{
    self, Totals, comparable, comparable_accounts, listed, random_history, random_names,
    random_query, random_report, rows_of_history, totals_of_containers, totals_of_objects,
};
use crate::rng::Rng;
use crate::shown;
use broker_api::{
    AccountBrokerExt, ContainerBroker, ContainerBrokerExt, DeletedFilter, ListObjects,
    ListingQuery, ObjectRecord, ObjectRow, RowId, StoreKind, Timestamp,
};
use std::sync::Arc;

async fn container(fixture: &Fixture, number: u64) -> Check<Arc<dyn ContainerBroker>> {
    let broker = fixture.container_at(&fixture.location(StoreKind::Container, number));
    create_container(&*broker, &at(1), 0).await?;
    Ok(broker)
}

/// Rows without numbers, by name and policy.
async fn contents(broker: &dyn ContainerBroker) -> Check<Vec<ObjectRow>> {
    let mut rows = object_rows(broker).await?;
    rows.iter_mut().for_each(|row| row.row_id = RowId::NONE);
    rows.sort_by(|a, b| (&a.name, a.policy_index).cmp(&(&b.name, b.policy_index)));
    Ok(rows)
}

/// Holds random listings of random rows against the model: each twice, the second time after a change.
async fn listings_are_filters(
    fixture: &Fixture,
    names: fn(&mut Rng, usize) -> Vec<ObjectRecord>,
    query: fn(&mut Rng) -> ListingQuery,
) -> Check {
    let mut rng = fixture.rng();
    for round in 1..6 {
        let broker = container(fixture, round).await?;
        merge(&*broker, names(&mut rng, 60)).await?;
        merge(&*broker, names(&mut rng, 30)).await?;
        let mut rows = object_rows(&*broker).await?;
        let mut asks = Vec::new();
        for change in 0..25 {
            for ask in &asks {
                check_eq!(
                    list(&*broker, ask).await?,
                    listed(&rows, ask),
                    "again, {ask:?}"
                );
            }
            asks = (0..3)
                .map(|_| random_listing(fixture, &mut rng, query))
                .collect();
            for ask in &asks {
                check_eq!(list(&*broker, ask).await?, listed(&rows, ask), "{ask:?}");
            }
            let mut changes = names(&mut rng, 3);
            if !rows.is_empty() {
                let row = rng.pick(&rows);
                let gone =
                    ObjectRecord::delete(row.name.clone(), Timestamp::from_seconds(200 + change));
                changes.push(gone.in_policy(row.policy_index));
            }
            merge(&*broker, changes).await?;
            rows = object_rows(&*broker).await?;
        }
    }
    Ok(())
}

fn random_listing(
    fixture: &Fixture,
    rng: &mut Rng,
    query: fn(&mut Rng) -> ListingQuery,
) -> ListObjects {
    let mut ask = ListObjects::new(query(rng));
    ask.deleted = *rng.pick(&[
        DeletedFilter::Live,
        DeletedFilter::Live,
        DeletedFilter::Both,
        DeletedFilter::Tombstones,
    ]);
    if fixture.door() == Door::Wire {
        ask.deleted = DeletedFilter::Live;
    }
    ask
}

cases! {
    /// Replicas get the same records in any order, grouping and number of times, and must agree.
    #[case(Core, clauses = ["OBJECT-MERGE-5", "OBJECT-MERGE-1", "HASH-1", "INFO-2"])]
    async fn order_grouping_and_repetition_do_not_matter(fixture: Fixture) -> Check {
        let mut rng = fixture.rng();
        for round in 0..12 {
            let history = random_history(&mut rng, 30);
            let expected = rows_of_history(&history);
            for replica in 0..3 {
                let broker = container(&fixture, round * 3 + replica + 1).await?;
                let mut records = history.clone();
                records.extend(
                    history
                        .iter()
                        .filter(|_| rng.one_in(4))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                rng.shuffle(&mut records);
                let mut rest = records.as_slice();
                while !rest.is_empty() {
                    let (batch, after) = rest.split_at(rest.len().min(1 + rng.below(9) as usize));
                    merge(&*broker, batch.to_vec()).await?;
                    rest = after;
                }
                let shown = shown::rows(fixture.door(), expected.clone())?;
                let found = shown::rows(fixture.door(), contents(&*broker).await?)?;
                check_eq!(found, shown, "round {round}, replica {replica}");
                let (found, expected) = comparable(&broker.get_info().await?, &expected);
                check_eq!(found, expected, "statistics and hash");
            }
        }
        Ok(())
    }

    /// Statistics and hash are those of the rows after every step, also after removals.
    #[case(Core, clauses = ["INFO-2", "HASH-1", "INFO-3", "REMOVE-1"])]
    async fn statistics_and_hash_follow_every_change(fixture: Fixture) -> Check {
        let broker = container(&fixture, 1).await?;
        let mut rng = fixture.rng();
        let mut highest = RowId::NONE;
        for step in 0..60 {
            if rng.one_in(6) {
                let remove = model::random_removal(&mut rng);
                let mut left = object_rows(&*broker).await?;
                left.retain(|row| !model::is_removed(&remove, row));
                broker.remove_objects(&remove).await?;
                check_eq!(object_rows(&*broker).await?, left, "rows after {remove:?}");
            } else {
                let count = 1 + rng.below(8) as usize;
                merge(&*broker, random_history(&mut rng, count)).await?;
            }
            let rows = object_rows(&*broker).await?;
            let info = broker.get_info().await?;
            let found = Totals::of_container(&info).without_zeros();
            check_eq!(
                found,
                totals_of_objects(&rows).without_zeros(),
                "step {step}"
            );
            highest = rows.last().map_or(highest, |row| row.row_id.max(highest));
            check_eq!(info.store.max_row, highest, "step {step}");
        }
        Ok(())
    }

    /// An account's statistics and hash are those of its rows after every step.
    #[case(Core, clauses = ["INFO-2", "HASH-2", "ACCOUNT-MERGE-3"])]
    async fn account_statistics_and_hash_follow_every_change(fixture: Fixture) -> Check {
        let broker = fixture.account_at(&fixture.location(StoreKind::Account, 1));
        create_account(&*broker, &at(1)).await?;
        let mut rng = fixture.rng();
        let mut merged = 0;
        for step in 0..60 {
            let batch: Vec<_> = (0..=rng.below(5))
                .map(|_| random_report(&mut rng))
                .collect();
            merged += batch.len() as i64;
            merge_reports(&*broker, batch).await?;
            let info = broker.get_info().await?;
            let expected = totals_of_containers(&container_rows(&*broker).await?);
            check_eq!(
                Totals::of_account(&info).without_zeros(),
                expected.without_zeros(),
                "step {step}"
            );
            check_eq!(
                info.store.max_row,
                RowId(merged),
                "a number for each record"
            );
        }
        Ok(())
    }

    /// Any listing is what a filter over the sorted rows gives.
    #[case(Core, clauses = ["LIST-1", "LIST-2", "LIST-3", "LIST-4", "LIST-5", "LIST-6"])]
    async fn listing_is_a_filter_of_the_sorted_rows(fixture: Fixture) -> Check {
        listings_are_filters(&fixture, random_names, random_query).await
    }

    /// So it is among names and queries that no server stumbles over.
    #[case(Core, clauses = ["LIST-1", "LIST-2", "LIST-3", "LIST-4", "LIST-6"])]
    async fn listing_of_plain_names_is_a_filter(fixture: Fixture) -> Check {
        listings_are_filters(&fixture, model::plain_names, model::plain_query).await
    }

    /// An account lists and counts what its container servers reported, in whatever order it came.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1", "ACCOUNT-MERGE-2", "INFO-2", "LIST-2", "LIST-3"])]
    async fn account_shows_what_was_reported(fixture: Fixture) -> Check {
        let broker = fixture.account_at(&fixture.location(StoreKind::Account, 1));
        create_account(&*broker, &at(1)).await?;
        let mut rng = fixture.rng();
        let mut known = model::Reports::default();
        for step in 0..60 {
            let report = known.random_report(&mut rng);
            known.learn(&report);
            broker.put_container(report).await?;
            let info = broker.get_info().await?;
            let (found, expected) = comparable_accounts(&info, &known.rows());
            check_eq!(found, expected, "step {step}");
            for _ in 0..5 {
                let query = model::plain_query(&mut rng);
                let found = list_containers(&*broker, &query).await?;
                check_eq!(found, known.listed(&query), "{query:?}");
            }
        }
        Ok(())
    }

    /// Closing and opening in the middle of a history changes nothing about its end.
    #[case(Core, clauses = ["ENGINE-7", "OBJECT-MERGE-5"])]
    async fn reopening_within_a_history_changes_nothing(fixture: Fixture) -> Check {
        let mut fixture = fixture;
        let mut rng = fixture.rng();
        let history = random_history(&mut rng, 60);
        drop(container(&fixture, 1).await?);
        for batch in history.chunks(15) {
            let location = fixture.location(StoreKind::Container, 1);
            let broker = fixture.container_at(&location);
            for record in batch {
                broker.put_object(record.clone()).await?;
            }
            drop(broker);
            fixture = fixture.reopen().await?;
        }
        let broker = fixture.container_at(&fixture.location(StoreKind::Container, 1));
        check_eq!(contents(&*broker).await?, rows_of_history(&history));
        Ok(())
    }
}
