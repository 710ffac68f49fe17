//! Makes random histories that meet in as many ways as possible: few names, few times, hostile text.

mod text;

use crate::exclusions::{is_excluded, is_excluded_op};
use crate::op::{ContainerItem, History, Names, ObjectItem, Op};
use crate::rng::Rng;
use serde_json::{Value, json};
use std::collections::HashSet;
use text::{Texts, content_type, near};

const REMOTES: [&str; 4] = ["", "remote-1", "remote-2", "☃\u{0}"];
const POLICIES: [i64; 6] = [0, 0, 0, 1, 2, 9];
const LIMITS: [usize; 10] = [0, 1, 2, 3, 5, 10, 100, 10_000, 10_000, 10_000];
/// Swift's own limits, and some that a few keys reach.
const META_LIMITS: [(usize, usize); 6] = [(0, 0), (1, 9), (2, 24), (3, 31), (9, 60), (90, 4096)];

/// Makes the history of a seed: `length` operations on an account or a container.
pub fn history(seed: u64, length: usize) -> History {
    let mut rng = Rng::new(seed);
    let is_account = rng.chance(40);
    let mut maker = Maker {
        texts: Texts::new(&mut rng),
        odd_metadata: rng.chance(20),
        is_account,
        is_absent: true,
        rng,
    };
    let mut history = History {
        is_account,
        seed,
        ops: Vec::with_capacity(length),
    };
    let names = maker.texts.names.clone();
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    // A few histories begin on an absent store.
    if maker.rng.chance(95) {
        history.ops.push(maker.initialize());
        history.ops.push(maker.fill());
    }
    while history.ops.len() < length {
        let op = maker.op();
        if !is_excluded_op(&op, &names) {
            maker.is_absent = match &op {
                Op::Remove => true,
                Op::Initialize { .. } => false,
                _ => maker.is_absent,
            };
            history.ops.push(op);
        }
    }
    debug_assert!(!is_excluded(&history));
    history
}

struct Maker {
    rng: Rng,
    texts: Texts,
    odd_metadata: bool,
    is_account: bool,
    is_absent: bool,
}

impl Maker {
    fn op(&mut self) -> Op {
        // What operations do without a store is soon seen.
        if self.is_absent && self.rng.chance(30) {
            return self.initialize();
        }
        match (self.rng.below(100), self.is_account) {
            (0..45, true) => self.account_op(),
            (0..68, false) => self.container_op(),
            _ => self.common_op(),
        }
    }

    fn common_op(&mut self) -> Op {
        match self.rng.below(100) {
            0 => Op::Remove,
            1..4 => self.initialize(),
            4..7 => self.fill(),
            7..11 => Op::Delete { at: self.time() },
            11..19 => Op::UpdatePutTimestamp { at: self.time() },
            19..23 => Op::UpdateStatusChangedAt { at: self.time() },
            23..30 => Op::MergeTimestamps {
                created_at: self.time_text(),
                put_timestamp: self.time_text(),
                delete_timestamp: self.time_text(),
                now: self.texts.raw(&mut self.rng),
            },
            30..50 => self.update_metadata(),
            50..57 => self.merge_sync_points(),
            57..60 => Op::NewId {
                remote: self.remote(),
                uuid: self.uuid(),
            },
            60..68 => Op::Reclaim {
                age: self.texts.raw(&mut self.rng),
                forget_sync_points: self.rng.chance(30),
            },
            68..70 => Op::Upgrade,
            70..77 => Op::Info,
            77..87 => Op::Predicates {
                age: self.texts.raw(&mut self.rng),
            },
            87..90 => Op::SyncPoint {
                remote: self.remote(),
                incoming: self.rng.chance(50),
            },
            _ => {
                let (start, count) = self.page();
                Op::ItemsSince { start, count }
            }
        }
    }

    fn account_op(&mut self) -> Op {
        match self.rng.below(100) {
            0..25 => Op::PutContainers {
                records: self.some(3, Self::report),
            },
            25..45 => {
                let records = self.container_items();
                let source = self.source();
                Op::MergeContainers { records, source }
            }
            _ => Op::ListContainers {
                names: self.listing(),
            },
        }
    }

