//! The requests of each workload.

use crate::load::{Figures, drive};
use crate::servers::{Kind, Stage};
use raw_http::{Connection, Response};
use std::io;
use std::time::Duration;

/// One question, and the load that answers it.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) question: &'static str,
    pub(crate) server: Kind,
    pub(crate) run: fn(&Stage, Duration) -> io::Result<Figures>,
}

/// Every workload, in the order of the table.
pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "object-row PUT, 16 connections",
        question: "How many new objects a second does one container take?",
        server: Kind::Container,
        run: object_rows,
    },
    Workload {
        name: "container HEAD, 16 connections",
        question: "How often a second does a container say what it holds?",
        server: Kind::Container,
        run: heads,
    },
    Workload {
        name: "GET 10,000 rows JSON, 4 connections",
        question: "How many full listings a second?",
        server: Kind::Container,
        run: listings,
    },
    Workload {
        name: "PUT then GET of 10 rows, 1 connection",
        question: "What does reading right after a write cost?",
        server: Kind::Container,
        run: write_then_read,
    },
    Workload {
        name: "account-row PUT, 16 connections",
        question: "How many container reports a second does one account take?",
        server: Kind::Account,
        run: account_rows,
    },
];

const CONTAINER: &str = "/sda1/1/a/c";
const ACCOUNT: &str = "/sda1/1/a";
const EARLY: (&str, &str) = ("X-Timestamp", "1600000000.00000");

fn expect(answer: &Response, status: u16) -> io::Result<()> {
    if answer.status == status {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "answered {} instead of {status}",
        answer.status
    )))
}

fn make(stage: &Stage, target: &str) -> io::Result<Connection> {
    let mut connection = Connection::open(stage.server.address, Duration::from_secs(60))?;
    expect(&connection.request("PUT", target, &[EARLY], b"")?, 201)?;
    Ok(connection)
}

fn put_object(connection: &mut Connection, name: &str, at: u64) -> io::Result<()> {
    let target = format!("{CONTAINER}/{name}");
    let at = format!("17{:08}.{:05}", at / 100_000, at % 100_000);
    let headers = [
        ("X-Timestamp", at.as_str()),
        ("X-Size", "1024"),
        ("X-Content-Type", "application/octet-stream"),
        ("X-Etag", "d41d8cd98f00b204e9800998ecf8427e"),
        ("X-Backend-Storage-Policy-Index", "0"),
        ("X-Trans-Id", "tx0123456789abcdef01234-0123456789"),
    ];
    expect(&connection.request("PUT", &target, &headers, b"")?, 201)
}

/// Rows 0 to `count` of a container, written over a few connections.
fn fill(stage: &Stage, count: u64) -> io::Result<()> {
    make(stage, CONTAINER)?;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|first| {
                scope.spawn(move || {
                    let mut connection =
                        Connection::open(stage.server.address, Duration::from_secs(60))?;
                    (first..count).step_by(4).try_for_each(|number| {
                        put_object(
                            &mut connection,
                            &format!("folder/object-{number:06}"),
                            number,
                        )
                    })
                })
            })
            .collect();
        writers.into_iter().try_for_each(|w| {
            w.join()
                .unwrap_or_else(|_| Err(io::Error::other("panicked")))
        })
    })
}

fn object_rows(stage: &Stage, length: Duration) -> io::Result<Figures> {
    make(stage, CONTAINER)?;
    drive(
        stage.server.address,
        16,
        length,
        |connection, number, count| {
            put_object(
                connection,
                &format!("folder-{number}/object-{count:06}"),
                count,
            )
        },
    )
}

fn heads(stage: &Stage, length: Duration) -> io::Result<Figures> {
    fill(stage, 100)?;
    drive(stage.server.address, 16, length, |connection, _, _| {
        expect(&connection.request("HEAD", CONTAINER, &[], b"")?, 204)
    })
}

fn listings(stage: &Stage, length: Duration) -> io::Result<Figures> {
    fill(stage, 10_000)?;
    drive(stage.server.address, 4, length, |connection, _, _| {
        let answer = connection.request("GET", &format!("{CONTAINER}?format=json"), &[], b"")?;
        expect(&answer, 200)?;
        match answer.body.ends_with(b"}]") && answer.body.len() > 1_000_000 {
            true => Ok(()),
            false => Err(io::Error::other("the listing is not whole")),
        }
    })
}

fn write_then_read(stage: &Stage, length: Duration) -> io::Result<Figures> {
    fill(stage, 1000)?;
    drive(stage.server.address, 1, length, |connection, _, count| {
        put_object(
            connection,
            &format!("new/object-{count:06}"),
            10_000_000 + count,
        )?;
        let target = format!("{CONTAINER}?format=json&limit=10&prefix=new/&reverse=1");
        let answer = connection.request("GET", &target, &[], b"")?;
        expect(&answer, 200)?;
        let newest = format!("new/object-{count:06}");
        match answer.text().contains(&newest) {
            true => Ok(()),
            false => Err(io::Error::other("the object just written is not listed")),
        }
    })
}

fn account_rows(stage: &Stage, length: Duration) -> io::Result<Figures> {
    make(stage, ACCOUNT)?;
    drive(
        stage.server.address,
        16,
        length,
        |connection, number, count| {
            let target = format!("{ACCOUNT}/container-{number}-{count:06}");
            let headers = [
                ("X-Put-Timestamp", "1700000000.00000"),
                ("X-Delete-Timestamp", "0"),
                ("X-Object-Count", "1"),
                ("X-Bytes-Used", "1024"),
                ("X-Backend-Storage-Policy-Index", "0"),
            ];
            expect(&connection.request("PUT", &target, &headers, b"")?, 201)
        },
    )
}
