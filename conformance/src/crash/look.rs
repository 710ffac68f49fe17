//! Reads everything that an engine shows, and holds counts and hash against the rows.

use super::history::{ACCOUNTS, CONTAINERS, Place};
use super::text::{Picture, RowText, StoreText};
use super::world::{container_facts, row_attributes, sync_key};
use crate::check::{Check, check_eq};
use crate::fixture::{Fixture, STORE_ID};
use crate::model::{Totals, totals_of_containers, totals_of_objects};
use broker_api::{
    Broker, ContainerRow, Direction, Location, ObjectRow, RowFilter, RowId, StoreInfo, StoreKind,
};
use std::collections::{BTreeMap, BTreeSet};

/// How a store is called in pictures.
pub(super) fn place_name((kind, number): Place) -> String {
    format!("{} {number}", kind.as_str())
}

fn places() -> impl Iterator<Item = Place> {
    let containers = (0..CONTAINERS).map(|number| (StoreKind::Container, number));
    containers.chain((0..ACCOUNTS).map(|number| (StoreKind::Account, number)))
}

/// Everything that the engine shows of the stores of histories.
pub(crate) async fn look(fixture: &Fixture) -> Check<Picture> {
    let mut picture = Picture::default();
    for place in places() {
        let found = match place.0 {
            StoreKind::Container => container(fixture, place).await?,
            StoreKind::Account => account(fixture, place).await?,
        };
        if let Some(text) = found {
            picture.stores.insert(place_name(place), text);
        }
    }
    let listed = listed(fixture).await?;
    let existing: BTreeSet<_> = picture.stores.keys().cloned().collect();
    check_eq!(listed, existing, "stores that the device lists");
    let synced = fixture.engine().synced(fixture.device(0), None, 100);
    for location in synced.await? {
        let is_it = |number: &u64| fixture.location(StoreKind::Container, *number) == location;
        let number = (0..CONTAINERS).find(is_it);
        picture.synced.insert(number.unwrap_or(u64::MAX));
    }
    Ok(picture)
}

async fn listed(fixture: &Fixture) -> Check<BTreeSet<String>> {
    let mut listed = BTreeSet::new();
    for kind in [StoreKind::Account, StoreKind::Container] {
        let stores = fixture.engine().stores(fixture.device(0), kind, None, 100);
        for location in stores.await? {
            let is_it = |place: &Place| fixture.location(place.0, place.1) == location;
            let name = places().find(is_it).map(place_name);
            listed.insert(name.unwrap_or_else(|| unknown(&location)));
        }
    }
    Ok(listed)
}

fn unknown(location: &Location) -> String {
    format!("a store that was never made: {location}")
}

async fn container(fixture: &Fixture, place: Place) -> Check<Option<StoreText>> {
    let broker = fixture.container_at(&fixture.location(place.0, place.1));
    let Some(info) = broker.info().await? else {
        check_eq!(broker.exists().await?, false, "an absent container");
        return Ok(None);
    };
    let rows = broker.items_since(RowId::NONE, usize::MAX, RowFilter::All);
    let rows = rows.await?;
    check_eq!(
        Totals::of_container(&info).without_zeros(),
        totals_of_objects(&rows).without_zeros(),
        "statistics and hash of {}",
        place_name(place)
    );
    let mut text = store(&*broker, &info.store).await?;
    let marks = [
        info.x_container_sync_point1,
        info.x_container_sync_point2,
        info.reconciler_sync_point,
    ];
    let facts = container_facts(info.policy_index.0, marks, &info.reported);
    text.facts.extend(facts);
    text.rows = numbered(rows.iter().map(object))?;
    Ok(Some(text))
}

async fn account(fixture: &Fixture, place: Place) -> Check<Option<StoreText>> {
    let broker = fixture.account_at(&fixture.location(place.0, place.1));
    let Some(info) = broker.info().await? else {
        check_eq!(broker.exists().await?, false, "an absent account");
        return Ok(None);
    };
    let rows = broker.items_since(RowId::NONE, usize::MAX).await?;
    check_eq!(
        Totals::of_account(&info).without_zeros(),
        totals_of_containers(&rows).without_zeros(),
        "statistics and hash of {}",
        place_name(place)
    );
    let mut text = store(&*broker, &info.store).await?;
    text.rows = numbered(rows.iter().map(report))?;
    Ok(Some(text))
}

fn numbered(rows: impl Iterator<Item = (i64, RowText)>) -> Check<BTreeMap<i64, RowText>> {
    let rows: Vec<_> = rows.collect();
    let numbers: BTreeMap<_, _> = rows.iter().cloned().collect();
    check_eq!(numbers.len(), rows.len(), "numbers of {} rows", rows.len());
    Ok(numbers)
}

/// The number and the text of an object row.
pub(super) fn object(row: &ObjectRow) -> (i64, RowText) {
    let rest = format!("{} {}", row.content_type, row.etag);
    let (deleted, policy) = (row.deleted, row.policy_index.0);
    let text = RowText {
        name: row.name.clone(),
        attributes: row_attributes(&row.created_at, row.size, &rest, deleted, policy),
    };
    (row.row_id.0, text)
}

fn report(row: &ContainerRow) -> (i64, RowText) {
    let times = format!("{} {}", row.put_timestamp, row.delete_timestamp);
    let rest = row.bytes_used.to_string();
    let (deleted, policy) = (row.deleted, row.policy_index.0);
    let text = RowText {
        name: row.name.clone(),
        attributes: row_attributes(&times, row.object_count, &rest, deleted, policy),
    };
    (row.row_id.0, text)
}

async fn store(broker: &(impl Broker + ?Sized), info: &StoreInfo) -> Check<StoreText> {
    let mut text = StoreText::default();
    // Stores start with an id that ends in their device.
    let id = match info.id.starts_with(STORE_ID) {
        true => STORE_ID.to_owned(),
        false => info.id.clone(),
    };
    text.facts = BTreeMap::from([
        ("id", id),
        ("created", info.created_at.to_string()),
        ("put", info.put_timestamp.to_string()),
        ("deleted", info.delete_timestamp.to_string()),
        ("status", info.status.clone()),
        ("changed", info.status_changed_at.to_string()),
        ("highest number", info.max_row.0.to_string()),
    ]);
    for entry in info.metadata()?.entries() {
        let value = format!("{:?} {}", entry.text().unwrap_or_default(), entry.timestamp);
        text.metadata.insert(entry.key.clone(), value);
    }
    for direction in [Direction::Incoming, Direction::Outgoing] {
        for point in broker.replicate().sync_points(direction).await? {
            let key = sync_key(direction, &point.remote_id);
            text.sync_points.insert(key, point.sync_point.0);
        }
    }
    Ok(text)
}
