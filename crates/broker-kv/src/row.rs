//! Rows of the two kinds: their keys and values, and how they count.

use crate::keys::{StoreKeys, read_name, read_signed, section};
use crate::value::{Reader, Writer, damaged};
use broker_api::{
    ContainerRow, ContainerRowRef, Facts, ObjectRow, ObjectRowRef, PolicyIndex, Result, RowId,
    Rows, StoreKind, Tally,
};
use std::borrow::Cow;

/// A row of either kind.
pub trait Row: Clone + Send + 'static + sealed::Sealed {}

impl Row for ObjectRow {}
impl Row for ContainerRow {}

/// What the key of a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey<'a> {
    pub(crate) name: Cow<'a, str>,
    /// Of objects; of containers it is in the value.
    pub(crate) policy: Option<PolicyIndex>,
    pub(crate) deleted: bool,
}

impl<'a> RowKey<'a> {
    /// Reads the key of a row from the section on.
    pub(crate) fn read(tail: &'a [u8]) -> Result<Self> {
        Self::try_read(tail).ok_or_else(|| damaged("the key of a row"))
    }

    fn try_read(tail: &'a [u8]) -> Option<Self> {
        let (&section, rest) = tail.split_first()?;
        let deleted = match section {
            section::LIVE => false,
            section::TOMBSTONE => true,
            _ => return None,
        };
        let (name, rest) = read_name(rest)?;
        let policy = match rest {
            [] => None,
            rest => Some(PolicyIndex(read_signed(rest)?)),
        };
        Some(Self {
            name,
            policy,
            deleted,
        })
    }
}

/// The section of live rows or of tombstones.
pub(crate) fn section_of(deleted: bool) -> u8 {
    match deleted {
        false => section::LIVE,
        true => section::TOMBSTONE,
    }
}

pub(crate) mod sealed {
    use super::*;

    /// What the rest of the crate does with a row.
    pub trait Sealed: Sized {
        const KIND: StoreKind;
        fn name(&self) -> &str;
        /// Objects may have one row for each policy, containers have one for each name.
        fn key_policy(&self) -> Option<PolicyIndex>;
        fn row_id(&self) -> RowId;
        fn is_deleted(&self) -> bool;
        /// The text that decides whether a tombstone is old enough to go.
        fn reclaim_text(&self) -> &str;
        /// Appends the value, under a row number.
        fn push_value(&self, value: &mut Vec<u8>, row_id: RowId);
        /// Reads key (from the section on) and value.
        fn read(tail: &[u8], value: &[u8]) -> Result<Self>;
        /// Adds the row to the facts, or with `sign` -1 takes it out of them.
        fn count(&self, facts: &mut Facts, sign: i64);
        /// Counts a row.
        fn tally(key: &RowKey<'_>, value: &[u8], tally: &mut Tally) -> Result<()>;
        /// Rows of either kind as rows of this one.
        fn of(rows: &Rows) -> &[Self];
    }
}

use sealed::Sealed;

/// The key of a row in a section.
pub(crate) fn key_of<R: Row>(keys: StoreKeys, row: &R) -> Vec<u8> {
    keys.row(section_of(row.is_deleted()), row.name(), row.key_policy())
}

/// Reads an object's row without copying its text.
pub(crate) fn object_ref<'a>(key: &'a RowKey<'_>, value: &'a [u8]) -> Result<ObjectRowRef<'a>> {
    let mut reader = Reader::new(value, "an object row")?;
    let row = ObjectRowRef {
        row_id: RowId(reader.number()?),
        name: &key.name,
        size: reader.number()?,
        created_at: reader.text()?,
        content_type: reader.text()?,
        etag: reader.text()?,
        deleted: key.deleted,
        policy_index: key
            .policy
            .ok_or_else(|| damaged("the key of an object row"))?,
    };
    reader.end()?;
    Ok(row)
}

/// Reads what a listing shows of a container's row without copying its text.
pub(crate) fn container_ref<'a>(
    key: &'a RowKey<'_>,
    value: &'a [u8],
) -> Result<ContainerRowRef<'a>> {
    let mut reader = Reader::new(value, "a container row")?;
    reader.number()?;
    let policy_index = PolicyIndex(reader.number()?);
    let (put_timestamp, _) = (reader.text()?, reader.text()?);
    Ok(ContainerRowRef {
        name: &key.name,
        put_timestamp,
        object_count: reader.number()?,
        bytes_used: reader.number()?,
        policy_index,
    })
}

impl Sealed for ObjectRow {
    const KIND: StoreKind = StoreKind::Container;

    fn name(&self) -> &str {
        &self.name
    }

    fn key_policy(&self) -> Option<PolicyIndex> {
        Some(self.policy_index)
    }

