//! Scans in name order over the index on (deleted, name).
//!
//! What a row holds beside its name lies in the table, each on another page when names came in no order. Rows that a
//! large store has shown are kept when a listing is asked for again, and the next time only the index is walked; see
//! `kept`.
//!
//! A seek runs the prepared statement again from its bound, unless the bound is only a few rows away, or the row that
//! it would come to is known; see `sought`.
//! Files that lack the index are sorted once and stepped through instead. Live rows and tombstones
//! together are two index scans that SQLite merges.

use crate::error::{Attempt, Failure};
use crate::kept::{Asked, KeptRows};
use crate::sought::Seeks;
use crate::value::{Kept, Reader};
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

/// Where the columns of a row come from.
pub(crate) enum Source<'a> {
    /// The statement has them all. Rows that are shown may be kept.
    Table(Option<&'a mut KeptRows>),
    /// The statement has number and name; the columns are among those that are kept, or are asked for one by one.
    Kept(&'a mut KeptRows, CachedStatement<'a>),
}

/// Shows rows in name order to `visit`.
pub(crate) fn scan(
    conn: &Connection,
    scan: &Scan<'_>,
    range: &NameRange,
    seeks: Seeks<'_>,
    source: &mut Source<'_>,
    visit: &mut Visit<'_>,
) -> Attempt<()> {
    let mut range = range.clone();
    let mut statement = conn.prepare_cached(&scan.sql(&range, source.is_kept()))?;
    let mut seeks = Some(seeks).filter(|_| scan.may_land(&range));
    let mut sought = None;
    loop {
        scan.bind(&mut statement, &range, source.is_kept())?;
        let ended = run(
            &mut statement,
            source,
            scan,
            &range,
            sought,
            &mut seeks,
            visit,
        )?;
        let bound = match ended {
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
            statement = conn.prepare_cached(&scan.sql(&range, source.is_kept()))?;
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
        let (number, kept) = landing.value();
        let row = Reader::kept(*number, Kept::new(kept), scan.table);
        let Ok(name) = std::str::from_utf8(landing.key()) else {
            break;
        };
        if !is_within(name, &range.upper, true) {
            return Ok(None);
        }
        match visit(name, &row)? {
            Step::Next => return Ok(Some(Bound::Excluded(name.to_owned()))),
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
    source: &mut Source<'_>,
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
        let name = match row.text(1, "name") {
            Ok(name) => name,
            Err(failure) => {
                let mut failure = Some(failure);
                // Not when it is of another policy, which the statement may not have asked for.
                source.with_columns(&row, scan, &mut |_| {
                    failure.take().map_or(Ok(Step::Next), Err)
                })?;
                continue;
            }
        };
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
        let step = source.with_columns(&row, scan, &mut |row| {
            if let (Some(bound), Some(seeks)) = (sought.take(), &mut *seeks) {
                seeks.learn(&bound, &name, row);
            }
            visit(&name, row)
        })?;
        match step {
            // A row of another policy.
            None | Some(Step::Next) => {}
            Some(Step::Seek(bound)) => {
                if seeks.as_mut().is_some_and(|seeks| seeks.knows(&bound)) {
                    return Ok(Ended::BySeek(bound));
                }
                seeking = Some(bound);
                passed = 0;
            }
            Some(Step::Stop) => return Ok(Ended::AtTheEnd),
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

impl Source<'_> {
    /// Whether the statement has number and name alone.
    fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(..))
    }

    /// Shows a row of the statement with all its columns to `show`; `None` when it is of another policy than the scan's.
    fn with_columns(
        &mut self,
        row: &Reader<'_>,
        scan: &Scan<'_>,
        show: &mut dyn FnMut(&Reader<'_>) -> Attempt<Step>,
    ) -> Attempt<Option<Step>> {
        let number = row.number();
        let (kept, single) = match self {
            Self::Table(kept) => {
                if let Some(kept) = kept {
                    kept.insert(row);
                }
                return show(row).map(Some);
            }
            Self::Kept(kept, single) => (kept, single),
        };
        if let Some(columns) = kept.find(number) {
            return show(&Reader::kept(number, columns, scan.table)).map(Some);
        }
        single.raw_bind_parameter(4, number)?;
        if let Some(policy) = scan.policy {
            single.raw_bind_parameter(3, policy)?;
        }
        let mut rows = single.raw_query();
        let row = rows.next()?.ok_or(Failure::MissingRow)?;
        if !row.get::<_, bool>(1)? {
            return Ok(None);
        }
        let row = Reader::numbered(row, scan.table)?;
        kept.insert(&row);
        show(&row).map(Some)
    }
}

/// What every scan's columns begin with.
const NUMBER_AND_NAME: &str = "ROWID, name";

impl Scan<'_> {
    /// Whether what is sought is kept: first rows among all that are live, going up.
    fn may_land(&self, range: &NameRange) -> bool {
        self.may_keep() && !range.reverse
    }

    /// Whether rows are kept: those of listings.
    pub(crate) fn may_keep(&self) -> bool {
        self.indexed && self.deleted == [0] && self.since_row.is_none()
    }

    /// Where the scan has its columns from: whoever asks for it first leaves no rows behind, the second keeps them, and later
    /// ones find them.
    pub(crate) fn source<'a>(
        &self,
        conn: &'a Connection,
        kept: Option<(&'a mut KeptRows, Asked)>,
    ) -> Attempt<Source<'a>> {
        Ok(match kept {
            None | Some((_, Asked::Never)) => Source::Table(None),
            Some((kept, Asked::Once)) => Source::Table(Some(kept)),
            Some((kept, Asked::Often)) => {
                Source::Kept(kept, conn.prepare_cached(&self.sql_of_one())?)
            }
        })
    }

    /// Asks for the columns of one row, with whether it is of the policy in place of its name.
    fn sql_of_one(&self) -> String {
        let Scan { columns, table, .. } = self;
        let behind_the_name = columns.strip_prefix(NUMBER_AND_NAME).unwrap_or_default();
        let is_shown = match self.policy {
            // For one that is null, an equals sign would give null.
            Some(_) => "storage_policy_index IS ?3",
            None => "1",
        };
        format!("SELECT ROWID, {is_shown}{behind_the_name} FROM {table} WHERE ROWID = ?4")
    }

    /// ?1 and ?2 are the bounds, ?3 the policy, ?4 the row number.
    fn sql(&self, range: &NameRange, names_only: bool) -> String {
        let columns = match names_only {
            // All of it stands in the index.
            true => NUMBER_AND_NAME,
            false => self.columns,
        };
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
        if self.policy.is_some() && !names_only {
            conditions.push_str(" AND storage_policy_index = ?3");
        }
        if self.since_row.is_some() {
            // The plus keeps SQLite from walking the rows by number.
            conditions.push_str(" AND +ROWID > ?4");
        }
        let arm = |deleted: &i64| {
            let table = self.table;
            format!("SELECT {columns} FROM {table} WHERE deleted = {deleted}{conditions}")
        };
        let arms: Vec<_> = self.deleted.iter().map(arm).collect();
        let order = if range.reverse { "DESC" } else { "ASC" };
        // The name is the second column.
        format!("{} ORDER BY 2 {order}", arms.join(" UNION ALL "))
    }

    fn bind(
        &self,
        statement: &mut CachedStatement<'_>,
        range: &NameRange,
        names_only: bool,
    ) -> Attempt<()> {
        for (index, bound) in [(1, &range.lower), (2, &range.upper)] {
            if let Bound::Included(text) | Bound::Excluded(text) = bound {
                statement.raw_bind_parameter(index, text)?;
            }
        }
        if let Some(policy) = self.policy.filter(|_| !names_only) {
            statement.raw_bind_parameter(3, policy)?;
        }
        if let Some(since_row) = self.since_row {
            statement.raw_bind_parameter(4, since_row)?;
        }
        Ok(())
    }
}
