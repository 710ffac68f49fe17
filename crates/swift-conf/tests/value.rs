//! Values, against what Python and Swift 2.38.3 gave for the same text.

use std::time::Duration;

use swift_conf::value::{self, AutoInteger, FallocateReserve};

/// A failure would mean that a switch is on here and off in Swift.
#[test]
fn only_six_words_are_true() {
    for word in ["true", "TRUE", "1", "yes", "On", "t", "Y"] {
        assert!(value::is_true(word), "{word}");
    }
    for word in [
        "", " true", "true ", "2", "enabled", "false", "o", "\u{212a}",
    ] {
        assert!(!value::is_true(word), "{word}");
    }
}

/// A failure would mean that a number of an operator's file is refused or read differently.
#[test]
fn numbers_are_pythons() {
    let whole = [
        ("10", 10),
        ("1_000", 1000),
        (" 5 ", 5),
        ("+5", 5),
        ("-3", -3),
    ];
    whole
        .iter()
        .for_each(|(text, number)| assert_eq!(value::integer(text), Some(*number), "{text}"));
    for text in [
        "0x10",
        "1.0",
        "1__0",
        "_1",
        "1_",
        "",
        "+-1",
        "99999999999999999999",
    ] {
        assert_eq!(value::integer(text), None, "{text}");
    }
    let decimal = [
        ("1_0.5", 10.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1", -1.0),
        (" 2 ", 2.0),
    ];
    decimal
        .iter()
        .for_each(|(text, number)| assert_eq!(value::float(text), Some(*number), "{text}"));
    for text in ["1e", "0x1p3", "1_e3", "", "nan", "inf", "1e999"] {
        assert_eq!(value::float(text), None, "{text}");
    }
    assert_eq!(value::seconds("0.5"), Some(Duration::from_millis(500)));
    assert_eq!(
        (value::seconds("-1"), value::seconds("1e300")),
        (None, None)
    );
}

/// A failure would mean that a device counts as full or free at another point than in Swift.
#[test]
fn reserves_are_bytes_or_per_cent() {
    use FallocateReserve::{Bytes, Percent};
    let good = [
        ("1%", Percent(1.0)),
        ("1.5%", Percent(1.5)),
        (" 1 %", Percent(1.0)),
        ("1_0%", Percent(10.0)),
        ("200%", Percent(200.0)),
        ("50", Bytes(50)),
        ("-1", Bytes(0)),
    ];
    good.iter()
        .for_each(|(text, reserve)| assert_eq!(FallocateReserve::parse(text), Some(*reserve)));
    for text in ["", "%", "1.5", "1K", "nan%"] {
        assert_eq!(FallocateReserve::parse(text), None, "{text}");
    }
}

/// A failure would mean another number of workers than in Swift.
#[test]
fn auto_is_a_word_without_space() {
    assert_eq!(AutoInteger::parse("AUTO"), Some(AutoInteger::Auto));
    assert_eq!(AutoInteger::parse(" 4 "), Some(AutoInteger::Number(4)));
    assert_eq!(
        (AutoInteger::parse(" auto"), AutoInteger::parse("")),
        (None, None)
    );
}
