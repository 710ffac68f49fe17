//! The text format, against what Swift 2.38.3's `readconf` gave for the same text.

use std::fs;
use std::path::Path;

use swift_conf::{Dialect, ErrorKind, Ini};

fn parse(text: impl AsRef<[u8]>) -> Ini {
    Ini::parse(text.as_ref(), Path::new("x.conf"), Dialect::SERVER).expect("the text is good")
}

fn refused(text: impl AsRef<[u8]>) -> (ErrorKind, Option<usize>) {
    let ini = match Ini::parse(text.as_ref(), Path::new("x.conf"), Dialect::SERVER) {
        Ok(ini) => ini,
        Err(error) => return (error.kind(), error.place().line),
    };
    let error = ini.section("x").expect_err("the text is bad");
    (error.kind(), error.place().line)
}

/// Options of `[x]` as `name=value` pairs.
fn x(text: impl AsRef<[u8]>) -> Vec<(String, String)> {
    let section = parse(text).section("x").expect("its references are good");
    let options = section.expect("there is an [x]");
    options
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A failure would mean that an operator's file is read with other values than Swift reads.
#[test]
fn values_are_those_that_swift_recorded() {
    let recorded: &[(&str, &[(&str, &str)])] = &[
        (
            "[x]\na=\n\n b\n\n\nc=1\n\n  \n",
            &[("a", "\n\nb"), ("c", "1")],
        ),
        ("[x]\na=1\n#c\n\n # d\n b\n", &[("a", "1\n\nb")]),
        ("[x]\n  a=1\n b=2\n  c=3\n", &[("a", "1"), ("b", "2\nc=3")]),
        ("[x]\na=1\n [y]\nb=2\n", &[("a", "1\n[y]"), ("b", "2")]),
        ("  [x]\n  a=1\nb=2\n", &[("a", "1"), ("b", "2")]),
        ("[x]\n\n  a=1\n  b=2\n", &[("a", "1"), ("b", "2")]),
        ("[x]\na[b]=1\n[c]=1\n", &[("a[b]", "1")]),
        (
            "[DEFAULT]\nd=1\n[DEFAULT]\ne=2\n[x]\n",
            &[("d", "1"), ("e", "2")],
        ),
        (
            "[x]\na : b = c\nd e f = g\nh\t=\t i\n",
            &[("a", "b = c"), ("d e f", "g"), ("h", "i")],
        ),
        (
            "[x]\na = 1 ; c\nb = 2 # c\n;c = 1\nm =\nn:\n = y\n",
            &[("a", "1 ; c"), ("b", "2 # c"), ("m", ""), ("n", "\n= y")],
        ),
        ("[x] trailing\na=1\n", &[("a", "1")]),
        (
            "[x]\na = \u{e9}\u{a0}\n\u{a0}b = 1\n",
            &[("a", "\u{e9}\nb = 1")],
        ),
        (
            "[x]\na = x\u{b}y\u{c}z\u{1c}q\u{85}w\nb=x\u{1c}\n\u{1c}c=1\n",
            &[("a", "x\u{b}y\u{c}z\u{1c}q\u{85}w"), ("b", "x\nc=1")],
        ),
        (
            "[x]\r\na = 1\r\n  two\r\n\r\nb=2\r\n",
            &[("a", "1\ntwo"), ("b", "2")],
        ),
        ("[DEFAULT]\ra = 1\r[x]\rb=2\r", &[("a", "1"), ("b", "2")]),
        ("[x]\nA=1\na=2\n", &[("A", "1"), ("a", "2")]),
        ("[x]\na = x\0y\n", &[("a", "x\0y")]),
    ];
    for (text, expected) in recorded {
        assert_eq!(x(text), pairs(expected), "{text:?}");
    }
}

/// A failure would mean that `1%` or a path made of other options is read wrongly.
#[test]
fn references_resolve_as_swift_recorded() {
    let text = "[DEFAULT]\nbase=/srv\npct=1%\nboth=100%% of %(base)s\nplain=100%%\n\
                [x]\nb=%(base)s-%(local)s\nlocal=L\nc=50%%%(base)s\n";
    let expected = [
        ("b", "/srv-L"),
        ("base", "/srv"),
        ("both", "100% of /srv"),
        ("c", "50%/srv"),
        ("local", "L"),
        ("pct", "1%"),
        ("plain", "100%%"),
    ];
    assert_eq!(x(text), pairs(&expected));
    assert_eq!(
        x("[x]\na=%(B)s\nB=1\nb=2\n")[1],
        ("a".to_owned(), "1".to_owned())
    );
}

/// A failure would mean that a broken file is taken for a good one, or the wrong line is blamed.
#[test]
fn broken_text_is_refused_with_its_line() {
    use ErrorKind::{Interpolation, Read, Syntax};
    let recorded: &[(&[u8], ErrorKind, Option<usize>)] = &[
        (b"[x]\na=1\n=2\n", Syntax, Some(3)),
        (b"[x]\n:2\n", Syntax, Some(2)),
        (b"[x]\nrem = 1\nREM x\n", Syntax, Some(3)),
        (b"[DEFAULT]\njust\n", Syntax, Some(2)),
        (b"[x]\na=1\na=2\n", Syntax, Some(3)),
        (b"[x]\na=1\n[x]\nb=2\n", Syntax, Some(3)),
        (
            b"[DEFAULT]\na=1\n[x]\nb=2\n[DEFAULT]\na=3\n",
            Syntax,
            Some(6),
        ),
        (b"a=1\n[x]\n", Syntax, Some(1)),
        (b"[x]\n[]\nb=1\n", Syntax, Some(2)),
        (b"[x]\na=1\n[z\nc=1\n", Syntax, Some(3)),
        (b"\xef\xbb\xbf[DEFAULT]\na = 1\n", Syntax, Some(1)),
        (b"[x]\na = \xe9\n", Read, Some(2)),
        (b"[x]\na=%()s\n", Interpolation, Some(2)),
        (b"[x]\na=%(b\n", Interpolation, Some(2)),
        (b"[x]\na=%(b)d\nb=1\n", Interpolation, Some(2)),
        (b"[x]\na=%(nope)s\n", Interpolation, Some(2)),
        (b"[x]\na=%(b)s\nb=1%\n", Interpolation, Some(2)),
        (b"[x]\na=x%y %(b)s\nb=1\n", Interpolation, Some(2)),
        (b"[x]\nb=1\na=%(a)s\n", Interpolation, Some(3)),
    ];
    for (text, kind, line) in recorded {
        assert_eq!(refused(text), (*kind, *line), "{}", text.escape_ascii());
    }
}

fn chain(length: usize) -> String {
    let links: String = (0..length)
        .map(|at| format!("a{at}=%(a{})s\n", at + 1))
        .collect();
    format!("[x]\n{links}a{length}=end\n")
}

/// A failure would mean that a reference chain which Swift reads is refused, or the reverse.
#[test]
fn references_nest_ten_deep_and_no_deeper() {
    assert_eq!(x(chain(10))[0].1, "end");
    assert_eq!(refused(chain(11)).0, ErrorKind::Interpolation);
}

/// A failure would mean that a small file can take all memory or time of a server.
#[test]
fn references_that_multiply_are_bounded() {
    let mut wide = "[x]\nz=%(a1)s\n".to_owned();
    for level in 1..9 {
        wide.push_str(&format!(
            "a{level}={}\n",
            format!("%(a{})s", level + 1).repeat(20)
        ));
    }
    assert_eq!(refused(wide.clone() + "a9=\n").0, ErrorKind::Interpolation);
    assert_eq!(
        refused(wide + "a9=" + &"y".repeat(100_000)).0,
        ErrorKind::Interpolation
    );
}

/// A failure would mean that hostile bytes crash the server at start.
#[test]
fn any_bytes_are_read_or_refused() {
    let mut state = 1_u64;
    for _ in 0..2_000 {
        let alphabet = b"[]=:%()s#; \n\r\tab\x00\xff\xc3\xa9xDEFAULT";
        let byte = |state: &mut u64| {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            alphabet[(*state >> 33) as usize % alphabet.len()]
        };
        let bytes: Vec<u8> = (0..60).map(|_| byte(&mut state)).collect();
        for dialect in [Dialect::SERVER, Dialect::SWIFT_CONF, Dialect::REALMS] {
            if let Ok(ini) = Ini::parse(&bytes, Path::new("x.conf"), dialect) {
                let names: Vec<String> = ini.sections().map(str::to_owned).collect();
                names.iter().for_each(|name| drop(ini.section(name)));
            }
        }
    }
}

/// A failure would mean that one huge line stalls the start.
#[test]
fn huge_lines_are_read() {
    let long = "y".repeat(4_000_000);
    assert_eq!(x(format!("[x]\na={long}\n"))[0].1.len(), long.len());
    let error = Ini::parse(long.as_bytes(), Path::new("x.conf"), Dialect::SERVER).unwrap_err();
    assert!(error.to_string().len() < 300);
    let many = (0..50_000).fold("[x]\na=\n".to_owned(), |text, _| text + " b\n");
    assert_eq!(x(many)[0].1.len(), 100_000);
}

/// A failure would mean that snippets of a conf.d directory count in another order than in Swift.
#[test]
fn a_directory_is_read_in_the_order_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    put("20.conf", "[x]\na=late\n");
    put("10.conf", "[DEFAULT]\nd=1\n[x]\na=early\nb=kept\n");
    put(".30.conf", "[x]\na=hidden\n");
    put("40.conf~", "junk");
    fs::create_dir(dir.path().join("50.conf")).unwrap();
    let options = Ini::load(dir.path(), Dialect::SERVER)
        .unwrap()
        .section("x")
        .unwrap()
        .unwrap();
    let all: Vec<_> = options.iter().collect();
    assert_eq!(all, [("a", "late"), ("b", "kept"), ("d", "1")]);
    assert!(options.place("a").file.ends_with("20.conf"));
    put("15.conf", "[x]\n\njunk\n");
    let error = Ini::load(dir.path(), Dialect::SERVER).unwrap_err();
    assert!(error.place().file.ends_with("15.conf"));
    assert_eq!(error.place().line, Some(3));
}

/// A failure would mean that a wrong path gives an empty configuration instead of a refusal.
#[test]
fn absent_files_and_empty_directories_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("none.conf")] {
        let error = Ini::load(&path, Dialect::SERVER).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Read);
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}

/// A failure would mean that daemons see `[DEFAULT]` win over their own section.
#[test]
fn a_daemon_section_wins_over_default() {
    let text = "[DEFAULT]\na = 1\nb = %(c)s\nc = d\n[x]\na = 2\nc = r\nset a = 3\n";
    assert_eq!(
        x(text),
        pairs(&[("a", "2"), ("b", "r"), ("c", "r"), ("set a", "3")])
    );
    assert!(parse(text).section("y").unwrap().is_none());
}
