//! What children play: seeded histories of operations, each valid after those before it.

use super::world::World;
use crate::fixture::{Origin, seconds};
use crate::rng::Rng;
use broker_api::{
    ContainerRecord, Direction, ObjectRecord, PolicyIndex, RemoveObjects, Reported, RowId,
    StoreKind, TimestampText,
};

/// Containers that a history may use, by number.
pub(super) const CONTAINERS: u64 = 3;

/// Accounts that a history may use, by number.
pub(super) const ACCOUNTS: u64 = 2;

/// A store of the fixture, by kind and number.
pub(super) type Place = (StoreKind, u64);

/// The container that writers share.
pub(super) const SHARED_CONTAINER: Place = (StoreKind::Container, 0);

/// The account that writers share.
pub(super) const SHARED_ACCOUNT: Place = (StoreKind::Account, 0);

/// One operation. Times grow along a history.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create(Place, u64),
    Remove(Place),
    Quarantine(Place),
    /// Puts a container on the list of container sync, or takes it off.
    SetSynced(u64, bool),
    /// One record as a client writes it. An engine may buffer it, and number those that it buffered
    /// together as a batch: only where nobody asks for numbers, or everything is read in between.
    PutObject(u64, ObjectRecord),
    /// A batch; with a source, its last record's number becomes the sync point.
    MergeObjects(u64, Vec<ObjectRecord>, Option<String>),
    RemoveObjects(u64, RemoveObjects),
    SetPolicy(u64, PolicyIndex, u64),
    SetReported(u64, Reported),
    /// The two marks of container sync and that of the reconciler.
    SetMarks(u64, [i64; 3]),
    /// A batch of reports. Not buffered: a repeated report takes a new number, and an engine may
    /// have to repeat what it buffered.
    MergeReports(u64, Vec<ContainerRecord>, Option<String>),
    /// One report as a container server sends it.
    PutReport(u64, ContainerRecord),
    Metadata(Place, Vec<(String, String)>, u64),
    PutTimestamp(Place, u64),
    StatusChangedAt(Place, u64),
    /// Another replica's creation, put and delete time.
    Timestamps(Place, [u64; 3]),
    Delete(Place, u64),
    SyncPoint(Place, Direction, String, i64),
    NewId(Place, String, String),
    /// Removes tombstones older than this. Engines may do it in several steps.
    Reclaim(Place, u64),
}

/// The histories that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every operation once, in an order that gives each something to do.
    Every,
    /// Any operations.
    Random,
    /// Large batches.
    Batches,
    /// Stores that come and go, and the list of container sync.
    Stores,
    /// Rows at the end that go, so that their numbers could be given again.
    Numbers,
    /// One of several writers on the same container and account.
    Together,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Every,
        Kind::Random,
        Kind::Batches,
        Kind::Stores,
        Kind::Numbers,
        Kind::Together,
    ];

    /// The word by which a child is told.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Every => "every",
            Kind::Random => "random",
            Kind::Batches => "batches",
            Kind::Stores => "stores",
            Kind::Numbers => "numbers",
            Kind::Together => "together",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The operations of a writer; the same on both sides.
    pub(super) fn history(self, origin: &Origin, writer: usize) -> Vec<Op> {
        let purpose = format!("history of {}, writer {writer}", origin.case);
        let mut maker = Maker {
            rng: Rng::new(origin.seed, &purpose),
            world: World::default(),
            time: 1000,
            ops: Vec::new(),
        };
        match self {
            Kind::Every => maker.every(),
            Kind::Numbers => maker.numbers(),
            Kind::Random => maker.many(400, Maker::any),
            Kind::Batches => maker.many(200, Maker::batch),
            Kind::Stores => maker.many(200, Maker::store),
            Kind::Together => maker.together(writer),
        }
        maker.ops
    }
}

struct Maker {
    rng: Rng,
    /// What the history has led to, so that no operation meets an absent store.
    world: World,
    time: u64,
    ops: Vec<Op>,
}

impl Maker {
    fn push(&mut self, op: Op) {
        self.world.apply(&op);
        self.ops.push(op);
    }

