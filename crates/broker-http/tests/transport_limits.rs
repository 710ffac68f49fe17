//! Limits of heads, bodies, times and numbers, each against a client that ignores it.

mod transport_support;

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use broker_http::transport::{Options, raise_open_files};
use tokio::io::AsyncWriteExt;
use transport_support::{Running, status, within};

fn impatient(options: &mut Options) {
    options.client_timeout = Duration::from_millis(300);
}

/// Each violation gets its documented status, and the connection closes.
#[tokio::test]
async fn bad_heads_are_answered_and_closed() {
    let server = Running::start(|_| {}).await;
    let long = "a".repeat(9000);
    for (request, expected) in [
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        (format!("GET /{}", "a".repeat(100_000)), 414),
        (format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(100_000)), 400),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(202)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(60_000)),
            431,
        ),
        ("GET /\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505),
        (
            "PUT / HTTP/1.1\r\nContent-Length: ten\r\n\r\n".to_owned(),
            400,
        ),
        (
            "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            501,
        ),
    ] {
        let mut client = server.connect().await;
        // The server may close before it has taken everything.
        let _ = client
            .try_send(request.clone() + "GET /name HTTP/1.1\r\n\r\n")
            .await;
        let text = client.rest().await;
        let start = &request[..request.len().min(40)];
        assert_eq!(status(&text), expected, "{start:?}: {text:?}");
        assert!(
            text.contains("\r\nDate: ") && text.contains("\r\nConnection: close\r\n"),
            "{text}"
        );
        assert!(
            !text.ends_with("first"),
            "{start:?} was followed by another answer"
        );
    }
    assert_eq!(server.app.finished.load(Ordering::SeqCst), 0);
    assert_eq!(server.handle.stats().refused, 13);
}

/// A request just inside of all limits is served.
#[tokio::test]
async fn heads_within_limits_are_served() {
    let server = Running::start(|_| {}).await;
    let target = "a".repeat(8100);
    let lines = "A: b\r\n".repeat(199) + "Connection: close\r\n";
    let text = server
        .talk(format!("GET /{target} HTTP/1.1\r\n{lines}\r\n"))
        .await;
    assert_eq!(status(&text), 200, "{text}");
}

/// Broken chunks reach the handler as an error, and no later bytes pass for a request.
#[tokio::test]
async fn broken_chunks_end_the_connection() {
    let server = Running::start(|_| {}).await;
    for body in [
        "x\r\n".to_owned(),
        "\r\n".to_owned(),
        "-1\r\n".to_owned(),
        "fffffffffffffffff\r\n".to_owned(),
        "ffffffffffffffff\r\n".to_owned(),
        "1\r\nab\r\n0\r\n\r\n".to_owned(),
        format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(3000)),
        format!("0\r\n{}\r\n", "T: x\r\n".repeat(6000)),
        format!("1;{}\r\na\r\n", "e".repeat(900)).repeat(30) + "0\r\n\r\n",
    ] {
        let request = "PUT /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut client = server.connect().await;
        let _ = client
            .try_send(format!("{request}{body}GET /name HTTP/1.1\r\n\r\n"))
            .await;
        let text = client.rest().await;
        assert!(
            text.starts_with("HTTP/1.1 400 ") && text.ends_with("InvalidData"),
            "{text}"
        );
    }
}

