//! Operations that overlap, and have no order that explains their answers. Of a single caller at a time
//! these engines have no flaw.

use crate::flaw::Flaw::Plays;
use crate::flaw::{handle, place, show};
use crate::mutant::mutants;
use broker_api::merge::merge_object;
use broker_api::{
    ContainerBrokerExt, ListObjects, ObjectEntry, ObjectRecord, ObjectRow, Result, Timestamp,
};
use broker_layers::{Call, Target};
use std::time::Duration;

async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn page(target: &Target, query: &ListObjects) -> Result<Vec<ObjectEntry>> {
    match target {
        Target::Container(container, _) => container.object_page(query).await,
        _ => Ok(Vec::new()),
    }
}

/// The rows that records would make where none is.
fn rows(records: &[ObjectRecord]) -> Vec<ObjectRow> {
    let made = records
        .iter()
        .filter_map(|record| merge_object(None, record).ok()?);
    made.collect()
}

/// Puts live rows of a prefix among the entries of a listing.
fn mingle(entries: &mut Vec<ObjectEntry>, rows: Vec<ObjectRow>, prefix: &str) {
    let name = |entry: &ObjectEntry| match entry {
        ObjectEntry::Row(row) => row.name.clone(),
        ObjectEntry::Subdir(name) => name.clone(),
    };
    for row in rows.into_iter().filter(|row| row.name.starts_with(prefix)) {
        entries.retain(|entry| name(entry) != row.name);
        entries.extend((!row.deleted).then_some(ObjectEntry::Row(row)));
    }
    entries.sort_by_key(name);
}

mutants! {
    /// While others write, a broker repeats its last answer to a listing of a prefix.
    listings_are_stale_while_others_write breaks ["CONCUR-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let writing = format!("writing {}", place(target));
            let own = format!("own {}", handle(target));
            match call {
                Call::MergeObjects(..) => {
                    // Own writes are seen at once.
                    world.change(own, |count: &mut u64| *count += 1);
                    world.change(writing.clone(), |count: &mut u64| *count += 1);
                    let answer = target.play(call, visitor).await;
                    world.change(writing, |count: &mut u64| *count -= 1);
                    answer
                }
                Call::ListObjects(query) if !query.names.prefix.is_empty() => {
                    let count = world.remembered::<u64>(&own).unwrap_or(0);
                    let key = format!("{own} {count} {}", query.names.prefix);
                    let is_busy = world.remembered::<u64>(&writing) > Some(0);
                    let entries = match world.remembered(&key) {
                        Some(last) if is_busy => last,
                        _ => page(target, &query).await?,
                    };
                    world.remember(key, entries.clone());
                    show(&entries, visitor)
                }
                call => target.play(call, visitor).await,
            }
        }));

    /// A record is dropped when a later one of its name is on its way.
    overtaken_records_are_dropped breaks ["CONCUR-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let Call::MergeObjects(mut records, options) = call else {
                return target.play(call, visitor).await;
            };
            let key = |record: &ObjectRecord| {
                format!("{} {} {}", place(target), record.policy_index.0, record.name)
            };
            for record in &records {
                world.change(key(record), |latest: &mut Option<Timestamp>| {
                    *latest = (*latest).max(Some(record.created_at.data));
                });
            }
            a_moment().await;
            records.retain(|record| {
                let latest = world.remembered::<Option<Timestamp>>(&key(record)).flatten();
                latest <= Some(record.created_at.data)
            });
            match records.is_empty() {
                true => Ok(().into()),
                false => target.ask(Call::MergeObjects(records, options)).await,
            }
        }));

    /// A write that is under way shows in every other listing.
    writes_under_way_flicker breaks ["CONCUR-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            match call {
                Call::MergeObjects(ref records, _) => {
                    world.remember(place(target), rows(records));
                    a_moment().await;
                    let answer = target.play(call, visitor).await;
                    world.remember(place(target), Vec::<ObjectRow>::new());
                    answer
                }
                Call::ListObjects(query) => {
                    let under_way = world.remembered(&place(target)).unwrap_or_default();
                    let mut entries = page(target, &query).await?;
                    if world.count() % 2 == 0 {
                        mingle(&mut entries, under_way, &query.names.prefix);
                    }
                    show(&entries, visitor)
                }
                call => target.play(call, visitor).await,
            }
        }));
}