    fn container_op(&mut self) -> Op {
        match self.rng.below(100) {
            0..20 => Op::PutObjects {
                records: self.some(3, Self::object_item),
            },
            20..30 => Op::DeleteObject {
                name: self.name(),
                at: self.time(),
                policy: self.policy(),
            },
            30..47 => {
                let records = self.some(5, Self::object_item);
                let source = self.source();
                let records = if self.rng.chance(4) {
                    Vec::new()
                } else {
                    records
                };
                Op::MergeObjects { records, source }
            }
            47..51 => {
                let (start, count) = self.page();
                Op::Misplaced { start, count }
            }
            51..54 => Op::RemoveObjects {
                lower: self.maybe_text(80),
                upper: self.maybe_text(80),
                max_row: self.maybe(70, |maker| maker.rng.between(-1, 40)),
            },
            54..58 => Op::SetPolicy {
                policy: self.policy(),
                at: self.time(),
            },
            58..61 => self.marks(),
            _ => self.list_objects(),
        }
    }

    fn initialize(&mut self) -> Op {
        let name = |maker: &mut Self| match maker.rng.below(20) {
            0 => String::new(),
            1 => "a\u{0}☃\"".into(),
            _ => "a".into(),
        };
        Op::Initialize {
            account: name(self),
            container: name(self),
            put_timestamp: self.time_text(),
            policy: self.policy(),
            now: self.texts.raw(&mut self.rng),
            uuid: self.uuid(),
        }
    }

    /// Brings many rows at once.
    fn fill(&mut self) -> Op {
        match self.is_account {
            true => Op::MergeContainers {
                records: self.some(40, Self::container_item),
                source: None,
            },
            false => Op::MergeObjects {
                records: self.some(40, Self::object_item),
                source: None,
            },
        }
    }

    fn update_metadata(&mut self) -> Op {
        let count = self.rng.below(4);
        let mut updates: Vec<(String, Value, String)> = Vec::new();
        for _ in 0..count {
            let key = text::metadata_key(&mut self.rng);
            if updates.iter().all(|(known, _, _)| *known != key) {
                updates.push((key, self.metadata_value(), self.time()));
            }
        }
        let limits = self.maybe(50, |maker| *maker.rng.pick(&META_LIMITS));
        Op::UpdateMetadata {
            updates,
            limits: limits.filter(|_| !self.odd_metadata),
        }
    }

    fn metadata_value(&mut self) -> Value {
        match self.rng.below(10) {
            0..3 => json!(""),
            3 => json!("0"),
            4 => json!("é☃\u{10FFFF}\"\\\u{7f}\n\u{1f}/"),
            5 => json!("x".repeat(self.rng.below(30))),
            6 => json!("a\u{0}b"),
            7 if self.odd_metadata => json!([1, null, {"k": true, "☃": ["é"]}]),
            8 if self.odd_metadata => json!(-12),
            _ => json!("value"),
        }
    }

    fn merge_sync_points(&mut self) -> Op {
        let points = self.some(3, |maker| (maker.remote(), maker.rng.between(-1, 30)));
        Op::MergeSyncPoints {
            incoming: self.rng.chance(50),
            points,
        }
    }

    fn marks(&mut self) -> Op {
        let number = |maker: &mut Self| maker.rng.between(-1, 50);
        Op::Marks {
            reported: self.maybe(50, |maker| {
                let (put, delete) = (maker.time_text(), maker.time_text());
                (put, delete, maker.size(), maker.size())
            }),
            sync_point1: self.maybe(50, number),
            sync_point2: self.maybe(50, number),
            reconciler: self.maybe(50, number),
        }
    }

    fn report(&mut self) -> (String, String, String, i64, i64, i64) {
        let (put, delete) = (self.time_text(), self.time_text());
        (
            self.name(),
            put,
            delete,
            self.size(),
            self.size(),
            self.policy(),
        )
    }

    fn container_items(&mut self) -> Vec<ContainerItem> {
        let mut items = self.some(4, Self::container_item);
        // An item may leave values out when one before it in the batch has supplied the row.
        if self.rng.chance(25)
            && let Some(first) = items.first().cloned()
        {
            items.push(ContainerItem {
                put_timestamp: self.maybe(50, Self::time_text),
                delete_timestamp: self.maybe(50, Self::time_text),
                object_count: self.maybe(50, Self::size),
                bytes_used: self.maybe(50, Self::size),
                ..first
            });
        }
        if self.rng.chance(4) {
            items.clear();
        }
        items
    }

