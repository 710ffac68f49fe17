//! The requests of each workload.

use crate::load::{Expected, Script, Step};
use crate::stage::Kind;
use raw_http::{Connection, Response};
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;

/// One question, and the load that answers it.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) question: &'static str,
    pub(crate) server: Kind,
    pub(crate) connections: usize,
    /// Makes what the requests are about; told how many rows a large container has.
    prepare: fn(&mut Connection, u64) -> io::Result<()>,
    pub(crate) script: Script,
    /// How many requests a turn has.
    pub(crate) steps: usize,
    /// Whether it writes, so that the durability matters.
    pub(crate) writes: bool,
    /// Whether its latencies are looked at under an open load as well.
    pub(crate) open: bool,
    /// Whether the memory that the server takes is a part of the answer.
    pub(crate) memory: bool,
}

impl Workload {
    pub(crate) fn prepare(&self, connection: &mut Connection, rows: u64) -> io::Result<()> {
        (self.prepare)(connection, rows)
    }
}

const READ: Workload = Workload {
    name: "",
    question: "",
    server: Kind::Container,
    connections: 16,
    prepare: |_, _| Ok(()),
    script: |_, _| answers(200),
    steps: 1,
    writes: false,
    open: false,
    memory: false,
};

const WRITE: Workload = Workload {
    writes: true,
    ..READ
};

