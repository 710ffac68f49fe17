//! Keys: how they are laid out, made and read. The picture is in the [crate's documentation](crate).

use broker_api::{Location, NameHash, PolicyIndex, RowId, StoreKind};
use std::borrow::Cow;
use std::ops::{Bound, Range};

/// First byte of a key.
pub(crate) mod space {
    pub(crate) const FORMAT: u8 = 0x00;
    pub(crate) const NEXT_NUMBER: u8 = 0x01;
    pub(crate) const LOCATION: u8 = 0x02;
    pub(crate) const QUARANTINED: u8 = 0x03;
    pub(crate) const DOOMED: u8 = 0x04;
    pub(crate) const SYNCED: u8 = 0x05;
    pub(crate) const RESTORING: u8 = 0x06;
    pub(crate) const CONTENTS: u8 = 0x10;
}

/// Byte after the number of a store.
pub(crate) mod section {
    pub(crate) const STAT: u8 = 0x01;
    pub(crate) const METADATA: u8 = 0x02;
    pub(crate) const INCOMING: u8 = 0x03;
    pub(crate) const OUTGOING: u8 = 0x04;
    pub(crate) const LIVE: u8 = 0x10;
    pub(crate) const TOMBSTONE: u8 = 0x11;
    pub(crate) const ROW_LOG: u8 = 0x12;
}

/// Length of what all keys of one store start with: the space and the number.
const PREFIX_LEN: usize = 9;

/// The key that says in which layout the database is.
pub(crate) fn format() -> Vec<u8> {
    vec![space::FORMAT]
}

/// The key of the next store number.
pub(crate) fn next_number() -> Vec<u8> {
    vec![space::NEXT_NUMBER]
}

/// A store's number on its device. Never used again, so it tells a store from a later one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(pub(crate) u64);

/// The byte for a kind of store.
fn kind_byte(kind: StoreKind) -> u8 {
    match kind {
        StoreKind::Account => b'a',
        StoreKind::Container => b'c',
    }
}

fn kind_of(byte: u8) -> Option<StoreKind> {
    match byte {
        b'a' => Some(StoreKind::Account),
        b'c' => Some(StoreKind::Container),
        _ => None,
    }
}

fn place(space: u8, location: &Location) -> Vec<u8> {
    let mut key = vec![space, kind_byte(location.kind())];
    // A partition holds no NUL, so one ends it: no partition's keys start with those of another.
    key.extend_from_slice(location.partition().as_bytes());
    key.push(0);
    key.extend_from_slice(&location.hash().0);
    key
}

/// The key under which a store is found.
pub(crate) fn location(location: &Location) -> Vec<u8> {
    place(space::LOCATION, location)
}

/// All locations of a kind, or those after one.
pub(crate) fn locations(kind: StoreKind, after: Option<&Location>) -> Range<Vec<u8>> {
    places(space::LOCATION, kind, after)
}

/// The key under which a store is found that is being restored.
pub(crate) fn restoring(location: &Location) -> Vec<u8> {
    place(space::RESTORING, location)
}

/// The key that puts a container on the list of container sync.
pub(crate) fn synced(location: &Location) -> Vec<u8> {
    place(space::SYNCED, location)
}

/// All containers on that list, or those after one.
pub(crate) fn all_synced(after: Option<&Location>) -> Range<Vec<u8>> {
    places(space::SYNCED, StoreKind::Container, after)
}

fn places(space: u8, kind: StoreKind, after: Option<&Location>) -> Range<Vec<u8>> {
    let start = match after {
        None => vec![space, kind_byte(kind)],
        Some(after) => {
            let mut start = place(space, after);
            start.push(0);
            start
        }
    };
    start..vec![space, kind_byte(kind) + 1]
}

/// The key under which a quarantined store is remembered.
pub(crate) fn quarantined(location: &Location, number: Number) -> Vec<u8> {
    let mut key = place(space::QUARANTINED, location);
    key.extend_from_slice(&number.0.to_be_bytes());
    key
}

