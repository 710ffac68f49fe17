//! What accounts and containers have each for themselves.

use crate::ordered::OrderedStore;
use crate::row::{container_ref, object_ref};
use crate::store::KvStore;
use crate::value::damaged;
use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, ContainerMarks, ContainerRecord, ContainerRow, ContainerRowRef, DeletedFilter,
    Facts, ObjectRecord, ObjectRow, ObjectRowRef, PolicyFilter, PolicyIndex, RemoveObjects, Result,
    RowFilter, RowId,
};
use broker_runtime::sync::{AccountStore, Buffered, ContainerStore, ObjectFilter};
use std::ops::Bound;

impl<S: OrderedStore> AccountStore for KvStore<S, ContainerRow> {
    fn buffer(&mut self, _: &[ContainerRecord], _: &BrokerOptions) -> Result<Buffered> {
        Ok(Buffered::No)
    }

    fn row(&mut self, name: &str) -> Result<Option<ContainerRow>> {
        self.row_at(name, None)
    }

    fn rows(&mut self, names: &[&str]) -> Result<Vec<Option<ContainerRow>>> {
        let names: Vec<_> = names.iter().map(|name| (*name, None)).collect();
        self.rows_at(&names)
    }

    fn replace(&mut self, old: Option<&ContainerRow>, new: &ContainerRow) -> Result<RowId> {
        self.replace_row(old, new)
    }

    fn rows_since(&mut self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        self.rows_after(start, limit, |_| true)
    }

    fn scan(
        &mut self,
        range: &NameRange,
        visit: &mut dyn FnMut(ContainerRowRef<'_>) -> Step,
    ) -> Result<()> {
        self.walk(range, DeletedFilter::Live, &mut |key, value| {
            Ok(Some(visit(container_ref(key, value)?)))
        })
    }
}

impl<S: OrderedStore> ContainerStore for KvStore<S, ObjectRow> {
    fn buffer(&mut self, _: &[ObjectRecord], _: &BrokerOptions) -> Result<Buffered> {
        Ok(Buffered::No)
    }

    fn row(&mut self, name: &str, policy: PolicyIndex) -> Result<Option<ObjectRow>> {
        self.row_at(name, Some(policy))
    }

    fn rows(&mut self, names: &[(&str, PolicyIndex)]) -> Result<Vec<Option<ObjectRow>>> {
        let names = names.iter().map(|(name, policy)| (*name, Some(*policy)));
        self.rows_at(&names.collect::<Vec<_>>())
    }

    fn replace(&mut self, old: Option<&ObjectRow>, new: &ObjectRow) -> Result<RowId> {
        self.replace_row(old, new)
    }

    fn rows_since(
        &mut self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        match filter {
            RowFilter::All => self.rows_after(start, limit, |_| true),
            RowFilter::Misplaced => {
                let own = Some(self.own_policy()?);
                self.rows_after(start, limit, |key| key.policy != own)
            }
        }
    }

    fn scan(
        &mut self,
        range: &NameRange,
        filter: &ObjectFilter,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Result<()> {
        let policy = match filter.policy {
            PolicyFilter::Own => Some(self.own_policy()?),
            PolicyFilter::Only(index) => Some(index),
            PolicyFilter::All => None,
        };
        self.walk(range, filter.deleted, &mut |key, value| {
            if policy.is_some() && key.policy != policy {
                return Ok(None);
            }
            let row = object_ref(key, value)?;
            let wanted = filter.since_row.is_none_or(|since| row.row_id > since);
            Ok(wanted.then(|| visit(row)))
        })
    }

    fn remove_objects(&mut self, remove: &RemoveObjects) -> Result<()> {
        let bound = |name: &str| match name.is_empty() {
            true => None,
            false => Some(name.to_owned()),
        };
        let range = NameRange {
            lower: bound(&remove.lower).map_or(Bound::Unbounded, Bound::Excluded),
            upper: bound(&remove.upper).map_or(Bound::Unbounded, Bound::Included),
            reverse: false,
        };
        let mut rows = Vec::new();
        self.walk(&range, DeletedFilter::Both, &mut |key, value| {
            let row = object_ref(key, value)?;
            if remove.max_row.is_none_or(|max_row| row.row_id <= max_row) {
                rows.push(row.to_owned());
            }
            Ok(None)
        })?;
        for row in &rows {
            self.remove_row(row)?;
        }
        Ok(())
    }

    fn set_policy(&mut self, index: PolicyIndex) -> Result<()> {
        let change = self.change()?;
        if let Facts::Container(info) = &mut change.facts {
            info.policy_index = index;
            info.policy_stat_mut(index);
            change.stat_changed = true;
        }
        Ok(())
    }

    fn set_marks(&mut self, marks: &ContainerMarks) -> Result<()> {
        let change = self.change()?;
        let Facts::Container(info) = &mut change.facts else {
            return Ok(());
        };
        if let Some(reported) = &marks.reported {
            info.reported = reported.clone();
        }
        if let Some(point) = marks.x_container_sync_point1 {
            info.x_container_sync_point1 = point;
        }
        if let Some(point) = marks.x_container_sync_point2 {
            info.x_container_sync_point2 = point;
        }
        if let Some(point) = marks.reconciler_sync_point {
            info.reconciler_sync_point = point;
        }
        change.stat_changed = true;
        Ok(())
    }
}

impl<S: OrderedStore> KvStore<S, ObjectRow> {
    fn own_policy(&mut self) -> Result<PolicyIndex> {
        self.of_facts(|facts| match facts {
            Facts::Container(info) => Ok(info.policy_index),
            Facts::Account(_) => Err(damaged("the stat record, which is an account's,")),
        })?
    }
}
