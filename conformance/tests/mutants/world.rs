//! What the flaw of a mutant may use.

use broker_api::Engine;
use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The engine without a flaw, and a memory.
pub(crate) struct World {
    pub(crate) engine: Arc<dyn Engine>,
    calls: AtomicU64,
    memory: Mutex<HashMap<String, Box<dyn Any + Send>>>,
    seen: Mutex<HashSet<String>>,
    /// Held by a flaw that does one thing at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl World {
    pub(crate) fn of(engine: Arc<dyn Engine>) -> Self {
        Self {
            engine,
            calls: AtomicU64::new(0),
            memory: Mutex::default(),
            seen: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// How many times this was asked before.
    pub(crate) fn count(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Remembers a value; what was remembered before.
    pub(crate) fn remember<T: Send + 'static>(&self, key: String, value: T) -> Option<T> {
        let old = self.memory.lock().unwrap().insert(key, Box::new(value))?;
        old.downcast().ok().map(|old| *old)
    }

    /// What was remembered.
    pub(crate) fn remembered<T: Clone + 'static>(&self, key: &str) -> Option<T> {
        let memory = self.memory.lock().unwrap();
        memory.get(key)?.downcast_ref::<T>().cloned()
    }

    /// Changes what was remembered, or the default, and keeps it.
    pub(crate) fn change<T, R>(&self, key: String, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: Default + Send + 'static,
    {
        let mut memory = self.memory.lock().unwrap();
        let value = memory.entry(key).or_insert_with(|| Box::new(T::default()));
        change(value.downcast_mut().unwrap())
    }

    /// Whether this is the first time that the key is asked for.
    pub(crate) fn first_time(&self, key: String) -> bool {
        self.seen.lock().unwrap().insert(key)
    }
}
