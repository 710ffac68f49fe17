//! The reports that are checked in, for programs that show what was certified.

/// Every report of this repository, by the name of its engine.
const CHECKED_IN: &[(&str, &str)] = &[
    ("memory", include_str!("../reports/memory.json")),
    ("rocksdb", include_str!("../reports/rocksdb.json")),
    ("sled", include_str!("../reports/sled.json")),
    ("sqlite", include_str!("../reports/sqlite.json")),
];

/// The report of an engine of this repository, as JSON; `None` for other engines.
pub fn of(engine: &str) -> Option<&'static str> {
    let report = CHECKED_IN.iter().find(|(name, _)| *name == engine);
    report.map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure would mean that a new report is checked in and nobody is shown it.
    #[test]
    fn every_checked_in_report_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/reports");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".json"))
            .collect();
        files.sort();
        let listed: Vec<_> = CHECKED_IN
            .iter()
            .map(|(name, _)| format!("{name}.json"))
            .collect();
        assert_eq!(files, listed);
    }
}
