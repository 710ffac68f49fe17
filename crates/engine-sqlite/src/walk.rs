//! Finding the stores of a device, in the order of their partitions, suffixes and hashes as text.

use crate::error::{Attempt, OsContext};
use crate::path::{StorePaths, is_absence, kind_dir};
use broker_api::{Location, NameHash, StoreKind};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// Up to `limit` stores after `after`.
pub(crate) fn stores(
    devices: &Path,
    device: &str,
    kind: StoreKind,
    after: Option<&Location>,
    limit: usize,
) -> Attempt<Vec<Location>> {
    let mut found = Vec::new();
    let top = devices.join(device).join(kind_dir(kind));
    for partition in names(&top)? {
        let order = after.map(|after| (*partition).cmp(after.partition()));
        let last = match (order, after) {
            (Some(Ordering::Less), _) => continue,
            (Some(Ordering::Equal), Some(after)) => Some(after.hash()),
            _ => None,
        };
        for hash in Hashes::new(top.join(&partition), last)? {
            if found.len() >= limit {
                return Ok(found);
            }
            let location = Location::new(kind, device, partition.as_str(), hash?);
            if let Some(location) = location
                && StorePaths::new(devices, &location).exists()?
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
