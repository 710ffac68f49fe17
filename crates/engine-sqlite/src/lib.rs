//! Brokers over Swift's own SQLite files