    fn container_item(&mut self) -> ContainerItem {
        ContainerItem {
            name: self.name(),
            put_timestamp: Some(self.time_text()),
            delete_timestamp: Some(self.time_text()),
            object_count: Some(self.size()),
            bytes_used: Some(self.size()),
            deleted: self.rng.chance(25).into(),
            storage_policy_index: self.policy(),
            row_id: self.row_id(),
        }
    }

    fn object_item(&mut self) -> ObjectItem {
        let created_at = self.texts.encoded_times(&mut self.rng);
        ObjectItem {
            name: self.name(),
            created_at,
            size: self.size(),
            content_type: content_type(&mut self.rng),
            etag: (*self
                .rng
                .pick(&["", "noetag", "d41d8cd98f00b204e9800998ecf8427e", "é\u{0}"]))
            .into(),
            deleted: self.rng.chance(25).into(),
            storage_policy_index: self.policy(),
            ctype_timestamp: self.maybe(25, Self::time),
            meta_timestamp: self.maybe(25, Self::time),
            row_id: self.row_id(),
        }
    }

    fn list_objects(&mut self) -> Op {
        let mut names = self.listing();
        if self.rng.chance(15) {
            names.path = Some(self.texts.path(&mut self.rng));
        }
        Op::ListObjects {
            names,
            policy: self.maybe(30, Self::policy),
            all_policies: self.rng.chance(30),
            deleted: self.maybe(60, |maker| maker.rng.chance(20)),
            since_row: self.maybe(15, |maker| maker.rng.between(-1, 40)),
        }
    }

    fn listing(&mut self) -> Names {
        Names {
            limit: *self.rng.pick(&LIMITS),
            marker: self.maybe_text(25),
            end_marker: self.maybe_text(20),
            prefix: self.maybe_text(25),
            delimiter: match self.rng.chance(60) {
                true => self.texts.delimiter(&mut self.rng),
                false => String::new(),
            },
            path: None,
            reverse: self.rng.chance(40),
            allow_reserved: self.rng.chance(40),
        }
    }

    fn page(&mut self) -> (i64, usize) {
        (self.rng.between(-1, 30), *self.rng.pick(&LIMITS))
    }

    /// From one to `most` items.
    fn some<T>(&mut self, most: usize, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        let count = 1 + self.rng.below(most);
        (0..count).map(|_| make(self)).collect()
    }

    fn maybe<T>(&mut self, percent: usize, make: impl Fn(&mut Self) -> T) -> Option<T> {
        self.rng.chance(percent).then(|| make(self))
    }

    fn maybe_text(&mut self, percent: usize) -> String {
        match self.rng.chance(percent) {
            true => {
                let name = self.name();
                near(&mut self.rng, &name)
            }
            false => String::new(),
        }
    }

    fn name(&mut self) -> String {
        self.rng.pick(&self.texts.names).clone()
    }

    fn time(&mut self) -> String {
        self.texts.time(&mut self.rng).internal()
    }

    fn time_text(&mut self) -> String {
        self.texts.time_text(&mut self.rng)
    }

    fn policy(&mut self) -> i64 {
        *self.rng.pick(&POLICIES)
    }

    fn size(&mut self) -> i64 {
        match self.rng.below(10) {
            0..4 => 0,
            4..7 => self.rng.between(1, 9),
            7 => self.rng.between(-3, 0),
            8 => 1 << 40,
            _ => self.rng.between(1, 1000),
        }
    }

    fn row_id(&mut self) -> Option<i64> {
        self.maybe(90, |maker| maker.rng.between(0, 40))
    }

    fn source(&mut self) -> Option<String> {
        // Swift takes an empty source for none.
        self.maybe(40, |maker| (*maker.rng.pick(&REMOTES[1..])).into())
    }

    fn remote(&mut self) -> String {
        (*self.rng.pick(&REMOTES)).into()
    }

    fn uuid(&mut self) -> String {
        format!("{:016x}", self.rng.bits())
    }
}
