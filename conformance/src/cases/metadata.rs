//! The metadata dictionary of a store.

use crate::case::cases;
use crate::check::{Check, check, check_eq, check_refused};
use crate::fixture::at;
use broker_api::{
    AccountBrokerExt, Broker, ContainerBroker, ContainerBrokerExt, MetadataEntry, MetadataLimits,
};

const LIMITS: MetadataLimits = MetadataLimits {
    max_meta_count: 90,
    max_meta_overall_size: 4096,
};

fn entry(key: &str, value: &str, seconds: u64) -> MetadataEntry {
    MetadataEntry::new(key, value, at(seconds).as_str())
}

fn user(key: &str, value: &str, seconds: u64) -> MetadataEntry {
    entry(&format!("X-Container-Meta-{key}"), value, seconds)
}

fn items(count: usize, value: &str, seconds: u64) -> Vec<MetadataEntry> {
    (0..count)
        .map(|i| user(&format!("k{i:03}"), value, seconds))
        .collect()
}

async fn stored(broker: &dyn ContainerBroker) -> Check<Vec<MetadataEntry>> {
    Ok(broker
        .get_info()
        .await?
        .store
        .metadata()?
        .entries()
        .to_vec())
}

async fn update<B: Broker + ?Sized>(broker: &B, updates: &[MetadataEntry]) -> Check {
    Ok(broker.update_metadata(updates, Some(&LIMITS)).await?)
}

