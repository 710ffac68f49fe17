//! A disk as it is, and as a loss of power leaves it.
//!
//! ```text
//! file     on the disk │ changes since, in order            sync: those before it join the left side
//! folder   on the disk │ names added and removed since      the same, by a sync of the folder
//!
//! strict cut   the left sides alone
//! torn cut     of every file and folder a random number of changes more, the last one perhaps in part
//! ```
//!
//! A new file needs two syncs: its own, and that of its folder. Real file systems often keep more; none
//! has to.

use crate::log::Event;
use broker_crash::Draw;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

type NodeId = usize;
type Names = BTreeMap<OsString, NodeId>;

/// The files under one folder.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    by_inode: HashMap<u64, NodeId>,
}

#[derive(Debug)]
enum Node {
    File(Synced<Vec<u8>, Change>),
    Folder(Synced<Names, NameChange>),
    /// Its target is written with its name.
    SymbolicLink(PathBuf),
}

/// What is on the disk, and what happened to it since.
#[derive(Debug)]
struct Synced<T, C> {
    inode: u64,
    synced: T,
    changes: Vec<C>,
    /// Changes that joined the left side; counted so that a sync knows which it covers.
    joined: usize,
    /// Syncs under way: how many changes there had been when they began.
    begun: HashMap<u64, usize>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    Resize(u64),
    Extend(u64),
    Zero { offset: u64, length: u64 },
}

#[derive(Debug, Clone)]
enum NameChange {
    Add(OsString, NodeId),
    Remove(OsString),
    /// Within one folder a rename is one step.
    Rename(OsString, OsString),
}

/// How much survives of what was not synced.
#[derive(Debug)]
pub(crate) enum Cut<'a> {
    /// Nothing.
    Strict,
    /// A random part.
    Torn(&'a mut Draw),
}

trait Apply<C> {
    fn apply(&mut self, change: &C);
}

impl Apply<Change> for Vec<u8> {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset, data } => {
                let (from, to) = (*offset as usize, *offset as usize + data.len());
                self.resize(self.len().max(to), 0);
                self[from..to].copy_from_slice(data);
            }
            Change::Resize(length) => self.resize(*length as usize, 0),
            Change::Extend(length) => self.resize(self.len().max(*length as usize), 0),
            Change::Zero { offset, length } => {
                let end = self.len().min((*offset + *length) as usize);
                let from = end.min(*offset as usize);
                self[from..end].fill(0);
            }
        }
    }
}

impl Apply<NameChange> for Names {
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Add(name, node) => drop(self.insert(name.clone(), *node)),
            NameChange::Remove(name) => drop(self.remove(name)),
            NameChange::Rename(from, to) => {
                if let Some(node) = self.remove(from) {
                    self.insert(to.clone(), node);
                }
            }
        }
    }
}

impl<T: Apply<C> + Clone, C> Synced<T, C> {
    fn new(inode: u64, synced: T) -> Self {
        Self {
            inode,
            synced,
            changes: Vec::new(),
            joined: 0,
            begun: HashMap::new(),
        }
    }

    fn begin(&mut self, token: u64) {
        self.begun.insert(token, self.joined + self.changes.len());
    }

    fn end(&mut self, token: u64) {
        let covered = self.begun.remove(&token).unwrap_or(0);
        let count = covered.saturating_sub(self.joined);
        for change in self.changes.drain(..count) {
            self.synced.apply(&change);
        }
        self.joined += count;
    }

    /// The state after the first `count` changes since the last sync.
    fn after(&self, count: usize) -> T {
        let mut state = self.synced.clone();
        self.changes[..count]
            .iter()
            .for_each(|change| state.apply(change));
        state
    }

    fn now(&self) -> T {
        self.after(self.changes.len())
    }

    fn kept(&self, cut: &mut Cut<'_>) -> usize {
        match cut {
            Cut::Strict => 0,
            Cut::Torn(draw) => draw.below(self.changes.len() as u64 + 1) as usize,
        }
    }
}

