//! Plays the scripts below `golden/` against the servers and compares every answer.
//!
//! ```text
//! # comment
//! A> METHOD target  Header: value  Header: value      to the account server, C> to the container server
//! + Header: value  Header: value                      more headers
//! | body of the request
//! < status  Header: value  !Absent-Header             what must come back
//! = body                                              exactly; \n is a line end, html(T) a default page
//! objects /d/p/a/c  name name name                    puts object rows (\0 is NUL)
//! containers /d/p/a  name name name                   puts container rows
//! list C /d/p/a/c?query  name name                    text listing
//! reset                                               fresh servers
//! ```
//!
//! Blanks between headers and names are two or more, so that values may hold single ones.

mod support;

use support::{Got, Servers, request, send, servers};

/// One request of a script, with the answer that it must get.
#[derive(Debug, Default)]
struct Step {
    line: usize,
    server: char,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    status: Option<u16>,
    expected: Vec<(String, String)>,
    absent: Vec<String>,
    expected_body: Option<String>,
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split("  ")
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
}

fn header(piece: &str) -> (String, String) {
    let (name, value) = piece
        .split_once(':')
        .unwrap_or_else(|| panic!("no header: {piece}"));
    (name.trim().to_owned(), value.trim().to_owned())
}

fn unescape(text: &str) -> String {
    let text = text.replace("\\n", "\n").replace("\\0", "\0");
    match text
        .strip_prefix("html(")
        .and_then(|text| text.strip_suffix(')'))
    {
        Some(title) => format!("<html><h1>{title}</h1>"),
        None => text,
    }
}

impl Step {
    fn begin(line: usize, server: char, text: &str) -> Self {
        let mut pieces = pieces(text);
        let first = pieces.next().expect("a request line");
        let (method, target) = first.split_once(' ').expect("method and target");
        Self {
            line,
            server,
            method: method.to_owned(),
            target: target.trim().to_owned(),
            headers: pieces.map(header).collect(),
            ..Self::default()
        }
    }

    fn expect(&mut self, text: &str) {
        for piece in pieces(text) {
            if let Some(name) = piece.strip_prefix('!') {
                self.absent.push(name.to_owned());
            } else if let Ok(status) = piece.parse() {
                self.status = Some(status);
            } else {
                self.expected.push(header(piece));
            }
        }
    }

    async fn play(&self, servers: &Servers) -> Result<(), String> {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        let request = request(&self.method, &self.target, &headers, &self.body);
        let got = match self.server {
            'A' => send(&servers.account, request).await,
            _ => send(&servers.container, request).await,
        };
        self.compare(&got).map_err(|why| {
            format!(
                "line {}: {} {}: {why}\n{got:?}",
                self.line, self.method, self.target
            )
        })
    }

    fn compare(&self, got: &Got) -> Result<(), String> {
        if Some(got.status) != self.status {
            return Err(format!(
                "status {} instead of {:?}",
                got.status, self.status
            ));
        }
        for (name, value) in &self.expected {
            if got.header(name) != Some(value) {
                return Err(format!(
                    "{name} is {:?} instead of {value}",
                    got.header(name)
                ));
            }
        }
        if let Some(name) = self.absent.iter().find(|name| got.header(name).is_some()) {
            return Err(format!("{name} is there"));
        }
        match &self.expected_body {
            Some(page) if page.starts_with("<html><h1>") => got
                .text()
                .starts_with(page)
                .then_some(())
                .ok_or_else(|| format!("not the page {page}")),
            Some(body) if got.text() != body => Err(format!("body is not {body:?}")),
            _ => Ok(()),
        }
    }
}

/// Puts rows, for scripts that list them.
async fn put_rows(servers: &Servers, text: &str, is_object: bool) {
    let mut pieces = pieces(text);
    let place = pieces.next().expect("a place");
    for name in pieces {
        let name: String = unescape(name)
            .bytes()
            .map(|b| format!("%{b:02X}"))
            .collect();
        let target = format!("{place}/{name}");
        let got = if is_object {
            let headers = [
                ("X-Timestamp", "1700000001"),
                ("X-Size", "1"),
                ("X-Etag", "e"),
                ("X-Content-Type", "text/plain"),
            ];
            send(&servers.container, request("PUT", &target, &headers, "")).await
        } else {
            let headers = [
                ("X-Put-Timestamp", "1700000001"),
                ("X-Delete-Timestamp", "0"),
                ("X-Object-Count", "1"),
                ("X-Bytes-Used", "1"),
            ];
            send(&servers.account, request("PUT", &target, &headers, "")).await
        };
        assert_eq!(got.status, 201, "{target}");
    }
}

async fn list(servers: &Servers, line: usize, text: &str) {
    let mut pieces = pieces(text);
    let (server, target) = pieces
        .next()
        .and_then(|p| p.split_once(' '))
        .expect("a target");
    let names: String = pieces.map(|name| format!("{}\n", unescape(name))).collect();
    let request = request("GET", target, &[], "");
    let got = match server {
        "A" => send(&servers.account, request).await,
        _ => send(&servers.container, request).await,
    };
    assert_eq!(got.text(), names, "line {line}: {target}");
    assert_eq!(
        got.status,
        if names.is_empty() { 204 } else { 200 },
        "line {line}"
    );
}

async fn finish(step: &mut Option<Step>, servers: &Servers, name: &str) {
    if let Some(step) = step.take() {
        assert!(
            step.status.is_some(),
            "{name}: line {} expects nothing",
            step.line
        );
        if let Err(why) = step.play(servers).await {
            panic!("{name}: {why}");
        }
    }
}

async fn play(name: &str, script: &str) {
    let mut servers = servers();
    let mut step: Option<Step> = None;
    for (at, line) in script.lines().enumerate() {
        let line_number = at + 1;
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(step) = &mut step {
            match mark {
                "+" => {
                    step.headers.extend(pieces(rest).map(header));
                    continue;
                }
                "|" => {
                    step.body.push_str(rest);
                    continue;
                }
                "<" => {
                    step.expect(rest);
                    continue;
                }
                "=" => {
                    step.expected_body = Some(unescape(rest));
                    continue;
                }
                _ => {}
            }
        }
        finish(&mut step, &servers, name).await;
        match mark {
            "" | "#" => {}
            "A>" => step = Some(Step::begin(line_number, 'A', rest)),
            "C>" => step = Some(Step::begin(line_number, 'C', rest)),
            "objects" => put_rows(&servers, rest, true).await,
            "containers" => put_rows(&servers, rest, false).await,
            "list" => list(&servers, line_number, rest).await,
            "reset" => servers = support::servers(),
            other => panic!("{name}: line {line_number}: what is {other}?"),
        }
    }
    finish(&mut step, &servers, name).await;
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let name = stringify!($name);
                play(name, include_str!(concat!("golden/", stringify!($name), ".txt"))).await;
            }
        )*
    };
}

scripts!(
    account_lifecycle,
    account_rows,
    container_lifecycle,
    container_metadata,
    container_rows,
    container_sync_to,
    container_update,
    formats,
    listings,
    order_of_checks,
    paths_and_methods,
    shard_listings,
);
