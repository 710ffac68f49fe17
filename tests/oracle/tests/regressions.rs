//! Histories that once showed a difference.

use broker_oracle::compare::Comparer;
use broker_oracle::driver::Driver;
use broker_oracle::error::Result;
use broker_oracle::report;
use broker_oracle::run::replay;
use broker_oracle::subject::{EngineName, Subject};
use std::path::Path;

fn replay_all(engine: EngineName) -> Result<Vec<String>> {
    let mut comparer = Comparer::new(Driver::start()?)?;
    let subject = Subject::open(engine)?;
    let mut texts = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path();
        let history = report::read(&file)?;
        if let Some(finding) = replay(&mut comparer, &subject, &history)? {
            let text = report::text(engine.as_str(), &finding.history, &finding.difference);
            texts.push(format!("{}:\n{text}", file.display()));
        }
    }
    Ok(texts)
}

/// A failure would mean that a mended bug is back.
#[test]
fn histories_that_differed_once_do_so_no_more() {
    for engine in [EngineName::Memory, EngineName::Sled, EngineName::Sqlite] {
        match replay_all(engine) {
            Ok(texts) => assert!(texts.is_empty(), "{}", texts.join("\n")),
            Err(error) => panic!("{error}"),
        }
    }
}
