//! The examples of listing formats, byte for byte.

use super::*;
use broker_api::RowId;
use swift_conf::Policy;

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn object<'a>(
    name: &'a str,
    content_type: &'a str,
    etag: &'a str,
    created_at: &'a str,
) -> ObjectRowRef<'a> {
    ObjectRowRef {
        row_id: RowId(1),
        name,
        created_at,
        size: 12,
        content_type,
        etag,
        deleted: false,
        policy_index: PolicyIndex(0),
    }
}

fn objects(choice: Choice, entries: &[Entry<'_, ObjectRowRef<'_>>]) -> String {
    let mut writer = ObjectWriter(Sheet::new(choice, Root::Container("c".into()), usize::MAX));
    for entry in entries {
        assert!(writer.visit(*entry).is_continue());
    }
    writer.0.finish();
    String::from_utf8(writer.0.bytes).unwrap()
}

fn containers(choice: Choice, entries: &[Entry<'_, ContainerRowRef<'_>>]) -> String {
    let gold = Policy {
        is_default: true,
        ..Policy::new(0, "gold")
    };
    let mut writer = ContainerWriter {
        sheet: Sheet::new(choice, Root::Account("acc".into()), usize::MAX),
        policies: Arc::new(Policies::new(vec![gold]).unwrap()),
    };
    for entry in entries {
        assert!(writer.visit(*entry).is_continue());
    }
    writer.sheet.finish();
    String::from_utf8(writer.sheet.bytes).unwrap()
}

fn container(name: &str, policy: i64) -> ContainerRowRef<'_> {
    ContainerRowRef {
        name,
        put_timestamp: "1700000003",
        object_count: 2,
        bytes_used: 4,
        policy_index: PolicyIndex(policy),
    }
}

#[test]
fn object_json_has_swifts_keys_in_swifts_order() {
    let row = object("o\"☃", "text/plain", MD5, "1700000003.12345+1+1");
    assert_eq!(
        objects(Choice::Json, &[Entry::Row(row), Entry::Subdir("dir/")]),
        format!(
            "[{{\"bytes\": 12, \"hash\": \"{MD5}\", \"name\": \"o\\\"\\u2603\", \
             \"content_type\": \"text/plain\", \"last_modified\": \"2023-11-14T22:13:23.123470\"}}, \
             {{\"subdir\": \"dir/\"}}]"
        )
    );
    assert_eq!(objects(Choice::Json, &[]), "[]");
}

#[test]
fn object_xml_has_no_line_ends_and_subdirs_twice() {
    let row = ObjectRowRef {
        size: 0,
        ..object("0", "text/plain", "x", "0000000001.00000")
    };
    assert_eq!(
        objects(Choice::Xml, &[Entry::Row(row), Entry::Subdir("dir/")]),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<container name=\"c\"><object><name>0</name>\
         <hash>x</hash><bytes>0</bytes><content_type>text/plain</content_type>\
         <last_modified>1970-01-01T00:00:01.000000</last_modified></object>\
         <subdir name=\"dir/\"><name>dir/</name></subdir></container>"
    );
    assert_eq!(
        objects(Choice::TextXml, &[]),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<container name=\"c\" />"
    );
    let bare = object("o", "", "", "0000000001.00000");
    let bare = objects(Choice::Xml, &[Entry::Row(bare)]);
    assert!(bare.contains("<hash />"), "{bare}");
    assert!(bare.contains("<content_type />"), "{bare}");
}

#[test]
fn text_has_one_name_a_line_unescaped() {
    let row = object("a\"☃", "", "", "unread");
    assert_eq!(
        objects(Choice::Plain, &[Entry::Row(row), Entry::Subdir("dir/")]),
        "a\"☃\ndir/\n"
    );
    assert_eq!(objects(Choice::Plain, &[]), "");
}

#[test]
fn swift_bytes_moves_from_the_type_to_the_size() {
    for (stored, shown, bytes) in [
        (
            "text/plain; charset=\"utf-8\"; swift_bytes=12345678",
            "text/plain;charset=\\\"utf-8\\\"",
            12_345_678,
        ),
        (
            "application/octet-stream;swift_bytes=999;foo=bar",
            "application/octet-stream;foo=bar",
            999,
        ),
        (
            "text/plain; charset=\"utf-8\"; swift_bytes=notint",
            "text/plain;charset=\\\"utf-8\\\"",
            12,
        ),
        (
            "text/plain;  charset=UTF-8 ; a=b/c; weird",
            "text/plain;charset=UTF-8;a=b;weird=",
            12,
        ),
        ("☃", "\\u2603", 12),
        ("", "", 12),
    ] {
        let row = object("o", stored, "e", "1700000003.12345");
        assert_eq!(
            objects(Choice::Json, &[Entry::Row(row)]),
            format!(
                "[{{\"bytes\": {bytes}, \"hash\": \"e\", \"name\": \"o\", \"content_type\": \
                 \"{shown}\", \"last_modified\": \"2023-11-14T22:13:23.123450\"}}]"
            )
        );
    }
}

#[test]
fn account_json_names_known_policies_only() {
    let row = ContainerRowRef {
        put_timestamp: "1700000003.12345_a",
        ..container("c1", 0)
    };
    let entries = [
        Entry::Row(row),
        Entry::Row(container("c2", 7)),
        Entry::Subdir("a-"),
    ];
    assert_eq!(
        containers(Choice::Json, &entries),
        "[{\"name\": \"c1\", \"count\": 2, \"bytes\": 4, \
         \"last_modified\": \"2023-11-14T22:13:23.123450\", \"storage_policy\": \"gold\"}, \
         {\"name\": \"c2\", \"count\": 2, \"bytes\": 4, \
         \"last_modified\": \"2023-11-14T22:13:23.000000\"}, {\"subdir\": \"a-\"}]"
    );
}

#[test]
fn account_xml_has_a_line_for_each_child() {
    let entries = [Entry::Row(container("c1", 0)), Entry::Subdir("a-")];
    assert_eq!(
        containers(Choice::Xml, &entries),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<account name=\"acc\">\n<container>\
         <name>c1</name><count>2</count><bytes>4</bytes>\
         <last_modified>2023-11-14T22:13:23.000000</last_modified>\
         <storage_policy>gold</storage_policy></container>\n<subdir name=\"a-\" />\n</account>"
    );
    assert_eq!(
        containers(Choice::Xml, &[]),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<account name=\"acc\">\n</account>"
    );
}

#[test]
fn a_full_sheet_stops_and_remembers_where() {
    let mut writer = ObjectWriter(Sheet::new(Choice::Plain, Root::Container("c".into()), 3));
    let row = |name| Entry::Row(object(name, "", "", ""));
    assert!(writer.visit(row("a")).is_continue());
    assert!(writer.visit(row("b")).is_break());
    assert_eq!(writer.0.last.as_deref(), Some("b"));
}

#[test]
fn a_row_whose_time_does_not_decode_fails_the_listing() {
    let mut writer = ObjectWriter(Sheet::new(Choice::Json, Root::Container("c".into()), 100));
    assert!(
        writer
            .visit(Entry::Row(object("o", "", "", "broken")))
            .is_break()
    );
    assert!(writer.0.error.is_some());
}