impl Disk {
    /// What a folder holds now, taken as synced.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn scan(root: &Path) -> io::Result<Self> {
        let mut disk = Self {
            root: root.to_owned(),
            nodes: Vec::new(),
            by_inode: HashMap::new(),
        };
        let inode = fs::metadata(root)?.ino();
        disk.scan_folder(root, inode)?;
        Ok(disk)
    }

    fn scan_folder(&mut self, path: &Path, inode: u64) -> io::Result<NodeId> {
        let id = self.add(inode, Node::Folder(Synced::new(inode, Names::new())));
        let mut names = Names::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let (kind, inode) = (entry.file_type()?, entry.ino());
            let node = if kind.is_dir() {
                self.scan_folder(&entry.path(), inode)?
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path())?;
                self.add(inode, Node::SymbolicLink(target))
            } else {
                let content = fs::read(entry.path())?;
                self.add(inode, Node::File(Synced::new(inode, content)))
            };
            names.insert(entry.file_name(), node);
        }
        self.nodes[id] = Node::Folder(Synced::new(inode, names));
        Ok(id)
    }

    fn add(&mut self, inode: u64, node: Node) -> NodeId {
        self.nodes.push(node);
        self.by_inode.insert(inode, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Does what the log says.
    ///
    /// # Errors
    /// When a path of the log is not there: the log has a hole.
    pub(crate) fn replay(&mut self, events: Vec<Event>) -> Result<(), String> {
        for event in events {
            let told = format!("{event:?}");
            self.happen(event)
                .ok_or_else(|| format!("the log has a hole before {told:.300}"))?;
        }
        Ok(())
    }

    /// Does one event; nothing when it does not fit what was before.
    fn happen(&mut self, event: Event) -> Option<()> {
        match event {
            Event::Opened {
                inode,
                path,
                is_new,
                is_cut,
                is_folder,
            } => {
                self.open(inode, &path, is_new, is_folder)?;
                if is_cut {
                    self.change(inode, Change::Resize(0));
                }
            }
            Event::Written {
                inode,
                offset,
                data,
            } => self.change(inode, Change::Write { offset, data }),
            Event::Resized { inode, length } => self.change(inode, Change::Resize(length)),
            Event::Extended { inode, length } => self.change(inode, Change::Extend(length)),
            Event::Zeroed {
                inode,
                offset,
                length,
            } => self.change(inode, Change::Zero { offset, length }),
            Event::SyncBegan { inode, token } => match self.node_of(inode) {
                Some(Node::File(file)) => file.begin(token),
                Some(Node::Folder(folder)) => folder.begin(token),
                _ => {}
            },
            Event::Synced { inode, token } => match self.node_of(inode) {
                Some(Node::File(file)) => file.end(token),
                Some(Node::Folder(folder)) => folder.end(token),
                _ => {}
            },
            Event::FolderMade { inode, path } => self.open(inode, &path, true, true)?,
            Event::Removed { path } => {
                let (folder, name) = self.place(&path)?;
                folder.changes.push(NameChange::Remove(name));
            }
            Event::Renamed { from, to } => self.rename(&from, &to)?,
            Event::Linked { from, to } => {
                let node = self.find(&from)?;
                let (folder, name) = self.place(&to)?;
                folder.changes.push(NameChange::Add(name, node));
            }
            Event::SymbolicLink { path, target } => {
                self.nodes.push(Node::SymbolicLink(target));
                let node = self.nodes.len() - 1;
                let (folder, name) = self.place(&path)?;
                folder.changes.push(NameChange::Add(name, node));
            }
        }
        Some(())
    }

    /// Takes note of a file or folder that may have been made without the log hearing of it.
    fn open(&mut self, inode: u64, path: &Path, is_new: bool, is_folder: bool) -> Option<()> {
        let found = self.find(path);
        let is_known = found.is_some_and(|found| self.inode(found) == Some(inode));
        if is_known && !is_new {
            return Some(());
        }
        let node = match is_folder {
            true => Node::Folder(Synced::new(inode, Names::new())),
            false => Node::File(Synced::new(inode, Vec::new())),
        };
        let id = self.add(inode, node);
        let (folder, name) = self.place(path)?;
        folder.changes.push(NameChange::Add(name, id));
        Some(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Option<()> {
        let node = self.find(from)?;
        let (from_name, to_name) = (from.file_name()?.to_owned(), to.file_name()?.to_owned());
        if from.parent() == to.parent() {
            let (folder, _) = self.place(from)?;
            folder.changes.push(NameChange::Rename(from_name, to_name));
            return Some(());
        }
        let (folder, name) = self.place(to)?;
        folder.changes.push(NameChange::Add(name, node));
        let (folder, name) = self.place(from)?;
        folder.changes.push(NameChange::Remove(name));
        Some(())
    }

    fn node_of(&mut self, inode: u64) -> Option<&mut Node> {
        let id = *self.by_inode.get(&inode)?;
        self.nodes.get_mut(id)
    }

    fn inode(&self, id: NodeId) -> Option<u64> {
        match &self.nodes[id] {
            Node::File(file) => Some(file.inode),
            Node::Folder(folder) => Some(folder.inode),
            Node::SymbolicLink(_) => None,
        }
    }

    /// Files that were removed while they were open are written to for nothing.
    fn change(&mut self, inode: u64, change: Change) {
        if let Some(Node::File(file)) = self.node_of(inode) {
            file.changes.push(change);
        }
    }

    /// The node of a path as it is now.
    fn find(&self, path: &Path) -> Option<NodeId> {
        let mut id = 0;
        for name in path.strip_prefix(&self.root).ok()? {
            match &self.nodes[id] {
                Node::Folder(folder) => id = named(folder, name)?,
                _ => return None,
            }
        }
        Some(id)
    }

    /// The folder that a path is in, and its name there.
    fn place(&mut self, path: &Path) -> Option<(&mut Synced<Names, NameChange>, OsString)> {
        let folder = self.find(path.parent()?)?;
        let name = path.file_name()?.to_owned();
        match &mut self.nodes[folder] {
            Node::Folder(folder) => Some((folder, name)),
            _ => None,
        }
    }

    /// Writes what a loss of power leaves into an empty folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, to: &Path, cut: &mut Cut<'_>) -> io::Result<()> {
        self.write_node(0, to, cut)
    }

    fn write_node(&self, id: NodeId, to: &Path, cut: &mut Cut<'_>) -> io::Result<()> {
        match &self.nodes[id] {
            Node::File(file) => fs::write(to, torn(file, cut)),
            Node::SymbolicLink(target) => symlink(target, to),
            Node::Folder(folder) => {
                fs::create_dir(to)?;
                let names = folder.after(folder.kept(cut));
                let mut names = names.into_iter();
                names.try_for_each(|(name, node)| self.write_node(node, &to.join(name), cut))
            }
        }
    }

    /// Where a folder differs from what the log says that it holds now. Names that the log never heard
    /// of may be there, of files that were made past it and stayed empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn differences(&self) -> io::Result<Vec<String>> {
        let mut differences = Vec::new();
        self.compare(0, &self.root, &mut differences)?;
        Ok(differences)
    }

    fn compare(&self, id: NodeId, path: &Path, differences: &mut Vec<String>) -> io::Result<()> {
        let mut tell = |what: &str| differences.push(format!("{}: {what}", path.display()));
        match &self.nodes[id] {
            Node::File(file) => match fs::read(path) {
                Ok(found) if found == file.now() => {}
                Ok(_) => tell("another content"),
                Err(error) => tell(&error.to_string()),
            },
            Node::SymbolicLink(target) => {
                if fs::read_link(path).ok().as_ref() != Some(target) {
                    tell("another link");
                }
            }
            Node::Folder(folder) => {
                let names = folder.now();
                for entry in fs::read_dir(path)? {
                    let entry = entry?;
                    if !names.contains_key(&entry.file_name()) && entry.metadata()?.len() > 0 {
                        tell(&format!("{:?} is not in the log", entry.file_name()));
                    }
                }
                for (name, node) in names {
                    self.compare(node, &path.join(name), differences)?;
                }
            }
        }
        Ok(())
    }
}

/// A name of a folder as it is now; looked for from the end, as most folders have many changes.
fn named(folder: &Synced<Names, NameChange>, name: &OsStr) -> Option<NodeId> {
    let mut name = name;
    for change in folder.changes.iter().rev() {
        match change {
            NameChange::Add(added, node) if added == name => return Some(*node),
            NameChange::Remove(removed) if removed == name => return None,
            NameChange::Rename(from, to) if to == name => name = from,
            NameChange::Rename(from, _) if from == name => return None,
            _ => {}
        }
    }
    folder.synced.get(name).copied()
}

/// The content that a cut leaves; the change after the last one kept may be there in part.
fn torn(file: &Synced<Vec<u8>, Change>, cut: &mut Cut<'_>) -> Vec<u8> {
    let kept = file.kept(cut);
    let mut content = file.after(kept);
    if let (Cut::Torn(draw), Some(Change::Write { offset, data })) = (cut, file.changes.get(kept)) {
        let length = draw.below(data.len() as u64 + 1) as usize;
        content.apply(&Change::Write {
            offset: *offset,
            data: data[..length].to_vec(),
        });
    }
    content
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
