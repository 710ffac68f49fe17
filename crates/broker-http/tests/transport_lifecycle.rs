//! Stopping and reloading a server while clients talk to it, and noise on its sockets.

mod transport_support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use broker_http::transport::{Options, bind};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::net::TcpStream;
use transport_support::{Running, TestApp, local, status, within};

/// Running requests finish, idle connections close, new ones are refused.
#[tokio::test]
async fn shutdown_drains() {
    let mut server = Running::start(|_| {}).await;
    let mut idle = server.connect().await;
    idle.send("GET /name HTTP/1.1\r\n\r\n").await;
    assert_eq!(idle.answer(false).await.status, 200);
    let mut busy = server.connect().await;
    busy.send("GET /slow?300 HTTP/1.1\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.begin_stop();
    assert!(idle.is_closed().await);
    let answer = busy.answer(false).await;
    assert_eq!(answer.body, "slow");
    assert!(
        answer.head.contains("\r\nConnection: close\r\n"),
        "{}",
        answer.head
    );
    assert!(TcpStream::connect(server.address).await.is_err());
    assert_eq!(server.stopped().await.aborted, 0);
}

/// A client that has only just connected is still served, one that sends nothing is not waited for.
#[tokio::test]
async fn fresh_connections_have_a_moment() {
    let mut server = Running::start(|_| {}).await;
    let (mut prompt, mut silent) = (server.connect().await, server.connect().await);
    while server.handle.stats().open < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.begin_stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    prompt.send("GET /name HTTP/1.1\r\n\r\n").await;
    assert_eq!(prompt.answer(false).await.body, "first");
    let begun = Instant::now();
    assert!(silent.is_closed().await);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(server.stopped().await.aborted, 0);
}

/// A request that does not finish is stopped at the limit.
#[tokio::test]
async fn shutdown_is_bounded() {
    let server = Running::start(|options| {
        options.shutdown_timeout = Duration::from_millis(100);
    })
    .await;
    let mut busy = server.connect().await;
    busy.send("GET /slow?60000 HTTP/1.1\r\n\r\n").await;
    while server.app.running.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    assert_eq!(server.stopped().await.aborted, 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(busy.is_closed().await);
}

/// After a reload new connections meet the new app, and old requests finish with the old one.
#[tokio::test]
async fn reload_changes_the_app_for_new_connections() {
    let server = Running::start(|_| {}).await;
    let mut idle = server.connect().await;
    idle.send("GET /name HTTP/1.1\r\n\r\n").await;
    assert_eq!(idle.answer(false).await.body, "first");
    let mut busy = server.connect().await;
    busy.send("GET /slow?200 HTTP/1.1\r\n\r\n").await;
    while server.app.running.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = TestApp {
        name: "second",
        ..TestApp::default()
    };
    server.handle.reload(second, Options::default());
    assert!(idle.is_closed().await);
    let text = server
        .talk("GET /name HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert!(text.ends_with("second"), "{text}");
    assert_eq!(busy.answer(false).await.body, "slow");
    assert!(busy.is_closed().await);
    assert_eq!(server.stopped().await.aborted, 0);
}

/// Connections of an old generation do not live for ever.
#[tokio::test]
async fn stale_connections_are_stopped() {
    let server = Running::start(|options| options.stale_timeout = Duration::from_millis(50)).await;
    let mut busy = server.connect().await;
    busy.send("GET /slow?60000 HTTP/1.1\r\n\r\n").await;
    while server.app.running.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.handle.reload(TestApp::default(), Options::default());
    assert!(busy.is_closed().await);
}

/// Accepted sockets have the options of the listening one.
#[tokio::test]
async fn accepted_sockets_inherit_their_options() {
    let listener = bind(&local()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (_client, (socket, _)) = (client.unwrap(), accepted.unwrap());
    let socket = socket2::SockRef::from(&socket);
    assert!(socket.keepalive().unwrap());
    assert!(socket.tcp_nodelay().unwrap());
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(600)
    );
}

/// Pieces of HTTP in any order, and noise between them.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        3 => prop::sample::select(vec![
            "GET ", "PUT ", "HEAD ", "/echo", "/ignored", "/first", "/name", "/panic", " HTTP/1.1", " HTTP/1.0",
            " HTTP/2.0", "\r\n", "\n", "\r\n\r\n", "Content-Length: 5", "Content-Length: 99999",
            "Transfer-Encoding: chunked", "Expect: 100-continue", "Connection: close", "Connection: keep-alive",
            "X_A: b", "X-A: ", ":", "5\r\nabcde\r\n", "0\r\n\r\n", "ffffffff\r\n", ";ext", "\r",
            "PUT /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "PUT /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

/// Whatever a client sends, it gets responses or a closed connection, and the server lives on.
#[test]
fn noise_is_answered_or_closed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Running::start(|options| {
        options.client_timeout = Duration::from_millis(200);
    }));
    let config = Config {
        cases: 1500,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&noise(), |bytes| {
        let text = runtime.block_on(async {
            let mut client = server.connect().await;
            let _ = client.try_send(&bytes).await;
            use tokio::io::AsyncWriteExt;
            let _ = client.stream.shutdown().await;
            client.rest().await
        });
        let known = [0, 100, 200, 400, 414, 431, 500, 501, 505];
        prop_assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 "),
            "{:?}",
            text
        );
        prop_assert!(known.contains(&status(&text)), "{:?}", text);
        Ok(())
    });
    result.unwrap();
    runtime.block_on(async {
        let text = within(server.talk("GET /name HTTP/1.0\r\n\r\n")).await;
        assert!(text.ends_with("first"));
        within(async {
            while server.handle.stats().open > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    });
}