    fn tick(&mut self) -> u64 {
        self.time += 10;
        self.time
    }

    fn many(&mut self, count: usize, make: fn(&mut Self) -> Op) {
        while self.ops.len() < count {
            let op = make(self);
            self.push(op);
        }
    }

    fn object(&mut self, name: String) -> ObjectRecord {
        let at = seconds(self.tick());
        if self.rng.one_in(4) {
            return ObjectRecord::delete(name, at);
        }
        let (size, policy) = (self.rng.below(1000) as i64, self.rng.below(2) as i64);
        let etag = format!("etag-{size}");
        ObjectRecord::put(name, at, size, "text/plain", etag).in_policy(PolicyIndex(policy))
    }

    /// Records of different names, as the rows of one batch.
    fn objects(&mut self, count: u64, prefix: &str, names: u64) -> Vec<ObjectRecord> {
        let first = self.rng.below(names);
        let number = |i| (first + i) % names;
        let records = (0..count.min(names)).map(|i| {
            let record = self.object(format!("{prefix}{:03}", number(i)));
            ObjectRecord {
                row_id: Some(RowId(self.time as i64)),
                ..record
            }
        });
        records.collect()
    }

    fn report(&mut self, name: String) -> ContainerRecord {
        let put = self.tick();
        let (count, is_deleted) = (self.rng.below(9) as i64, self.rng.one_in(4));
        let (delete, count) = match is_deleted {
            true => (seconds(put + 1).into(), 0),
            false => (TimestampText::never(), count),
        };
        let policy = PolicyIndex(self.rng.below(2) as i64);
        let put = seconds(put).into();
        ContainerRecord {
            row_id: Some(RowId(self.time as i64)),
            ..ContainerRecord::report(name, put, delete, count, count * 7, policy)
        }
    }

    fn reports(&mut self, count: u64, prefix: &str, names: u64) -> Vec<ContainerRecord> {
        let first = self.rng.below(names);
        let number = |i| (first + i) % names;
        let records =
            (0..count.min(names)).map(|i| self.report(format!("{prefix}{:03}", number(i))));
        records.collect()
    }

    fn entries(&mut self, prefix: &str) -> Vec<(String, String)> {
        let count = 1 + self.rng.below(3);
        let entry = |i| {
            let key = format!("{prefix}{}", (self.rng.below(4) + i) % 4);
            (key, format!("value {}", self.rng.below(1000)))
        };
        let mut entries: Vec<_> = (0..count).map(entry).collect();
        entries.sort();
        entries.dedup_by(|one, other| one.0 == other.0);
        entries
    }

    fn source(&mut self) -> Option<String> {
        let from_peer = self.rng.one_in(3);
        from_peer.then(|| format!("peer-{}", self.rng.below(3)))
    }

    /// A store of a kind, there or not.
    fn place(&mut self, kind: StoreKind) -> Place {
        let bound = match kind {
            StoreKind::Account => ACCOUNTS,
            StoreKind::Container => CONTAINERS,
        };
        (kind, self.rng.below(bound))
    }

    /// A batch for a container or an account.
    fn batch(&mut self) -> Op {
        let kind = *self.rng.pick(&[StoreKind::Account, StoreKind::Container]);
        let place = self.place(kind);
        if !self.world.exists(place) {
            return Op::Create(place, self.tick());
        }
        let number = place.1;
        let (count, source) = (20 + self.rng.below(80), self.source());
        match kind {
            StoreKind::Container => Op::MergeObjects(number, self.objects(count, "o", 150), source),
            StoreKind::Account => Op::MergeReports(number, self.reports(count, "c", 150), source),
        }
    }

