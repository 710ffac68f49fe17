//! [`Recording`]: a listing that is kept until it is certain that it is whole.

use broker_api::{
    ContainerRowRef, ContainerVisitor, Entry, ObjectRowRef, ObjectVisitor, PolicyIndex, RowId,
};
use std::ops::{ControlFlow, Range};

/// Bytes of text that an entry usually has.
const USUAL_TEXT: usize = 128;

/// Texts, one after the other.
#[derive(Debug)]
pub(crate) struct Texts(String);

/// Where a text is.
type Place = Range<usize>;

impl Texts {
    fn keep(&mut self, text: &str) -> Place {
        let start = self.0.len();
        self.0.push_str(text);
        start..self.0.len()
    }

    fn at(&self, place: &Place) -> &str {
        &self.0[place.clone()]
    }
}

/// A row whose texts stand among those of a recording.
pub(crate) trait Keep: Sized {
    type Row<'a>;

    fn keep(row: Self::Row<'_>, texts: &mut Texts) -> Self;
    fn row<'a>(&self, texts: &'a Texts) -> Self::Row<'a>;
}

#[derive(Debug)]
enum Kept<R> {
    Row(R),
    Subdir(Place),
}

/// A listing of rows that are kept as `R`.
#[derive(Debug)]
pub(crate) struct Recording<R> {
    texts: Texts,
    entries: Vec<Kept<R>>,
}

impl<R: Keep> Recording<R> {
    /// An empty listing.
    pub(crate) fn new() -> Self {
        Self {
            texts: Texts(String::new()),
            entries: Vec::new(),
        }
    }

    /// Makes room for so many entries of usual size.
    pub(crate) fn reserve(&mut self, entries: usize) {
        self.entries.reserve(entries);
        self.texts.0.reserve(entries * USUAL_TEXT);
    }

    /// Shows the listing.
    pub(crate) fn show(&self, mut visit: impl FnMut(Entry<'_, R::Row<'_>>) -> ControlFlow<()>) {
        for entry in &self.entries {
            let flow = visit(match entry {
                Kept::Subdir(name) => Entry::Subdir(self.texts.at(name)),
                Kept::Row(row) => Entry::Row(row.row(&self.texts)),
            });
            if flow.is_break() {
                return;
            }
        }
    }

    fn keep(&mut self, entry: Entry<'_, R::Row<'_>>) -> ControlFlow<()> {
        let texts = &mut self.texts;
        self.entries.push(match entry {
            Entry::Subdir(name) => Kept::Subdir(texts.keep(name)),
            Entry::Row(row) => Kept::Row(R::keep(row, texts)),
        });
        ControlFlow::Continue(())
    }
}

impl ObjectVisitor for Recording<KeptObject> {
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        self.keep(entry)
    }
}

impl ContainerVisitor for Recording<KeptContainer> {
    fn visit(&mut self, entry: Entry<'_, ContainerRowRef<'_>>) -> ControlFlow<()> {
        self.keep(entry)
    }
}

/// An object's row.
#[derive(Debug)]
pub(crate) struct KeptObject {
    row_id: RowId,
    name: Place,
    created_at: Place,
    size: i64,
    content_type: Place,
    etag: Place,
    deleted: bool,
    policy_index: PolicyIndex,
}

impl Keep for KeptObject {
    type Row<'a> = ObjectRowRef<'a>;

    fn keep(row: ObjectRowRef<'_>, texts: &mut Texts) -> Self {
        Self {
            row_id: row.row_id,
            name: texts.keep(row.name),
            created_at: texts.keep(row.created_at),
            size: row.size,
            content_type: texts.keep(row.content_type),
            etag: texts.keep(row.etag),
            deleted: row.deleted,
            policy_index: row.policy_index,
        }
    }

    fn row<'a>(&self, texts: &'a Texts) -> ObjectRowRef<'a> {
        ObjectRowRef {
            row_id: self.row_id,
            name: texts.at(&self.name),
            created_at: texts.at(&self.created_at),
            size: self.size,
            content_type: texts.at(&self.content_type),
            etag: texts.at(&self.etag),
            deleted: self.deleted,
            policy_index: self.policy_index,
        }
    }
}

/// A container's row.
#[derive(Debug)]
pub(crate) struct KeptContainer {
    name: Place,
    put_timestamp: Place,
    object_count: i64,
    bytes_used: i64,
    policy_index: PolicyIndex,
}

impl Keep for KeptContainer {
    type Row<'a> = ContainerRowRef<'a>;

    fn keep(row: ContainerRowRef<'_>, texts: &mut Texts) -> Self {
        Self {
            name: texts.keep(row.name),
            put_timestamp: texts.keep(row.put_timestamp),
            object_count: row.object_count,
            bytes_used: row.bytes_used,
            policy_index: row.policy_index,
        }
    }

    fn row<'a>(&self, texts: &'a Texts) -> ContainerRowRef<'a> {
        ContainerRowRef {
            name: texts.at(&self.name),
            put_timestamp: texts.at(&self.put_timestamp),
            object_count: self.object_count,
            bytes_used: self.bytes_used,
            policy_index: self.policy_index,
        }
    }
}
