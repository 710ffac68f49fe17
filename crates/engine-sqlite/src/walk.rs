//! Finding what a device holds, in the order of their partitions, suffixes and hashes as text.

use crate::error::{Attempt, OsContext};
use crate::path::{SYNC_DIR, StorePaths, is_absence, kind_dir};
use broker_api::{Location, NameHash, StoreKind};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// A page of what a device holds of a kind: up to `limit` that come after `after`.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) device: &'a str,
    pub(crate) kind: StoreKind,
    pub(crate) after: Option<&'a Location>,
    pub(crate) limit: usize,
}

/// A page of the stores.
pub(crate) fn stores(devices: &Path, page: Page<'_>) -> Attempt<Vec<Location>> {
    let is_there = |location: &_| StorePaths::new(devices, location).exists();
    walk(devices, kind_dir(page.kind), page, is_there)
}

/// A page of the list of container sync. Like Swift it does not ask whether the links lead anywhere.
pub(crate) fn synced(devices: &Path, page: Page<'_>) -> Attempt<Vec<Location>> {
    let is_there = |location: &_| {
        let links = StorePaths::synced(devices, location).databases()?;
        Ok(!links.is_empty())
    };
    walk(devices, SYNC_DIR, page, is_there)
}

fn walk(
    devices: &Path,
    dir: &str,
    page: Page<'_>,
    is_there: impl Fn(&Location) -> Attempt<bool>,
) -> Attempt<Vec<Location>> {
    let mut found = Vec::new();
    let top = devices.join(page.device).join(dir);
    for partition in names(&top)? {
        let order = page.after.map(|after| (*partition).cmp(after.partition()));
        let last = match (order, page.after) {
            (Some(Ordering::Less), _) => continue,
            (Some(Ordering::Equal), Some(after)) => Some(after.hash()),
            _ => None,
        };
        for hash in Hashes::new(top.join(&partition), last)? {
            if found.len() >= page.limit {
                return Ok(found);
            }
            let location = Location::new(page.kind, page.device, partition.as_str(), hash?);
            if let Some(location) = location
                && is_there(&location)?
            {
                found.push(location);
            }
        }
    }
    Ok(found)
}

/// The hashes in the directory of a partition, by suffix and then by hash. A suffix is listed when
/// its turn comes.
struct Hashes {
    partition: PathBuf,
    after: Option<NameHash>,
    suffixes: std::vec::IntoIter<String>,
    hashes: std::vec::IntoIter<NameHash>,
}

impl Hashes {
    fn new(partition: PathBuf, after: Option<NameHash>) -> Attempt<Self> {
        let mut suffixes = names(&partition)?;
        if let Some(after) = after {
            suffixes.retain(|suffix| *suffix >= after.suffix());
        }
        Ok(Self {
            partition,
            after,
            suffixes: suffixes.into_iter(),
            hashes: Vec::new().into_iter(),
        })
    }

    fn of_suffix(&self, suffix: &str) -> Attempt<Vec<NameHash>> {
        let names = names(&self.partition.join(suffix))?;
        let hashes = names.iter().filter_map(|name| NameHash::parse(name));
        let is_here = |hash: &NameHash| hash.suffix() == suffix;
        let is_later = |hash: &NameHash| match self.after {
            Some(after) if after.suffix() == suffix => *hash > after,
            _ => true,
        };
        Ok(hashes.filter(is_here).filter(is_later).collect())
    }
}

impl Iterator for Hashes {
    type Item = Attempt<NameHash>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(hash) = self.hashes.next() {
                return Some(Ok(hash));
            }
            let suffix = self.suffixes.next()?;
            match self.of_suffix(&suffix) {
                Ok(hashes) => self.hashes = hashes.into_iter(),
                Err(failure) => return Some(Err(failure)),
            }
        }
    }
}

/// The names in a directory in order; nothing when there is none, or it is a file.
fn names(dir: &Path) -> Attempt<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_absence(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error).at("list", dir),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.at("list", dir)?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
