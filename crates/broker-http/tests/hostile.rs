//! Hostile requests: whatever is sent, the servers answer, with a status that the protocol knows.

mod support;

use proptest::prelude::*;
use support::{Servers, request, send, servers};

const STATUSES: [u16; 15] = [
    200, 201, 202, 204, 301, 400, 403, 404, 405, 406, 409, 412, 413, 500, 507,
];

fn method() -> impl Strategy<Value = String> {
    let known = [
        "GET",
        "HEAD",
        "PUT",
        "POST",
        "DELETE",
        "UPDATE",
        "OPTIONS",
        "REPLICATE",
        "get",
    ];
    prop_oneof![
        9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "[A-Z]{1,8}",
    ]
}

fn segment() -> impl Strategy<Value = String> {
    let known = [
        "sda1",
        "1",
        "a",
        ".a",
        ".shards_a",
        "c",
        "%00c",
        "o",
        "..",
        "",
        "%ff",
        "%zz",
        "%2F",
        "☃",
    ];
    prop_oneof![
        8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "(%[0-9a-fA-F]{2}|[a-z;+&=~.]){0,6}",
    ]
}

fn target() -> impl Strategy<Value = String> {
    let keys = [
        "format",
        "limit",
        "marker",
        "end_marker",
        "prefix",
        "delimiter",
        "path",
        "reverse",
        "states",
        "includes",
    ];
    let values = [
        "",
        "json",
        "xml",
        "1",
        "10001",
        "%ff",
        "%00",
        "%F4%8F%BF%BF",
        "listing",
        "a/",
        "on",
        "bad",
    ];
    let pair = (
        prop::sample::select(keys.to_vec()),
        prop::sample::select(values.to_vec()),
    );
    let pair = pair.prop_map(|(key, value)| format!("{key}={value}"));
    let path = prop_oneof![
        3 => prop::collection::vec(segment(), 2..4).prop_map(|tail| {
            format!("/sda1/1/{}", tail.join("/"))
        }),
        1 => prop::collection::vec(segment(), 0..7).prop_map(|parts| format!("/{}", parts.join("/"))),
    ];
    (path, prop::collection::vec(pair, 0..4)).prop_map(|(path, pairs)| match pairs.is_empty() {
        true => path,
        false => format!("{path}?{}", pairs.join("&")),
    })
}

fn header() -> impl Strategy<Value = (String, String)> {
    let names = [
        "X-Timestamp",
        "X-Size",
        "X-Etag",
        "X-Content-Type",
        "X-Meta-Timestamp",
        "X-Put-Timestamp",
        "X-Delete-Timestamp",
        "X-Object-Count",
        "X-Bytes-Used",
        "Accept",
        "X-Backend-Record-Type",
        "X-Backend-Storage-Policy-Index",
        "X-Backend-Storage-Policy-Default",
        "X-Account-Host",
        "X-Account-Device",
        "X-Container-Sync-To",
        "X-Container-Meta-A",
        "X-Account-Meta-A",
        "X-Backend-Auto-Create",
        "X-Backend-Record-Shard-Format",
        "X-Backend-Override-Deleted",
        "X-Backend-Allow-Reserved-Names",
        "X-Container-Read",
        "X-Trans-Id",
    ];
    let values = [
        "",
        "0",
        "1",
        "-1",
        "yes",
        "true",
        "1700000001",
        "1_f",
        "9999999999.99999",
        "1e10",
        "nan",
        "shard",
        "auto",
        "namespace",
        "//US/WEST/a/c",
        "http://[",
        ";;=\"",
        "*/*;q=2",
        "☃",
        "a, b",
        "99999999999999999999",
    ];
    let value = prop_oneof![
        4 => prop::sample::select(values.to_vec()).prop_map(str::to_owned),
        1 => "[ -~]{0,20}",
    ];
    (
        prop::sample::select(names.to_vec()).prop_map(str::to_owned),
        value,
    )
}

async fn send_to_both(
    servers: &Servers,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) {
    // A target that is no URI never gets past the transport.
    if target.parse::<http::Uri>().is_err() {
        return;
    }
    for is_account in [true, false] {
        let request = request(method, target, headers, body);
        let got = match is_account {
            true => send(&servers.account, request).await,
            false => send(&servers.container, request).await,
        };
        assert!(
            STATUSES.contains(&got.status),
            "{method} {target} {headers:?}: {got:?}"
        );
        assert_ne!(got.status, 500, "{method} {target} {headers:?}: {got:?}");
        if method == "HEAD" {
            assert!(got.body.is_empty());
        } else if let Some(length) = got.header("content-length") {
            assert_eq!(length, got.body.len().to_string(), "{method} {target}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_request_gets_a_documented_answer(
        requests in prop::collection::vec(
            (method(), target(), prop::collection::vec(header(), 0..8), "[\\[\\]{}a-z\":,0-9]{0,30}"),
            1..12,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let servers = servers();
            for (method, target, headers, body) in &requests {
                let mut headers: Vec<_> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
                if !headers.iter().any(|(name, _)| *name == "X-Timestamp") {
                    headers.push(("X-Timestamp", "1700000000"));
                }
                send_to_both(&servers, method, target, &headers, body).await;
            }
        });
    }
}
