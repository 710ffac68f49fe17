//! Listings of objects and containers.

use super::{deleted, everything, list, list_containers, merge, merge_reports, put, report};
use crate::case::cases;
use crate::check::{Check, check, check_eq};
use crate::fixture::Fixture;
use broker_api::{
    AccountBroker, ContainerBroker, ContainerBrokerExt, DeletedFilter, Entry, ListObjects,
    ListingQuery, ObjectRowRef, ObjectVisitor, PolicyFilter, PolicyIndex, RowId,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A listing to ask for.
#[derive(Clone, Copy)]
struct Ask {
    marker: &'static str,
    end_marker: &'static str,
    prefix: &'static str,
    delimiter: &'static str,
    path: Option<&'static str>,
    reverse: bool,
    reserved: bool,
    limit: Option<usize>,
}

/// Everything.
const ASK: Ask = Ask {
    marker: "",
    end_marker: "",
    prefix: "",
    delimiter: "",
    path: None,
    reverse: false,
    reserved: false,
    limit: None,
};

/// Everything, rolled up at slashes.
const ROLLED: Ask = ASK.delimiter("/");

/// Methods named after a field that change it.
macro_rules! setters {
    ($($name:ident),+) => {
        $(
            const fn $name(mut self, $name: &'static str) -> Self {
                self.$name = $name;
                self
            }
        )+
    };
}

impl Ask {
    setters!(marker, end_marker, prefix, delimiter);

    const fn path(mut self, path: &'static str) -> Self {
        self.path = Some(path);
        self
    }

    const fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    const fn reverse(self) -> Self {
        self.reverse_if(true)
    }

    const fn reverse_if(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    const fn reserved(mut self) -> Self {
        self.reserved = true;
        self
    }
}

fn query(ask: Ask) -> ListingQuery {
    let mut query = ListingQuery::new(ask.limit.unwrap_or(10_000));
    query.marker = ask.marker.into();
    query.end_marker = ask.end_marker.into();
    query.prefix = ask.prefix.into();
    query.delimiter = ask.delimiter.into();
    query.path = ask.path.map(str::to_owned);
    query.reverse = ask.reverse;
    query.allow_reserved = ask.reserved;
    query
}

/// A container of objects, put in an order that is neither sorted nor reversed.
async fn objects(fixture: &Fixture, names: &[&str]) -> Check<Arc<dyn ContainerBroker>> {
    let broker = fixture.container().await?;
    let (front, back) = names.split_at(names.len() / 2);
    let records = back
        .iter()
        .chain(front.iter().rev())
        .map(|name| put(name, 2));
    merge(&*broker, records.collect()).await?;
    Ok(broker)
}

async fn containers(fixture: &Fixture, names: &[&str]) -> Check<Arc<dyn AccountBroker>> {
    let broker = fixture.account().await?;
    let records = names.iter().rev().map(|name| report(name, "2", "0", 1, 1));
    merge_reports(&*broker, records.collect()).await?;
    Ok(broker)
}

/// Asks one thing after the other; names are separated by blanks.
async fn answers(broker: &dyn ContainerBroker, table: &[(Ask, &str)]) -> Check {
    for (number, (ask, expected)) in table.iter().enumerate() {
        let found = list(broker, &ListObjects::new(query(*ask))).await?;
        let expected: Vec<_> = expected
            .split(' ')
            .filter(|name| !name.is_empty())
            .collect();
        check_eq!(
            found,
            expected,
            "line {} of the table, {:?}",
            number + 1,
            query(*ask)
        );
    }
    Ok(())
}

const TREE: [&str; 6] = ["1/5", "2/0000", "2/0050", "2/0051", "20", "3/1"];

/// Stops after some entries.
struct StopAfter(Vec<String>, usize);

impl ObjectVisitor for StopAfter {
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        self.0.push(match entry {
            Entry::Row(row) => row.name.to_owned(),
            Entry::Subdir(name) => format!("+{name}"),
        });
        match self.0.len() < self.1 {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

cases! {
    /// Order is that of bytes, and reverse is exactly the reverse.
    #[case(Core, clauses = ["LIST-1"])]
    async fn names_are_in_byte_order_both_ways(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &["o1", "o10", "O1", "o2", "o3", "O4"]).await?;
        answers(
            &*broker,
            &[
                (ASK, "O1 O4 o1 o10 o2 o3"),
                (ASK.reverse(), "o3 o2 o10 o1 O4 O1"),
            ],
        )
        .await
    }

    /// Clients page with a limit and the last name as marker; nothing is lost or shown twice.
    #[case(Core, clauses = ["LIST-1", "LIST-2"])]
    async fn pages_join_to_the_whole(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let names: Vec<_> = (0..100)
            .map(|i| format!("{:02}/{i}", i * 37 % 100))
            .collect();
        merge(&*broker, names.iter().map(|name| put(name, 2)).collect()).await?;
        for reverse in [false, true] {
            let whole = list(&*broker, &ListObjects::new(query(ASK.reverse_if(reverse)))).await?;
            check_eq!(whole.len(), 100);
            for limit in [1, 7, 50, 99, 100] {
                let mut ask = query(ASK.reverse_if(reverse).limit(limit));
                let mut joined = Vec::new();
                loop {
                    let page = list(&*broker, &ListObjects::new(ask.clone())).await?;
                    check!(
                        page.len() <= limit,
                        "{} entries for limit {limit}",
                        page.len()
                    );
                    let Some(last) = page.last() else { break };
                    ask.marker.clone_from(last);
                    joined.extend(page);
                    check!(joined.len() <= 100, "pages of {limit} repeat names");
                }
                check_eq!(joined, whole, "pages of {limit}, reverse {reverse}");
            }
        }
        Ok(())
    }

    /// A limit of nothing is nothing, whatever else is asked.
    #[case(Core, clauses = ["LIST-1"])]
    async fn limit_zero_is_nothing(fixture: Fixture) -> Check {
        let none = ASK.limit(0);
        let broker = objects(&fixture, &TREE).await?;
        answers(
            &*broker,
            &[
                (none, ""),
                (none.delimiter("/"), ""),
                (none.reverse(), ""),
                (none.path(""), ""),
            ],
        )
        .await
    }

    /// A visitor that has enough ends the listing.
    #[case(Core, clauses = ["LIST-1"])]
    async fn visitor_ends_the_listing(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &TREE).await?;
        for (delimiter, expected) in [("", ["1/5", "2/0000"]), ("/", ["+1/", "+2/"])] {
            let ask = ListObjects::new(query(ASK.delimiter(delimiter)));
            let seen = broker
                .visit_objects(&ask, StopAfter(Vec::new(), 2))
                .await?
                .0;
            check_eq!(seen, expected);
        }
        Ok(())
    }

    /// Markers are exclusive, and swap their roles in reverse.
    #[case(Core, clauses = ["LIST-2"])]
    async fn markers_are_exclusive_in_listing_order(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &["a", "b", "c", "d"]).await?;
        answers(
            &*broker,
            &[
                (ASK.marker("a"), "b c d"),
                (ASK.marker("b").end_marker("d"), "c"),
                (ASK.marker("bb"), "c d"),
                (ASK.end_marker("a"), ""),
                (ASK.end_marker("aa"), "a"),
                (ASK.marker("d").end_marker("a"), ""),
                (ASK.marker("b").end_marker("b"), ""),
                (ASK.marker("d").end_marker("a").reverse(), "c b"),
                (ASK.marker("cc").reverse(), "c b a"),
                (ASK.end_marker("b").reverse(), "d c"),
                (ASK.marker("a").end_marker("d").reverse(), ""),
                (ASK.marker("b").limit(1).reverse(), "a"),
            ],
        )
        .await
    }

    /// Prefix and markers narrow each other.
    #[case(Core, clauses = ["LIST-2"])]
    async fn prefix_is_intersected_with_markers(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &["a", "p", "pa", "pb", "q"]).await?;
        let p = ASK.prefix("p");
        let back = p.reverse();
        answers(
            &*broker,
            &[
                (p, "p pa pb"),
                (p.marker("a"), "p pa pb"),
                (p.marker("q"), ""),
                (p.marker("p"), "pa pb"),
                (p.marker("pa"), "pb"),
                (p.end_marker("b"), ""),
                (p.end_marker("z"), "p pa pb"),
                (p.end_marker("pb"), "p pa"),
                (back, "pb pa p"),
                (back.marker("pb"), "pa p"),
                (back.marker("z"), "pb pa p"),
                (back.marker("b"), ""),
                (back.end_marker("pa"), "pb"),
                (back.end_marker("q"), ""),
                (ASK.prefix("x"), ""),
            ],
        )
        .await
    }

    /// The end of a prefix is not "the prefix with its last byte plus one" everywhere.
    #[case(Core, clauses = ["LIST-2", "LIST-3"])]
    async fn prefix_and_delimiter_may_end_in_the_last_character(fixture: Fixture) -> Check {
        let broker = objects(
            &fixture,
            &[
                "a",
                "a\u{d7ff}",
                "a\u{d7ff}x",
                "a\u{e000}",
                "a\u{10ffff}",
                "a\u{10ffff}x",
                "b",
                "\u{10ffff}",
                "\u{10ffff}y",
            ],
        )
        .await?;
        answers(
            &*broker,
            &[
                (ASK.prefix("a\u{10ffff}"), "a\u{10ffff} a\u{10ffff}x"),
                (ASK.prefix("\u{10ffff}"), "\u{10ffff} \u{10ffff}y"),
                (ASK.prefix("a\u{d7ff}"), "a\u{d7ff} a\u{d7ff}x"),
                (
                    ASK.delimiter("\u{10ffff}").prefix("a"),
                    "a a\u{d7ff} a\u{d7ff}x a\u{e000} +a\u{10ffff}",
                ),
                (
                    ASK.delimiter("\u{10ffff}").marker("a\u{e000}"),
                    "+a\u{10ffff} b +\u{10ffff}",
                ),
                (
                    ASK.delimiter("\u{d7ff}").prefix("a"),
                    "a +a\u{d7ff} a\u{e000} a\u{10ffff} a\u{10ffff}x",
                ),
                (
                    ASK.delimiter("\u{10ffff}").reverse(),
                    "+\u{10ffff} b +a\u{10ffff} a\u{e000} a\u{d7ff}x a\u{d7ff} a",
                ),
            ],
        )
        .await
    }

    /// Names roll up to subdirs; which markers hide one is where clients page.
    #[case(Core, clauses = ["LIST-3", "LIST-2"])]
    async fn delimiter_rolls_up_with_markers(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &TREE).await?;
        let back = ROLLED.reverse();
        answers(
            &*broker,
            &[
                (ROLLED, "+1/ +2/ 20 +3/"),
                (ROLLED.marker("2"), "+2/ 20 +3/"),
                (ROLLED.marker("2/"), "20 +3/"),
                (ROLLED.marker("2/0050"), "+2/ 20 +3/"),
                (ROLLED.marker("2/0050").end_marker("2/0051"), ""),
                (ROLLED.end_marker("2/0050"), "+1/ +2/"),
                (ROLLED.end_marker("2/"), "+1/"),
                (back.marker("2/0050"), "+2/ +1/"),
                (back.marker("2/"), "+1/"),
                (back.end_marker("2/0050"), "+3/ 20 +2/"),
                (back.end_marker("2/"), "+3/ 20"),
                (back.end_marker("1/4"), "+3/ 20 +2/ +1/"),
                (back.end_marker("1/5"), "+3/ 20 +2/"),
                (back.marker("2/0051").end_marker("2/0000"), "+2/"),
                (ROLLED.marker("1/").limit(1), "+2/"),
            ],
        )
        .await
    }

    /// The search for a delimiter starts after the prefix, and delimiters may be long.
    #[case(Core, clauses = ["LIST-3"])]
    async fn delimiter_of_several_characters(fixture: Fixture) -> Check {
        let names = [
            "--q", "-r", "a", "a--", "a---c", "a--b", "a-.x", "a-d", "x-", "x--y--z",
        ];
        let broker = objects(&fixture, &names).await?;
        let d = ASK.delimiter("--");
        answers(
            &*broker,
            &[
                (d, "+-- -r a +a-- a-.x a-d x- +x--"),
                (d.reverse(), "+x-- x- a-d a-.x +a-- a -r +--"),
                (d.prefix("a-"), "a-- +a--- a--b a-.x a-d"),
                (d.prefix("a--"), "a-- a---c a--b"),
                (d.prefix("x--"), "+x--y--"),
                (d.prefix("x"), "x- +x--"),
            ],
        )
        .await
    }

    /// A name that ends in the delimiter is an object of its directory.
    #[case(Core, clauses = ["LIST-3"])]
    async fn trailing_delimiters_fold(fixture: Fixture) -> Check {
        let names = [
            "a", "a/", "a/a", "a/a/a", "a/a/b", "a/b", "a/0", "0", "0/", "00", "b", "b/a", "c",
        ];
        let broker = objects(&fixture, &names).await?;
        answers(
            &*broker,
            &[
                (ROLLED, "0 +0/ 00 a +a/ b +b/ c"),
                (ROLLED.reverse(), "c +b/ b +a/ a 00 +0/ 0"),
                (ROLLED.prefix("a/"), "a/ a/0 a/a +a/a/ a/b"),
            ],
        )
        .await
    }

    /// Prefixes that begin with the delimiter, or end in the middle of a name.
    #[case(Core, clauses = ["LIST-3", "LIST-2"])]
    async fn prefix_and_delimiter(fixture: Fixture) -> Check {
        let names = [
            "/pets/dogs/1",
            "/pets/dogs/2",
            "/pets/fish/a",
            "/pets/fish/b",
            "/pets/fish_info.txt",
            "/snakes",
        ];
        let broker = objects(&fixture, &names).await?;
        answers(
            &*broker,
            &[
                (ROLLED.prefix("/pets/f"), "+/pets/fish/ /pets/fish_info.txt"),
                (ROLLED.prefix("/pets/fish/"), "/pets/fish/a /pets/fish/b"),
                (ROLLED.prefix("/"), "+/pets/ /snakes"),
                (ROLLED, "+/"),
            ],
        )
        .await
    }

    /// Directories whose names continue each other stay apart.
    #[case(Core, clauses = ["LIST-3", "LIST-1"])]
    async fn neighbouring_subdirs_stay_apart(fixture: Fixture) -> Check {
        let names = [
            "topdir1/subdir1.0/obj1",
            "topdir1/subdir1.1/obj1",
            "topdir1/subdir1/obj1",
            "topdir1/subdir10",
            "topdir1/subdir10/obj1",
        ];
        let broker = objects(&fixture, &names).await?;
        let d = ROLLED.prefix("topdir1/");
        let forward = "+topdir1/subdir1.0/ +topdir1/subdir1.1/ +topdir1/subdir1/ topdir1/subdir10 +topdir1/subdir10/";
        let backward: Vec<_> = forward.split(' ').rev().collect();
        answers(
            &*broker,
            &[(d, forward), (d.reverse(), &backward.join(" "))],
        )
        .await
    }

    /// Each entry counts once, and a hidden subdir does not count.
    #[case(Core, clauses = ["LIST-3", "LIST-1"])]
    async fn limit_counts_entries_not_rows(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &TREE).await?;
        answers(
            &*broker,
            &[
                (ROLLED.limit(2), "+1/ +2/"),
                (ROLLED.limit(3), "+1/ +2/ 20"),
                (ROLLED.limit(1).marker("2/"), "20"),
                (ROLLED.limit(2).reverse(), "+3/ 20"),
                (ROLLED.limit(1).end_marker("2/").reverse(), "+3/"),
            ],
        )
        .await
    }

    /// A subdir of thousands of objects is one entry, and is passed over.
    #[case(Core, clauses = ["LIST-3"])]
    async fn large_subdir_is_one_entry(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut records: Vec<_> = (0..5000).map(|i| put(&format!("big/{i}"), 2)).collect();
        records.extend([put("after", 2), put("zebra", 2)]);
        merge(&*broker, records).await?;
        answers(
            &*broker,
            &[
                (ROLLED, "after +big/ zebra"),
                (ROLLED.reverse(), "zebra +big/ after"),
                (ROLLED.marker("big/4"), "+big/ zebra"),
            ],
        )
        .await
    }

    /// A subdir appears for live rows only, and goes with the last of them.
    #[case(Core, clauses = ["LIST-3", "LIST-6"])]
    async fn subdir_needs_a_live_row(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &["a/1", "a/2", "b/1"]).await?;
        merge(&*broker, vec![deleted("a/1", 3), deleted("b/1", 3)]).await?;
        answers(&*broker, &[(ROLLED, "+a/")]).await?;
        merge(&*broker, vec![deleted("a/2", 3)]).await?;
        answers(&*broker, &[(ROLLED, ""), (ASK, "")]).await
    }

    /// Internal names hide behind a NUL from those who do not ask for them.
    #[case(Core, clauses = ["LIST-4"])]
    async fn reserved_names_show_only_when_asked_for(fixture: Fixture) -> Check {
        let names = ["\0a", "\0b", "a\0b", "\u{1}c", "a"];
        let broker = objects(&fixture, &names).await?;
        let asked = ASK.reserved();
        let table = [
            (ASK, "\u{1}c a a\0b"),
            (asked, "\0a \0b \u{1}c a a\0b"),
            (ASK.reverse(), "a\0b a \u{1}c"),
            (asked.reverse(), "a\0b a \u{1}c \0b \0a"),
            (ASK.prefix("\0"), ""),
            (ASK.prefix("\0a"), ""),
            (asked.prefix("\0"), "\0a \0b"),
            (ASK.delimiter("\0"), "\u{1}c a +a\0"),
            (asked.delimiter("\0"), "+\0 \u{1}c a +a\0"),
            (ASK.marker("\0a"), "\u{1}c a a\0b"),
            (asked.marker("\0a"), "\0b \u{1}c a a\0b"),
            (asked.end_marker("\0b"), "\0a"),
            (ASK.end_marker("\0b"), ""),
        ];
        answers(&*broker, &table).await
    }

    /// Containers of reserved names hide in the same way.
    #[case(Core, clauses = ["LIST-4"])]
    async fn reserved_containers_show_only_when_asked_for(fixture: Fixture) -> Check {
        let account = containers(&fixture, &["\0a", "\0b", "\u{1}c", "a"]).await?;
        let asked = ASK.reserved();
        let table = [
            (ASK, "\u{1}c a"),
            (asked, "\0a \0b \u{1}c a"),
            (ASK.reverse(), "a \u{1}c"),
            (ASK.prefix("\0"), ""),
            (asked.prefix("\0"), "\0a \0b"),
            (asked.delimiter("\0"), "+\0 \u{1}c a"),
            (ASK.marker("\0a"), "\u{1}c a"),
            (asked.marker("\0a"), "\0b \u{1}c a"),
            (asked.end_marker("\0b"), "\0a"),
            (ASK.end_marker("\0b"), ""),
        ];
        for (ask, expected) in table {
            let expected: Vec<_> = expected
                .split(' ')
                .filter(|name| !name.is_empty())
                .collect();
            check_eq!(
                list_containers(&*account, &query(ask)).await?,
                expected,
                "containers"
            );
        }
        Ok(())
    }

    /// Path listings show one level, both neighbours of a directory among it.
    #[case(Core, clauses = ["LIST-5"])]
    async fn path_shows_one_level(fixture: Fixture) -> Check {
        let names = ["a", "a/", "a/b", "a0", "a1", "b", "c/d", "c/d/e", "c0"];
        let broker = objects(&fixture, &names).await?;
        let path = |path| ASK.path(path);
        let back = |name| path(name).reverse();
        answers(
            &*broker,
            &[
                (path(""), "a a/ a0 a1 b c0"),
                (back(""), "c0 b a1 a0 a/ a"),
                (path("c"), "c/d"),
                (path("c/"), "c/d"),
                (path("c//"), "c/d"),
                (back("c"), "c/d"),
                (path("/"), ""),
                (path("a"), "a/b"),
                (path("x"), ""),
                (path("").limit(2).marker("a"), "a/ a0"),
                (path("").prefix("b").delimiter("1"), "a a/ a0 a1 b c0"),
            ],
        )
        .await
    }

    /// A path below the root, with directories between its objects.
    #[case(Core, clauses = ["LIST-5"])]
    async fn path_below_the_root(fixture: Fixture) -> Check {
        let names = ["1", "2", "3/1", "3/2.2", "3/2/1", "3/2/2", "3/3", "4"];
        let broker = objects(&fixture, &names).await?;
        let ask = ASK.path("3/");
        answers(
            &*broker,
            &[
                (ask, "3/1 3/2.2 3/3"),
                (ask.reverse(), "3/3 3/2.2 3/1"),
                (ask.marker("3/1"), "3/2.2 3/3"),
                (ask.end_marker("3/3"), "3/1 3/2.2"),
            ],
        )
        .await
    }

    /// Rows of one policy, of all, or of the container's own, which may change.
    #[case(Core, clauses = ["LIST-6", "POLICY-2"])]
    async fn rows_are_filtered_by_policy(fixture: Fixture) -> Check {
        let broker = fixture.container_of_policy(1).await?;
        let in_policy = |name: &str, policy| put(name, 2).in_policy(PolicyIndex(policy));
        merge(
            &*broker,
            vec![
                in_policy("zero", 0),
                in_policy("one", 1),
                in_policy("both", 0),
                in_policy("both", 1),
            ],
        )
        .await?;
        let listed = async |policy| {
            let mut ask = everything();
            ask.policy = policy;
            list(&*broker, &ask).await
        };
        check_eq!(listed(PolicyFilter::Own).await?, ["both", "one"]);
        check_eq!(
            listed(PolicyFilter::Only(PolicyIndex(0))).await?,
            ["both", "zero"]
        );
        check_eq!(
            listed(PolicyFilter::Only(PolicyIndex(7))).await?,
            Vec::<String>::new()
        );
        check_eq!(
            listed(PolicyFilter::All).await?,
            ["both", "both", "one", "zero"]
        );
        broker
            .set_storage_policy_index(PolicyIndex(0), crate::fixture::seconds(5))
            .await?;
        check_eq!(
            listed(PolicyFilter::Own).await?,
            ["both", "zero"],
            "after a change"
        );
        Ok(())
    }

    /// Live rows for clients, tombstones and both for the daemons.
    #[case(Core, clauses = ["LIST-6"])]
    async fn rows_are_filtered_by_deletion(fixture: Fixture) -> Check {
        let broker = objects(&fixture, &["a", "b", "c"]).await?;
        merge(&*broker, vec![deleted("b", 3), deleted("d", 3)]).await?;
        let table = [
            (DeletedFilter::Live, "a c"),
            (DeletedFilter::Tombstones, "b d"),
            (DeletedFilter::Both, "a b c d"),
        ];
        for (filter, expected) in table {
            let mut ask = everything();
            ask.deleted = filter;
            check_eq!(list(&*broker, &ask).await?.join(" "), expected);
        }
        Ok(())
    }

    /// The sharder lists only what came after a row.
    #[case(Core, clauses = ["LIST-6"])]
    async fn rows_are_filtered_by_number(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        for name in ["c", "b/1", "a", "b/2"] {
            merge(&*broker, vec![put(name, 2)]).await?;
        }
        let table = [
            (None, "", "a b/1 b/2 c"),
            (Some(0), "", "a b/1 b/2 c"),
            (Some(1), "", "a b/1 b/2"),
            (Some(3), "", "b/2"),
            (Some(4), "", ""),
            (Some(2), "/", "a +b/"),
        ];
        for (since, delimiter, expected) in table {
            let mut ask = ListObjects::new(query(ASK.delimiter(delimiter)));
            ask.since_row = since.map(RowId);
            check_eq!(
                list(&*broker, &ask).await?.join(" "),
                expected,
                "since {since:?}"
            );
        }
        Ok(())
    }

    /// Everything of a row reaches the visitor.
    #[case(Core, clauses = ["LIST-6", "VALUE-1"])]
    async fn listing_shows_whole_rows(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![
                super::object("a", "0000000005.00000_ff+a+5"),
                deleted("b", 3),
            ],
        )
        .await?;
        let mut ask = everything();
        ask.deleted = DeletedFilter::Both;
        let shown = broker.object_page(&ask).await?;
        let rows = super::object_rows(&*broker).await?.into_iter();
        check_eq!(
            shown,
            rows.map(broker_api::ObjectEntry::Row).collect::<Vec<_>>()
        );
        Ok(())
    }

    /// Accounts list containers by the same rules, without paths.
    #[case(Core, clauses = ["LIST-3", "LIST-2", "LIST-6"])]
    async fn containers_roll_up_too(fixture: Fixture) -> Check {
        let names = ["1-5", "2-0000", "2-0050", "2-0051", "2.", "3-1"];
        let broker = containers(&fixture, &names).await?;
        merge_reports(
            &*broker,
            vec![
                report("gone", "1", "0", 0, 0),
                report("gone", "1", "2", 0, 0),
            ],
        )
        .await?;
        let d = ASK.delimiter("-");
        let table = [
            (d, "+1- +2- 2. +3-"),
            (d.marker("2-0050"), "+2- 2. +3-"),
            (d.marker("2-"), "2. +3-"),
            (d.reverse(), "+3- 2. +2- +1-"),
            (ASK.prefix("2"), "2-0000 2-0050 2-0051 2."),
            (ASK.prefix("2-").limit(2), "2-0000 2-0050"),
            (ASK.marker("2-0000").end_marker("2."), "2-0050 2-0051"),
            (ASK.path(""), "1-5 2-0000 2-0050 2-0051 2. 3-1"),
        ];
        for (ask, expected) in table {
            let found = list_containers(&*broker, &query(ask)).await?.join(" ");
            check_eq!(found, expected, "{:?}", query(ask));
        }
        Ok(())
    }

    /// An empty store lists nothing, and that is no error.
    #[case(Core, clauses = ["LIST-1"])]
    async fn empty_store_lists_nothing(fixture: Fixture) -> Check {
        let container = fixture.container().await?;
        let account = fixture.account().await?;
        for ask in [ASK, ROLLED, ASK.reverse(), ASK.prefix("a")] {
            check_eq!(
                list(&*container, &ListObjects::new(query(ask))).await?,
                Vec::<String>::new()
            );
            check_eq!(
                list_containers(&*account, &query(ask)).await?,
                Vec::<String>::new()
            );
        }
        Ok(())
    }
}
