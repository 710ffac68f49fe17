//! One page of a listing in one of the three formats.

use std::ops::ControlFlow;
use std::sync::Arc;

use broker_api::content_type::extract_swift_bytes;
use broker_api::{
    ContainerRowRef, ContainerVisitor, Entry, Error, ErrorKind, InvalidTimestamp, ObjectRowRef,
    ObjectTimestamps, ObjectVisitor, PolicyIndex, Timestamp,
};
use bytes::Bytes;
use swift_conf::{Policies, value};

use super::recycled;
use super::text::{IsoTime, push_json_text, push_number, push_xml_attribute, push_xml_text};
use crate::accept::Choice;

const XML_PROLOG: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// What the listing is of: the root element of its XML form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    /// An account of this name.
    Account(String),
    /// A container of this name.
    Container(String),
}

impl Root {
    fn tag_and_name(&self) -> (&'static str, &str) {
        match self {
            Root::Account(name) => ("account", name),
            Root::Container(name) => ("container", name),
        }
    }

    /// What stands after the root's start tag and after each child.
    fn line_end(&self) -> &'static [u8] {
        match self {
            Root::Account(_) => b"\n",
            Root::Container(_) => b"",
        }
    }
}

/// The bytes of a listing as it is written.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// What is written of this page.
    pub(crate) bytes: Vec<u8>,
    /// Entries of all pages so far.
    pub(crate) shown: usize,
    /// The name of the last entry, when the page is full.
    pub(crate) last: Option<String>,
    /// Why the listing cannot be written.
    pub(crate) error: Option<Error>,
    /// How many bytes make a page full.
    pub(crate) most_bytes: usize,
    /// At how many bytes the page becomes long, unless it is already.
    long_from: usize,
    choice: Choice,
    root: Root,
    iso: IsoTime,
}

