//! `apus dump-keys`: what the database of a key-value engine holds, key by key.

use crate::Failure;
use crate::cli::DumpKeysArgs;
use crate::registry::{EngineSetup, Registry};
use broker_api::StoreKind;
use broker_kv::DumpKeys;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

/// Runs the command.
pub(crate) fn run(registry: &Registry, args: &DumpKeysArgs) -> Result<(), Failure> {
    let entry = registry.find(&args.engine)?;
    let Some(dump) = entry.dump else {
        return Err(Failure::new(format!(
            "the engine {:?} keeps no ordered keys; those that do: {}",
            entry.name,
            with_keys(registry)
        )));
    };
    let wanted = DumpKeys {
        device: args.device.clone(),
        kind: match args.kind.as_str() {
            "accounts" => StoreKind::Account,
            _ => StoreKind::Container,
        },
        store: args.store,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut written = Ok(());
    let mut visit = |key: &[u8], value: &[u8]| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        written = writeln!(out, "{}", line(key, value, args.json));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    dump(&EngineSetup::new(&args.devices), &wanted, &mut visit)
        .map_err(|error| Failure::new(crate::chain(error.as_ref())))?;
    match written.and_then(|()| out.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn with_keys(registry: &Registry) -> String {
    let entries = registry.entries().iter();
    let names: Vec<_> = entries
        .filter(|entry| entry.dump.is_some())
        .map(|entry| entry.name)
        .collect();
    match names.is_empty() {
        true => "none in this binary".to_owned(),
        false => names.join(", "),
    }
}

fn line(key: &[u8], value: &[u8], json: bool) -> String {
    let text = broker_kv::describe_entry(key, value);
    match json {
        false => text,
        true => serde_json::json!({"key": hex(key), "value": hex(value), "text": text}).to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
