//! A model of an account: what it has been told of its containers, report by report.

use super::{listed, plain, random_report, random_text};
use crate::rng::Rng;
use broker_api::{
    ContainerRecord, ContainerRow, ListObjects, ListingQuery, ObjectRow, PolicyIndex, RowId,
    TimestampText,
};
use std::collections::BTreeMap;

/// What an account has been told of its containers, one report after the other.
#[derive(Debug, Default)]
pub(crate) struct Reports(BTreeMap<String, ContainerRow>);

impl Reports {
    /// A report as a container server makes it: of a name that can be in a path.
    pub(crate) fn random_report(&self, rng: &mut Rng) -> ContainerRecord {
        let name = plain(&random_text(rng, 4)).replace(['/', '\0'], "-");
        let known: Vec<_> = self.0.keys().cloned().collect();
        let name = match name.is_empty() || (rng.one_in(2) && !known.is_empty()) {
            true => known
                .get(rng.below(known.len().max(1) as u64) as usize)
                .cloned(),
            false => Some(name),
        };
        let random = random_report(rng);
        ContainerRecord::report(
            name.unwrap_or_else(|| "first".into()),
            random.put_timestamp.unwrap_or_else(TimestampText::never),
            random.delete_timestamp.unwrap_or_else(TimestampText::never),
            random.object_count.unwrap_or_default(),
            random.bytes_used.unwrap_or_default(),
            random.policy_index,
        )
    }

    /// Times keep the later, all else is what came last.
    pub(crate) fn learn(&mut self, report: &ContainerRecord) {
        let later = |new: &Option<TimestampText>, old: Option<&TimestampText>| {
            let new = new.clone().unwrap_or_else(TimestampText::never);
            match old.filter(|old| old.value() >= new.value()) {
                Some(old) => old.clone(),
                None => new,
            }
        };
        let old = self.0.get(&report.name);
        let put = later(&report.put_timestamp, old.map(|row| &row.put_timestamp));
        let delete = later(
            &report.delete_timestamp,
            old.map(|row| &row.delete_timestamp),
        );
        let object_count = report.object_count.unwrap_or_default();
        let row = ContainerRow {
            row_id: RowId::NONE,
            name: report.name.clone(),
            deleted: delete.value() > put.value() && object_count == 0,
            put_timestamp: put,
            delete_timestamp: delete,
            object_count,
            bytes_used: report.bytes_used.unwrap_or_default(),
            policy_index: report.policy_index,
        };
        self.0.insert(row.name.clone(), row);
    }

    /// The rows that these reports leave.
    pub(crate) fn rows(&self) -> Vec<ContainerRow> {
        self.0.values().cloned().collect()
    }

    /// What a listing of them shows.
    pub(crate) fn listed(&self, query: &ListingQuery) -> Vec<String> {
        let row = |row: &ContainerRow| ObjectRow {
            row_id: RowId::NONE,
            name: row.name.clone(),
            created_at: String::new(),
            size: 0,
            content_type: String::new(),
            etag: String::new(),
            deleted: row.deleted,
            policy_index: PolicyIndex(0),
        };
        let rows: Vec<_> = self.0.values().map(row).collect();
        listed(&rows, &ListObjects::new(query.clone()))
    }
}