/// A client that dribbles its request head is cut off after `client_timeout` in all.
#[tokio::test]
async fn slow_head_is_cut_off() {
    let server = Running::start(impatient).await;
    let mut client = server.connect().await;
    let begun = Instant::now();
    let mut sent = 0;
    for byte in b"GET /name HTTP/1.1\r\nX-A: "
        .iter()
        .chain([b'a'; 1000].iter())
    {
        if client.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        sent += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(sent < 100, "still open after {sent} bytes");
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(server.app.finished.load(Ordering::SeqCst), 0);
}

/// A client that stops within its body frees its place after `client_timeout`.
#[tokio::test]
async fn stalled_body_is_cut_off() {
    let server = Running::start(impatient).await;
    let text = server
        .talk("PUT /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    assert!(text.ends_with("TimedOut"), "{text}");
    let text = server
        .talk("PUT /echo HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert!(text.ends_with("TimedOut"), "{text}");
    let text = server
        .talk("PUT /ignored HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    assert!(text.ends_with("ok"), "{text}");
}

/// A client that sends a byte now and then cannot hold a request open forever.
#[tokio::test]
async fn dribbled_body_is_cut_off() {
    let server = Running::start(impatient).await;
    let mut client = server.connect().await;
    client
        .send("PUT /echo HTTP/1.1\r\nContent-Length: 100000\r\n\r\n")
        .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        if client.stream.write_all(b"a").await.is_err() {
            break;
        }
        if server.app.finished.load(Ordering::SeqCst) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "still reading");
    assert!(client.rest().await.contains("TimedOut"));
}

/// A slow but steady client is not cut off, however long it takes in all.
#[tokio::test]
async fn steady_body_is_read_to_its_end() {
    let server = Running::start(|options| options.client_timeout = Duration::from_secs(1)).await;
    let mut client = server.connect().await;
    client
        .send("PUT /echo HTTP/1.1\r\nContent-Length: 2000\r\n\r\n")
        .await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        client.send("a".repeat(100)).await;
    }
    assert_eq!(client.answer(false).await.body.len(), 2000);
}

/// A body that nobody reads is thrown away, but not without end.
#[tokio::test]
async fn unread_bodies_are_drained_within_bounds() {
    let server = Running::start(|options| {
        impatient(options);
        options.limits.max_drain = 100_000;
    })
    .await;
    let mut client = server.connect().await;
    client
        .send(format!(
            "PUT /ignored HTTP/1.1\r\nContent-Length: 90000\r\n\r\n{}",
            "a".repeat(90_000)
        ))
        .await;
    assert_eq!(client.answer(false).await.status, 200);
    client
        .send("PUT /first HTTP/1.1\r\nContent-Length: 9\r\n\r\n123456789")
        .await;
    assert_eq!(client.answer(false).await.body, "9");

    client
        .send("PUT /ignored HTTP/1.1\r\nContent-Length: 900000\r\n\r\n")
        .await;
    assert!(
        client
            .answer(false)
            .await
            .head
            .contains("\r\nConnection: close\r\n")
    );
    let _ = client.try_send("a".repeat(900_000)).await;
    assert!(client.is_closed().await);

    let mut client = server.connect().await;
    client
        .send("PUT /ignored HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status, 200);
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(4096));
    let mut sent = 0;
    while sent < 10_000 && client.try_send(&chunk).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 10_000, "an endless body was drained");
}

/// A client that does not take its response frees its place after `client_timeout`.
#[tokio::test]
async fn stalled_reader_is_cut_off() {
    let server = Running::start(|options| {
        impatient(options);
        options.max_clients = 1;
    })
    .await;
    let mut stalled = server.connect().await;
    stalled.send("GET /stream?2000 HTTP/1.1\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let text = within(server.talk("GET /name HTTP/1.1\r\nConnection: close\r\n\r\n")).await;
    assert_eq!(status(&text), 200);
    assert!(
        begun.elapsed() > Duration::from_millis(100),
        "it should have waited for its turn"
    );
    assert!(
        stalled.rest().await.len() < 2000 << 16,
        "the stalled response was completed"
    );
}

/// No more than `max_clients` requests run at once, and the others wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_are_limited() {
    let server = Running::start(|options| options.max_clients = 3).await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = server.connect().await;
        client
            .send("GET /slow?50 HTTP/1.1\r\nConnection: close\r\n\r\n")
            .await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(status(&client.rest().await), 200);
    }
    assert_eq!(server.app.most_running.load(Ordering::SeqCst), 3);
}

/// At the limit of connections the one that idled longest makes room.
#[tokio::test]
async fn oldest_idle_connections_make_room() {
    let server = Running::start(|options| options.max_connections = 4).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect().await;
        client.send("GET /name HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer(false).await.status, 200);
        clients.push(client);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    clients[0].send("GET /slow?500 HTTP/1.1\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let text = server
        .talk("GET /name HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&text), 200);
    assert!(
        clients[1].is_closed().await,
        "the oldest idle connection should be closed"
    );
    assert_eq!(clients[0].answer(false).await.status, 200);
    for client in &mut clients[2..] {
        client.send("GET /name HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer(false).await.status, 200);
    }
    assert_eq!(server.handle.stats().evicted, 1);
}

/// Thousands of idle connections cost little memory and do not slow down others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_are_cheap() {
    // Both ends are in this process; a system with a low limit tests with what it allows.
    let count = usize::try_from(raise_open_files() / 3)
        .unwrap_or(usize::MAX)
        .min(5000);
    let server = Running::start(|_| {}).await;
    let address = server.address;
    let before = resident_bytes();
    let held = tokio::task::spawn_blocking(move || {
        let connect = |index: usize| {
            let mut client = std::net::TcpStream::connect(address).expect("connect");
            // Half of them have made a request before.
            if index.is_multiple_of(2) {
                client
                    .write_all(b"HEAD /name HTTP/1.1\r\n\r\n")
                    .expect("send");
            }
            client
        };
        (0..count).map(connect).collect::<Vec<_>>()
    });
    let held = within(held).await.unwrap();
    while server.handle.stats().open < count || server.handle.stats().requests < count as u64 / 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let each = resident_bytes().saturating_sub(before) / count;
    assert!(each < 6000, "{each} bytes for each idle connection");
    let begun = Instant::now();
    for _ in 0..100 {
        let text = server
            .talk("GET /name HTTP/1.1\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(status(&text), 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(held);
    while server.handle.stats().open > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse::<usize>().ok());
    pages.expect("resident pages") * 4096
}
