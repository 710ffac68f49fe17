//! Values: a version byte, then fields one after the other. Pictures are in the
//! [crate's documentation](crate).
//!
//! ```text
//! text     length as varint, bytes of UTF-8
//! number   zigzag varint: 0 -1 1 -2 … as 0 1 2 3 …, seven bits a byte, lowest first, top bit "more"
//! ```

use broker_api::{
    AccountInfo, AccountPolicyStat, ContainerInfo, DbState, Error, ErrorKind, Facts, Outcome,
    PolicyIndex, PolicyStat, Reported, Result, RollingHash, RowId, StoreInfo, SyncPoint,
    TimestampText,
};

/// The version of every value that this crate writes.
pub(crate) const VERSION: u8 = 1;

/// The error for a value or key that cannot be what was written.
pub(crate) fn damaged(what: &str) -> Error {
    let message = format!("malformed database: {what} is damaged");
    Error::new(ErrorKind::Corrupt, message).with_outcome(Outcome::NotApplied)
}

/// Appends the fields of a value.
#[derive(Debug)]
pub(crate) struct Writer<'a>(&'a mut Vec<u8>);

/// A value of its own.
fn written(write: impl for<'a> FnOnce(Writer<'a>) -> Writer<'a>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    write(Writer::onto(&mut bytes));
    bytes
}

impl<'a> Writer<'a> {
    /// Begins a value behind what is there.
    pub(crate) fn onto(bytes: &'a mut Vec<u8>) -> Self {
        bytes.push(VERSION);
        Self(bytes)
    }

    fn byte(self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    fn varint(self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    pub(crate) fn number(self, number: i64) -> Self {
        self.varint(((number << 1) ^ (number >> 63)) as u64)
    }

    pub(crate) fn text(self, text: &str) -> Self {
        let writer = self.varint(text.len() as u64);
        writer.0.extend_from_slice(text.as_bytes());
        writer
    }
}

/// Reads fields off a value.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Begins behind the version byte; `what` is for the error.
    pub(crate) fn new(value: &'a [u8], what: &'static str) -> Result<Self> {
        match value.split_first() {
            Some((&VERSION, rest)) => Ok(Self { rest, what }),
            Some((version, _)) => {
                let message = format!("{what} has version {version}, this is an older apus");
                Err(Error::new(ErrorKind::Unsupported, message))
            }
            None => Err(damaged(what)),
        }
    }

    fn damaged<T>(&self) -> Result<T> {
        Err(damaged(self.what))
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return self.damaged();
        };
        self.rest = rest;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        self.damaged()
    }

    pub(crate) fn number(&mut self) -> Result<i64> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let Some((text, rest)) = self.rest.split_at_checked(length) else {
            return self.damaged();
        };
        self.rest = rest;
        std::str::from_utf8(text).or_else(|_| self.damaged())
    }

    pub(crate) fn owned(&mut self) -> Result<String> {
        self.text().map(str::to_owned)
    }

    pub(crate) fn timestamp(&mut self) -> Result<TimestampText> {
        TimestampText::parse(self.text()?).or_else(|_| self.damaged())
    }

    /// Everything that is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The value must end here.
    pub(crate) fn end(&self) -> Result<()> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => self.damaged(),
        }
    }
}

/// A number that is not negative: of a store, of a format.
pub(crate) fn write_count(count: u64) -> Vec<u8> {
    written(|writer| writer.varint(count))
}

/// Reads what [`write_count`] wrote.
pub(crate) fn read_count(value: &[u8], what: &'static str) -> Result<u64> {
    let mut reader = Reader::new(value, what)?;
    let count = reader.varint()?;
    reader.end()?;
    Ok(count)
}

/// Metadata has a value of its own, so that it is not written with every change of a count.
pub(crate) fn write_metadata(raw_metadata: &str) -> Vec<u8> {
    written(|writer| writer.text(raw_metadata))
}

/// Reads what [`write_metadata`] wrote.
pub(crate) fn read_metadata(value: &[u8]) -> Result<String> {
    let mut reader = Reader::new(value, "the metadata")?;
    let text = reader.owned()?;
    reader.end()?;
    Ok(text)
}

/// When and why a store was quarantined.
pub(crate) fn write_quarantine(at: &str, reason: &str) -> Vec<u8> {
    written(|writer| writer.text(at).text(reason))
}

/// Reads what [`write_quarantine`] wrote.
pub(crate) fn read_quarantine(value: &[u8]) -> Result<(&str, &str)> {
    let mut reader = Reader::new(value, "a quarantined store")?;
    let (at, reason) = (reader.text()?, reader.text()?);
    reader.end()?;
    Ok((at, reason))
}

pub(crate) fn write_sync_point(point: &SyncPoint) -> Vec<u8> {
    written(|writer| {
        let writer = writer.text(&point.remote_id);
        writer.number(point.sync_point.0).text(&point.updated_at)
    })
}

pub(crate) fn read_sync_point(value: &[u8]) -> Result<SyncPoint> {
    let mut reader = Reader::new(value, "a sync point")?;
    let point = SyncPoint {
        remote_id: reader.owned()?,
        sync_point: RowId(reader.number()?),
        updated_at: reader.owned()?,
    };
    reader.end()?;
    Ok(point)
}

