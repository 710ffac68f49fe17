//! `apus export` and `apus import`: stores as single files of Swift, whatever engine keeps them.
//!
//! The sqlite engine does both, on a folder of devices of one store:
//!
//! ```text
//! export   <folder>/.FILE.exporting/file/containers/0/<suffix>/<hash>/<hash>.db   grows here, then: FILE
//! import   <tmp>/file/containers/0/<suffix>/<hash>/<hash>.db -> FILE              a link to it
//! ```

use super::place::Place;
use super::progress::Bar;
use crate::cli::{ExportArgs, ImportArgs};
use crate::ownership;
use crate::registry::{EngineEntry, EngineSetup, Registry};
use crate::store::{find, from_parts};
use crate::{Failure, block_on_threads};
use broker_api::{Engine, Facts, HashPath, Location};
use broker_copy::{Copied, StoreBroker, copy_store};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swift_conf::SwiftConf;
use swift_conf::server_conf::DEFAULT_ENGINE;

/// The engine that keeps Swift's files.
const FILES: &str = "sqlite";

/// The device of a folder that holds one store.
const DEVICE: &str = "file";

/// A folder of devices with the place for one store.
struct OneStore {
    folder: PathBuf,
    location: Location,
    db: PathBuf,
}

impl OneStore {
    fn new(folder: PathBuf, like: &Location) -> Result<Self, Failure> {
        let (kind, hash) = (like.kind(), like.hash());
        let location = Location::new(kind, DEVICE, "0", hash);
        let location = location.ok_or_else(|| Failure::new("no place for a store"))?;
        let dir = folder
            .join(DEVICE)
            .join(format!("{kind}s/0/{}/{hash}", hash.suffix()));
        Ok(Self {
            folder,
            location,
            db: dir.join(format!("{hash}.db")),
        })
    }

    fn open(&self, registry: &Registry) -> Result<(Arc<dyn Engine>, StoreBroker), Failure> {
        let engine = registry.open(FILES, &EngineSetup::new(&self.folder))?;
        let broker = StoreBroker::open(&*engine, &self.location);
        Ok((engine, broker))
    }
}

/// Runs `apus export`.
pub(crate) fn export(registry: &Registry, args: &ExportArgs) -> Result<(), Failure> {
    let file = &args.file;
    let folder = folder_of(file)?;
    if file.symlink_metadata().is_ok() {
        return Err(exists(file));
    }
    let copied = block_on_threads(async {
        let found = find(registry, &args.store).await?;
        let source = StoreBroker::open(&*found.engine, &found.location);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let one = OneStore::new(folder.join(format!(".{name}.exporting")), &found.location)?;
        fs::create_dir_all(one.folder.join(DEVICE))?;
        let (engine, target) = one.open(registry)?;
        let copied = copy(&source, &target, &found.location).await?;
        drop((target, engine));
        // A link, since unlike a rename it never takes another file's place.
        match fs::hard_link(&one.db, file) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(exists(file));
            }
            linked => linked?,
        }
        File::open(&folder)?.sync_all()?;
        fs::remove_dir_all(&one.folder)?;
        Ok(copied)
    })?;
    print(&copied, &file.display());
    Ok(())
}

