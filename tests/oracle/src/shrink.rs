//! Makes a failing history small: first fewer operations, then simpler values.
//!
//! Values are simplified as JSON, without knowing what they mean; a candidate that no longer is a
//! history, says something a typed caller cannot say, or does something excluded is thrown away.

use crate::exclusions::is_excluded;
use crate::op::{History, Op};
use crate::valid::is_valid;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// How long a shrink goes on at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shrinks a history for which `fails` is true to one that still fails.
pub fn shrink<E>(
    history: &History,
    mut fails: impl FnMut(&History) -> Result<bool, E>,
) -> Result<History, E> {
    let deadline = Instant::now() + PATIENCE;
    let mut shrinker = Shrinker {
        best: history.clone(),
        fails: &mut fails,
        deadline,
        tried: HashSet::new(),
    };
    loop {
        let before = shrinker.best.clone();
        shrinker.fewer_operations()?;
        shrinker.simpler_texts_everywhere()?;
        shrinker.simpler_values()?;
        if shrinker.best == before || shrinker.is_late() {
            return Ok(shrinker.best);
        }
    }
}

struct Shrinker<'a, F> {
    best: History,
    fails: &'a mut F,
    deadline: Instant,
    /// Hashes of the candidates so far: passes repeat themselves, and a replay costs far more.
    tried: HashSet<u64>,
}

impl<E, F: FnMut(&History) -> Result<bool, E>> Shrinker<'_, F> {
    fn is_late(&self) -> bool {
        Instant::now() > self.deadline
    }

    /// Takes the candidate as the best when it still fails.
    fn adopt(&mut self, ops: Vec<Op>) -> Result<bool, E> {
        let candidate = self.best.with_ops(ops);
        if !self.tried.insert(fingerprint(&candidate)) {
            return Ok(false);
        }
        if is_excluded(&candidate) || !candidate.ops.iter().all(is_valid) {
            return Ok(false);
        }
        let still_fails = (self.fails)(&candidate)?;
        if still_fails {
            self.best = candidate;
        }
        Ok(still_fails)
    }

    /// Drops stretches of operations, half of them at first, then ever shorter ones.
    fn fewer_operations(&mut self) -> Result<(), E> {
        let mut stretch = self.best.ops.len().div_ceil(2).max(1);
        loop {
            let mut from = self.best.ops.len();
            while from > 0 && !self.is_late() {
                let start = from.saturating_sub(stretch);
                let mut ops = self.best.ops.clone();
                ops.drain(start..from.min(ops.len()));
                self.adopt(ops)?;
                from = start;
            }
            if stretch == 1 {
                return Ok(());
            }
            stretch /= 2;
        }
    }

    /// Simplifies a text in all places at once, since equal names and times often have to stay equal.
    fn simpler_texts_everywhere(&mut self) -> Result<(), E> {
        let mut done = HashSet::new();
        while let Some(text) = self.texts().into_iter().find(|text| !done.contains(text)) {
            let simpler = simpler_texts(&text).into_iter();
            let mut simpler = simpler
                .filter_map(|value| value.as_str().map(str::to_owned))
                .filter(|simpler| *simpler != text);
            let adopted = loop {
                match simpler.next() {
                    Some(_) if self.is_late() => break false,
                    Some(simpler) if self.replace_everywhere(&text, &simpler)? => break true,
                    Some(_) => {}
                    None => break false,
                }
            };
            if !adopted {
                done.insert(text);
            }
        }
        Ok(())
    }

    fn texts(&self) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        if let Ok(value) = serde_json::to_value(&self.best.ops) {
            collect_texts(&value, &mut texts);
        }
        texts
    }

    fn replace_everywhere(&mut self, from: &str, to: &str) -> Result<bool, E> {
        let Ok(mut value) = serde_json::to_value(&self.best.ops) else {
            return Ok(false);
        };
        replace_texts(&mut value, from, to);
        match serde_json::from_value(value) {
            Ok(ops) => self.adopt(ops),
            Err(_) => Ok(false),
        }
    }

    fn simpler_values(&mut self) -> Result<(), E> {
        for index in 0..self.best.ops.len() {
            while !self.is_late() && self.simplify(index)? {}
        }
        Ok(())
    }

    /// Simplifies one value of one operation; false when none can be.
    fn simplify(&mut self, index: usize) -> Result<bool, E> {
        let Ok(value) = serde_json::to_value(&self.best.ops[index]) else {
            return Ok(false);
        };
        for simpler in simplifications(&value) {
            let Ok(op) = serde_json::from_value::<Op>(simpler) else {
                continue;
            };
            if op == self.best.ops[index] {
                continue;
            }
            let mut ops = self.best.ops.clone();
            ops[index] = op;
            if self.adopt(ops)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn fingerprint(history: &History) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", history.ops).hash(&mut hasher);
    hasher.finish()
}

fn collect_texts(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            texts.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "op")
            .for_each(|(_, field)| collect_texts(field, texts)),
        _ => {}
    }
}

fn replace_texts(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => *text = to.to_owned(),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| replace_texts(item, from, to)),
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(name, _)| *name != "op")
            .for_each(|(_, field)| replace_texts(field, from, to)),
        _ => {}
    }
}

/// Values that are simpler than `value` in one place, the simplest first.
fn simplifications(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(true) => vec![Value::Null, Value::Bool(false)],
        Value::Bool(false) => Vec::new(),
        Value::Number(number) => simpler_numbers(number.as_i64().unwrap_or_default()),
        Value::String(text) => simpler_texts(text),
        Value::Array(items) => simpler_arrays(items),
        Value::Object(fields) => {
            let mut all = Vec::new();
            for (name, field) in fields.iter().filter(|(name, _)| *name != "op") {
                for simpler in simplifications(field) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), simpler);
                    all.push(Value::Object(fields));
                }
            }
            all
        }
    }
}

fn simpler_numbers(number: i64) -> Vec<Value> {
    match number {
        0 => vec![Value::Null],
        1 => vec![Value::Null, 0.into()],
        _ => vec![Value::Null, 0.into(), 1.into(), (number / 2).into()],
    }
}

/// Numbers that look like times become round ones; other text becomes shorter and plainer.
fn simpler_texts(text: &str) -> Vec<Value> {
    let plain_times = ["1700000000.00000", "1700000001.00000", "1700000002.00000"];
    let mut all = vec![Value::Null];
    if let Some(at) = plain_times.iter().position(|plain| *plain == text) {
        all.extend(plain_times[..at].iter().map(|plain| Value::from(*plain)));
        return all;
    }
    all.extend(["", "a"].map(Value::from));
    if broker_api::Timestamp::parse(text).is_ok() {
        all.extend(plain_times.map(Value::from));
    }
    let chars: Vec<char> = text.chars().collect();
    if text == "a" || chars.is_empty() {
        return all[..chars.len() + 1].to_vec();
    }
    let half = chars.len() / 2;
    all.push(chars[..half].iter().collect::<String>().into());
    all.push(chars[half..].iter().collect::<String>().into());
    for at in 0..chars.len().min(24) {
        let shorter: String = [&chars[..at], &chars[at + 1..]].concat().iter().collect();
        all.push(shorter.into());
    }
    all
}

fn simpler_arrays(items: &[Value]) -> Vec<Value> {
    let mut all = vec![Value::Null];
    for at in 0..items.len() {
        all.push(Value::Array([&items[..at], &items[at + 1..]].concat()));
    }
    for (at, item) in items.iter().enumerate() {
        for simpler in simplifications(item) {
            let mut items = items.to_vec();
            items[at] = simpler;
            all.push(Value::Array(items));
        }
    }
    all
}
