//! Account updates of the container server, against account servers that listen on real sockets.

mod support;

use std::time::Duration;

use support::{Servers, request, send, servers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Accepts one connection, takes one request head, and answers with a status.
async fn account_server(status: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let serve = async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).await.expect("a whole head");
            head.push(byte[0]);
        }
        if status.is_empty() {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        socket
            .write_all(answer.as_bytes())
            .await
            .expect("an open socket");
        String::from_utf8(head).expect("UTF-8")
    };
    (address, tokio::spawn(serve))
}

/// The address of a port on which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").to_string()
}

async fn put(servers: &Servers, hosts: &[String]) -> u16 {
    let hosts_header = hosts.join(", ");
    let devices = vec!["sdb1"; hosts.len()].join(",");
    let headers = [
        ("X-Timestamp", "1700000000.10000"),
        ("X-Account-Partition", "30"),
        ("X-Account-Host", &hosts_header),
        ("X-Account-Device", &devices),
        ("X-Trans-Id", "tx123"),
        ("Host", "proxy:6201"),
    ];
    send(
        &servers.container,
        request("PUT", "/sda1/1/a/u%201", &headers, ""),
    )
    .await
    .status
}

/// What an account server gets must be what Swift's container server sends.
#[tokio::test]
async fn an_update_has_swifts_headers() {
    let (host, served) = account_server("201 Created").await;
    assert_eq!(put(&servers(), std::slice::from_ref(&host)).await, 201);
    let head = served.await.expect("no panic");
    let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "PUT /sdb1/30/a/u%201 HTTP/1.1");
    lines.sort_unstable();
    let mut expected = vec![
        format!("Host: {host}"),
        "Accept-Encoding: identity".to_owned(),
        "X-Put-Timestamp: 1700000000.10000".to_owned(),
        "X-Delete-Timestamp: 0".to_owned(),
        "X-Object-Count: 0".to_owned(),
        "X-Bytes-Used: 0".to_owned(),
        "X-Backend-Storage-Policy-Index: 0".to_owned(),
        "X-Trans-Id: tx123".to_owned(),
        format!("User-Agent: container-server {}", std::process::id()),
        "Referer: PUT http://proxy:6201/sda1/1/a/u%201".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

/// A DELETE reports the raw delete timestamp and passes the override on.
#[tokio::test]
async fn a_deletion_is_reported_with_the_override() {
    let servers = servers();
    let created = [("X-Timestamp", "1")];
    send(
        &servers.container,
        request("PUT", "/sda1/1/a/c", &created, ""),
    )
    .await;
    let (host, served) = account_server("204 No Content").await;
    let headers = [
        ("X-Timestamp", "1700000009"),
        ("X-Account-Partition", "30"),
        ("X-Account-Host", &host),
        ("X-Account-Device", "sdb1"),
        ("X-Account-Override-Deleted", "YES"),
    ];
    let got = send(
        &servers.container,
        request("DELETE", "/sda1/1/a/c", &headers, ""),
    )
    .await;
    assert_eq!(got.status, 204);
    let head = served.await.expect("no panic");
    for line in [
        "X-Put-Timestamp: 0000000001.00000",
        "X-Delete-Timestamp: 1700000009.00000",
        "X-Account-Override-Deleted: yes",
        "X-Trans-Id: -",
    ] {
        assert!(
            head.contains(&format!("\r\n{line}\r\n")),
            "{line} is not in {head}"
        );
    }
}

/// Only account servers that all deny the account fail the request; the container stays in any
/// case.
#[tokio::test]
async fn only_unanimous_404_fails_the_request() {
    for (statuses, expected) in [
        (&["404 Not Found"][..], 404),
        (&["404 Not Found", "404 Not Found"], 404),
        (&["404 Not Found", "201 Created"], 201),
        (&["503 Service Unavailable"], 201),
        (&["404 Not Found", "503 Service Unavailable"], 201),
    ] {
        let servers = servers();
        let mut hosts = Vec::new();
        for status in statuses {
            hosts.push(account_server(status).await.0);
        }
        assert_eq!(put(&servers, &hosts).await, expected, "{statuses:?}");
        let head = request("HEAD", "/sda1/1/a/u%201", &[], "");
        assert_eq!(
            send(&servers.container, head).await.status,
            204,
            "{statuses:?}"
        );
    }
}

/// A dead account server delays a client, but never fails it.
#[tokio::test]
async fn silence_and_refusal_are_not_errors() {
    let servers = servers();
    assert_eq!(put(&servers, &[nobody().await]).await, 201);
    let (silent, _served) = account_server("").await;
    assert_eq!(put(&servers, &[silent]).await, 202);
}