    /// Something about whole stores.
    fn store(&mut self) -> Op {
        let kind = *self.rng.pick(&[StoreKind::Account, StoreKind::Container]);
        let synced = (self.rng.below(CONTAINERS), self.rng.one_in(2));
        let place = self.place(kind);
        if !self.world.exists(place) {
            return Op::Create(place, self.tick());
        }
        let number = place.1;
        match (self.rng.below(6), kind) {
            (0, _) => Op::Remove(place),
            (1, _) => Op::Quarantine(place),
            (2 | 3, _) => Op::SetSynced(synced.0, synced.1),
            (_, StoreKind::Container) => Op::MergeObjects(number, self.objects(1, "o", 9), None),
            (_, StoreKind::Account) => Op::MergeReports(number, self.reports(1, "c", 9), None),
        }
    }

    /// Anything but reclaiming.
    fn any(&mut self) -> Op {
        let kind = *self.rng.pick(&[
            StoreKind::Account,
            StoreKind::Container,
            StoreKind::Container,
        ]);
        let place = self.place(kind);
        if !self.world.exists(place) {
            return Op::Create(place, self.tick());
        }
        let number = place.1;
        match (self.rng.below(10), kind) {
            (0, _) => self.store(),
            (1 | 2, _) => self.facts(place),
            (3, _) => self.identity(place),
            (4 | 5, StoreKind::Container) => self.container(number),
            (6, StoreKind::Container) => {
                let (count, source) = (1 + self.rng.below(20), self.source());
                Op::MergeObjects(number, self.objects(count, "o", 40), source)
            }
            (_, StoreKind::Container) => Op::MergeObjects(number, self.objects(1, "o", 40), None),
            (_, StoreKind::Account) => {
                let (count, source) = (1 + self.rng.below(5), self.source());
                Op::MergeReports(number, self.reports(count, "c", 20), source)
            }
        }
    }

    fn facts(&mut self, place: Place) -> Op {
        let at = self.tick();
        match self.rng.below(5) {
            0 => Op::PutTimestamp(place, at),
            1 => Op::StatusChangedAt(place, at),
            2 => Op::Delete(place, at),
            _ => Op::Metadata(place, self.entries("Key-"), at),
        }
    }

    fn identity(&mut self, place: Place) -> Op {
        let (at, peer) = (self.tick(), format!("peer-{}", self.rng.below(3)));
        match self.rng.below(4) {
            0 => Op::NewId(place, peer, format!("id-{at}")),
            1 => Op::SyncPoint(place, Direction::Incoming, peer, at as i64),
            _ => Op::SyncPoint(place, Direction::Outgoing, peer, at as i64),
        }
    }

    fn container(&mut self, number: u64) -> Op {
        let at = self.tick();
        match self.rng.below(4) {
            0 => Op::SetPolicy(number, PolicyIndex(self.rng.below(2) as i64), at),
            1 => Op::SetMarks(number, [at as i64, at as i64 + 1, at as i64 + 2]),
            2 => Op::SetReported(number, reported(at)),
            _ => {
                let lower = self.rng.below(40);
                let upper = lower + self.rng.below(10);
                Op::RemoveObjects(
                    number,
                    RemoveObjects {
                        lower: format!("o{lower:03}"),
                        upper: format!("o{upper:03}"),
                        max_row: None,
                    },
                )
            }
        }
    }

    fn every(&mut self) {
        for kind in [StoreKind::Container, StoreKind::Account] {
            let place = (kind, 0);
            let [created, put, changed, key] = [1, 2, 3, 4].map(|_| self.tick());
            self.push(Op::Create(place, created));
            self.push(Op::PutTimestamp(place, put));
            self.push(Op::StatusChangedAt(place, changed));
            self.push(Op::Metadata(place, vec![("Key".into(), "v".into())], key));
            match kind {
                StoreKind::Container => self.every_of_containers(),
                StoreKind::Account => self.every_of_accounts(),
            }
            for direction in [Direction::Incoming, Direction::Outgoing] {
                self.push(Op::SyncPoint(place, direction, "peer-1".into(), 7));
            }
            self.push(Op::NewId(place, "peer-2".into(), "a-new-id".into()));
            let [deleted, merged, age] = [1, 2, 3].map(|_| self.tick());
            self.push(Op::Delete(place, deleted));
            self.push(Op::Timestamps(place, [5, merged, merged + 1]));
            self.push(Op::Reclaim(place, age));
            self.push(Op::Quarantine(place));
            self.push(Op::Create(place, merged));
            self.push(Op::Remove(place));
        }
    }

