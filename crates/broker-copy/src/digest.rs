//! A digest over rows as they are stored.

use broker_api::{ContainerRow, ObjectRow, Rows};
use sha2::{Digest, Sha256};

/// SHA-256 over rows in the order of their numbers, each field of each row with its length.
#[derive(Debug, Clone, Default)]
pub struct RowDigest {
    sha: Sha256,
    rows: u64,
    /// A page's fields, hashed together: many small updates cost more than one large one.
    buffer: Vec<u8>,
}

impl RowDigest {
    /// Before the first row.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next rows.
    pub fn add(&mut self, rows: &Rows) {
        self.buffer.clear();
        match rows {
            Rows::Containers(rows) => rows.iter().for_each(|row| self.container(row)),
            Rows::Objects(rows) => rows.iter().for_each(|row| self.object(row)),
        }
        self.sha.update(&self.buffer);
        self.rows += rows.len() as u64;
    }

    /// How many rows it has taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest, in hexadecimal.
    pub fn hex(&self) -> String {
        let digest = self.sha.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn object(&mut self, row: &ObjectRow) {
        self.number(row.row_id.0);
        self.text(&row.name);
        self.text(&row.created_at);
        self.number(row.size);
        self.text(&row.content_type);
        self.text(&row.etag);
        self.number(row.deleted.into());
        self.number(row.policy_index.0);
    }

    fn container(&mut self, row: &ContainerRow) {
        self.number(row.row_id.0);
        self.text(&row.name);
        self.text(row.put_timestamp.as_str());
        self.text(row.delete_timestamp.as_str());
        self.number(row.object_count);
        self.number(row.bytes_used);
        self.number(row.deleted.into());
        self.number(row.policy_index.0);
    }

    fn number(&mut self, number: i64) {
        self.buffer.extend_from_slice(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as i64);
        self.buffer.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_api::{PolicyIndex, RowId};

    fn row(name: &str, content_type: &str) -> ObjectRow {
        ObjectRow {
            row_id: RowId(1),
            name: name.into(),
            created_at: String::new(),
            size: 0,
            content_type: content_type.into(),
            etag: String::new(),
            deleted: false,
            policy_index: PolicyIndex(0),
        }
    }

    /// A failure would mean that two different stores pass for equal.
    #[test]
    fn every_field_and_its_end_count() {
        let digest = |row: ObjectRow| {
            let mut digest = RowDigest::new();
            digest.add(&Rows::Objects(vec![row]));
            digest.hex()
        };
        let base = row("a", "b");
        let others = [
            row("ab", ""),
            row("", "ab"),
            ObjectRow {
                row_id: RowId(2),
                ..base.clone()
            },
            ObjectRow {
                created_at: "1".into(),
                ..base.clone()
            },
            ObjectRow {
                size: 1,
                ..base.clone()
            },
            ObjectRow {
                etag: "e".into(),
                ..base.clone()
            },
            ObjectRow {
                deleted: true,
                ..base.clone()
            },
            ObjectRow {
                policy_index: PolicyIndex(1),
                ..base.clone()
            },
        ];
        for other in others {
            assert_ne!(digest(base.clone()), digest(other.clone()), "{other:?}");
        }
    }

    #[test]
    fn pages_do_not_matter() {
        let (mut whole, mut pages) = (RowDigest::new(), RowDigest::new());
        whole.add(&Rows::Objects(vec![row("a", ""), row("b", "")]));
        pages.add(&Rows::Objects(vec![row("a", "")]));
        pages.add(&Rows::Objects(vec![row("b", "")]));
        assert_eq!((whole.hex(), whole.rows()), (pages.hex(), pages.rows()));
    }
}
