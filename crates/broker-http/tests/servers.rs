//! What the scripts of `golden.rs` cannot say: long listings, limits, unusual names, sync points.

mod support;

use std::sync::Arc;

use broker_api::{BrokerOptions, ContainerMarks, Location, StoreKind};
use broker_http::log::TimedAs;
use broker_http::transport::UnusualHeaders;
use bytes::Bytes;
use http_body_util::BodyExt;
use support::{Servers, UNLISTED, context, over, request, send, servers};

const TYPE: &str = "application/octet-stream";

async fn put_container(servers: &Servers, target: &str, headers: &[(&str, &str)]) -> u16 {
    send(&servers.container, request("PUT", target, headers, ""))
        .await
        .status
}

/// Rows whose listing needs several pages of the largest size.
async fn fill(servers: &Servers, rows: usize, width: usize) {
    assert_eq!(
        put_container(servers, "/d/1/a/c", &[("X-Timestamp", "1")]).await,
        201
    );
    let mut batch = Vec::new();
    for row in 0..rows {
        batch.push(serde_json::json!({
            "name": format!("{row:06}/{}", "n".repeat(width)),
            "created_at": "1700000001.00000",
            "size": 1, "content_type": TYPE, "etag": "e", "deleted": 0,
        }));
    }
    let body = serde_json::Value::from(batch).to_string();
    let update = request("UPDATE", "/d/1/a/c", &[("X-Timestamp", "1")], &body);
    assert_eq!(send(&servers.container, update).await.status, 202);
}

/// A client with a long listing must get every row once, however many broker calls it takes.
#[tokio::test]
async fn a_listing_over_many_pages_is_the_same_as_a_short_one() {
    let servers = servers();
    fill(&servers, 10_000, 1000).await;
    // Each name is its own subdir, and as long.
    let long = format!("&delimiter={}", "n".repeat(999));
    let long_reverse = format!("{long}&reverse=1&end_marker=000000");
    for (query, expected, is_short) in [
        ("", 10_000, false),
        ("&reverse=1", 10_000, false),
        ("&limit=9999", 9999, false),
        ("&delimiter=/", 10_000, true),
        ("&delimiter=/&reverse=1", 10_000, true),
        (&long, 10_000, false),
        (&long_reverse, 10_000, false),
        ("&marker=000099/z", 9900, false),
        ("&path=000007", 1, true),
    ] {
        let target = format!("/d/1/a/c?format=json{query}");
        let got = send(&servers.container, request("GET", &target, &[], "")).await;
        assert_eq!(got.status, 200);
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&got.body).expect("JSON");
        assert_eq!(rows.len(), expected, "{query}");
        let name = |row: &serde_json::Value| {
            row.get("name")
                .or(row.get("subdir"))
                .and_then(|n| n.as_str())
                .map(str::to_owned)
        };
        let mut names: Vec<_> = rows.iter().map(name).collect();
        if query.contains("reverse") {
            names.reverse();
        }
        assert!(names.is_sorted_by(|a, b| a < b), "{query}");
        assert_eq!(got.header("content-length").is_some(), is_short, "{query}");
    }
}

/// The pieces of a long listing stay bounded, or slow clients would cost much memory.
#[tokio::test]
async fn pages_of_a_long_listing_are_bounded() {
    let servers = servers();
    fill(&servers, 10_000, 1000).await;
    let get = request("GET", "/d/1/a/c?format=xml", &[], "");
    let mut body = broker_http::App::handle(&servers.container, get)
        .await
        .into_body();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.push(frame.expect("no error").into_data().expect("data"));
    }
    assert!(pieces.len() > 3);
    assert!(pieces.iter().all(|piece| piece.len() < (4 << 20) + 8192));
    let whole: Vec<u8> = pieces.concat();
    let text = String::from_utf8(whole).expect("UTF-8");
    assert!(text.starts_with("<?xml"));
    assert!(text.ends_with("</object></container>"));
    assert_eq!(text.matches("<object>").count(), 10_000);
    assert_eq!(text.matches("<?xml").count(), 1);
}

/// Users see these texts.
#[tokio::test]
async fn metadata_limits_are_refused_after_the_store_was_made() {
    let servers = servers();
    let many: Vec<_> = (0..91).map(|i| format!("X-Account-Meta-K{i}")).collect();
    let mut headers = vec![("X-Timestamp", "1")];
    headers.extend(many.iter().map(|name| (name.as_str(), "v")));
    let got = send(&servers.account, request("PUT", "/d/1/a", &headers, "")).await;
    assert_eq!(
        (got.status, got.text()),
        (400, "Too many metadata items; max 90")
    );
    assert_eq!(got.header("content-type"), Some("text/html; charset=UTF-8"));
    let head = request("HEAD", "/d/1/a", &[], "");
    assert_eq!(send(&servers.account, head).await.status, 204);

    let long = "v".repeat(4096);
    let headers = [("X-Timestamp", "2"), ("X-Container-Meta-K", &long)];
    let got = send(&servers.container, request("PUT", "/d/1/a/c", &headers, "")).await;
    assert_eq!(
        (got.status, got.text()),
        (400, "Total metadata too large; max 4096")
    );
    // Sysmeta and ACLs do not count.
    let headers = [
        ("X-Timestamp", "2"),
        ("X-Container-Sysmeta-K", &long),
        ("X-Container-Read", &long),
    ];
    assert_eq!(put_container(&servers, "/d/1/a/c", &headers).await, 202);

    let mut broken = request("POST", "/d/1/a/c", &[("X-Timestamp", "3")], "");
    let value = http::HeaderValue::from_bytes(b"\xff").expect("a value");
    broken.headers_mut().insert("x-container-sysmeta-x", value);
    let got = send(&servers.container, broken).await;
    assert_eq!(
        (got.status, got.text()),
        (400, "Metadata must be valid UTF-8")
    );
}

