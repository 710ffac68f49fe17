//! Scripts whose answers were recorded from Swift itself.

use crate::case::cases;
use crate::script::play;

cases! {
    /// The life of accounts, as Swift tells it.
    #[case(Core, clauses = ["LIFE-3", "DELETE-2", "TIME-3", "ACCOUNT-MERGE-1", "ACCOUNT-MERGE-2"])]
    async fn accounts_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/accounts.txt")).await
    }

    /// The life of containers, as Swift tells it.
    #[case(Core, clauses = ["LIFE-4", "DELETE-2", "POLICY-1", "REMOVE-1", "MARK-1", "ID-2"])]
    async fn containers_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/containers.txt")).await
    }

    /// Metadata and its spelling, as Swift writes it.
    #[case(Core, clauses = ["META-1", "META-2", "META-3", "DELETE-1"])]
    async fn metadata_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/metadata.txt")).await
    }

    /// Random lives of accounts end as in Swift.
    #[case(Core, clauses = ["LIFE-3", "LIFE-5", "DELETE-2", "TIME-1", "TIME-3", "TIME-4"])]
    async fn random_lives_of_accounts_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/lifecycle_accounts.txt")).await
    }

    /// Random lives of containers end as in Swift.
    #[case(Core, clauses = ["LIFE-4", "LIFE-5", "DELETE-2", "TIME-2", "TIME-4", "POLICY-2"])]
    async fn random_lives_of_containers_as_swift(fixture: Fixture) -> Check {
        play(
            &fixture,
            include_str!("../scripts/lifecycle_containers.txt"),
        )
        .await
    }

    /// Listings with markers and prefixes over hostile names, as Swift answers them.
    #[case(Core, clauses = ["LIST-1", "LIST-2", "LIST-4"])]
    async fn listings_of_hostile_names_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/listing_names.txt")).await
    }

    /// Listings with delimiters over hostile names, as Swift answers them.
    #[case(Core, clauses = ["LIST-2", "LIST-3", "LIST-4"])]
    async fn listings_with_delimiters_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/listing_delimiters.txt")).await
    }

    /// Listings of deep and tangled trees, as Swift answers them.
    #[case(Core, clauses = ["LIST-2", "LIST-3"])]
    async fn listings_of_trees_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/listing_trees.txt")).await
    }

    /// Listings around names that begin with NUL, as Swift answers them.
    #[case(Core, clauses = ["LIST-4", "LIST-3"])]
    async fn listings_of_reserved_names_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/listing_reserved.txt")).await
    }

    /// Path listings where Swift loses nothing.
    #[case(Core, clauses = ["LIST-5"])]
    async fn path_listings_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/listing_paths.txt")).await
    }

    /// Listings filtered by policy, deletion and row, with every column, as Swift answers them.
    #[case(Core, clauses = ["LIST-6", "ENCODE-1"])]
    async fn filtered_listings_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/listing_rows.txt")).await
    }

    /// Container listings, as Swift answers them.
    #[case(Core, clauses = ["LIST-1", "LIST-2", "LIST-3", "LIST-6"])]
    async fn container_listings_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/listing_containers.txt")).await
    }

    /// Random batches of objects leave the rows, numbers, statistics and hash that Swift has.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "OBJECT-MERGE-2", "OBJECT-MERGE-3", "HASH-1", "INFO-2"])]
    async fn object_merges_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/merge_objects.txt")).await
    }

    /// Single puts, each followed by a listing, as Swift answers.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "INFO-1", "LIST-1"])]
    async fn single_puts_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/merge_puts.txt")).await
    }

    /// Random batches of containers leave the rows, numbers, statistics and hash that Swift has.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1", "ACCOUNT-MERGE-2", "ACCOUNT-MERGE-3", "HASH-2", "INFO-2"])]
    async fn container_merges_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/merge_containers.txt")).await
    }

    /// Sync points, new ids and reclaims among merges end as in Swift.
    #[case(Replication, clauses = ["SYNC-1", "ID-1", "OBJECT-MERGE-4", "ACCOUNT-MERGE-4", "RECLAIM-1", "RECLAIM-2"])]
    async fn replication_as_swift(fixture: Fixture) -> Check {
        play(&fixture, include_str!("../scripts/replication.txt")).await
    }
}