/// The stat record: all facts but the metadata.
pub(crate) fn write_stat(facts: &Facts) -> Vec<u8> {
    written(|writer| match facts {
        Facts::Account(info) => {
            let mut writer = write_store(writer.byte(b'a'), &info.store);
            writer = writer
                .number(info.container_count)
                .number(info.object_count)
                .number(info.bytes_used)
                .varint(info.policy_stats.len() as u64);
            for stat in &info.policy_stats {
                writer = writer
                    .number(stat.policy_index.0)
                    .number(stat.container_count.unwrap_or_default())
                    .number(stat.object_count)
                    .number(stat.bytes_used);
            }
            writer
        }
        Facts::Container(info) => {
            let mut writer = write_store(writer.byte(b'c'), &info.store);
            let reported = &info.reported;
            writer = writer
                .text(&info.container)
                .number(info.policy_index.0)
                .text(&reported.put_timestamp)
                .text(&reported.delete_timestamp)
                .number(reported.object_count)
                .number(reported.bytes_used)
                .number(info.x_container_sync_point1)
                .number(info.x_container_sync_point2)
                .number(info.reconciler_sync_point)
                .varint(info.policy_stats.len() as u64);
            for stat in &info.policy_stats {
                writer = writer
                    .number(stat.policy_index.0)
                    .number(stat.object_count)
                    .number(stat.bytes_used);
            }
            writer
        }
    })
}

fn write_store<'a>(writer: Writer<'a>, store: &StoreInfo) -> Writer<'a> {
    writer
        .text(&store.account)
        .text(store.created_at.as_str())
        .text(store.put_timestamp.as_str())
        .text(store.delete_timestamp.as_str())
        .text(&store.status)
        .text(store.status_changed_at.as_str())
        .text(&store.hash.to_string())
        .text(&store.id)
        .number(store.max_row.0)
}

/// Reads what [`write_stat`] wrote; the metadata comes from elsewhere.
pub(crate) fn read_stat(value: &[u8], raw_metadata: String) -> Result<Facts> {
    let mut reader = Reader::new(value, "the stat record")?;
    let kind = reader.byte()?;
    let store = read_store(&mut reader, raw_metadata)?;
    let facts = match kind {
        b'a' => Facts::Account(read_account(&mut reader, store)?),
        b'c' => Facts::Container(read_container(&mut reader, store)?),
        _ => return reader.damaged(),
    };
    reader.end()?;
    Ok(facts)
}

fn read_store(reader: &mut Reader<'_>, raw_metadata: String) -> Result<StoreInfo> {
    Ok(StoreInfo {
        account: reader.owned()?,
        created_at: reader.timestamp()?,
        put_timestamp: reader.timestamp()?,
        delete_timestamp: reader.timestamp()?,
        status: reader.owned()?,
        status_changed_at: reader.timestamp()?,
        hash: RollingHash::parse(reader.text()?).map_or_else(|| reader.damaged(), Ok)?,
        id: reader.owned()?,
        raw_metadata,
        max_row: RowId(reader.number()?),
    })
}

fn read_account(reader: &mut Reader<'_>, store: StoreInfo) -> Result<AccountInfo> {
    let mut info = AccountInfo {
        store,
        container_count: reader.number()?,
        object_count: reader.number()?,
        bytes_used: reader.number()?,
        policy_stats: Vec::new(),
    };
    for _ in 0..reader.varint()? {
        info.policy_stats.push(AccountPolicyStat {
            policy_index: PolicyIndex(reader.number()?),
            container_count: Some(reader.number()?),
            object_count: reader.number()?,
            bytes_used: reader.number()?,
        });
    }
    Ok(info)
}

fn read_container(reader: &mut Reader<'_>, store: StoreInfo) -> Result<ContainerInfo> {
    let mut info = ContainerInfo {
        store,
        container: reader.owned()?,
        policy_index: PolicyIndex(reader.number()?),
        policy_stats: Vec::new(),
        reported: Reported {
            put_timestamp: reader.owned()?,
            delete_timestamp: reader.owned()?,
            object_count: reader.number()?,
            bytes_used: reader.number()?,
        },
        x_container_sync_point1: reader.number()?,
        x_container_sync_point2: reader.number()?,
        reconciler_sync_point: reader.number()?,
        db_state: DbState::Unsharded,
    };
    for _ in 0..reader.varint()? {
        info.policy_stats.push(PolicyStat {
            policy_index: PolicyIndex(reader.number()?),
            object_count: reader.number()?,
            bytes_used: reader.number()?,
        });
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_texts_are_read_back(number in any::<i64>(), text in any::<String>()) {
            let value = written(|writer| writer.number(number).text(&text));
            let mut reader = Reader::new(&value, "it").unwrap();
            prop_assert_eq!(reader.number().unwrap(), number);
            prop_assert_eq!(reader.text().unwrap(), text.as_str());
            prop_assert!(reader.end().is_ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 1..99)) {
            bytes[0] = VERSION;
            let _ = (read_stat(&bytes, String::new()), read_sync_point(&bytes));
        }
    }

    #[test]
    fn values_of_a_later_version_are_refused_and_not_taken_for_damage() {
        let error = read_metadata(&[VERSION + 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(read_metadata(&[]).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