/// The key that says that the contents of a store are being dropped.
pub(crate) fn doomed(number: Number) -> Vec<u8> {
    let mut key = vec![space::DOOMED];
    key.extend_from_slice(&number.0.to_be_bytes());
    key
}

/// All keys of a space.
pub(crate) fn whole(space: u8) -> Range<Vec<u8>> {
    vec![space]..vec![space + 1]
}

/// The number in a key of doomed contents.
pub(crate) fn read_doomed(key: &[u8]) -> Option<Number> {
    let (&space::DOOMED, number) = key.split_first()? else {
        return None;
    };
    Some(Number(u64::from_be_bytes(number.try_into().ok()?)))
}

/// What a location's key says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) kind: StoreKind,
    pub(crate) partition: &'a str,
    pub(crate) hash: NameHash,
    /// Of quarantined stores.
    pub(crate) number: Option<Number>,
}

/// Reads the key of a location, quarantined or not.
pub(crate) fn read_place(key: &[u8]) -> Option<Place<'_>> {
    let [space, kind, rest @ ..] = key else {
        return None;
    };
    let end = rest.iter().position(|&b| b == 0)?;
    let (hash, number) = rest.get(end + 1..)?.split_at_checked(16)?;
    let number = match (*space, number) {
        (space::LOCATION | space::SYNCED | space::RESTORING, []) => None,
        (space::QUARANTINED, number) => Some(Number(u64::from_be_bytes(number.try_into().ok()?))),
        _ => return None,
    };
    Some(Place {
        kind: kind_of(*kind)?,
        partition: std::str::from_utf8(&rest[..end]).ok()?,
        hash: NameHash(hash.try_into().ok()?),
        number,
    })
}

/// Makes the keys of one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreKeys(pub(crate) Number);

impl StoreKeys {
    fn start(self, section: u8, room: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(PREFIX_LEN + 1 + room);
        self.push_prefix(&mut key);
        key.push(section);
        key
    }

    fn push_prefix(self, key: &mut Vec<u8>) {
        key.push(space::CONTENTS);
        key.extend_from_slice(&self.0.0.to_be_bytes());
    }

    /// The key of a section that has only one.
    pub(crate) fn single(self, section: u8) -> Vec<u8> {
        self.start(section, 0)
    }

    /// All keys of a section.
    pub(crate) fn section(self, section: u8) -> Range<Vec<u8>> {
        self.start(section, 0)..self.start(section + 1, 0)
    }

    /// All keys of the store.
    pub(crate) fn contents(self) -> Range<Vec<u8>> {
        let (mut start, mut end) = (self.start(0, 0), self.start(u8::MAX, 0));
        start.truncate(PREFIX_LEN);
        // No section has this byte.
        end.truncate(PREFIX_LEN + 1);
        start..end
    }

    /// The key of a sync point by its place in the list.
    pub(crate) fn sync_point(self, section: u8, place: u32) -> Vec<u8> {
        let mut key = self.start(section, 4);
        key.extend_from_slice(&place.to_be_bytes());
        key
    }

    /// The key of a row.
    pub(crate) fn row(self, section: u8, name: &str, policy: Option<PolicyIndex>) -> Vec<u8> {
        let mut key = Vec::with_capacity(PREFIX_LEN + 1 + name.len() + 12);
        self.push_row(&mut key, section, name, policy);
        key
    }

    /// Appends the key of a row.
    pub(crate) fn push_row(
        self,
        key: &mut Vec<u8>,
        section: u8,
        name: &str,
        policy: Option<PolicyIndex>,
    ) {
        self.push_prefix(key);
        push_row_tail(key, section, name, policy);
    }

    /// Appends the key in the row log.
    pub(crate) fn push_row_log(self, key: &mut Vec<u8>, row_id: RowId) {
        self.push_prefix(key);
        key.push(section::ROW_LOG);
        push_signed(key, row_id.0);
    }

    /// Appends the key of a row from its last part, which begins with the section.
    pub(crate) fn push_row_of(self, key: &mut Vec<u8>, tail: &[u8]) {
        self.push_prefix(key);
        key.extend_from_slice(tail);
    }