/// Swift's own clients use metadata names that a header map cannot hold.
#[tokio::test]
async fn metadata_names_outside_ascii_are_kept() {
    let servers = servers();
    let line = (Bytes::from("X-Container-META-ü☃x"), Bytes::from("wört"));
    let mut put = request("PUT", "/d/1/a/c", &[("X-Timestamp", "1")], "");
    put.extensions_mut().insert(UnusualHeaders(vec![line]));
    assert_eq!(send(&servers.container, put).await.status, 201);
    let got = send(&servers.container, request("HEAD", "/d/1/a/c", &[], "")).await;
    let UnusualHeaders(lines) = got.extensions.get().expect("unusual headers");
    let expected = (Bytes::from("X-Container-Meta-ü☃X"), Bytes::from("wört"));
    assert_eq!(lines, &[expected]);

    let line = (Bytes::from(&b"X-Container-Meta-\xff"[..]), Bytes::from("v"));
    let mut post = request("POST", "/d/1/a/c", &[("X-Timestamp", "2")], "");
    post.extensions_mut().insert(UnusualHeaders(vec![line]));
    assert_eq!(send(&servers.container, post).await.status, 400);
}

/// Lines of one name are one value, as Swift's servers see it.
#[tokio::test]
async fn repeated_headers_are_joined() {
    let servers = servers();
    let headers = [
        ("X-Timestamp", "1"),
        ("X-Container-Read", "a"),
        ("X-Container-Read", "b"),
    ];
    assert_eq!(put_container(&servers, "/d/1/a/c", &headers).await, 201);
    let got = send(&servers.container, request("HEAD", "/d/1/a/c", &[], "")).await;
    assert_eq!(got.header("x-container-read"), Some("a,b"));
}

/// A new destination must start container sync from the beginning; the same one must not.
#[tokio::test]
async fn a_new_sync_destination_resets_the_sync_points() {
    let context = context();
    let engine = Arc::clone(&context.engine);
    let hash = context.hash_path.container("a", "c");
    let servers = over(context);
    let url = "http://127.0.0.1/v1/a/c";
    let first = [("X-Timestamp", "1"), ("X-Container-Sync-To", url)];
    assert_eq!(put_container(&servers, "/d/1/a/c", &first).await, 201);

    let location = Location::new(StoreKind::Container, "d", "1", hash).expect("a location");
    let broker = engine.container(&location, &BrokerOptions::default());
    let mut marks = ContainerMarks::default();
    marks.x_container_sync_point1 = Some(7);
    marks.x_container_sync_point2 = Some(8);
    let points = async || {
        let info = broker.info().await.expect("no error").expect("a store");
        (info.x_container_sync_point1, info.x_container_sync_point2)
    };
    broker.set_marks(&marks).await.expect("no error");
    let same = [("X-Timestamp", "2"), ("X-Container-Sync-To", url)];
    assert_eq!(put_container(&servers, "/d/1/a/c", &same).await, 202);
    assert_eq!(points().await, (7, 8));
    // An older request resets them too, though its value is not stored.
    let older = [
        ("X-Timestamp", "0"),
        ("X-Container-Sync-To", "//US/WEST/a/c"),
    ];
    assert_eq!(put_container(&servers, "/d/1/a/c", &older).await, 202);
    assert_eq!(points().await, (-1, -1));
}

