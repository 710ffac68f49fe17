//! A container server behind a real socket: what the handlers say must come out on the wire.

mod support;

use std::time::Duration;

use broker_http::ContainerServer;
use broker_http::transport::{Bind, Options, Server, bind};
use support::servers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Plays requests over one connection each; returns what came for each, until the server closed.
async fn talk(requests: &[&[u8]]) -> Vec<String> {
    let place = Bind {
        host: "127.0.0.1".to_owned(),
        port: 0,
        timeout: Duration::from_secs(5),
        backlog: 16,
        keep_idle: Duration::from_secs(600),
    };
    let listener = bind(&place).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app: ContainerServer = servers().container;
    let running = Server::new(app, Options::default()).run(vec![listener], std::future::pending());
    let server = tokio::spawn(running);
    let mut answers = Vec::new();
    for request in requests {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket.write_all(request).await.expect("an open socket");
        let mut answer = Vec::new();
        socket
            .read_to_end(&mut answer)
            .await
            .expect("a whole answer");
        answers.push(String::from_utf8(answer).expect("UTF-8"));
    }
    server.abort();
    answers
}

/// Header names go out in Swift's case, metadata names outside ASCII come back, and lengths stay.
#[tokio::test]
async fn responses_have_swifts_form() {
    let put = "PUT /d/1/a/c HTTP/1.1\r\nConnection: close\r\nx-timestamp: 1700000000.12345\r\n\
               x-container-meta-a1b: v\r\nX-Container-Meta-\u{fc}\u{2603}: \u{f6}\r\n\r\n";
    let answers = talk(&[
        put.as_bytes(),
        b"HEAD /d/1/a/c HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /d/1/a/c HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"HEAD /d/1/a/none HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /d/1/a/none HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"PUT /d/1/a/c/o%23x#1 HTTP/1.1\r\nConnection: close\r\nX-Timestamp: 1\r\nX-Size: 1\r\n\
          X-Content-Type:\r\nX-Etag: e\r\n\r\n",
        b"GET /d/1/a/c HTTP/1.1\r\nConnection: close\r\n\r\n",
    ])
    .await;
    let [put, head, get, gone_head, gone, _, rows] = &answers[..] else {
        panic!("seven answers");
    };
    assert!(put.starts_with("HTTP/1.1 201 Created\r\n"), "{put}");
    assert!(put.contains("\r\nContent-Length: 0\r\n"), "{put}");
    assert!(head.starts_with("HTTP/1.1 204 No Content\r\n"), "{head}");
    for line in [
        "X-Container-Meta-A1B: v",
        "X-Container-Meta-\u{fc}\u{2603}: \u{f6}",
        "X-Backend-Status-Changed-At: 1700000000.12345",
        "Last-Modified: Tue, 14 Nov 2023 22:13:21 GMT",
        "Content-Length: 0",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    assert!(get.starts_with("HTTP/1.1 204 OK\r\n"), "{get}");
    assert!(
        gone_head.starts_with("HTTP/1.1 404 Not Found\r\n"),
        "{gone_head}"
    );
    assert!(!gone_head.contains("Content-Length"), "{gone_head}");
    assert!(gone_head.ends_with("\r\n\r\n"), "{gone_head}");
    assert!(gone.contains("\r\nContent-Length: 70\r\n"), "{gone}");
    assert!(gone.ends_with(
        "\r\n\r\n<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"
    ));
    assert!(rows.ends_with("\r\n\r\no#x#1\n"), "{rows}");
}
