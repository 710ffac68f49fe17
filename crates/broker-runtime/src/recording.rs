//! [`ObjectRecording`] and [`ContainerRecording`]: listings that are kept until it is certain that they are whole.

use broker_api::{
    ContainerRowRef, ContainerVisitor, Entry, ObjectRowRef, ObjectVisitor, PolicyIndex, RowId,
};
use std::ops::{ControlFlow, Range};

/// Bytes of text that an entry usually has.
const USUAL_TEXT: usize = 128;

/// Texts, one after the other.
#[derive(Debug, Default)]
struct Texts(String);

/// Where a text is.
type Place = Range<usize>;

impl Texts {
    fn reserve(&mut self, entries: usize) {
        self.0.reserve(entries * USUAL_TEXT);
    }

    fn keep(&mut self, text: &str) -> Place {
        let start = self.0.len();
        self.0.push_str(text);
        start..self.0.len()
    }

    fn at(&self, place: &Place) -> &str {
        &self.0[place.clone()]
    }
}

#[derive(Debug)]
enum Kept<R> {
    Row(R),
    Subdir(Place),
}

#[derive(Debug)]
struct KeptObject {
    row_id: RowId,
    name: Place,
    created_at: Place,
    size: i64,
    content_type: Place,
    etag: Place,
    deleted: bool,
    policy_index: PolicyIndex,
}

/// An object listing.
#[derive(Debug, Default)]
pub(crate) struct ObjectRecording {
    texts: Texts,
    entries: Vec<Kept<KeptObject>>,
}

impl ObjectVisitor for ObjectRecording {
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        let texts = &mut self.texts;
        self.entries.push(match entry {
            Entry::Subdir(name) => Kept::Subdir(texts.keep(name)),
            Entry::Row(row) => Kept::Row(KeptObject {
                row_id: row.row_id,
                name: texts.keep(row.name),
                created_at: texts.keep(row.created_at),
                size: row.size,
                content_type: texts.keep(row.content_type),
                etag: texts.keep(row.etag),
                deleted: row.deleted,
                policy_index: row.policy_index,
            }),
        });
        ControlFlow::Continue(())
    }
}

impl ObjectRecording {
    /// Makes room for so many entries of usual size.
    pub(crate) fn reserve(&mut self, entries: usize) {
        self.entries.reserve(entries);
        self.texts.reserve(entries);
    }

    /// Shows the listing to a visitor.
    pub(crate) fn show(&self, visitor: &mut dyn ObjectVisitor) {
        let text = |place| self.texts.at(place);
        for entry in &self.entries {
            let flow = visitor.visit(match entry {
                Kept::Subdir(name) => Entry::Subdir(text(name)),
                Kept::Row(row) => Entry::Row(ObjectRowRef {
                    row_id: row.row_id,
                    name: text(&row.name),
                    created_at: text(&row.created_at),
                    size: row.size,
                    content_type: text(&row.content_type),
                    etag: text(&row.etag),
                    deleted: row.deleted,
                    policy_index: row.policy_index,
                }),
            });
            if flow.is_break() {
                return;
            }
        }
    }
}

#[derive(Debug)]
struct KeptContainer {
    name: Place,
    put_timestamp: Place,
    object_count: i64,
    bytes_used: i64,
    policy_index: PolicyIndex,
}

/// A container listing.
#[derive(Debug, Default)]
pub(crate) struct ContainerRecording {
    texts: Texts,
    entries: Vec<Kept<KeptContainer>>,
}

impl ContainerVisitor for ContainerRecording {
    fn visit(&mut self, entry: Entry<'_, ContainerRowRef<'_>>) -> ControlFlow<()> {
        let texts = &mut self.texts;
        self.entries.push(match entry {
            Entry::Subdir(name) => Kept::Subdir(texts.keep(name)),
            Entry::Row(row) => Kept::Row(KeptContainer {
                name: texts.keep(row.name),
                put_timestamp: texts.keep(row.put_timestamp),
                object_count: row.object_count,
                bytes_used: row.bytes_used,
                policy_index: row.policy_index,
            }),
        });
        ControlFlow::Continue(())
    }
}

impl ContainerRecording {
    /// Makes room for so many entries of usual size.
    pub(crate) fn reserve(&mut self, entries: usize) {
        self.entries.reserve(entries);
        self.texts.reserve(entries);
    }

    /// Shows the listing to a visitor.
    pub(crate) fn show(&self, visitor: &mut dyn ContainerVisitor) {
        let text = |place| self.texts.at(place);
        for entry in &self.entries {
            let flow = visitor.visit(match entry {
                Kept::Subdir(name) => Entry::Subdir(text(name)),
                Kept::Row(row) => Entry::Row(ContainerRowRef {
                    name: text(&row.name),
                    put_timestamp: text(&row.put_timestamp),
                    object_count: row.object_count,
                    bytes_used: row.bytes_used,
                    policy_index: row.policy_index,
                }),
            });
            if flow.is_break() {
                return;
            }
        }
    }
}
