//! Scans in name order over the index on (deleted, name).
//!
//! A seek runs the prepared statement again from its bound, unless the bound is only a few rows away, or the row that
//! it would come to is known; see `sought`.
//! Files that lack the index are sorted once and stepped through instead. Live rows and tombstones
//! together are two index scans that SQLite merges.

use crate::error::Attempt;
use crate::sought::Seeks;
use crate::value::Reader;
use broker_api::listing::{NameRange, Step};
use rusqlite::{CachedStatement, Connection};
use std::mem::discriminant;
use std::ops::Bound;

/// Stepping over so many rows costs about as much as one seek.
const ROWS_FOR_A_SEEK: usize = 1;

/// What a scan shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'a> {
    /// The columns, beginning with the row's number and its name.
    pub(crate) columns: &'a str,
    /// The table of rows.
    pub(crate) table: &'static str,
    /// The values of `deleted`.
    pub(crate) deleted: &'a [i64],
    /// The policy, when rows of one only are shown.
    pub(crate) policy: Option<i64>,
    /// Only rows with larger numbers, when given.
    pub(crate) since_row: Option<i64>,
    /// Whether there is an index on (deleted, name).
    pub(crate) indexed: bool,
}

/// Is shown the name and the row, and says how to go on.
pub(crate) type Visit<'a> = dyn FnMut(&str, &Reader<'_>) -> Attempt<Step> + 'a;

/// Why one run of the statement ended.
enum Ended {
    AtTheEnd,
    BySeek(Bound<String>),
}

/// Shows rows in name order to `visit`.
pub(crate) fn scan(
    conn: &Connection,
    scan: &Scan<'_>,
    range: &NameRange,
    seeks: Seeks<'_>,
    visit: &mut Visit<'_>,
) -> Attempt<()> {
    let mut range = range.clone();
    let mut statement = conn.prepare_cached(&scan.sql(&range))?;
    let mut seeks = Some(seeks).filter(|_| scan.may_keep(&range));
    let mut sought = None;
    loop {
        scan.bind(&mut statement, &range)?;
        let bound = match run(&mut statement, scan, &range, sought, &mut seeks, visit)? {
            Ended::AtTheEnd => return Ok(()),
            Ended::BySeek(bound) => bound,
        };
        let after_landings = match &mut seeks {
            Some(seeks) => land(scan, &range, bound, seeks, visit)?,
            None => Some(bound),
        };
        let Some(bound) = after_landings else {
            return Ok(());
        };
        sought = Some(bound.clone());
        let moved = match range.reverse {
            false => &mut range.lower,
            true => &mut range.upper,
        };
        let alike = discriminant(moved) == discriminant(&bound);
        *moved = bound;
        if !alike {
            statement = conn.prepare_cached(&scan.sql(&range))?;
        }
    }
}

/// Shows what is known of the rows from a seek's bound on. Returns where the statement has to go on; `None` at the end.
fn land(
    scan: &Scan<'_>,
    range: &NameRange,
    mut bound: Bound<String>,
    seeks: &mut Seeks<'_>,
    visit: &mut Visit<'_>,
) -> Attempt<Option<Bound<String>>> {
    while let Some(landing) = seeks.find(&bound)? {
        let row = Reader::kept(landing.value(), scan.table)?;
        let name = row.text(1, "name")?;
        if !is_within(&name, &range.upper, true) {
            return Ok(None);
        }
        match visit(&name, &row)? {
            Step::Next => return Ok(Some(Bound::Excluded(name.into_owned()))),
            Step::Seek(next) => bound = next,
            Step::Stop => return Ok(None),
        }
    }
    Ok(Some(bound))
}