impl Sheet {
    /// An empty page.
    pub(crate) fn new(choice: Choice, root: Root, most_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            shown: 0,
            last: None,
            error: None,
            most_bytes,
            long_from: recycled::LONG,
            choice,
            root,
            iso: IsoTime::default(),
        }
    }

    /// The bytes of this page; the next one begins.
    pub(crate) fn take_page(&mut self) -> Bytes {
        self.long_from = recycled::LONG;
        recycled::bytes_of(std::mem::take(&mut self.bytes))
    }

    /// Ends the listing.
    pub(crate) fn finish(&mut self) {
        let (tag, name) = self.root.tag_and_name();
        match (self.choice, &self.root) {
            (Choice::Plain, _) => {}
            (Choice::Json, _) => {
                let end: &[u8] = if self.shown == 0 { b"[]" } else { b"]" };
                self.bytes.extend_from_slice(end);
            }
            (_, Root::Container(_)) if self.shown == 0 => {
                self.bytes.extend_from_slice(XML_PROLOG);
                self.bytes.extend_from_slice(b"<container name=");
                push_xml_attribute(&mut self.bytes, name);
                self.bytes.extend_from_slice(b" />");
            }
            _ => {
                if self.shown == 0 {
                    self.open_root();
                }
                self.bytes.extend_from_slice(b"</");
                self.bytes.extend_from_slice(tag.as_bytes());
                self.bytes.push(b'>');
            }
        }
    }

    fn open_root(&mut self) {
        let (tag, name) = self.root.tag_and_name();
        self.bytes.extend_from_slice(XML_PROLOG);
        self.bytes.push(b'<');
        self.bytes.extend_from_slice(tag.as_bytes());
        self.bytes.extend_from_slice(b" name=");
        push_xml_attribute(&mut self.bytes, name);
        self.bytes.push(b'>');
        self.bytes.extend_from_slice(self.root.line_end());
    }

    fn begin_entry(&mut self) {
        match (self.choice, self.shown) {
            (Choice::Plain, _) => {}
            (Choice::Json, 0) => self.bytes.push(b'['),
            (Choice::Json, _) => self.bytes.extend_from_slice(b", "),
            (_, 0) => self.open_root(),
            _ => {}
        }
        self.shown += 1;
    }

    fn end_entry(&mut self, name: &str) -> ControlFlow<()> {
        if self.bytes.len() < self.most_bytes {
            if self.bytes.len() >= self.long_from {
                recycled::go_on(&mut self.bytes, self.most_bytes);
                self.long_from = usize::MAX;
            }
            return ControlFlow::Continue(());
        }
        self.last = Some(name.to_owned());
        ControlFlow::Break(())
    }

    fn fail(&mut self, error: InvalidTimestamp) -> ControlFlow<()> {
        let text = "a time in a stored row does not decode";
        self.error = Some(Error::new(ErrorKind::Internal, text).caused_by(error));
        ControlFlow::Break(())
    }

    fn subdir(&mut self, name: &str) -> ControlFlow<()> {
        self.begin_entry();
        match (self.choice, &self.root) {
            (Choice::Plain, _) => self.plain(name),
            (Choice::Json, _) => {
                self.bytes.extend_from_slice(b"{\"subdir\": ");
                push_json_text(&mut self.bytes, name);
                self.bytes.push(b'}');
            }
            (_, root) => {
                self.bytes.extend_from_slice(b"<subdir name=");
                push_xml_attribute(&mut self.bytes, name);
                if matches!(root, Root::Container(_)) {
                    self.bytes.push(b'>');
                    self.element("name", name);
                    self.bytes.extend_from_slice(b"</subdir>");
                } else {
                    self.bytes.extend_from_slice(b" />\n");
                }
            }
        }
        self.end_entry(name)
    }

    fn plain(&mut self, name: &str) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'\n');
    }

    fn object(&mut self, row: &ObjectRowRef<'_>) -> ControlFlow<()> {
        if self.choice == Choice::Plain {
            self.begin_entry();
            self.plain(row.name);
            return self.end_entry(row.name);
        }
        let modified = match ObjectTimestamps::decode(row.created_at) {
            Ok(times) => times.metadata,
            Err(error) => return self.fail(error),
        };
        self.begin_entry();
        if row.content_type.contains(';') {
            let split = extract_swift_bytes(row.content_type);
            let bytes = split.swift_bytes.as_deref().and_then(value::integer);
            self.object_fields(
                row,
                &split.content_type,
                bytes.unwrap_or(row.size),
                modified,
            );
        } else {
            self.object_fields(row, row.content_type, row.size, modified);
        }
        self.end_entry(row.name)
    }

    fn object_fields(
        &mut self,
        row: &ObjectRowRef<'_>,
        content_type: &str,
        bytes: i64,
        modified: Timestamp,
    ) {
        if self.choice != Choice::Json {
            self.bytes.extend_from_slice(b"<object>");
            self.element("name", row.name);
            self.element("hash", row.etag);
            self.number_element("bytes", bytes);
            self.element("content_type", content_type);
            self.time_element(modified);
            self.bytes.extend_from_slice(b"</object>");
            return;
        }
        let out = &mut self.bytes;
        out.extend_from_slice(b"{\"bytes\": ");
        push_number(out, bytes);
        out.extend_from_slice(b", \"hash\": ");
        push_json_text(out, row.etag);
        out.extend_from_slice(b", \"name\": ");
        push_json_text(out, row.name);
        out.extend_from_slice(b", \"content_type\": ");
        push_json_text(out, content_type);
        out.extend_from_slice(b", \"last_modified\": \"");
        self.iso.push(out, modified);
        out.extend_from_slice(b"\"}");
    }

    fn container(&mut self, row: &ContainerRowRef<'_>, policy: Option<&str>) -> ControlFlow<()> {
        if self.choice == Choice::Plain {
            self.begin_entry();
            self.plain(row.name);
            return self.end_entry(row.name);
        }
        let modified = match Timestamp::parse(row.put_timestamp) {
            Ok(put) => put,
            Err(error) => return self.fail(error),
        };
        self.begin_entry();
        match self.choice {
            Choice::Json => self.container_json(row, policy, modified),
            _ => self.container_xml(row, policy, modified),
        }
        self.end_entry(row.name)
    }

    fn container_json(
        &mut self,
        row: &ContainerRowRef<'_>,
        policy: Option<&str>,
        modified: Timestamp,
    ) {
        let out = &mut self.bytes;
        out.extend_from_slice(b"{\"name\": ");
        push_json_text(out, row.name);
        out.extend_from_slice(b", \"count\": ");
        push_number(out, row.object_count);
        out.extend_from_slice(b", \"bytes\": ");
        push_number(out, row.bytes_used);
        out.extend_from_slice(b", \"last_modified\": \"");
        self.iso.push(out, modified);
        out.push(b'"');
        if let Some(policy) = policy {
            out.extend_from_slice(b", \"storage_policy\": ");
            push_json_text(out, policy);
        }
        out.push(b'}');
    }

    fn container_xml(
        &mut self,
        row: &ContainerRowRef<'_>,
        policy: Option<&str>,
        modified: Timestamp,
    ) {
        self.bytes.extend_from_slice(b"<container>");
        self.element("name", row.name);
        self.number_element("count", row.object_count);
        self.number_element("bytes", row.bytes_used);
        self.time_element(modified);
        if let Some(policy) = policy {
            self.element("storage_policy", policy);
        }
        self.bytes.extend_from_slice(b"</container>\n");
    }

    fn element(&mut self, tag: &str, text: &str) {
        let out = &mut self.bytes;
        out.push(b'<');
        out.extend_from_slice(tag.as_bytes());
        if text.is_empty() {
            out.extend_from_slice(b" />");
            return;
        }
        out.push(b'>');
        push_xml_text(out, text);
        self.close(tag);
    }

    fn number_element(&mut self, tag: &str, number: i64) {
        self.bytes.push(b'<');
        self.bytes.extend_from_slice(tag.as_bytes());
        self.bytes.push(b'>');
        push_number(&mut self.bytes, number);
        self.close(tag);
    }

    fn time_element(&mut self, time: Timestamp) {
        self.bytes.extend_from_slice(b"<last_modified>");
        self.iso.push(&mut self.bytes, time);
        self.close("last_modified");
    }

    fn close(&mut self, tag: &str) {
        self.bytes.extend_from_slice(b"</");
        self.bytes.extend_from_slice(tag.as_bytes());
        self.bytes.push(b'>');
    }
}

/// Writes an object listing.
#[derive(Debug)]
pub(super) struct ObjectWriter(pub(super) Sheet);

impl ObjectVisitor for ObjectWriter {
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        match entry {
            Entry::Row(row) => self.0.object(&row),
            Entry::Subdir(name) => self.0.subdir(name),
        }
    }
}

/// Writes a container listing.
#[derive(Debug)]
pub(super) struct ContainerWriter {
    pub(super) sheet: Sheet,
    pub(super) policies: Arc<Policies>,
}

impl ContainerWriter {
    fn policy_name(policies: &Policies, index: PolicyIndex) -> Option<&str> {
        let policy = policies.by_index(u32::try_from(index.0).ok()?)?;
        Some(&policy.name)
    }
}

impl ContainerVisitor for ContainerWriter {
    fn visit(&mut self, entry: Entry<'_, ContainerRowRef<'_>>) -> ControlFlow<()> {
        match entry {
            Entry::Row(row) => {
                let policy = Self::policy_name(&self.policies, row.policy_index);
                self.sheet.container(&row, policy)
            }
            Entry::Subdir(name) => self.sheet.subdir(name),
        }
    }
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