    fn every_of_containers(&mut self) {
        let [put, deleted, at] = [1, 2, 3].map(|_| self.tick());
        let object = ObjectRecord::put("o005", seconds(put), 3, "text/plain", "e");
        self.push(Op::PutObject(0, object));
        let tombstone = ObjectRecord::delete("o006", seconds(deleted));
        self.push(Op::PutObject(0, tombstone));
        let batch = self.objects(8, "o", 8);
        self.push(Op::MergeObjects(0, batch, Some("peer-0".into())));
        self.push(Op::SetPolicy(0, PolicyIndex(1), at));
        self.push(Op::SetMarks(0, [11, 12, 13]));
        self.push(Op::SetReported(0, reported(at)));
        self.push(Op::SetSynced(0, true));
        self.push(Op::SetSynced(1, true));
        self.push(Op::SetSynced(0, false));
        let remove = RemoveObjects {
            lower: "o002".into(),
            upper: "o004".into(),
            max_row: None,
        };
        self.push(Op::RemoveObjects(0, remove));
    }

    fn every_of_accounts(&mut self) {
        let report = self.report("c".into());
        self.push(Op::PutReport(0, report));
        let batch = self.reports(8, "c", 8);
        self.push(Op::MergeReports(0, batch, Some("peer-0".into())));
    }

    /// The rows with the highest numbers go in each of the ways in which rows go.
    fn numbers(&mut self) {
        let created = self.tick();
        self.push(Op::Create(SHARED_CONTAINER, created));
        for way in 0..4 {
            let batch = self.objects(5, "o", 5);
            self.push(Op::MergeObjects(0, batch, None));
            let at = seconds(self.tick());
            match way {
                0 => self.push(Op::RemoveObjects(0, RemoveObjects::default())),
                1 => {
                    let names = (0..5).map(|i| ObjectRecord::delete(format!("o{i:03}"), at));
                    let tombstones = names.collect();
                    self.push(Op::MergeObjects(0, tombstones, None));
                    let age = self.tick();
                    self.push(Op::Reclaim(SHARED_CONTAINER, age));
                }
                2 => {
                    let tombstone = vec![ObjectRecord::delete("o003", at)];
                    self.push(Op::MergeObjects(0, tombstone, None));
                }
                _ => {}
            }
        }
    }

    /// Names, keys and sync points begin with the writer's number.
    fn together(&mut self, writer: usize) {
        // Every writer creates: the first wins, and all ask for the same.
        self.push(Op::Create(SHARED_CONTAINER, 1));
        self.push(Op::Create(SHARED_ACCOUNT, 1));
        let prefix = format!("{writer}-");
        for _ in 0..2000 {
            let at = self.tick();
            let op = match self.rng.below(12) {
                0 => Op::Metadata(SHARED_CONTAINER, self.entries(&prefix), at),
                1 => {
                    let peer = format!("{prefix}peer");
                    Op::SyncPoint(SHARED_CONTAINER, Direction::Incoming, peer, at as i64)
                }
                2 | 3 => {
                    let count = 1 + self.rng.below(5);
                    Op::MergeReports(0, self.reports(count, &prefix, 20), None)
                }
                4 => {
                    let name = format!("{prefix}{:03}", self.rng.below(20));
                    Op::PutReport(0, self.report(name))
                }
                5 | 6 => {
                    let count = 2 + self.rng.below(30);
                    Op::MergeObjects(0, self.objects(count, &prefix, 60), None)
                }
                _ => {
                    let name = format!("{prefix}{:03}", self.rng.below(60));
                    Op::PutObject(0, self.object(name))
                }
            };
            self.push(op);
        }
    }
}

fn reported(at: u64) -> Reported {
    Reported {
        put_timestamp: seconds(at).to_string(),
        delete_timestamp: "0".into(),
        object_count: at as i64,
        bytes_used: at as i64 * 3,
    }
}
