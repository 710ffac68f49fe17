//! What the transport makes of requests, and how responses look on the wire.

mod transport_support;

use std::time::Duration;

use transport_support::{Running, status};

/// Every response is dated, named in Swift's case, and free of a `Server` header.
#[tokio::test]
async fn response_heads_are_in_swifts_form() {
    let server = Running::start(|_| {}).await;
    let text = server
        .talk("GET /headers HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("\r\nX-Account-Meta-A1B-C2D: v\r\n"), "{text}");
    assert!(text.contains("\r\nEtag: \"e\"\r\n"), "{text}");
    assert!(text.contains("\r\nX-Meta-ü-A: é\r\n"), "{text}");
    assert!(
        text.contains("\r\nDate: ") && text.contains(" GMT\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    assert!(
        !text.contains("Server:") && !text.contains("x: y"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nok"), "{text}");
}

/// Reason phrases that operators know from Swift stay.
#[tokio::test]
async fn reason_phrases_are_swifts() {
    let server = Running::start(|_| {}).await;
    for line in [
        "500 Internal Error",
        "507 Insufficient Storage",
        "529 Too Many Backend Requests",
    ] {
        let status = &line[..3];
        let request = format!("GET /status?{status} HTTP/1.1\r\nConnection: close\r\n\r\n");
        let text = server.talk(request).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {line}\r\n")), "{text}");
    }
}

/// Handlers see paths and headers as Swift's do.
#[tokio::test]
async fn requests_arrive_normalised() {
    let server = Running::start(|_| {}).await;
    let request = "GET http://else:1/request HTTP/1.1\r\nContent-Type:\r\nX-A: 1\r\nX-A:2 \r\nx_b: 3\r\n\
                   X-Meta-ü: ä\r\nHost: whatever\r\nConnection: close\r\n\r\n";
    let text = server.talk(request).await;
    let body = text.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(
        body,
        "GET /request\ncontent-type=\nx-a=1,2\nhost=whatever\nconnection=close\nX-Meta-ü=ä\n"
    );
    let mut raw = b"GET /request?a\xff#b HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec();
    let text = server.talk(&raw).await;
    assert!(text.contains("GET /request?a%FF%23b\n"), "{text}");
    raw[0] = b'g';
    assert!(server.talk(&raw).await.contains("gET /request?"));
}

/// A proxy that closes, a replicator that stays and an old client are all served as they ask.
#[tokio::test]
async fn connections_persist_as_asked() {
    let server = Running::start(|_| {}).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send("GET /name HTTP/1.1\r\n\r\n").await;
        let answer = client.answer(false).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "first"));
        assert!(!answer.head.contains("Connection:"), "{}", answer.head);
    }
    client
        .send("GET /name HTTP/1.1\r\nConnection: keep-alive\r\n\r\n")
        .await;
    assert!(
        client
            .answer(false)
            .await
            .head
            .contains("\r\nConnection: keep-alive\r\n")
    );
    client
        .send("GET /name HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        .await;
    assert!(
        client
            .answer(false)
            .await
            .head
            .contains("\r\nConnection: keep-alive\r\n")
    );
    client.send("GET /name HTTP/1.0\r\n\r\n").await;
    assert!(
        client
            .answer(false)
            .await
            .head
            .contains("\r\nConnection: close\r\n")
    );
    assert!(client.is_closed().await);
}

/// `keepalive_timeout = 0` closes after each response, and says so.
#[tokio::test]
async fn keep_alive_can_be_disabled() {
    let server = Running::start(|options| {
        options.keep_alive = broker_http::transport::KeepAlive::Disabled;
    })
    .await;
    let text = server.talk("GET /name HTTP/1.1\r\n\r\n").await;
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
}

/// An idle connection is closed after `keepalive_timeout`, a new one has longer.
#[tokio::test]
async fn keep_alive_ends_after_its_time() {
    let server = Running::start(|options| {
        let time = Duration::from_millis(100);
        options.keep_alive = broker_http::transport::KeepAlive::After(time);
    })
    .await;
    let mut client = server.connect().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.send("GET /name HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.answer(false).await.status, 200);
    assert!(client.is_closed().await);
    assert_eq!(server.handle.stats().timed_out, 1);
}

/// Requests that are sent without waiting are answered in order, bodies included.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Running::start(|_| {}).await;
    let text = server
        .talk(
            "PUT /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\none\
             PUT /ignored HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /\
             PUT /ignored HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: 1\r\n\r\n\
             \r\nPUT /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfou\r\n1\r\nr\r\n0\r\n\r\n\
             GET /name HTTP/1.1\r\nConnection: close\r\n\r\n",
        )
        .await;
    let bodies: Vec<_> = text.split("\r\n\r\n").skip(1).collect();
    let bodies: Vec<_> = bodies
        .iter()
        .map(|body| body.split("HTTP/1.1").next().unwrap())
        .collect();
    assert_eq!(bodies, ["one", "ok", "ok", "four", "first"]);
}

/// `100 Continue` is sent when, and only when, the handler reads.
#[tokio::test]
async fn continue_is_sent_when_the_body_is_read() {
    let server = Running::start(|_| {}).await;
    let mut client = server.connect().await;
    client
        .send("PUT /echo HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let interim = client.answer(false).await;
    assert_eq!(interim.head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body").await;
    assert_eq!(client.answer(false).await.body, "body");

    client
        .send("PUT /ignored HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert!(answer.head.contains("\r\nConnection: close\r\n"));
    assert!(client.is_closed().await);
}

/// Bodies of unknown length are chunked for HTTP/1.1 and end with the connection for HTTP/1.0.
#[tokio::test]
async fn streams_are_framed_for_the_client() {
    let server = Running::start(|_| {}).await;
    let text = server
        .talk("GET /pieces?2 HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        text.contains("\r\nTransfer-Encoding: chunked\r\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\r\n\r\n3\r\nxxx\r\n3\r\nxxx\r\n0\r\n\r\n"),
        "{text}"
    );
    let text = server
        .talk("GET /pieces?0 HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert!(text.ends_with("\r\n\r\n0\r\n\r\n"), "{text}");
    let text = server
        .talk("GET /pieces?2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    assert!(
        text.contains("\r\nConnection: close\r\n") && !text.contains("Transfer"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nxxxxxx"), "{text}");
}

/// No body follows the answer to HEAD, nor a 204, and their lengths are the handler's.
#[tokio::test]
async fn bodiless_responses_keep_the_handlers_length() {
    let server = Running::start(|_| {}).await;
    let mut client = server.connect().await;
    for (request, length) in [
        ("HEAD /name", None),
        ("HEAD /short", Some("10")),
        ("HEAD /pieces?3", None),
        ("POST /204", None),
        ("HEAD /204-length", Some("0")),
    ] {
        client.send(format!("{request} HTTP/1.1\r\n\r\n")).await;
        let head = client.answer(true).await.head;
        let found = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        assert_eq!(found, length, "{request}: {head}");
        assert!(!head.contains("Transfer-Encoding"), "{request}: {head}");
    }
    client.send("GET /name HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.answer(false).await.body, "first");
}

/// A client never takes a truncated body for a whole one.
#[tokio::test]
async fn short_body_closes_the_connection() {
    let server = Running::start(|_| {}).await;
    let text = server.talk("GET /short HTTP/1.1\r\n\r\n").await;
    assert!(
        text.contains("Content-Length: 10\r\n") && text.ends_with("\r\n\r\nabc"),
        "{text}"
    );
}

/// A bug in a handler costs one request.
#[tokio::test]
async fn panic_becomes_an_internal_error() {
    let server = Running::start(|_| {}).await;
    let text = server.talk("GET /panic HTTP/1.1\r\n\r\n").await;
    assert_eq!(status(&text), 500);
    assert!(text.contains("\r\nConnection: close\r\n"));
    assert_eq!(status(&server.talk("GET / HTTP/1.0\r\n\r\n").await), 200);
    assert_eq!(server.handle.stats().panicked, 1);
}

/// A client that closed its sending side still gets its answer.
#[tokio::test]
async fn half_closed_client_is_answered() {
    use tokio::io::AsyncWriteExt;
    let server = Running::start(|_| {}).await;
    let mut client = server.connect().await;
    client.send("GET /slow?100 HTTP/1.1\r\n\r\n").await;
    client.stream.shutdown().await.unwrap();
    assert!(client.rest().await.ends_with("slow"));

    let mut client = server.connect().await;
    client
        .send("PUT /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        .await;
    client.stream.shutdown().await.unwrap();
    let text = client.rest().await;
    assert!(text.ends_with("UnexpectedEof"), "{text}");
}
