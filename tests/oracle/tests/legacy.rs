//! Files of every age, shared between Swift and the sqlite engine.

use broker_oracle::driver::scratch_folder;
use broker_oracle::error::Result;
use broker_oracle::legacy::{Bench, cases};

fn differences() -> Result<Vec<String>> {
    let folder = scratch_folder()?;
    let mut bench = Bench::new(folder.path())?;
    let mut differences = Vec::new();
    for case in cases() {
        differences.extend(bench.play(&case)?);
    }
    Ok(differences)
}

/// A failure would mean that a node with old files answers differently after its change to Apus, or
/// leaves files behind that Swift cannot go on with.
#[test]
fn sqlite_reads_and_completes_old_files_as_swift_does() {
    let differences = match differences() {
        Ok(differences) => differences,
        Err(error) => panic!("{error}"),
    };
    assert!(
        differences.is_empty(),
        "{} of {} cases differ:\n\n{}",
        differences.len(),
        cases().len(),
        differences.join("\n")
    );
}
