//! What is found again after the engine was closed and opened.

use crate::flaw::Flaw::{
    AccountFacts, Answers, ContainerCounts, ContainerFacts, Facts, Lists, Reopened, Rows,
};
use crate::mutant::mutants;
use broker_api::{Location, PolicyIndex, Reported, RollingHash, RowId, SyncPoint};
use broker_layers::{Answer, Call};

mutants! {
    /// Rows are numbered afresh.
    numbers_are_given_afresh breaks ["ENGINE-7"] = Reopened(&Answers(|_, answer| {
        if let Ok(Answer::Objects(rows)) = answer {
            for (number, row) in rows.iter_mut().enumerate() {
                row.row_id = RowId(number as i64 + 1);
            }
        }
    }));

    /// The last row is lost.
    the_last_row_is_lost breaks ["ENGINE-7"] = Reopened(&Answers(|_, answer| match answer {
        Ok(Answer::Objects(rows)) => drop(rows.pop()),
        Ok(Answer::Containers(rows)) => drop(rows.pop()),
        _ => {}
    }));

    /// Listings lack the last name.
    the_last_name_is_lost breaks ["ENGINE-7"] = Reopened(&Lists(|_, entries| drop(entries.pop())));

    /// Only rows that are present give the highest number.
    the_highest_number_is_forgotten breaks ["ENGINE-7", "INFO-3"] =
        Reopened(&ContainerCounts(|info, rows| {
            info.store.max_row = rows.last().map_or(RowId::NONE, |row| row.row_id);
        }));

    /// Statistics at zero are lost.
    zero_statistics_are_forgotten breaks ["ENGINE-7"] = Reopened(&ContainerFacts(|info| {
        let own = info.policy_index;
        info.policy_stats.retain(|stat| stat.bytes_used != 0 && stat.policy_index != own);
    }));

    /// The totals of accounts are counted from zero.
    account_totals_are_forgotten breaks ["ENGINE-7"] = Reopened(&AccountFacts(|info| {
        info.bytes_used = 0;
    }));

    /// The hash begins at zero.
    the_hash_is_forgotten breaks ["ENGINE-7", "HASH-1"] =
        Reopened(&Facts(|info| info.hash = RollingHash::default()));

    /// Metadata is lost.
    metadata_is_forgotten breaks ["ENGINE-7"] =
        Reopened(&Facts(|info| info.raw_metadata.clear()));

    /// The put timestamp is that of creation.
    put_is_forgotten breaks ["ENGINE-7"] =
        Reopened(&Facts(|info| info.put_timestamp = info.created_at.clone()));

    /// The status is lost.
    status_is_forgotten breaks ["ENGINE-7"] = Reopened(&Facts(|info| info.status.clear()));

    /// The id is drawn afresh.
    the_id_is_forgotten breaks ["ENGINE-7"] = Reopened(&Facts(|info| info.id.push('x')));

    /// The policy is that of creation.
    the_policy_is_forgotten breaks ["ENGINE-7"] =
        Reopened(&ContainerFacts(|info| info.policy_index = PolicyIndex(0)));

    /// Reports are lost.
    reports_are_forgotten breaks ["ENGINE-7"] =
        Reopened(&ContainerFacts(|info| info.reported = Reported::default()));

    /// Marks of container sync are lost.
    sync_marks_are_forgotten breaks ["ENGINE-7"] =
        Reopened(&ContainerFacts(|info| info.x_container_sync_point2 = -1));

    /// The mark of the reconciler is lost.
    reconciler_mark_is_forgotten breaks ["ENGINE-7"] =
        Reopened(&ContainerFacts(|info| info.reconciler_sync_point = -1));

    /// Sync points are lost.
    sync_points_are_forgotten breaks ["ENGINE-7"] = Reopened(&Answers(|_, answer| {
        if let Ok(Answer::SyncPoints(points)) = answer {
            *points = Vec::<SyncPoint>::new();
        }
    }));

    /// Etags are lost.
    etags_are_forgotten breaks ["ENGINE-7"] = Reopened(&Rows(|row| row.etag.clear()));

    /// Stores are not found.
    stores_are_forgotten breaks ["ENGINE-7"] = Reopened(&Answers(|call, answer| {
        if let (Call::Stores { .. }, Ok(Answer::Locations(found))) = (call, answer) {
            *found = Vec::<Location>::new();
        }
    }));

    /// The list of synced containers lacks its last.
    synced_containers_are_forgotten breaks ["ENGINE-8"] = Reopened(&Answers(|call, answer| {
        if let (Call::Synced { .. }, Ok(Answer::Locations(found))) = (call, answer) {
            found.pop();
        }
    }));
}
