//! Records as the tuples of a pending file; see spec 02 §6.1.

use crate::pickle::{Value, Writer};
use broker_api::{
    ContainerRecord, ObjectRecord, ObjectTimestamps, PolicyIndex, Timestamp, TimestampText,
};

/// Why an entry is not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoRecord(pub(crate) String);

impl<E: std::error::Error> From<E> for NoRecord {
    fn from(error: E) -> Self {
        NoRecord(error.to_string())
    }
}

type Field<T> = Result<T, NoRecord>;

/// The pickled tuple of an object record.
pub(crate) fn write_object<'a>(writer: &'a mut Writer, record: &ObjectRecord) -> &'a [u8] {
    let created_at = record.created_at.encode();
    // Encoding loses some offsets; fields of their own then carry these times.
    let (ctype, meta) = match (record.ctype_timestamp, record.meta_timestamp) {
        (None, None) if !survives(&record.created_at, &created_at) => {
            let times = record.created_at;
            (Some(times.content_type), Some(times.metadata))
        }
        (None, Some(meta)) if !survives(&record.created_at, &created_at) => {
            (Some(record.created_at.content_type), Some(meta))
        }
        given => given,
    };
    let [ctype, meta] = [ctype, meta].map(|at| at.map(Timestamp::internal));
    writer
        .begin()
        .text(&record.name)
        .text(&created_at)
        .integer(record.size)
        .text(&record.content_type)
        .text(&record.etag)
        .integer(record.deleted.into())
        .integer(record.policy_index.0)
        .optional(ctype.as_deref())
        .optional(meta.as_deref())
        .end()
}

fn survives(times: &ObjectTimestamps, encoded: &str) -> bool {
    let plain = times.content_type == times.data && times.metadata == times.data;
    plain || ObjectTimestamps::decode(encoded).as_ref() == Ok(times)
}

/// The pickled tuple of a container record, whose values are all given.
pub(crate) fn write_container<'a>(writer: &'a mut Writer, record: &ContainerRecord) -> &'a [u8] {
    let text = |at: &'_ Option<TimestampText>| at.as_ref().map(|at| at.as_str().to_owned());
    writer
        .begin()
        .text(&record.name)
        .optional(text(&record.put_timestamp).as_deref())
        .optional(text(&record.delete_timestamp).as_deref())
        .integer(record.object_count.unwrap_or_default())
        .integer(record.bytes_used.unwrap_or_default())
        .integer(record.deleted.into())
        .integer(record.policy_index.0)
        .end()
}

/// Reads an object record: six fields, up to three more, and any that a later version adds.
pub(crate) fn read_object(fields: &[Value]) -> Field<ObjectRecord> {
    let fields = Fields::of(fields)?;
    Ok(ObjectRecord {
        name: fields.name()?,
        created_at: ObjectTimestamps::decode(&fields.text(1, "created_at")?)?,
        size: fields.integer(2, "size")?,
        content_type: fields.text(3, "content_type")?,
        etag: fields.text(4, "etag")?,
        deleted: fields.deleted()?,
        policy_index: fields.policy()?,
        ctype_timestamp: fields.optional_time(7)?,
        meta_timestamp: fields.optional_time(8)?,
        row_id: None,
    })
}

/// Reads a container record: six fields, a policy, and any that a later version adds.
pub(crate) fn read_container(fields: &[Value]) -> Field<ContainerRecord> {
    let fields = Fields::of(fields)?;
    Ok(ContainerRecord {
        name: fields.name()?,
        put_timestamp: Some(TimestampText::parse(fields.text(1, "put_timestamp")?)?),
        delete_timestamp: Some(TimestampText::parse(fields.text(2, "delete_timestamp")?)?),
        object_count: Some(fields.integer(3, "object_count")?),
        bytes_used: Some(fields.integer(4, "bytes_used")?),
        deleted: fields.deleted()?,
        policy_index: fields.policy()?,
        row_id: None,
    })
}

struct Fields<'a>(&'a [Value]);

impl<'a> Fields<'a> {
    fn of(fields: &'a [Value]) -> Field<Self> {
        match fields.len() {
            0..6 => Err(NoRecord(format!("{} fields are too few", fields.len()))),
            _ => Ok(Self(fields)),
        }
    }

    /// A name is a text and nothing that stands for one.
    fn name(&self) -> Field<String> {
        match &self.0[0] {
            Value::Text(name) => Ok((**name).to_owned()),
            _ => Err(NoRecord("the name is not a text".into())),
        }
    }

    /// A text; numbers stand for their digits, as SQLite has it.
    fn text(&self, index: usize, what: &str) -> Field<String> {
        match &self.0[index] {
            Value::Text(text) => Ok((**text).to_owned()),
            Value::Int(number) => Ok(number.to_string()),
            Value::Float(number) => Ok(format!("{number:?}")),
            _ => Err(NoRecord(format!("{what} is not a text"))),
        }
    }

    /// A whole number, or a text of digits.
    fn integer(&self, index: usize, what: &str) -> Field<i64> {
        let number = match &self.0[index] {
            Value::Int(number) => Some(*number),
            Value::Bool(flag) => Some((*flag).into()),
            Value::Text(digits) => digits.trim().parse().ok(),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Some(*number as i64)
            }
            _ => None,
        };
        number.ok_or_else(|| NoRecord(format!("{what} is not a whole number")))
    }

    fn deleted(&self) -> Field<bool> {
        Ok(self.integer(5, "deleted")? != 0)
    }

    fn policy(&self) -> Field<PolicyIndex> {
        match self.0.len() {
            0..7 => Ok(PolicyIndex(0)),
            _ => Ok(PolicyIndex(self.integer(6, "storage_policy_index")?)),
        }
    }

    fn optional_time(&self, index: usize) -> Field<Option<Timestamp>> {
        match self.0.get(index) {
            None | Some(Value::None) => Ok(None),
            Some(Value::Text(text)) if text.is_empty() => Ok(None),
            Some(_) => Ok(Some(Timestamp::parse(&self.text(index, "a timestamp")?)?)),
        }
    }
}
