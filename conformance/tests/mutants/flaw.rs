//! What a mutant does wrong, and the layer that does it over an engine without a flaw.

use crate::life_mark::Life;
use crate::world::World;
use broker_api::{
    AccountInfo, BrokerOptions, Capabilities, ContainerBrokerExt, ContainerInfo, ContainerRow,
    Durability, Engine, Entry, ListObjects, Location, ObjectEntry, ObjectRow, Result, RowFilter,
    RowId, StoreInfo, StoreKind,
};
use broker_layers::{Answer, Call, Layer, Target, Visitor};
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// More rows than any case makes.
pub(crate) const MANY: usize = 1_000_000;

/// What becomes of a call.
pub(crate) type Played<'a> = Pin<Box<dyn Future<Output = Result<Answer>> + Send + 'a>>;

/// One way of breaking an engine. Each is a plain function, so that mutants are constants.
#[derive(Clone, Copy)]
pub(crate) enum Flaw {
    /// Asks the engine for something else.
    Asks(fn(&mut Call)),
    /// Gives another answer.
    Answers(fn(&Call, &mut Result<Answer>)),
    /// Changes the facts of any store.
    Facts(fn(&mut StoreInfo)),
    /// Changes the facts of accounts.
    AccountFacts(fn(&mut AccountInfo)),
    /// Changes the facts of containers.
    ContainerFacts(fn(&mut ContainerInfo)),
    /// Derives facts of accounts from their rows.
    AccountCounts(fn(&mut AccountInfo, &[ContainerRow])),
    /// Derives facts of containers from their rows.
    ContainerCounts(fn(&mut ContainerInfo, &[ObjectRow])),
    /// Changes object rows wherever they show.
    Rows(fn(&mut ObjectRow)),
    /// Changes object listings.
    Lists(fn(&ListObjects, &mut Vec<ObjectEntry>)),
    /// Does something of its own.
    Plays(for<'a> fn(&'a World, &'a Target, Call, Visitor) -> Played<'a>),
    /// Looks for stores in another place.
    Places(fn(&Location) -> Location),
    /// Opens brokers with other options.
    Options(fn(&BrokerOptions) -> BrokerOptions),
    /// Has the flaw only after the engine was closed and opened again.
    Reopened(&'static Flaw),
    /// Has the flaw over files, which survive a kill.
    OnFiles(&'static Flaw),
    /// Has the flaw over files, from the first kill on.
    Killed(&'static Flaw),
    /// Does something of its own before it opens files; hears whether there was a kill.
    Opens(fn(&Path, bool) -> std::result::Result<(), String>),
    /// States something else about the durability of files.
    States(Durability),
    /// Keeps nothing when the engine is closed.
    Forgets,
    /// Breaks the rules at the level of rows, below the queue of writes.
    Store(crate::store::StoreFlaw),
}

impl Flaw {
    /// Whether it is over files rather than the reference engine.
    pub(crate) fn is_over_files(&self) -> bool {
        use Flaw::{Killed, OnFiles, Opens, States};
        matches!(self, OnFiles(_) | Killed(_) | Opens(_) | States(_))
    }
}

/// The store and this very handle on it.
pub(crate) fn handle(target: &Target) -> String {
    match target {
        Target::Engine(_) => "engine".to_owned(),
        Target::Account(broker, _) => format!("{} {:p}", place(target), Arc::as_ptr(broker)),
        Target::Container(broker, _) => format!("{} {:p}", place(target), Arc::as_ptr(broker)),
    }
}

/// The store in words.
pub(crate) fn place(target: &Target) -> String {
    let location = target.location();
    location.map_or_else(|| "engine".to_owned(), ToString::to_string)
}

/// The rows of a container, tombstones and all policies included.
pub(crate) async fn object_rows(target: &Target) -> Result<Vec<ObjectRow>> {
    let all = Call::ObjectsSince(RowId::NONE, MANY, RowFilter::All);
    target.ask(all).await?.try_into()
}

/// The rows of an account, tombstones included.
pub(crate) async fn container_rows(target: &Target) -> Result<Vec<ContainerRow>> {
    let all = Call::ContainersSince(RowId::NONE, MANY);
    target.ask(all).await?.try_into()
}

/// The facts of a container that exists.
pub(crate) async fn container_info(target: &Target) -> Result<ContainerInfo> {
    let info: Option<ContainerInfo> = target.ask(Call::ContainerInfo).await?.try_into()?;
    info.ok_or_else(broker_api::Error::not_found)
}

/// The facts of a store that exists.
pub(crate) async fn store_info(target: &Target) -> Result<StoreInfo> {
    if let Target::Container(..) = target {
        return Ok(container_info(target).await?.store);
    }
    let info: Option<AccountInfo> = target.ask(Call::AccountInfo).await?.try_into()?;
    Ok(info.ok_or_else(broker_api::Error::not_found)?.store)
}

/// Shows entries to the visitor of a listing.
pub(crate) fn show(entries: &[ObjectEntry], visitor: Visitor) -> Result<Answer> {
    let Visitor::Objects(mut visitor) = visitor else {
        return Ok(Answer::Visitor(visitor));
    };
    for entry in entries {
        let entry = match entry {
            ObjectEntry::Row(row) => Entry::Row(row.as_ref()),
            ObjectEntry::Subdir(name) => Entry::Subdir(name.as_str()),
        };
        if visitor.visit(entry).is_break() {
            break;
        }
    }
    Ok(visitor.into())
}

/// The layer of a mutant.
pub(crate) struct Broken {
    flaw: Flaw,
    /// The kind of stores that have the flaw; `None` for both.
    only: Option<StoreKind>,
    is_reopened: bool,
    world: World,
    /// Over files: the life that ends with this layer.
    life: Option<Life>,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broken")
    }
}

impl Broken {
    pub(crate) fn new(
        flaw: Flaw,
        only: Option<StoreKind>,
        engine: Arc<dyn Engine>,
        is_reopened: bool,
    ) -> Self {
        Self {
            flaw,
            only,
            is_reopened,
            world: World::of(engine),
            life: None,
        }
    }

    /// The same, keeping a life until the engine is closed.
    pub(crate) fn living(self, life: Life) -> Self {
        let life = Some(life);
        Self { life, ..self }
    }

    /// The flaw, when it shows now.
    fn flaw(&self) -> Option<Flaw> {
        match self.flaw {
            Flaw::Reopened(flaw) => self.is_reopened.then_some(*flaw),
            Flaw::Killed(flaw) => {
                let was_killed = self.life.as_ref().is_some_and(|life| life.was_killed);
                was_killed.then_some(*flaw)
            }
            Flaw::OnFiles(flaw) => Some(*flaw),
            flaw => Some(flaw),
        }
    }

    /// The same store in another place or with other options.
    fn moved(&self, target: &Target) -> Target {
        let (Some(location), Some(options)) = (target.location(), target.options()) else {
            return target.clone();
        };
        match self.flaw {
            Flaw::Places(place) => Target::open(&self.world.engine, &place(location), options),
            Flaw::Options(change) => Target::open(&self.world.engine, location, &change(options)),
            _ => target.clone(),
        }
    }
}

impl Layer for Broken {
    async fn play(&self, target: &Target, mut call: Call, visitor: Visitor) -> Result<Answer> {
        let kind = target.location().map(Location::kind);
        if self.only.is_some() && kind.is_some() && self.only != kind {
            return target.play(call, visitor).await;
        }
        let target = &self.moved(target);
        match (self.flaw(), target) {
            (Some(Flaw::Plays(play)), _) => return play(&self.world, target, call, visitor).await,
            (Some(Flaw::Lists(change)), Target::Container(container, _)) => {
                if let Call::ListObjects(query) = &call {
                    let mut entries = container.object_page(query).await?;
                    change(query, &mut entries);
                    return show(&entries, visitor);
                }
            }
            (Some(Flaw::Rows(change)), Target::Container(container, _)) => {
                if let Call::ListObjects(query) = &call {
                    let mut entries = container.object_page(query).await?;
                    for entry in &mut entries {
                        if let ObjectEntry::Row(row) = entry {
                            change(row);
                        }
                    }
                    return show(&entries, visitor);
                }
            }
            (Some(Flaw::Asks(change)), _) => change(&mut call),
            _ => {}
        }
        let mut answer = target.play(call.clone(), visitor).await;
        if let Some(flaw) = self.flaw() {
            spoil(flaw, target, &call, &mut answer).await?;
        }
        answer
    }

    fn states(&self, below: Capabilities) -> Capabilities {
        match self.flaw {
            Flaw::States(durability) => Capabilities::new(durability),
            _ => below,
        }
    }
}

async fn spoil(
    flaw: Flaw,
    target: &Target,
    call: &Call,
    answer: &mut Result<Answer>,
) -> Result<()> {
    match (flaw, answer) {
        (Flaw::Answers(change), answer) => change(call, answer),
        (Flaw::Facts(change), Ok(Answer::AccountInfo(Some(info)))) => change(&mut info.store),
        (Flaw::Facts(change), Ok(Answer::ContainerInfo(Some(info)))) => change(&mut info.store),
        (Flaw::AccountFacts(change), Ok(Answer::AccountInfo(Some(info)))) => change(info),
        (Flaw::ContainerFacts(change), Ok(Answer::ContainerInfo(Some(info)))) => change(info),
        (Flaw::AccountCounts(change), Ok(Answer::AccountInfo(Some(info)))) => {
            change(info, &container_rows(target).await?);
        }
        (Flaw::ContainerCounts(change), Ok(Answer::ContainerInfo(Some(info)))) => {
            change(info, &object_rows(target).await?);
        }
        (Flaw::Rows(change), Ok(Answer::Objects(rows))) => rows.iter_mut().for_each(change),
        _ => {}
    }
    Ok(())
}