/// Every workload, in the order of the table.
pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "object-row PUT, 1 connection",
        question: "How long does a new object take that nobody shares a commit with?",
        connections: 1,
        prepare: |c, _| make(c, "/sda1/1/a/put1"),
        script: |out, s| new_object(out, s, "put1"),
        ..WRITE
    },
    Workload {
        name: "object-row PUT, 16 connections",
        question: "How many new objects a second does one container take?",
        prepare: |c, _| make(c, "/sda1/1/a/put16"),
        script: |out, s| new_object(out, s, "put16"),
        open: true,
        ..WRITE
    },
    Workload {
        name: "object-row PUT, 128 connections",
        question: "The same of more clients.",
        connections: 128,
        prepare: |c, _| make(c, "/sda1/1/a/put128"),
        script: |out, s| new_object(out, s, "put128"),
        ..WRITE
    },
    Workload {
        name: "object-row PUT, 1,000 containers",
        question: "The same when hardly two writes meet in one container.",
        prepare: |c, _| (0..CONTAINERS).try_for_each(|i| make(c, &format!("/sda1/1/a/one-of-{i}"))),
        script: |out, s| {
            let container = (s.turn * 16 + s.connection as u64).wrapping_mul(7919) % CONTAINERS;
            new_object(out, s, &format!("one-of-{container}"))
        },
        ..WRITE
    },
    Workload {
        name: "object-row overwrite, 16 connections",
        question: "How many known objects a second does one container take again?",
        prepare: |c, _| make(c, "/sda1/1/a/over"),
        script: |out, s| {
            let name = format!("folder-{}/object-{:06}", s.connection, s.turn % 1000);
            put_object(out, "over", &name, s.turn)
        },
        ..WRITE
    },
    Workload {
        name: "object-row DELETE, 16 connections",
        question: "How many objects a second does one container forget?",
        prepare: |c, _| make(c, "/sda1/1/a/delete"),
        script: |out, s| {
            let name = format!("folder-{}/object-{:06}", s.connection, s.turn);
            delete_object(out, "delete", &name, s.turn)
        },
        ..WRITE
    },
    Workload {
        name: "container HEAD, 16 connections",
        question: "How often a second does a container say what it holds?",
        prepare: |c, _| fill(c, "head", 100),
        script: |out, _| {
            start(out, "HEAD", "/sda1/1/a/head");
            end(out, b"");
            answers(204).to_head()
        },
        ..READ
    },
    Workload {
        name: "container HEAD, 10,000 containers, 128 connections",
        question: "The same when most stores are not open, each was asked before, and what memory many open ones take.",
        connections: 128,
        prepare: many,
        script: |out, s| {
            let container = (s.turn * 128 + s.connection as u64).wrapping_mul(7919) % MANY;
            start(out, "HEAD", &one_of_many(container));
            end(out, b"");
            answers(204).to_head()
        },
        memory: true,
        ..READ
    },
    Workload {
        name: "GET of 10 rows JSON, 16 connections",
        question: "How many short listings a second?",
        prepare: |c, _| fill(c, "get10", 10),
        script: |out, _| get(out, "/sda1/1/a/get10?format=json", 1000),
        ..READ
    },
    Workload {
        name: "GET of 100 rows JSON, 16 connections",
        question: "How many listings of a usual page a second?",
        prepare: |c, _| fill(c, "get100", 100),
        script: |out, _| get(out, "/sda1/1/a/get100?format=json", 10_000),
        ..READ
    },
    Workload {
        name: "GET of 10,000 rows JSON, 4 connections",
        question: "How many full listings a second?",
        connections: 4,
        prepare: |c, _| fill(c, "get10000", 10_000),
        script: |out, _| get(out, "/sda1/1/a/get10000?format=json", 1_000_000),
        ..READ
    },
    Workload {
        name: "GET of 10,000 rows text, 4 connections",
        question: "The same as names only.",
        connections: 4,
        prepare: |c, _| fill(c, "text10000", 10_000),
        script: |out, _| get(out, "/sda1/1/a/text10000", 100_000),
        ..READ
    },
    Workload {
        name: "GET of 10,000 rows XML, 4 connections",
        question: "The same as XML.",
        connections: 4,
        prepare: |c, _| fill(c, "xml10000", 10_000),
        script: |out, _| get(out, "/sda1/1/a/xml10000?format=xml", 1_000_000),
        ..READ
    },
    Workload {
        name: "GET of 100 rows from the middle, 4 connections",
        question: "What does a marker cost in a large container?",
        connections: 4,
        prepare: large,
        script: |out, s| {
            let directory = s.turn.wrapping_mul(7919) % 900;
            let target = format!(
                "{LARGE}?format=json&limit=100&marker=dir-{directory:04}/object-{directory:08}"
            );
            get(out, &target, 10_000)
        },
        ..READ
    },
    Workload {
        name: "GET of 100 rows under a prefix, 4 connections",
        question: "What does a prefix cost in a large container?",
        connections: 4,
        prepare: large,
        script: |out, s| {
            let directory = s.turn % 1000;
            let target = format!("{LARGE}?format=json&limit=100&prefix=dir-{directory:04}/");
            get(out, &target, 1000)
        },
        ..READ
    },
    Workload {
        name: "GET of 100 rows in reverse, 4 connections",
        question: "What does the other direction cost in a large container?",
        connections: 4,
        prepare: large,
        script: |out, s| {
            let marker = 100 + s.turn % 899;
            let target = format!("{LARGE}?format=json&limit=100&reverse=1&marker=dir-{marker:04}/");
            get(out, &target, 10_000)
        },
        ..READ
    },
    Workload {
        name: "GET of 1,000 subdirs, 4 connections",
        question: "What does a listing by a delimiter cost in a large container?",
        connections: 4,
        prepare: large,
        script: |out, _| get(out, "/sda1/1/a/large?format=json&delimiter=/", 10_000),
        ..READ
    },
    Workload {
        name: "PUT then GET of 10 rows, 1 connection",
        question: "What does reading right after a write cost?",
        connections: 1,
        prepare: |c, _| fill(c, "both", 1000),
        script: |out, s| match s.step {
            0 => put_object(out, "both", &format!("new/object-{:08}", s.turn), s.turn),
            _ => {
                let target = "/sda1/1/a/both?format=json&limit=10&prefix=new/&reverse=1";
                get(out, target, 100)
            }
        },
        steps: 2,
        ..READ
    },
    Workload {
        name: "container PUT then DELETE, 16 connections",
        question: "How many containers a second are made and deleted?",
        script: |out, s| {
            let target = format!("/sda1/1/a/short-lived-{}-{}", s.connection, s.turn);
            let (method, status) = match s.step {
                0 => ("PUT", 201),
                _ => ("DELETE", 204),
            };
            start(out, method, &target);
            timestamp(out, s.step as u64);
            end(out, b"");
            answers(status)
        },
        steps: 2,
        ..READ
    },
    Workload {
        name: "UPDATE of 1,000 rows, 1 connection",
        question: "How many batches a second does a container take?",
        connections: 1,
        prepare: |c, _| make(c, "/sda1/1/a/update"),
        script: |out, s| {
            start(out, "UPDATE", "/sda1/1/a/update");
            timestamp(out, s.turn);
            end(out, &batch(s.turn * 1000..(s.turn + 1) * 1000));
            answers(202)
        },
        ..WRITE
    },
    Workload {
        name: "account-row PUT, 16 connections",
        question: "How many container reports a second does one account take?",
        server: Kind::Account,
        prepare: |c, _| make(c, "/sda1/1/accounts"),
        script: |out, s| {
            let target = format!("/sda1/1/accounts/container-{}-{:06}", s.connection, s.turn);
            put_container(out, &target)
        },
        ..WRITE
    },
    Workload {
        name: "account GET of 10,000 rows JSON, 4 connections",
        question: "How many full listings of an account a second?",
        server: Kind::Account,
        connections: 4,
        prepare: |c, _| {
            make(c, "/sda1/1/full")?;
            (0..10_000).try_for_each(|i| {
                let mut request = Vec::new();
                put_container(&mut request, &format!("/sda1/1/full/container-{i:06}"));
                c.send(&request)?;
                require(&c.response(false)?, 201)
            })
        },
        script: |out, _| get(out, "/sda1/1/full?format=json", 500_000),
        ..READ
    },
];

const CONTAINERS: u64 = 1000;
const MANY: u64 = 10_000;

/// The container that several workloads read.
const LARGE: &str = "/sda1/1/a/large";

fn require(answer: &Response, status: u16) -> io::Result<()> {
    if answer.status == status {
        return Ok(());
    }
    let text = answer.text();
    Err(io::Error::other(format!(
        "answered {} instead of {status}: {text}",
        answer.status
    )))
}

