//! Swift's timestamps: every worked example, and laws.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use broker_api::{ObjectTimestamps, Timestamp, TimestampText};
use proptest::prelude::*;

const MAX_RAW: u64 = 999_999_999_999_999;

fn parse(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn triple(data: &str, content_type: &str, metadata: &str) -> ObjectTimestamps {
    ObjectTimestamps {
        data: parse(data),
        content_type: parse(content_type),
        metadata: parse(metadata),
    }
}

/// What is printed travels between Python and Rust nodes.
#[test]
fn texts_parse_and_print_as_in_swift() {
    let ten = "0000000001.00000_000000000000000a";
    let table = [
        ("1", "0000000001.00000", "0000000001.00000"),
        ("1e3", "0000001000.00000", "0000001000.00000"),
        ("1_", "0000000001.00000", "0000000001.00000"),
        ("1_0", "0000000001.00000", "0000000001.00000"),
        ("1_A", ten, "0000000001.00000_a"),
        ("1.000005", "0000000001.00000", "0000000001.00000"),
        ("1755077566.523385", "1755077566.52338", "1755077566.52338"),
        ("9999999999.999995", "9999999999.99999", "9999999999.99999"),
        ("-0.000001", "0000000000.00000", "0000000000.00000"),
        (
            "1_ffffffffffffffff",
            "0000000001.00000_ffffffffffffffff",
            "0000000001.00000_ffffffffffffffff",
        ),
        (" 1.5\n", "0000000001.50000", "0000000001.50000"),
        ("+1.", "0000000001.00000", "0000000001.00000"),
        (".5", "0000000000.50000", "0000000000.50000"),
        ("0", "0000000000.00000", "0000000000.00000"),
    ];
    for (text, internal, short) in table {
        let at = parse(text);
        assert_eq!(
            (at.internal().as_str(), at.short().as_str()),
            (internal, short),
            "{text:?}"
        );
        assert_eq!(at.normal(), internal[..16], "{text:?}");
    }
}

/// What is refused would otherwise be stored, and fail every later merge.
#[test]
fn what_is_no_timestamp_is_refused() {
    let bad = [
        "",
        "abc",
        "None",
        "0x10",
        "_1",
        "1_g",
        "1__1",
        "1_1_1",
        "1_-1",
        "1_00000000000000001",
        "nan",
        "inf",
        "-inf",
        "-0.00001",
        "10000000000",
        "1e400",
        "1_0x1f",
        "1_+1",
        "１",
        "1 1",
        "1,5",
        "--1",
        "1e",
    ];
    for text in bad {
        assert!(Timestamp::parse(text).is_err(), "{text:?} was accepted");
        assert!(TimestampText::parse(text).is_err(), "{text:?} was accepted");
    }
}

/// Offsets and differences are checked, not wrapped.
#[test]
fn offsets_and_shifts_stay_in_range() {
    let at = parse("1_f");
    assert_eq!(
        at.with_added_offset(1).unwrap().short(),
        "0000000001.00000_10"
    );
    assert!(parse("1_ffffffffffffffff").with_added_offset(1).is_err());
    assert_eq!(at.shifted(-100_000).unwrap().short(), "0000000000.00000_f");
    assert!(parse("1").shifted(-100_001).is_err());
    assert!(Timestamp::new(MAX_RAW, 0).unwrap().shifted(1).is_err());
    assert!(Timestamp::new(MAX_RAW + 1, 0).is_err());
}

/// Time decides first, the offset breaks ties, and no offset is the smallest.
#[test]
fn order_is_by_time_then_offset() {
    assert_eq!(parse("1"), parse("1_0"));
    assert!(parse("1") < parse("1_1"));
    assert!(parse("1_ffffffffffffffff") < parse("1.00001"));
    assert!(parse("0").is_zero() && !parse("0_1").is_zero());
}

/// Inversion is used to find the newest first.
#[test]
fn inversion_mirrors_the_order() {
    assert_eq!(parse("1").inverted().internal(), "9999999998.99999");
    assert_eq!(
        parse("1_1").inverted().internal(),
        "9999999998.99998_ffffffffffffffff"
    );
}

/// Listings and headers show these.
#[test]
fn other_forms_are_swifts() {
    assert_eq!(parse("0").isoformat(), "1970-01-01T00:00:00.000000");
    assert_eq!(
        parse("1234567890.12345_a").isoformat(),
        "2009-02-13T23:31:30.123450"
    );
    assert_eq!(parse("951782400").isoformat(), "2000-02-29T00:00:00.000000");
    assert_eq!(
        parse("9999999999.99999").isoformat(),
        "2286-11-20T17:46:39.999990"
    );
    assert_eq!(parse("1.00001").ceil_seconds(), 2);
    assert_eq!(parse("1").ceil_seconds(), 1);
    assert_eq!(parse("1_5").normalized(), parse("1"));
}

/// Stored text compares as text; the initial delete timestamp sorts below everything.
#[test]
fn stored_text_compares_as_text() {
    let text = |text: &str| TimestampText::parse(text).unwrap();
    assert!(text("4") > text("0000000005.00000"));
    assert!(TimestampText::never() < text("0000000000.00000"));
    assert_ne!(text("5"), text("5.0"));
    assert_eq!(text("5").value(), text("5.0").value());
}

/// Three times in one string, as every object row stores them.
#[test]
fn encoding_is_swifts() {
    let (a, b, c) = ("1234567890.12345", "1234567890.12355", "1234567891.12345");
    let o = "1234567890.12345_ff";
    let table = [
        ((a, a, a), "1234567890.12345"),
        ((a, b, b), "1234567890.12345+a+0"),
        ((a, a, b), "1234567890.12345+0+a"),
        ((a, b, c), "1234567890.12345+a+18696"),
        ((b, a, c), "1234567890.12355-a+186a0"),
        ((o, o, o), "1234567890.12345_ff"),
        ((o, b, c), "1234567890.12345_ff+a+18696"),
        ((a, o, o), "1234567890.12345"),
    ];
    for ((data, content_type, metadata), encoded) in table {
        assert_eq!(triple(data, content_type, metadata).encode(), encoded);
    }
}

/// A zero difference repeats the time before it with its offset, any other drops it.
#[test]
fn decoding_is_swifts() {
    let o = "1234567890.12345_ff";
    let table = [
        (
            "1234567890.12345",
            ("1234567890.12345", "1234567890.12345", "1234567890.12345"),
        ),
        (
            "1234567890.12345_ff+a",
            (o, "1234567890.12355", "1234567890.12355"),
        ),
        ("1234567890.12345_ff+0+a", (o, o, "1234567890.12355")),
        ("1234567890.12345_ff-0", (o, o, o)),
        (
            "1234567890.12345-a+14",
            ("1234567890.12345", "1234567890.12335", "1234567890.12355"),
        ),
        (
            "0000001000.00000_18-5f5e100+5f45a60",
            ("1000_18", "0", "999"),
        ),
        ("1+1+1+1", ("1", "1.00001", "1.00002")),
    ];
    for (encoded, (data, content_type, metadata)) in table {
        let expected = triple(data, content_type, metadata);
        assert_eq!(
            ObjectTimestamps::decode(encoded).unwrap(),
            expected,
            "{encoded}"
        );
    }
}

/// Text that does not decode must not get into a row.
#[test]
fn what_does_not_decode_is_refused() {
    let bad = [
        "",
        "1+",
        "1+g",
        "1++1",
        "-1",
        "+1",
        "1e-3",
        "1-186a1",
        "1+ffffffffffffffff",
        "1+1_1",
        "x",
    ];
    for text in bad {
        assert!(
            ObjectTimestamps::decode(text).is_err(),
            "{text:?} was accepted"
        );
    }
}

prop_compose! {
    fn any_timestamp()(raw in 0..=MAX_RAW, offset in prop_oneof![Just(0), any::<u64>()]) -> Timestamp {
        Timestamp::new(raw, offset).unwrap()
    }
}

proptest! {
    /// Every spelling that is written reads back as what it was.
    #[test]
    fn every_form_reads_back(at in any_timestamp()) {
        prop_assert_eq!(parse(&at.internal()), at);
        prop_assert_eq!(parse(&at.short()), at);
        prop_assert_eq!(parse(&at.normal()), at.normalized());
    }

    /// The order of values is the order of the internal text.
    #[test]
    fn order_is_that_of_the_text(a in any_timestamp(), b in any_timestamp()) {
        prop_assert_eq!(a.cmp(&b), a.internal().cmp(&b.internal()));
        prop_assert_eq!(
            TimestampText::from(a).cmp(&TimestampText::from(b)),
            a.cmp(&b)
        );
    }

    /// Inverting twice gives the same, and inverting turns the order around.
    #[test]
    fn inversion_is_its_own_inverse(a in any_timestamp(), b in any_timestamp()) {
        prop_assume!(a.raw() < MAX_RAW && b.raw() < MAX_RAW);
        prop_assert_eq!(a.inverted().inverted(), a);
        prop_assert_eq!(a.inverted().cmp(&b.inverted()), b.cmp(&a));
    }

    /// Decoding gives back what was encoded, but for the offsets that encoding drops.
    #[test]
    fn decoding_reverses_encoding(
        data in any_timestamp(), content_type in 0..=MAX_RAW, metadata in 0..=MAX_RAW,
    ) {
        let at = |raw| Timestamp::new(raw, 0).unwrap();
        let times = ObjectTimestamps { data, content_type: at(content_type), metadata: at(metadata) };
        let decoded = ObjectTimestamps::decode(&times.encode()).unwrap();
        prop_assert_eq!(decoded.data, data);
        prop_assert_eq!(decoded.content_type.raw(), content_type);
        prop_assert_eq!(decoded.metadata.raw(), metadata);
        prop_assert_eq!(decoded.encode(), times.encode());
    }

    /// No input makes the parsers panic.
    #[test]
    fn parsers_never_panic(text in "\\PC*|[-+0-9a-f_.eE ]{0,40}") {
        let _ = Timestamp::parse(&text);
        let _ = ObjectTimestamps::decode(&text);
    }
}