/// Shows rows until a seek leads further than the next row. `sought` is the bound that the statement runs from, when it
/// runs again.
fn run(
    statement: &mut CachedStatement<'_>,
    scan: &Scan<'_>,
    range: &NameRange,
    mut sought: Option<Bound<String>>,
    seeks: &mut Option<Seeks<'_>>,
    visit: &mut Visit<'_>,
) -> Attempt<Ended> {
    let patience = match scan.indexed {
        true => ROWS_FOR_A_SEEK,
        false => usize::MAX,
    };
    let mut seeking: Option<Bound<String>> = None;
    let mut from = sought.clone().unwrap_or(Bound::Unbounded);
    let mut passed = 0;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let row = Reader::numbered(row, scan.table)?;
        let name = row.text(1, "name")?;
        // SQLite has names that are no texts after all others, so that seeks would go to and fro.
        if !is_within(&name, &from, range.reverse) {
            continue;
        }
        if let Some(bound) = seeking.take() {
            if !is_within(&name, &bound, range.reverse) {
                passed += 1;
                if passed >= patience {
                    return Ok(Ended::BySeek(bound));
                }
                seeking = Some(bound);
                continue;
            }
            from.clone_from(&bound);
            sought = Some(bound);
        }
        if let (Some(bound), Some(seeks)) = (sought.take(), &mut *seeks) {
            seeks.learn(&bound, &name, &row);
        }
        match visit(&name, &row)? {
            Step::Next => {}
            Step::Seek(bound) => {
                if seeks.as_mut().is_some_and(|seeks| seeks.knows(&bound)) {
                    return Ok(Ended::BySeek(bound));
                }
                seeking = Some(bound);
                passed = 0;
            }
            Step::Stop => return Ok(Ended::AtTheEnd),
        }
    }
    Ok(Ended::AtTheEnd)
}

/// Whether a name lies within the bound of a scan in this direction: its lower one, or in reverse its upper one.
pub(crate) fn is_within(name: &str, bound: &Bound<String>, reverse: bool) -> bool {
    match (bound, reverse) {
        (Bound::Unbounded, _) => true,
        (Bound::Included(low), false) => name >= low.as_str(),
        (Bound::Excluded(low), false) => name > low.as_str(),
        (Bound::Included(high), true) => name <= high.as_str(),
        (Bound::Excluded(high), true) => name < high.as_str(),
    }
}

impl Scan<'_> {
    /// Whether what is sought is kept: first rows among all that are live, going up.
    fn may_keep(&self, range: &NameRange) -> bool {
        self.indexed && self.deleted == [0] && self.since_row.is_none() && !range.reverse
    }

    /// ?1 and ?2 are the bounds, ?3 the policy, ?4 the row number.
    fn sql(&self, range: &NameRange) -> String {
        let mut conditions = String::new();
        conditions.push_str(match range.lower {
            Bound::Unbounded => "",
            Bound::Included(_) => " AND name >= ?1",
            Bound::Excluded(_) => " AND name > ?1",
        });
        conditions.push_str(match range.upper {
            Bound::Unbounded => "",
            Bound::Included(_) => " AND name <= ?2",
            Bound::Excluded(_) => " AND name < ?2",
        });
        if self.policy.is_some() {
            conditions.push_str(" AND storage_policy_index = ?3");
        }
        if self.since_row.is_some() {
            // The plus keeps SQLite from walking the rows by number.
            conditions.push_str(" AND +ROWID > ?4");
        }
        let arm = |deleted: &i64| {
            let Scan { columns, table, .. } = self;
            format!("SELECT {columns} FROM {table} WHERE deleted = {deleted}{conditions}")
        };
        let arms: Vec<_> = self.deleted.iter().map(arm).collect();
        let order = if range.reverse { "DESC" } else { "ASC" };
        // The name is the second column.
        format!("{} ORDER BY 2 {order}", arms.join(" UNION ALL "))
    }

    fn bind(&self, statement: &mut CachedStatement<'_>, range: &NameRange) -> Attempt<()> {
        for (index, bound) in [(1, &range.lower), (2, &range.upper)] {
            if let Bound::Included(text) | Bound::Excluded(text) = bound {
                statement.raw_bind_parameter(index, text)?;
            }
        }
        if let Some(policy) = self.policy {
            statement.raw_bind_parameter(3, policy)?;
        }
        if let Some(since_row) = self.since_row {
            statement.raw_bind_parameter(4, since_row)?;
        }
        Ok(())
    }
}