    /// The key in the row log.
    pub(crate) fn row_log(self, row_id: RowId) -> Vec<u8> {
        let mut key = Vec::with_capacity(PREFIX_LEN + 9);
        self.push_row_log(&mut key, row_id);
        key
    }

    /// Where the rows of a section within bounds on their names begin and end.
    pub(crate) fn rows(
        self,
        section: u8,
        lower: Bound<&str>,
        upper: Bound<&str>,
    ) -> Range<Vec<u8>> {
        let whole = self.section(section);
        let start = match lower {
            Bound::Unbounded => whole.start,
            Bound::Included(name) => self.edge(section, name, Edge::Before),
            Bound::Excluded(name) => self.edge(section, name, Edge::After),
        };
        let end = match upper {
            Bound::Unbounded => whole.end,
            Bound::Included(name) => self.edge(section, name, Edge::After),
            Bound::Excluded(name) => self.edge(section, name, Edge::Before),
        };
        start..end
    }

    /// A key before or after all rows of a name.
    fn edge(self, section: u8, name: &str, edge: Edge) -> Vec<u8> {
        let mut key = self.row(section, name, None);
        if edge == Edge::After
            && let Some(last) = key.last_mut()
        {
            // 00 00 ends the name; 00 01 is above that, and below the 00 ff of a longer name.
            *last = 1;
        }
        key
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Before,
    After,
}

/// The part of a store's key from the section on.
pub(crate) fn tail(key: &[u8]) -> &[u8] {
    key.get(PREFIX_LEN..).unwrap_or_default()
}

/// Appends the key of a row from the section on.
pub(crate) fn push_row_tail(
    key: &mut Vec<u8>,
    section: u8,
    name: &str,
    policy: Option<PolicyIndex>,
) {
    key.push(section);
    push_name(key, name);
    if let Some(policy) = policy {
        push_signed(key, policy.0);
    }
}

/// Makes a key of one section one of another, in which keys look alike.
pub(crate) fn set_section(key: &mut [u8], section: u8) {
    if let Some(place) = key.get_mut(PREFIX_LEN) {
        *place = section;
    }
}

/// The number of the store that a key belongs to, and the rest of the key.
pub(crate) fn split(key: &[u8]) -> Option<(Number, u8, &[u8])> {
    let (&space::CONTENTS, rest) = key.split_first()? else {
        return None;
    };
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (&section, rest) = rest.split_first()?;
    Some((Number(u64::from_be_bytes(*number)), section, rest))
}

/// Appends a name so that names keep their order whatever follows, and none is the start of another:
/// NUL becomes 00 FF, and 00 00 ends the name.
fn push_name(key: &mut Vec<u8>, name: &str) {
    // Nearly no name has one; all bytes are looked at together then.
    let has_nul = name.bytes().fold(false, |found, byte| found | (byte == 0));
    match has_nul {
        false => key.extend_from_slice(name.as_bytes()),
        true => {
            for byte in name.bytes() {
                key.push(byte);
                if byte == 0 {
                    key.push(0xff);
                }
            }
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// Reads what [`push_name`] wrote; gives the name and what follows it.
pub(crate) fn read_name(key: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let mut unescaped: Option<Vec<u8>> = None;
    let mut from = 0;
    loop {
        let nul = from + key.get(from..)?.iter().position(|&b| b == 0)?;
        let after = *key.get(nul + 1)?;
        match after {
            0 => {
                let rest = &key[nul + 2..];
                let name = match unescaped {
                    None => Cow::Borrowed(std::str::from_utf8(&key[..nul]).ok()?),
                    Some(mut name) => {
                        name.extend_from_slice(&key[from..nul]);
                        Cow::Owned(String::from_utf8(name).ok()?)
                    }
                };
                return Some((name, rest));
            }
            0xff => {
                let name = unescaped.get_or_insert_default();
                name.extend_from_slice(&key[from..=nul]);
                from = nul + 2;
            }
            _ => return None,
        }
    }
}

/// Appends a number so that negative ones sort before positive ones.
fn push_signed(key: &mut Vec<u8>, number: i64) {
    key.extend_from_slice(&(number ^ i64::MIN).to_be_bytes());
}

/// Reads what [`push_signed`] wrote.
pub(crate) fn read_signed(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?) ^ i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ops::RangeBounds;

    const KEYS: StoreKeys = StoreKeys(Number(7));

    fn key(name: &str, policy: i64) -> Vec<u8> {
        KEYS.row(section::LIVE, name, Some(PolicyIndex(policy)))
    }

    /// Names in which bytes that matter to the encoding are common.
    fn name() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            3 => Just('\0'), 2 => Just('\u{1}'), 2 => Just('a'), 1 => Just('/'),
            1 => Just('\u{ff}'), 1 => Just('\u{10ffff}'), 1 => any::<char>(),
        ];
        proptest::collection::vec(character, 0..8).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn keys_of_rows_order_as_name_and_policy_do(
            (a, b) in (name(), name()), (p, q) in (any::<i64>(), any::<i64>())
        ) {
            prop_assert_eq!(key(&a, p).cmp(&key(&b, q)), (a.as_bytes(), p).cmp(&(b.as_bytes(), q)));
        }

        #[test]
        fn names_and_policies_are_read_back(name in name(), policy in any::<i64>()) {
            let key = key(&name, policy);
            let (number, of, rest) = split(&key).unwrap();
            prop_assert_eq!((number, of), (Number(7), section::LIVE));
            let (read, rest) = read_name(rest).unwrap();
            prop_assert_eq!(&*read, name.as_str());
            prop_assert_eq!(read_signed(rest), Some(policy));
        }

        #[test]
        fn bounds_on_names_are_bounds_on_keys(
            low in name(), high in name(), name in name(), policy in any::<i64>(),
            inclusive in any::<(bool, bool)>()
        ) {
            let bound = |text, inclusive| match inclusive {
                true => Bound::Included(text),
                false => Bound::Excluded(text),
            };
            let bounds = (bound(low.as_str(), inclusive.0), bound(high.as_str(), inclusive.1));
            let range = KEYS.rows(section::LIVE, bounds.0, bounds.1);
            prop_assert_eq!(range.contains(&key(&name, policy)), RangeBounds::<str>::contains(&bounds, name.as_str()));
        }

        #[test]
        fn row_log_orders_as_row_numbers_do(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(KEYS.row_log(RowId(a)).cmp(&KEYS.row_log(RowId(b))), a.cmp(&b));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (read_name(&bytes), read_place(&bytes), read_doomed(&bytes), split(&bytes));
        }
    }

    #[test]
    fn a_row_key_is_the_bytes_that_are_drawn() {
        let drawn = b"\x10\0\0\0\0\0\0\0\x07\x10a\0\xffb\0\0\x80\0\0\0\0\0\0\x01";
        assert_eq!(key("a\0b", 1), drawn);
    }

    #[test]
    fn contents_hold_all_sections_and_no_other_store() {
        let contents = KEYS.contents();
        for section in [section::STAT, section::OUTGOING, section::ROW_LOG] {
            assert!(contents.contains(&KEYS.single(section)));
        }
        for other in [6, 8, 0x0700] {
            assert!(!contents.contains(&StoreKeys(Number(other)).single(section::LIVE)));
        }
    }

    #[test]
    fn locations_are_read_back_and_followed() {
        let make = |partition| {
            Location::new(StoreKind::Container, "d", partition, NameHash([0; 16])).unwrap()
        };
        let (one, eleven) = (make("1"), make("11"));
        let key = location(&one);
        let place = read_place(&key).unwrap();
        assert_eq!(
            (place.partition, place.hash, place.number),
            ("1", one.hash(), None)
        );
        assert!(!locations(StoreKind::Container, Some(&one)).contains(&location(&one)));
        assert!(locations(StoreKind::Container, Some(&one)).contains(&location(&eleven)));
        assert!(!locations(StoreKind::Account, None).contains(&location(&one)));
        let hidden = quarantined(&one, Number(9));
        assert_eq!(read_place(&hidden).unwrap().number, Some(Number(9)));
    }
}
