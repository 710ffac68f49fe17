//! Merging batches of object records, with a source and again.

use crate::flaw::Flaw::{Asks, Plays};
use crate::mutant::mutants;
use broker_api::{Direction, MergeOptions, ObjectRecord, PolicyIndex, RowId, SyncPoint};
use broker_layers::{Answer, Call};

fn records(call: &mut Call) -> Option<(&mut Vec<ObjectRecord>, &mut MergeOptions)> {
    match call {
        Call::MergeObjects(records, options) => Some((records, options)),
        _ => None,
    }
}

fn by_key(record: &ObjectRecord) -> (String, PolicyIndex) {
    (record.name.clone(), record.policy_index)
}

mutants! {
    /// Every record of a batch takes a number.
    batches_are_merged_one_by_one breaks ["OBJECT-MERGE-3", "CONCUR-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::MergeObjects(records, options) = call else {
                return target.play(call, visitor).await;
            };
            for record in records {
                let merge = Call::MergeObjects(vec![record], options.clone());
                target.ask(merge).await?;
                tokio::task::yield_now().await;
            }
            Ok(().into())
        }));

    /// Numbers of a batch follow the names.
    batches_are_sorted breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            records.sort_by_key(by_key);
        }
    });

    /// A batch is merged from its end.
    batches_are_reversed breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            records.reverse();
        }
    });

    /// Of a batch, the last record of each object counts.
    only_the_last_of_a_batch_counts breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            let all = std::mem::take(records);
            for record in all {
                records.retain(|kept| by_key(kept) != by_key(&record));
                records.push(record);
            }
        }
    });

    /// Of a batch, the first record of each object counts.
    only_the_first_of_a_batch_counts breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            let all = std::mem::take(records);
            for record in all {
                if records.iter().all(|kept| by_key(kept) != by_key(&record)) {
                    records.push(record);
                }
            }
        }
    });

    /// The sync point of a source is not raised.
    sources_are_ignored breaks ["OBJECT-MERGE-4"] = Asks(|call| {
        if let Some((records, options)) = records(call)
            && records.last().is_some_and(|record| record.row_id.is_some())
        {
            options.source = None;
        }
    });

    /// The sync point of a source is raised to the largest number of the batch.
    sources_reach_the_largest breaks ["OBJECT-MERGE-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let point = match &call {
                Call::MergeObjects(records, MergeOptions { source: Some(source), .. }) => {
                    let largest = records.iter().filter_map(|record| record.row_id).max();
                    Some(SyncPoint::new(source, largest.unwrap_or(RowId::NONE)))
                }
                _ => None,
            };
            let answer = target.play(call, visitor).await?;
            if let Some(point) = point {
                target.ask(Call::MergeSyncPoints(Direction::Incoming, vec![point])).await?;
            }
            Ok(answer)
        }));

    /// A source raises an outgoing point.
    sources_raise_outgoing_points breaks ["OBJECT-MERGE-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, MergeOptions { source: Some(source), .. }) = &call
                && let Some(last) = records.last().and_then(|record| record.row_id)
            {
                let point = vec![SyncPoint::new(source, last)];
                target.ask(Call::MergeSyncPoints(Direction::Outgoing, point)).await?;
            }
            target.play(call, visitor).await
        }));

    /// A batch of a source may lack numbers.
    sources_need_no_numbers breaks ["OBJECT-MERGE-4"] = Asks(|call| {
        if let Some((records, options)) = records(call)
            && records.last().is_none_or(|record| record.row_id.is_none())
        {
            options.source = None;
        }
    });

    /// A batch of a source without numbers is merged and then refused.
    refused_batches_are_merged breaks ["OBJECT-MERGE-4", "MERGE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let answer = target.play(call.clone(), visitor).await;
            if let (Call::MergeObjects(records, _), true) = (call, answer.is_err()) {
                target.ask(Call::MergeObjects(records, MergeOptions::default())).await?;
            }
            answer
        }));

    /// What is delivered again is stored again under another policy.
    repetition_is_kept breaks ["OBJECT-MERGE-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let mut call = call;
            if let Some((records, _)) = records(&mut call) {
                for record in records {
                    if !world.first_time(format!("{:?} {record:?}", target.location())) {
                        record.size = record.size.saturating_add(1);
                        record.created_at.data = record.created_at.data.shifted(1)?;
                    }
                }
            }
            target.play(call, visitor).await
        }));

    /// Row numbers of another replica are taken over.
    numbers_are_taken_over breaks ["OBJECT-MERGE-3", "INFO-3"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, _) = &call
                && let Some(number) = records.iter().filter_map(|record| record.row_id).max()
            {
                world.remember("number".into(), number);
            }
            let mut answer = target.play(call, visitor).await?;
            if let (Answer::ContainerInfo(Some(info)), Some(number)) =
                (&mut answer, world.remembered::<RowId>("number"))
            {
                info.store.max_row = info.store.max_row.max(number);
            }
            Ok(answer)
        }));
}