/// Runs `apus import`.
pub(crate) fn import(registry: &Registry, args: &ImportArgs) -> Result<(), Failure> {
    let file = args.file.canonicalize();
    let file =
        file.map_err(|e| Failure::new(format!("cannot read {}: {e}", args.file.display())))?;
    refuse_pending(&file)?;
    let location = from_parts(&args.location).ok_or_else(|| {
        let form = "device/accounts/partition/hash or device/containers/partition/hash";
        Failure::new(format!("{:?} is no location; write {form}", args.location))
    })?;
    let place = Place::of(&args.place, None)?;
    let copied = block_on_threads(async {
        let scratch = tempfile::tempdir()?;
        let one = OneStore::new(scratch.path().to_owned(), &location)?;
        fs::create_dir_all(one.db.parent().unwrap_or(&one.folder))?;
        std::os::unix::fs::symlink(&file, &one.db)?;
        let (_engine, source) = one.open(registry)?;
        let facts = source.facts().await?;
        let facts = facts.ok_or_else(|| Failure::new(format!("{} is gone", file.display())))?;
        require_name(&facts, &location, &place)?;
        let device = place.devices.join(location.device());
        let entry = engine_for(registry, args.engine.as_deref(), &device)?;
        let engine = place.open(registry, entry.name)?;
        let target = StoreBroker::open(&*engine, &location);
        let copied = copy(&source, &target, &location).await?;
        ownership::claim(registry, &device, entry)?;
        Ok::<_, Failure>(copied)
    })?;
    print(&copied, &location);
    Ok(())
}

/// The engine that is to keep a store: the one that is asked for, or the device's own.
fn engine_for<'r>(
    registry: &'r Registry,
    asked: Option<&str>,
    device: &Path,
) -> Result<&'r EngineEntry, Failure> {
    let owner = match asked {
        Some(asked) => ownership::check(registry, device, asked)?,
        None => ownership::owner(registry, device)?,
    };
    let owner = owner.map(|owner| owner.engine);
    let name = owner.as_deref().or(asked).unwrap_or(DEFAULT_ENGINE);
    Ok(registry.find(name)?)
}

async fn copy(
    source: &StoreBroker,
    target: &StoreBroker,
    shown: &Location,
) -> Result<Copied, Failure> {
    let facts = source.facts().await?;
    let rows = facts.map_or(0, |facts| facts.store().max_row.0.max(0) as u64);
    let bar = Bar::new(rows, 1);
    let copied = copy_store(source, target, &|progress| bar.row(shown, progress)).await;
    bar.end();
    Ok(copied?)
}

fn print(copied: &Copied, place: &dyn std::fmt::Display) {
    let state = if copied.was_there {
        "is there already"
    } else {
        "is complete"
    };
    println!(
        "{place} {state}: {} rows, SHA-256 {}",
        copied.rows, copied.digest
    );
}

fn exists(file: &Path) -> Failure {
    let file = file.display();
    Failure::new(format!("{file} exists already; name a new file"))
}

/// The folder of a file that is to be made.
fn folder_of(file: &Path) -> Result<PathBuf, Failure> {
    if file.extension().is_none_or(|ending| ending != "db") {
        return Err(Failure::new(
            "the name of the file must end in .db, as Swift's tools want it",
        ));
    }
    Ok(match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    })
}

/// Records that wait beside the file belong to the store, and only who opens it in its place merges them.
fn refuse_pending(file: &Path) -> Result<(), Failure> {
    let mut pending = file.as_os_str().to_owned();
    pending.push(".pending");
    let pending = PathBuf::from(pending);
    match fs::metadata(&pending).map_or(0, |found| found.len()) {
        0 => Ok(()),
        _ => Err(Failure::new(format!(
            "{} holds records that are not merged yet; run swift-container-info or swift-account-info \
             on the file first, which merges them",
            pending.display()
        ))),
    }
}

/// A store under another name's hash is found by nobody.
fn require_name(facts: &Facts, location: &Location, place: &Place) -> Result<(), Failure> {
    let Ok(conf) = SwiftConf::load(&place.swift_dir) else {
        return Ok(());
    };
    let hash_path = HashPath::new(conf.hash_path_prefix, conf.hash_path_suffix);
    let account = &facts.store().account;
    let (name, hash) = match facts {
        Facts::Account(_) => (account.clone(), hash_path.account(account)),
        Facts::Container(info) => (
            format!("{account}/{}", info.container),
            hash_path.container(account, &info.container),
        ),
    };
    match hash == location.hash() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "the file holds {name}, whose hash is {hash}"
        ))),
    }
}
