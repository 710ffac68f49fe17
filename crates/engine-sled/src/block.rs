//! Blocks: many of our keys under one of sled's.
//!
//! sled keeps a table of its pages in memory for good, about 180 bytes for each, and puts at most 16 keys
//! into a page. A row to a key would cost 35 to 62 bytes of memory for ever; blocks of rows cost a few.
//!
//! ```text
//! key of sled    from where on keys belong to the block, up to the next block's. The first block has "",
//!                which is made when there is no block that a key belongs to
//! value          entries in ascending order of their keys, each
//!                  key length     4 bytes, little endian
//!                  value length   4 bytes, little endian
//!                  key
//!                  value
//! ```
//!
//! A block that grows too large is cut, so keys only ever move to blocks that begin later; one without
//! entries is removed; none are joined. So whoever walks over keys that do not change passes each once, whatever becomes of
//! the blocks around him.

use crate::error::{Attempt, Failure};
use broker_kv::{Change, Pair};
use sled::IVec;
use std::cmp::Ordering;

/// A block is cut above this size. Every change writes a block again, and sled now and then a page of 16.
const LARGEST: usize = 1024;

/// Lengths of a key and its value.
const LENGTHS: usize = 8;

/// The entries of one key of sled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    bytes: IVec,
    entries: Vec<Entry>,
}

/// Where the parts of an entry begin.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: usize,
    value: usize,
    end: usize,
}

impl Block {
    /// Finds the entries.
    pub(crate) fn read(bytes: IVec) -> Attempt<Self> {
        let (mut entries, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let entry = Entry::read(&bytes, at).ok_or(Failure::Damaged)?;
            at = entry.end;
            entries.push(entry);
        }
        let block = Self { bytes, entries };
        let keys = || block.entries.iter().map(|entry| block.key_of(*entry));
        match keys().zip(keys().skip(1)).all(|(one, next)| one < next) {
            true => Ok(block),
            false => Err(Failure::Damaged),
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn key_of(&self, entry: Entry) -> &[u8] {
        &self.bytes[entry.key..entry.value]
    }

    fn pair(&self, entry: Entry) -> Pair<'_> {
        (self.key_of(entry), &self.bytes[entry.value..entry.end])
    }

    /// An entry by its place.
    pub(crate) fn get(&self, at: usize) -> Option<Pair<'_>> {
        self.entries.get(at).map(|entry| self.pair(*entry))
    }

    /// How many keys are below this one.
    pub(crate) fn below(&self, key: &[u8]) -> usize {
        self.entries
            .partition_point(|entry| self.key_of(*entry) < key)
    }

    /// The value of a key.
    pub(crate) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        let (found, value) = self.get(self.below(key))?;
        (found == key).then_some(value)
    }

    /// The entries after some changes, which are in ascending order of their keys.
    pub(crate) fn changed<'a>(&'a self, changes: &[Change<'a>]) -> Changed<'a> {
        let end = self.entries.last().map(|entry| self.key_of(*entry));
        let appended = changes.first().map(|(key, _)| *key) > end;
        let mut pairs = Vec::with_capacity(self.len() + changes.len());
        let (mut old, mut new) = (self.entries.iter().peekable(), changes.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(entry), Some((key, _))) => self.key_of(**entry).cmp(key),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return Changed { pairs, appended },
            };
            if order.is_ge()
                && let Some(&(key, Some(value))) = new.next()
            {
                pairs.push((key, value));
            }
            if order.is_le() {
                let kept = old.next().filter(|_| order.is_lt());
                pairs.extend(kept.map(|entry| self.pair(*entry)));
            }
        }
    }
}

impl Entry {
    fn read(bytes: &[u8], start: usize) -> Option<Self> {
        let length = |at: usize| {
            let bytes = bytes.get(at..at + LENGTHS / 2)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let key = start + LENGTHS;
        let value = key.checked_add(length(start)?)?;
        let end = value.checked_add(length(start + LENGTHS / 2)?)?;
        (end <= bytes.len()).then_some(Self { key, value, end })
    }
}

/// The entries of a block that changed.
#[derive(Debug)]
pub(crate) struct Changed<'a> {
    pairs: Vec<Pair<'a>>,
    /// Whether all changes were above what was there.
    appended: bool,
}

impl<'a> Changed<'a> {
    /// Cuts them into blocks: what each has to hold, and its first key. Nothing when no entry is left.
    ///
    /// Blocks that grow at their end are left full, since nothing more will come to them; others are cut evenly, so that
    /// all have room.
    ///
    /// # Errors
    /// When a key or a value is longer than a block can say.
    pub(crate) fn blocks(&self) -> Attempt<Vec<(&'a [u8], Vec<u8>)>> {
        let total: usize = self.pairs.iter().map(size).sum();
        let wanted = match self.appended {
            true => LARGEST,
            false => total.div_ceil(total.div_ceil(LARGEST).max(1)),
        };
        let mut blocks: Vec<(&[u8], Vec<u8>)> = Vec::new();
        for pair in &self.pairs {
            let room = blocks.last().is_some_and(|(_, bytes)| {
                bytes.len() < wanted && bytes.len() + size(pair) <= LARGEST
            });
            if !room {
                blocks.push((pair.0, Vec::with_capacity(wanted)));
            }
            if let Some((_, bytes)) = blocks.last_mut() {
                write(bytes, *pair)?;
            }
        }
        Ok(blocks)
    }
}