fn make(connection: &mut Connection, target: &str) -> io::Result<()> {
    let early = ("X-Timestamp", "1600000000.00000");
    require(&connection.request("PUT", target, &[early], b"")?, 201)
}

fn one_of_many(number: u64) -> String {
    format!("/sda1/1/a/of-many-{number}")
}

/// Makes many containers, and asks once for each when what is new is so no longer: engines remember what they found.
fn many(connection: &mut Connection, _: u64) -> io::Result<()> {
    (0..MANY).try_for_each(|number| make(connection, &one_of_many(number)))?;
    std::thread::sleep(Duration::from_millis(100));
    (0..MANY).try_for_each(|number| {
        let answer = connection.request("HEAD", &one_of_many(number), &[], b"")?;
        require(&answer, 204)
    })
}

/// Makes a container of some rows, the names of which begin with one of 1,000 directories.
fn fill(connection: &mut Connection, container: &str, rows: u64) -> io::Result<()> {
    let target = format!("/sda1/1/a/{container}");
    make(connection, &target)?;
    for first in (0..rows).step_by(1000) {
        let headers = [("X-Timestamp", "1700000000.00000")];
        let body = batch(first..rows.min(first + 1000));
        require(
            &connection.request("UPDATE", &target, &headers, &body)?,
            202,
        )?;
    }
    Ok(())
}

/// Makes the large container, unless another workload did.
fn large(connection: &mut Connection, rows: u64) -> io::Result<()> {
    match connection.request("HEAD", LARGE, &[], b"")?.status {
        404 => fill(connection, "large", rows),
        _ => Ok(()),
    }
}

fn batch(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let row = |number: u64| {
        json!({
            "name": format!("dir-{:04}/object-{number:08}", number % 1000),
            "created_at": "1700000000.00000", "size": 1024, "content_type": "application/octet-stream",
            "etag": "d41d8cd98f00b204e9800998ecf8427e", "deleted": 0, "storage_policy_index": 0,
            "ctype_timestamp": null, "meta_timestamp": null,
        })
    };
    serde_json::Value::Array(numbers.map(row).collect())
        .to_string()
        .into_bytes()
}

fn answers(status: u16) -> Expected {
    Expected {
        status,
        body: 0,
        to_head: false,
    }
}

impl Expected {
    fn with(self, body: usize) -> Self {
        Self { body, ..self }
    }

    fn to_head(self) -> Self {
        Self {
            to_head: true,
            ..self
        }
    }
}

fn start(out: &mut Vec<u8>, method: &str, target: &str) {
    // Writing to a vector does not fail, here and below.
    let _ = write!(out, "{method} {target} HTTP/1.1\r\nHost: bench\r\n");
}

fn timestamp(out: &mut Vec<u8>, at: u64) {
    let _ = write!(
        out,
        "X-Timestamp: 17{:08}.{:05}\r\n",
        at / 100_000,
        at % 100_000
    );
}

fn end(out: &mut Vec<u8>, body: &[u8]) {
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
}

fn get(out: &mut Vec<u8>, target: &str, body: usize) -> Expected {
    start(out, "GET", target);
    end(out, b"");
    answers(200).with(body)
}

fn new_object(out: &mut Vec<u8>, step: Step, container: &str) -> Expected {
    let name = format!("folder-{}/object-{:08}", step.connection, step.turn);
    put_object(out, container, &name, step.turn)
}

/// What an object server sends when it has stored an object.
fn put_object(out: &mut Vec<u8>, container: &str, name: &str, at: u64) -> Expected {
    start(out, "PUT", &format!("/sda1/1/a/{container}/{name}"));
    timestamp(out, at);
    out.extend_from_slice(
        b"X-Size: 1024\r\nX-Content-Type: application/octet-stream\r\n\
          X-Etag: d41d8cd98f00b204e9800998ecf8427e\r\nX-Backend-Storage-Policy-Index: 0\r\n\
          X-Trans-Id: tx0123456789abcdef01234-0123456789\r\n",
    );
    end(out, b"");
    answers(201)
}

fn delete_object(out: &mut Vec<u8>, container: &str, name: &str, at: u64) -> Expected {
    start(out, "DELETE", &format!("/sda1/1/a/{container}/{name}"));
    timestamp(out, at);
    out.extend_from_slice(
        b"X-Backend-Storage-Policy-Index: 0\r\nX-Trans-Id: tx0123456789abcdef01234-0123456789\r\n",
    );
    end(out, b"");
    answers(204)
}

/// What a container server reports to an account.
fn put_container(out: &mut Vec<u8>, target: &str) -> Expected {
    start(out, "PUT", target);
    out.extend_from_slice(
        b"X-Put-Timestamp: 1700000000.00000\r\nX-Delete-Timestamp: 0\r\nX-Object-Count: 1\r\n\
          X-Bytes-Used: 1024\r\nX-Backend-Storage-Policy-Index: 0\r\n",
    );
    end(out, b"");
    answers(201)
}
