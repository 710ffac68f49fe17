//! Merging container records into accounts.

use crate::flaw::Flaw::{Answers, Asks, Plays, Store};
use crate::flaw::container_rows;
use crate::mutant::mutants;
use crate::store::StoreFlaw::{FindsContainer, KeepsNumbers, WritesContainer};
use broker_api::{
    ContainerRecord, Direction, Error, ErrorKind, MergeOptions, PolicyIndex, RowId, SyncPoint,
    Timestamp,
};
use broker_layers::Call;

fn records(call: &mut Call) -> Option<(&mut Vec<ContainerRecord>, &mut MergeOptions)> {
    match call {
        Call::MergeContainers(records, options) => Some((records, options)),
        _ => None,
    }
}

mutants! {
    /// The last put timestamp wins.
    the_last_put_wins breaks ["ACCOUNT-MERGE-1"] =
        Store(FindsContainer(|row| row.put_timestamp = Timestamp::ZERO.into()));

    /// The last delete timestamp wins.
    the_last_delete_wins breaks ["ACCOUNT-MERGE-1"] =
        Store(FindsContainer(|row| row.delete_timestamp = Timestamp::ZERO.into()));

    /// Put timestamps are compared as text.
    puts_compare_text breaks ["ACCOUNT-MERGE-1"] = Store(WritesContainer(|stored, new| {
        if let Some(stored) = stored.filter(|stored| stored.put_timestamp > new.put_timestamp) {
            new.put_timestamp = stored.put_timestamp.clone();
        }
    }));

    /// Counts stay those of the first record.
    counts_stay breaks ["ACCOUNT-MERGE-1"] = Store(WritesContainer(|stored, new| {
        new.object_count = stored.map_or(new.object_count, |stored| stored.object_count);
    }));

    /// Counts of older records are left out.
    older_counts_are_left_out breaks ["ACCOUNT-MERGE-1"] = Store(WritesContainer(|stored, new| {
        if let Some(stored) = stored.filter(|stored| {
            stored.put_timestamp == new.put_timestamp
                && stored.delete_timestamp == new.delete_timestamp
        }) {
            (new.object_count, new.bytes_used) = (stored.object_count, stored.bytes_used);
        }
    }));

    /// Counts only grow.
    counts_only_grow breaks ["ACCOUNT-MERGE-1"] = Store(WritesContainer(|stored, new| {
        new.bytes_used = stored.map_or(0, |stored| stored.bytes_used).max(new.bytes_used);
    }));

    /// The policy stays that of the first record.
    policies_stay breaks ["ACCOUNT-MERGE-1"] = Store(WritesContainer(|stored, new| {
        new.policy_index = stored.map_or(new.policy_index, |stored| stored.policy_index);
    }));

    /// All containers are in policy zero.
    policies_are_zero breaks ["ACCOUNT-MERGE-1"] =
        Store(WritesContainer(|_, new| new.policy_index = PolicyIndex(0)));

    /// What a record lacks is zero.
    lacking_values_are_zero breaks ["ACCOUNT-MERGE-1", "MERGE-1"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            for record in records {
                record.object_count.get_or_insert(0);
                record.bytes_used.get_or_insert(0);
                record.put_timestamp.get_or_insert(Timestamp::ZERO.into());
                record.delete_timestamp.get_or_insert(Timestamp::ZERO.into());
            }
        }
    });

    /// Names are matched without regard to case.
    containers_are_folded breaks ["VALUE-1"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            records.iter_mut().for_each(|record| record.name.make_ascii_lowercase());
        }
    });

    /// A new row is judged by its timestamps.
    new_rows_are_judged breaks ["ACCOUNT-MERGE-2"] = Store(WritesContainer(|stored, new| {
        if stored.is_none() {
            let deleted = new.delete_timestamp.value() > new.put_timestamp.value();
            new.deleted = deleted && new.object_count == 0;
        }
    }));

    /// What was deleted once stays deleted.
    deleted_containers_stay breaks ["ACCOUNT-MERGE-2"] = Store(WritesContainer(|stored, new| {
        new.deleted |= stored.is_some_and(|stored| stored.deleted);
    }));

    /// A container with objects can be deleted.
    full_containers_are_deleted breaks ["ACCOUNT-MERGE-2"] = Store(WritesContainer(|stored, new| {
        if stored.is_some() {
            new.deleted = new.delete_timestamp.value() > new.put_timestamp.value();
        }
    }));

    /// Deletion wins a tie.
    deletion_wins_ties breaks ["ACCOUNT-MERGE-2"] = Store(WritesContainer(|stored, new| {
        if stored.is_some() {
            let deleted = new.delete_timestamp.value() >= new.put_timestamp.value();
            new.deleted = deleted && new.object_count == 0;
        }
    }));

    /// Deletion is judged by text.
    deletion_compares_text breaks ["ACCOUNT-MERGE-2"] = Store(WritesContainer(|stored, new| {
        if stored.is_some() {
            new.deleted = new.delete_timestamp > new.put_timestamp && new.object_count == 0;
        }
    }));

    /// A negative number of objects is none.
    negative_counts_are_none breaks ["ACCOUNT-MERGE-2"] = Store(WritesContainer(|stored, new| {
        if stored.is_some() {
            let deleted = new.delete_timestamp.value() > new.put_timestamp.value();
            new.deleted = deleted && new.object_count <= 0;
        }
    }));

    /// A row that does not change keeps its number.
    idle_rows_keep_numbers breaks ["ACCOUNT-MERGE-3"] = Store(KeepsNumbers);

    /// Of a batch, the last record of each container takes a number.
    batches_are_folded breaks ["ACCOUNT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            let all = std::mem::take(records);
            for record in all {
                records.retain(|kept| kept.name != record.name);
                records.push(record);
            }
        }
    });

    /// An empty batch is refused.
    empty_reports_are_refused breaks ["ACCOUNT-MERGE-3"] = Answers(|call, answer| {
        if let Call::MergeContainers(records, options) = call
            && records.is_empty() && options.source.is_none()
        {
            *answer = Err(Error::new(ErrorKind::InvalidInput, "nothing to merge"));
        }
    });

    /// The sync point of a source is not raised.
    account_sources_are_ignored breaks ["ACCOUNT-MERGE-4"] = Asks(|call| {
        if let Some((records, options)) = records(call)
            && records.iter().all(|record| record.row_id.is_some())
        {
            options.source = None;
        }
    });

    /// The sync point of a source is raised to the number of the last record.
    sources_reach_the_last breaks ["ACCOUNT-MERGE-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut call = call;
            let mut point = None;
            if let Some((records, options)) = records(&mut call)
                && let Some(last) = records.last().and_then(|record| record.row_id)
            {
                point = options.source.take().map(|source| SyncPoint::new(source, last));
            }
            let answer = target.play(call, visitor).await?;
            if let Some(point) = point {
                target.ask(Call::MergeSyncPoints(Direction::Incoming, vec![point])).await?;
            }
            Ok(answer)
        }));

    /// An empty batch leaves no sync point.
    empty_batches_leave_no_point breaks ["ACCOUNT-MERGE-4"] = Asks(|call| {
        if let Some((records, options)) = records(call)
            && records.is_empty()
        {
            options.source = None;
        }
    });

    /// A batch of a source may lack numbers.
    account_sources_need_no_numbers breaks ["ACCOUNT-MERGE-4"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            for record in records {
                record.row_id.get_or_insert(RowId(1));
            }
        }
    });

    /// A refused batch is merged up to the record that is refused.
    reports_are_merged_one_by_one breaks ["MERGE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::MergeContainers(records, options) = call else {
                return target.play(call, visitor).await;
            };
            for record in records {
                target.ask(Call::MergeContainers(vec![record], options.clone())).await?;
            }
            Ok(().into())
        }));

    /// A refused batch raises the sync point of its source.
    refused_batches_raise_points breaks ["MERGE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let answer = target.play(call.clone(), visitor).await;
            if let (Call::MergeContainers(_, options), true) = (call, answer.is_err())
                && let Some(source) = options.source
            {
                let point = vec![SyncPoint::new(source, RowId(7))];
                target.ask(Call::MergeSyncPoints(Direction::Incoming, point)).await?;
            }
            answer
        }));

    /// Of a refused batch, records of containers that are known are merged.
    refused_batches_update_known_rows breaks ["MERGE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let answer = target.play(call.clone(), visitor).await;
            if let (Call::MergeContainers(records, _), true) = (call, answer.is_err()) {
                let rows = container_rows(target).await?;
                let is_known =
                    |record: &ContainerRecord| rows.iter().any(|row| row.name == record.name);
                let known = records.into_iter().filter(is_known).collect();
                target.ask(Call::MergeContainers(known, MergeOptions::default())).await?;
            }
            answer
        }));
}