fn size((key, value): &Pair<'_>) -> usize {
    LENGTHS + key.len() + value.len()
}

fn write(bytes: &mut Vec<u8>, (key, value): Pair<'_>) -> Attempt<()> {
    for part in [key, value] {
        let length = u32::try_from(part.len()).map_err(|_| Failure::TooLong)?;
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Owned = (Vec<u8>, Option<Vec<u8>>);

    fn change(name: u32, value: Option<usize>) -> Owned {
        let value = value.map(|length| vec![b'v'; length]);
        (format!("{name:06}").into_bytes(), value)
    }

    /// Blocks after some changes to one, each read again.
    fn after(block: &Block, changes: &[Owned]) -> Vec<Block> {
        let changes = changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()));
        let blocks = block.changed(&Vec::from_iter(changes)).blocks().unwrap();
        let read = blocks.into_iter().map(|(first, bytes)| {
            let block = Block::read(bytes.into()).unwrap();
            assert_eq!(block.get(0).unwrap().0, first);
            block
        });
        read.collect()
    }

    fn one(changes: &[Owned]) -> Block {
        let mut blocks = after(&Block::default(), changes);
        assert_eq!(blocks.len(), 1);
        blocks.remove(0)
    }

    fn names(block: &Block) -> Vec<&str> {
        let pairs = (0..block.len()).map(|at| block.get(at).unwrap());
        pairs
            .map(|(key, _)| std::str::from_utf8(key).unwrap())
            .collect()
    }

    #[test]
    fn entries_are_put_replaced_and_deleted() {
        let block = one(&[change(2, Some(1)), change(4, Some(0)), change(6, Some(3))]);
        let changes = [
            change(1, None),
            change(2, Some(5)),
            change(3, Some(2)),
            change(6, None),
            change(7, Some(0)),
        ];
        let after = after(&block, &changes);
        assert_eq!(names(&after[0]), ["000002", "000003", "000004", "000007"]);
        assert_eq!(after[0].value(b"000002"), Some(&b"vvvvv"[..]));
        assert_eq!(after[0].value(b"000004"), Some(&b""[..]));
        assert_eq!(after[0].value(b"000005"), None);
        assert_eq!(
            [b"000000", b"000003", b"000009"].map(|key| after[0].below(key)),
            [0, 1, 4]
        );
    }

    #[test]
    fn a_block_without_entries_is_none() {
        let block = one(&[change(1, Some(1))]);
        assert!(after(&block, &[change(1, None)]).is_empty());
        assert!(after(&Block::default(), &[change(1, None)]).is_empty());
    }

    /// A failure would mean that blocks which fill in order stay half empty, or that a block between others has
    /// no room and is cut into crumbs.
    #[test]
    fn a_block_is_left_full_at_the_end_and_cut_evenly_elsewhere() {
        let many: Vec<_> = (0..100).map(|name| change(2 * name, Some(86))).collect();
        let counts = |blocks: Vec<Block>| blocks.iter().map(Block::len).collect::<Vec<_>>();
        assert_eq!(counts(after(&Block::default(), &many)), vec![10; 10]);
        let full = one(&many[..10]);
        assert_eq!(counts(after(&full, &many[10..11])), [10, 1]);
        assert_eq!(counts(after(&full, &[change(7, Some(86))])), [6, 5]);
        let large = [change(7, Some(9000)), change(9, Some(86))];
        assert_eq!(counts(after(&full, &large)), [4, 1, 7]);
    }

    /// A failure would mean a panic, or rows that are shown from a damaged file.
    #[test]
    fn damage_is_refused() {
        let block = one(&[change(1, Some(3)), change(2, Some(3))]);
        let whole = block.bytes.to_vec();
        for length in 1..whole.len() {
            let cut = Block::read(whole[..length].into());
            assert_eq!(cut.is_ok(), length == whole.len() / 2, "{length}");
        }
        for at in [0, 3, 4, 7] {
            let mut broken = whole.clone();
            broken[at] = 0xff;
            assert!(matches!(Block::read(broken.into()), Err(Failure::Damaged)));
        }
        let (one, two) = whole.split_at(whole.len() / 2);
        assert!(Block::read([two, one].concat().into()).is_err());
        assert!(Block::read([one, one].concat().into()).is_err());
    }
}