/// Container sync works on the containers on its list and never looks at others.
#[tokio::test]
async fn containers_are_registered_for_sync_as_their_metadata_says() {
    let context = context();
    let engine = Arc::clone(&context.engine);
    let hash = context.hash_path.container("a", "c");
    let location = Location::new(StoreKind::Container, "d", "1", hash).expect("a location");
    let servers = over(context);
    let to = ("X-Container-Sync-To", "//US/WEST/a/c");
    let key = ("X-Container-Sync-Key", "k");
    let (no_to, no_key) = (("X-Container-Sync-To", ""), ("X-Container-Sync-Key", ""));
    let other = ("X-Container-Meta-K", "v");
    let steps = [
        ("PUT", &[][..], 201, false),
        ("PUT", &[to], 202, false),
        ("PUT", &[key], 202, true),
        ("POST", &[no_key], 204, false),
        ("POST", &[key], 204, true),
        ("POST", &[other], 204, true),
        ("PUT", &[no_to], 202, false),
        ("POST", &[to], 204, true),
        ("PUT", &[], 202, true),
        ("DELETE", &[], 204, false),
        // The container comes back without what was deleted with it.
        ("PUT", &[other], 201, false),
        ("PUT", &[to, key], 202, true),
        ("POST", &[no_to, no_key], 204, false),
        ("DELETE", &[], 204, false),
        ("PUT", &[to, key], 201, true),
        ("DELETE", &[], 204, false),
    ];
    for (number, (method, metadata, status, is_synced)) in steps.into_iter().enumerate() {
        let at = (number + 1).to_string();
        let headers = [&[("X-Timestamp", at.as_str())], metadata].concat();
        let got = send(
            &servers.container,
            request(method, "/d/1/a/c", &headers, ""),
        )
        .await;
        assert_eq!(got.status, status, "{number}: {method} {metadata:?}");
        let synced = engine.synced("d", None, 10).await.expect("no error");
        let wanted = if is_synced {
            vec![location.clone()]
        } else {
            vec![]
        };
        assert_eq!(synced, wanted, "{number}: {method} {metadata:?}");
    }
    // An older request changes nothing, whatever it says, and repairs the list all the same.
    let headers = [("X-Timestamp", "20"), to, key];
    assert_eq!(put_container(&servers, "/d/1/a/c", &headers).await, 201);
    for (before, header) in [(true, no_to), (false, other)] {
        engine
            .set_synced(&location, before)
            .await
            .expect("no error");
        let older = [("X-Timestamp", "19"), header];
        assert_eq!(put_container(&servers, "/d/1/a/c", &older).await, 202);
        let synced = engine.synced("d", None, 10).await.expect("no error");
        assert_eq!(synced, std::slice::from_ref(&location));
    }
}

/// The container has changed when the list cannot be kept: the client must not hear otherwise.
#[tokio::test]
async fn the_list_of_container_sync_is_kept_on_the_side() {
    let servers = servers();
    for (method, headers, status) in [
        ("PUT", &[("X-Container-Meta-K", "v")][..], 201),
        ("POST", &[("X-Container-Sync-To", "")], 204),
        ("PUT", &[("X-Container-Sync-Key", "k")], 202),
        ("DELETE", &[], 204),
    ] {
        let at = [("X-Timestamp", "1700000000")];
        let at = if method == "DELETE" {
            [("X-Timestamp", "1700000001")]
        } else {
            at
        };
        let headers = [&at, headers].concat();
        let target = format!("/{UNLISTED}/1/a/c");
        let got = send(&servers.container, request(method, &target, &headers, "")).await;
        assert_eq!(got.status, status, "{method} {headers:?}");
    }
}

/// Stores are found again by the rings' rules only if device, partition and hash are Swift's.
#[tokio::test]
async fn stores_are_where_swift_looks_for_them() {
    let context = context();
    let engine = Arc::clone(&context.engine);
    let servers = over(context);
    assert_eq!(
        put_container(&servers, "/d/30/a/c", &[("X-Timestamp", "1")]).await,
        201
    );
    let stores = engine
        .stores("d", StoreKind::Container, None, 10)
        .await
        .expect("no error");
    // md5 of /a/c with the suffix `endcap`.
    let found: Vec<_> = stores.iter().map(ToString::to_string).collect();
    let expected = broker_api::HashPath::new("", "endcap").container("a", "c");
    assert_eq!(found, [format!("d/containers/30/{expected}")]);
    let broker = engine.container(&stores[0], &BrokerOptions::default());
    let info = broker.info().await.expect("no error").expect("a store");
    assert!(info.store.id.ends_with("-d"), "{}", info.store.id);
    assert_eq!(info.store.id.len(), 36 + 2);
}

/// Operators watch these timings.
#[tokio::test]
async fn parts_of_the_container_server_are_timed_by_name() {
    let servers = servers();
    let shard = ("X-Backend-Record-Type", "shard");
    for (method, target, headers, expected) in [
        (
            "PUT",
            "/d/1/a/c",
            &[("X-Timestamp", "1")][..],
            Some("PUT_container"),
        ),
        (
            "PUT",
            "/d/1/a/c/o",
            &[("X-Timestamp", "1")],
            Some("PUT_object"),
        ),
        (
            "PUT",
            "/d/1/a/c",
            &[("X-Timestamp", "1"), shard],
            Some("PUT_shard"),
        ),
        ("GET", "/d/1/a/c", &[], Some("GET_object")),
        ("GET", "/d/1/a/c", &[shard], Some("GET_shard")),
        ("HEAD", "/d/1/a/c", &[], None),
        ("PUT", "/sda9/1/a/c", &[("X-Timestamp", "1")], None),
    ] {
        let got = send(&servers.container, request(method, target, headers, "")).await;
        let timed = got.extensions.get::<TimedAs>().map(|timed| timed.0);
        assert_eq!(timed, expected, "{method} {target} {headers:?}");
    }
}