cases! {
    /// A POST that was delayed must not undo a newer one, on any replica.
    #[case(Core, clauses = ["META-1"])]
    async fn later_metadata_wins(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        update(&*broker, &[user("Zed", "v", 2), user("Other", "o", 2)]).await?;
        let mut expected = vec![user("Zed", "v", 2), user("Other", "o", 2)];
        update(&*broker, &[user("Zed", "equal", 2)]).await?;
        check_eq!(stored(&*broker).await?, expected, "an equal timestamp");
        update(&*broker, &[user("Zed", "older", 1)]).await?;
        check_eq!(stored(&*broker).await?, expected, "an older timestamp");
        let with_offset = MetadataEntry::new(
            "X-Container-Meta-Zed",
            "new",
            "0000000002.00000_0000000000000001",
        );
        update(&*broker, std::slice::from_ref(&with_offset)).await?;
        expected[0] = with_offset;
        check_eq!(stored(&*broker).await?, expected, "an offset later");
        Ok(())
    }

    /// Removed metadata stays as a tombstone, or a slow replica would bring it back.
    #[case(Core, clauses = ["META-1", "META-3"])]
    async fn removed_metadata_stays_as_tombstone(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        update(&*broker, &[user("A", "v", 2), user("B", "v", 2)]).await?;
        update(&*broker, &[user("A", "", 3)]).await?;
        let expected = [user("A", "", 3), user("B", "v", 2)];
        check_eq!(stored(&*broker).await?, expected);
        update(&*broker, &[user("A", "old", 2), user("B", "", 1)]).await?;
        check_eq!(stored(&*broker).await?, expected, "after older updates");
        update(&*broker, &[user("C", "", 1)]).await?;
        check_eq!(
            stored(&*broker).await?[2],
            user("C", "", 1),
            "a tombstone of a new key"
        );
        Ok(())
    }

    /// One update may hold some keys that win and some that lose.
    #[case(Core, clauses = ["META-1"])]
    async fn each_key_is_decided_by_itself(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        update(&*broker, &[user("A", "a", 5), user("B", "b", 5)]).await?;
        update(
            &*broker,
            &[user("A", "x", 4), user("C", "c", 1), user("B", "y", 6)],
        )
        .await?;
        check_eq!(
            stored(&*broker).await?,
            [user("A", "a", 5), user("B", "y", 6), user("C", "c", 1)]
        );
        Ok(())
    }

    /// Keys that differ in case are two keys, and first come, first listed.
    #[case(Core, clauses = ["META-3"])]
    async fn keys_are_case_sensitive_and_keep_their_order(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        for key in ["Zed", "zed", "Alpha"] {
            update(&*broker, &[user(key, "v", 1)]).await?;
        }
        update(&*broker, &[user("zed", "w", 2)]).await?;
        let expected = [
            user("Zed", "v", 1),
            user("zed", "w", 2),
            user("Alpha", "v", 1),
        ];
        check_eq!(stored(&*broker).await?, expected);
        Ok(())
    }

    /// Replicas exchange the stored text and compare it: its spelling is part of the contract.
    #[case(Core, clauses = ["META-3"])]
    async fn metadata_is_stored_in_swifts_spelling(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        check_eq!(broker.get_info().await?.store.raw_metadata, "");
        update(&*broker, &[user("Zed", "v", 2), entry("é\"", "😀\n", 1)]).await?;
        let expected = r#"{"X-Container-Meta-Zed": ["v", "0000000002.00000"], "\u00e9\"": ["\ud83d\ude00\n", "0000000001.00000"]}"#;
        check_eq!(broker.get_info().await?.store.raw_metadata, expected);
        Ok(())
    }

    /// Values that are not text travel unchanged.
    #[case(Core, clauses = ["META-3"])]
    async fn values_of_any_json_type_are_kept(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let values = [
            "null",
            "7",
            "-1.5",
            "true",
            "[1, \"a\", {}]",
            "{\"b\": [2], \"a\": null}",
        ];
        let mut entries = Vec::new();
        for value in values {
            let parsed = serde_json::from_str(value);
            let parsed = parsed.map_err(|e| crate::check::Failure::new(e.to_string()))?;
            entries.push(MetadataEntry {
                value: parsed,
                ..entry(value, "", 1)
            });
        }
        broker.update_metadata(&entries, None).await?;
        check_eq!(stored(&*broker).await?, entries);
        Ok(())
    }

    /// Ninety items fit, the next is refused, and the refusal leaves everything as it was.
    #[case(Core, clauses = ["META-2"])]
    async fn number_of_items_is_limited(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        update(&*broker, &items(90, "v", 1)).await?;
        let before = broker.get_info().await?;
        let refused = broker
            .update_metadata(&[user("more", "v", 2)], Some(&LIMITS))
            .await;
        check_eq!(
            refused.as_ref().err().map(|e| e.message()),
            Some("Too many metadata items; max 90")
        );
        check_refused!(refused, InvalidInput);
        check_eq!(broker.get_info().await?, before, "after the refusal");
        update(&*broker, &[user("k000", "", 2), user("more", "v", 2)]).await?;
        check_eq!(stored(&*broker).await?.len(), 91, "one removed, one added");
        Ok(())
    }

    /// Removed items and system metadata do not count.
    #[case(Core, clauses = ["META-2"])]
    async fn only_user_items_with_a_value_count(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut updates = items(95, "v", 1);
        for removed in &mut updates[..5] {
            removed.value = "".into();
        }
        let long = "x".repeat(5000);
        updates.extend((0..200).map(|i| entry(&format!("X-Container-Sysmeta-{i}"), &long, 1)));
        update(&*broker, &updates).await?;
        check_eq!(stored(&*broker).await?.len(), 295);
        Ok(())
    }

    /// Names after the prefix and values share 4096 characters, not bytes.
    #[case(Core, clauses = ["META-2"])]
    async fn size_is_limited_in_characters(fixture: Fixture) -> Check {
        let table = [
            ("a", "x", 4095, true),
            ("a", "x", 4096, false),
            ("a", "é", 4095, true),
            ("é", "😀", 4095, true),
            ("é", "é", 4096, false),
        ];
        for (number, (key, unit, count, fits)) in table.into_iter().enumerate() {
            let location = fixture.location(broker_api::StoreKind::Account, number as u64 + 1);
            let broker = fixture.account_at(&location);
            crate::fixture::create_account(&*broker, &at(1)).await?;
            let update = entry(&format!("x-ACCOUNT-meta-{key}"), &unit.repeat(count), 1);
            let answer = broker.update_metadata(&[update], Some(&LIMITS)).await;
            if fits {
                answer?;
            } else {
                let message = answer.as_ref().err().map(|e| e.message());
                check_eq!(message, Some("Total metadata too large; max 4096"));
                check_eq!(broker.get_info().await?.store.raw_metadata, "");
            }
        }
        Ok(())
    }

    /// A store that is over the limits already must still take updates that change nothing.
    #[case(Core, clauses = ["META-2"])]
    async fn update_without_effect_is_never_refused(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.update_metadata(&items(95, "v", 5), None).await?;
        let before = broker.get_info().await?;
        update(&*broker, &items(95, "w", 5)).await?;
        update(&*broker, &[user("k001", "a\0b", 1)]).await?;
        update(&*broker, &[]).await?;
        check_eq!(broker.get_info().await?, before);
        check_refused!(
            broker
                .update_metadata(&[entry("x", "y", 1)], Some(&LIMITS))
                .await,
            InvalidInput
        );
        Ok(())
    }

    /// Without limits, as replication calls it, nothing is checked.
    #[case(Core, clauses = ["META-2"])]
    async fn update_without_limits_is_not_checked(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut updates = items(200, &"x".repeat(100), 1);
        updates.push(entry("nul", "a\0b", 1));
        broker.update_metadata(&updates, None).await?;
        check_eq!(stored(&*broker).await?, updates);
        Ok(())
    }

    /// NUL would end a header; it is refused in names and values, user metadata or not.
    #[case(Core, clauses = ["META-2"])]
    async fn nul_is_refused(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        for bad in [
            entry("k", "a\0b", 1),
            entry("k\0", "v", 1),
            user("k", "\0", 1),
        ] {
            let answer = broker.update_metadata(&[bad], Some(&LIMITS)).await;
            let message = answer.as_ref().err().map(|e| e.message());
            check_eq!(message, Some("Metadata must be valid UTF-8"));
        }
        update(&*broker, &[entry("", "a value under no key", 1)]).await?;
        check_eq!(stored(&*broker).await?.len(), 1);
        Ok(())
    }

    /// The limits are configuration: the ones handed in are the ones that hold.
    #[case(Core, clauses = ["META-2"])]
    async fn limits_are_those_given(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let limits = MetadataLimits {
            max_meta_count: 2,
            max_meta_overall_size: 6,
        };
        let two = [
            entry("X-Account-Meta-a", "bc", 1),
            entry("X-Account-Meta-d", "ef", 1),
        ];
        broker.update_metadata(&two, Some(&limits)).await?;
        let third = [entry("X-Account-Meta-g", "h", 1)];
        check_refused!(
            broker.update_metadata(&third, Some(&limits)).await,
            InvalidInput
        );
        let longer = [entry("X-Account-Meta-a", "bcd", 2)];
        check_refused!(
            broker.update_metadata(&longer, Some(&limits)).await,
            InvalidInput
        );
        let info = broker.get_info().await?;
        check_eq!(info.store.metadata()?.entries(), two);
        check!(!info.is_deleted(), "metadata deletes nothing");
        Ok(())
    }
}
