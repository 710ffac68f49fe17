//! Figures in a document, replaced each time they are measured.

use std::path::Path;

/// Replaces what stands between the lines `<!-- NAME -->` and `<!-- end -->`.
///
/// # Errors
/// When the file cannot be read or written, or has no such lines.
pub fn put_into(file: &Path, name: &str, figures: &str) -> Result<(), String> {
    let (start, end) = (format!("<!-- {name} -->\n"), "<!-- end -->\n");
    let failed = |problem: &dyn std::fmt::Display| format!("{}: {problem}", file.display());
    let text = std::fs::read_to_string(file).map_err(|e| failed(&e))?;
    let parts = text.split_once(&start).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{start}{figures}{end}{after}"))
    });
    let text =
        parts.ok_or_else(|| failed(&format!("has no lines <!-- {name} --> and <!-- end -->")))?;
    std::fs::write(file, text).map_err(|e| failed(&e))
}
