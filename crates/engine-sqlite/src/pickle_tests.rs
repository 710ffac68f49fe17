use super::*;
use base64::Engine as _;
use proptest::prelude::*;

fn hex(digits: &str) -> Vec<u8> {
    let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn expected(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::None,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap()),
        },
        Json::String(string) => text(string),
        other => panic!("{other} is in no record"),
    }
}

/// Entries of another Python must not be lost when they are merged here.
#[test]
fn pickles_of_python_are_read_in_every_protocol() {
    let recorded = include_str!("../tests/data/pickles.jsonl");
    let mut read_ones = 0;
    for line in recorded.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let pickled = hex(line["pickle"].as_str().unwrap());
        let wanted: Vec<_> = line["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(expected)
            .collect();
        assert_eq!(read(&pickled).as_ref(), Ok(&wanted), "{line}");
        read_ones += 1;
    }
    assert_eq!(read_ones, 16 * 6);
}

#[test]
fn example_of_a_container_record_is_read() {
    let base64 = "gAIoWAIAAABjMXEAWBAAAAAwMDAwMDAwMDAxLjAwMDAwcQFYAQAAADBxAksASwBLAEsAdHEDLg==";
    let pickled = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap();
    let zero = Value::Int(0);
    let wanted = [text("c1"), text("0000000001.00000"), text("0")]
        .into_iter()
        .chain(std::iter::repeat_n(zero, 4));
    assert_eq!(read(&pickled), Ok(wanted.collect()));
}

#[test]
fn example_with_repeated_texts_is_read() {
    let pickled = hex("80 02 28 58 01000000 6f 71 00
        58 10000000 303030303030303030352e3030303030 71 01
        4a 70110100 58 00000000 71 02 68 02 4b 00 4b 00 68 01 68 01 74 71 03 2e");
    let at = text("0000000005.00000");
    let wanted = vec![
        text("o"),
        at.clone(),
        Value::Int(70_000),
        text(""),
        text(""),
        Value::Int(0),
        Value::Int(0),
        at.clone(),
        at,
    ];
    assert_eq!(read(&pickled), Ok(wanted));
}

/// Servers on Python 2 may have left these before an upgrade.
#[test]
fn byte_strings_of_python_2_are_texts() {
    assert_eq!(
        read(b"\x80\x02U\x02\xc3\xa9K\x05\x86."),
        Ok(vec![text("é"), Value::Int(5)])
    );
    assert_eq!(read(b"(T\x01\0\0\0ot."), Ok(vec![text("o")]));
    assert_eq!(
        read(b"(S'a\\'\\\\\\n\\xc3\\xa9'\nL5L\nI01\nF1.5\nNt."),
        Ok(vec![
            text("a'\\\né"),
            Value::Int(5),
            Value::Bool(true),
            Value::Float(1.5),
            Value::None
        ])
    );
}

#[test]
fn whatever_is_not_a_record_is_refused() {
    let refused: [&[u8]; 16] = [
        b"",
        b".",
        b"K\x05.",
        b"\x80\x02(K\x05t",
        b"cos\nsystem\n(S'true'\ntR.",
        b"c_codecs\nencode\n(X\x01\0\0\0aX\x03\0\0\0rottR.",
        b"(h\x00t.",
        b"t.",
        b"(U\x01\xfft.",
        b"(X\xff\xff\xff\xffa.",
        b"(\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09t.",
        b"}.",
        b"((a.",
        b"(]q\x00h\x00t.",
        b"(V\\ud83d\nt.",
        b"\x85.",
    ];
    for pickled in refused {
        assert!(read(pickled).is_err(), "{pickled:02x?}");
    }
}

/// A nest of tuples as deep as the input is long would end the process when it is dropped.
#[test]
fn deep_nesting_is_refused() {
    let mut pickled = vec![b')'];
    pickled.extend(std::iter::repeat_n(0x85, 1_000_000));
    pickled.push(b'.');
    assert_eq!(read(&pickled), Err(Malformed("too deep")));
}

/// Doubling through the memo would fill the memory from a short input.
#[test]
fn fetching_again_and_again_shares_memory() {
    let mut pickled = b"X\x01\0\0\0a".to_vec();
    for _ in 0..6 {
        pickled.extend_from_slice(b"q\x00");
        pickled.extend_from_slice(&b"h\x00".repeat(100));
        pickled.splice(0..0, *b"(");
        pickled.push(b't');
    }
    pickled.push(b'.');
    assert_eq!(read(&pickled).map(|items| items.len()), Ok(101));
}

#[test]
fn integers_take_the_form_that_python_gives_them() {
    let form = |number| {
        let mut writer = Writer::default();
        writer.begin().integer(number).end()[3..].to_vec()
    };
    assert_eq!(form(255), b"K\xfft.");
    assert_eq!(form(256), b"M\x00\x01t.");
    assert_eq!(form(65_536), b"J\x00\x00\x01\x00t.");
    assert_eq!(form(-1), b"J\xff\xff\xff\xfft.");
    assert_eq!(form(1 << 31), b"\x8a\x05\x00\x00\x00\x80\x00t.");
    assert_eq!(form(-(1 << 39)), b"\x8a\x05\x00\x00\x00\x00\x80t.");
    assert_eq!(
        form(i64::MIN),
        b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80t."
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    /// Instructions that are known, in any order, reach deeper than random bytes do.
    #[test]
    fn any_instructions_are_read_or_refused(
        bytes in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(b"(tl)]aeNKMJXUTCBGqrhjpgILFSVcR.\n01\x85\x86\x87\x88\x89\x8a\x8b\x8c\x94\x95".to_vec()),
                0u8..4,
            ],
            0..100,
        )
    ) {
        let _ = read(&bytes);
    }

    #[test]
    fn what_is_written_is_read(name in ".*", number: i64, other in proptest::option::of(".*")) {
        let mut writer = Writer::default();
        let pickled = writer.begin().text(&name).integer(number).optional(other.as_deref()).end();
        let wanted = vec![
            text(&name),
            Value::Int(number),
            other.map_or(Value::None, |other| text(&other)),
        ];
        prop_assert_eq!(read(pickled), Ok(wanted));
    }
}
