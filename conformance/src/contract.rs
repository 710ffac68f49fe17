//! The clauses of the contract's text.

use broker_api::contract::TEXT;

/// The numbers of all clauses, in the order of the text.
pub fn clause_numbers() -> impl Iterator<Item = &'static str> {
    clauses().map(|(number, _)| number)
}

/// The paragraph of a clause, on one line.
pub fn clause_text(number: &str) -> Option<String> {
    let (_, paragraph) = clauses().find(|(clause, _)| *clause == number)?;
    Some(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A clause is a paragraph that begins with its number in bold.
fn clauses() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXT.split("\n\n").filter_map(|paragraph| {
        let rest = paragraph.trim().strip_prefix("**")?;
        let (number, text) = rest.split_once("**")?;
        let (family, digits) = number.rsplit_once('-')?;
        let is_clause = family.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
            && !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit());
        is_clause.then(|| (number, text.trim_start_matches([' ', '.', ':'])))
    })
}