    fn row_id(&self) -> RowId {
        self.row_id
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn reclaim_text(&self) -> &str {
        &self.created_at
    }

    fn push_value(&self, value: &mut Vec<u8>, row_id: RowId) {
        let writer = Writer::onto(value).number(row_id.0).number(self.size);
        let writer = writer.text(&self.created_at).text(&self.content_type);
        writer.text(&self.etag);
    }

    fn read(tail: &[u8], value: &[u8]) -> Result<Self> {
        Ok(object_ref(&RowKey::read(tail)?, value)?.to_owned())
    }

    fn count(&self, facts: &mut Facts, sign: i64) {
        if let Facts::Container(info) = facts {
            info.count(&self.as_ref(), sign);
        }
    }

    fn tally(key: &RowKey<'_>, value: &[u8], tally: &mut Tally) -> Result<()> {
        tally.object(&object_ref(key, value)?);
        Ok(())
    }

    fn of(rows: &Rows) -> &[Self] {
        match rows {
            Rows::Objects(rows) => rows,
            Rows::Containers(_) => &[],
        }
    }
}

impl Sealed for ContainerRow {
    const KIND: StoreKind = StoreKind::Account;

    fn name(&self) -> &str {
        &self.name
    }

    fn key_policy(&self) -> Option<PolicyIndex> {
        None
    }

    fn row_id(&self) -> RowId {
        self.row_id
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn reclaim_text(&self) -> &str {
        self.delete_timestamp.as_str()
    }

    fn push_value(&self, value: &mut Vec<u8>, row_id: RowId) {
        Writer::onto(value)
            .number(row_id.0)
            .number(self.policy_index.0)
            .text(self.put_timestamp.as_str())
            .text(self.delete_timestamp.as_str())
            .number(self.object_count)
            .number(self.bytes_used);
    }

    fn read(tail: &[u8], value: &[u8]) -> Result<Self> {
        read_container(RowKey::read(tail)?, value)
    }

    fn count(&self, facts: &mut Facts, sign: i64) {
        if let Facts::Account(info) = facts {
            info.count(self, sign);
        }
    }

    fn tally(key: &RowKey<'_>, value: &[u8], tally: &mut Tally) -> Result<()> {
        tally.container(&read_container(key.clone(), value)?);
        Ok(())
    }

    fn of(rows: &Rows) -> &[Self] {
        match rows {
            Rows::Containers(rows) => rows,
            Rows::Objects(_) => &[],
        }
    }
}

fn read_container(key: RowKey<'_>, value: &[u8]) -> Result<ContainerRow> {
    let mut reader = Reader::new(value, "a container row")?;
    let (row_id, policy_index) = (RowId(reader.number()?), PolicyIndex(reader.number()?));
    let row = ContainerRow {
        row_id,
        deleted: key.deleted,
        name: key.name.into_owned(),
        put_timestamp: reader.timestamp()?,
        delete_timestamp: reader.timestamp()?,
        object_count: reader.number()?,
        bytes_used: reader.number()?,
        policy_index,
    };
    reader.end()?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Number, tail};
    use proptest::prelude::*;

    fn value<R: Row>(row: &R) -> Vec<u8> {
        let mut value = Vec::new();
        row.push_value(&mut value, row.row_id());
        value
    }

    fn object(row_id: i64, size: i64, text: &str, deleted: bool) -> ObjectRow {
        ObjectRow {
            row_id: RowId(row_id),
            name: text.to_owned(),
            created_at: "0000000005.00000".to_owned(),
            size,
            content_type: text.to_owned(),
            etag: text.to_owned(),
            deleted,
            policy_index: PolicyIndex(size),
        }
    }

    /// A failure would mean that databases that were written before cannot be read.
    #[test]
    fn a_row_is_the_bytes_that_are_drawn() {
        let row = ObjectRow {
            policy_index: PolicyIndex(1),
            content_type: "t".into(),
            etag: "e".into(),
            ..object(9, 69, "a/b", false)
        };
        let key = key_of(StoreKeys(Number(7)), &row);
        assert_eq!(
            key,
            b"\x10\0\0\0\0\0\0\0\x07\x10a/b\0\0\x80\0\0\0\0\0\0\x01"
        );
        assert_eq!(
            value(&row),
            b"\x01\x12\x8a\x01\x100000000005.00000\x01t\x01e"
        );
    }

    proptest! {
        #[test]
        fn rows_are_read_back(
            (row_id, number) in (any::<i64>(), any::<i64>()), text in any::<String>(), deleted in any::<bool>()
        ) {
            let keys = StoreKeys(Number(7));
            let row = object(row_id, number, &text, deleted);
            let key = key_of(keys, &row);
            prop_assert_eq!(ObjectRow::read(tail(&key), &value(&row)).unwrap(), row);
            let row = ContainerRow {
                row_id: RowId(row_id),
                name: text,
                put_timestamp: broker_api::TimestampText::never(),
                delete_timestamp: broker_api::Timestamp::from_seconds(7).into(),
                object_count: number,
                bytes_used: !number,
                deleted,
                policy_index: PolicyIndex(number),
            };
            let key = key_of(keys, &row);
            prop_assert_eq!(ContainerRow::read(tail(&key), &value(&row)).unwrap(), row);
        }
    }
}
