use super::*;
use proptest::prelude::*;

fn find(buffer: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
    Scan::default().find_end(buffer, &Limits::default())
}

fn parse(text: &str) -> Result<Head, u16> {
    let range = find(text.as_bytes()).map_err(|refusal| refusal.status.as_u16())?;
    let range = range.expect("a whole head");
    let head = Bytes::copy_from_slice(&text.as_bytes()[range]);
    Head::parse(&head).map_err(|refusal| refusal.status.as_u16())
}

fn header<'a>(head: &'a Head, name: &str) -> &'a [u8] {
    head.headers.get(name).expect("header").as_bytes()
}

/// A proxy's ordinary request is understood.
#[test]
fn ordinary_request_is_parsed() {
    let head = parse("\r\nHEAD /sda1/1/a?format=json HTTP/1.1\r\nHost: x\r\nContent-Type:\r\nX-Timestamp:  1 \r\n\r\n").unwrap();
    assert_eq!(head.method, "HEAD");
    assert_eq!(head.uri.path(), "/sda1/1/a");
    assert_eq!(head.uri.query(), Some("format=json"));
    assert_eq!(header(&head, "content-type"), b"");
    assert_eq!(header(&head, "x-timestamp"), b"1");
    assert_eq!(head.framing, Framing::Empty);
    assert_eq!(head.persistence, Persistence::Stay);
}

/// Repeated, dropped and unusual header names reach handlers as Swift's servers see them.
#[test]
fn header_names_follow_swift() {
    let head = parse("PUT / HTTP/1.0\nX-A: 1\nx-a: 2\nX_B: 3\nX-Account-Meta-\u{fc}: v\u{e4}\n\n")
        .unwrap();
    assert_eq!(header(&head, "x-a"), b"1,2");
    assert_eq!(head.headers.len(), 1);
    let unusual = &head.unusual.0[0];
    assert_eq!(unusual.0.as_ref(), "X-Account-Meta-\u{fc}".as_bytes());
    assert_eq!(unusual.1.as_ref(), "v\u{e4}".as_bytes());
    assert_eq!(head.persistence, Persistence::Close);
}

/// Each kind of malformed head gets the status that Swift's servers give.
#[test]
fn malformed_heads_are_refused() {
    for (text, status) in [
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/1.1 x\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\n", 505),
        ("GET / HTTP/10.1\r\n\r\n", 505),
        ("GET / HTTP/1\r\n\r\n", 400),
        ("GET / HTTP/1.x\r\n\r\n", 400),
        ("GET / http/1.1\r\n\r\n", 400),
        ("GET x HTTP/1.1\r\n\r\n", 400),
        ("G@T / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n: v\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA : v\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: v\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: \u{1}\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ] {
        assert_eq!(parse(text).map(|_| ()), Err(status), "{text:?}");
    }
}

/// Bodies are framed as the client meant them, and a doubtful framing ends the connection.
#[test]
fn framing_is_read() {
    let framing = |lines: &str| {
        let head = parse(&format!("PUT / HTTP/1.1\r\n{lines}\r\n")).unwrap();
        (head.framing, head.expects_continue)
    };
    assert_eq!(framing(""), (Framing::Empty, false));
    assert_eq!(
        framing("Content-Length: 0\r\nExpect: 100-continue\r\n"),
        (Framing::Empty, false)
    );
    assert_eq!(framing("Content-Length:\r\n"), (Framing::Empty, false));
    assert_eq!(
        framing("Content-Length: 12\r\nExpect: 100-Continue\r\n"),
        (Framing::Length(12), true)
    );
    assert_eq!(
        framing("Transfer-Encoding: Chunked\r\n"),
        (Framing::Chunked, false)
    );
    let both = "PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(both).unwrap().persistence, Persistence::Close);
}

/// The limits hold whether a head comes whole or byte by byte.
#[test]
fn limits_hold_at_their_edge() {
    let status = |head: String| {
        let whole = find(head.as_bytes()).map(|range| range.is_some());
        let mut scan = Scan::default();
        let mut slowly = Ok(None);
        for end in 0..=head.len() {
            slowly = scan.find_end(&head.as_bytes()[..end], &Limits::default());
            if slowly.is_err() || matches!(slowly, Ok(Some(_))) {
                break;
            }
        }
        assert_eq!(whole, slowly.map(|range| range.is_some()));
        whole.map_err(|refusal| refusal.status.as_u16())
    };
    let request_line = |length: usize| {
        let rest = "GET / HTTP/1.1\r\n".len();
        format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - rest))
    };
    assert_eq!(status(request_line(8191)), Ok(true));
    assert_eq!(status(request_line(8192)), Err(414));
    let header_line =
        |length: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(length - 5));
    assert_eq!(status(header_line(8192)), Ok(true));
    assert_eq!(status(header_line(8193)), Err(400));
    let many = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(status(many(201)), Ok(true));
    assert_eq!(status(many(202)), Err(431));
    let large = format!(
        "GET / HTTP/1.1\r\n{}\r\n",
        format!("A: {}\r\n", "b".repeat(8000)).repeat(20)
    );
    assert_eq!(status(large), Err(431));
    assert_eq!(status("\u{16}\u{3}\u{1}".to_owned()), Err(400));
    assert_eq!(status("\r\n".repeat(9)), Err(400));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// No bytes make the parser panic, and what is found does not depend on how they arrive.
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(
        prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(b'/'), any::<u8>()], 0..200)) {
        let mut text = b"GET / HTTP/1.1\r\n".to_vec();
        text.extend(bytes);
        text.extend(b"\r\n\r\n");
        let whole = find(&text);
        let mut scan = Scan::default();
        let mut slowly = Ok(None);
        for end in 0..=text.len() {
            slowly = scan.find_end(&text[..end], &Limits::default());
            if slowly != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(&whole, &slowly);
        if let Ok(Some(range)) = whole {
            let _ = Head::parse(&Bytes::copy_from_slice(&text[range]));
        }
    }
}
