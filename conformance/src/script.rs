//! Plays scripts whose answers were recorded from Swift, and compares byte by byte.
//!
//! ```text
//! > container put="0000000001.00000"            a command: makes a fresh store
//! > item name="a/b" at="0000000002.00000"       collects a record
//! > merge                                       merges what was collected
//! > names delimiter="/"                         a question …
//! +"a/"                                         … and Swift's answer: a subdir
//! ```
//!
//! Values are bare words or JSON texts. `record_goldens.py` plays the same commands to Swift.

mod answers;
mod commands;
mod shown;

use crate::check::{Check, Failure};
use crate::fixture::Fixture;
use std::str::FromStr;

/// One command, and the answer that Swift gave.
struct Step<'a> {
    line_number: usize,
    line: &'a str,
    answer: Vec<&'a str>,
}

/// A command taken apart.
pub(crate) struct Command {
    word: String,
    arguments: Vec<(String, String)>,
}

impl Command {
    /// A value or, for a flag, nothing; `None` when it is not there.
    fn get(&self, key: &str) -> Option<&str> {
        let found = self.arguments.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }

    /// A value that must be there.
    fn required(&self, key: &str) -> Check<&str> {
        self.get(key)
            .ok_or_else(|| Failure::new(format!("the script's {} lacks {key}", self.word)))
    }

    fn number<T: FromStr>(&self, key: &str) -> Check<Option<T>> {
        let parse = |text: &str| {
            let bad = |_| Failure::new(format!("the script's {key}={text} is no number"));
            text.parse().map_err(bad)
        };
        self.get(key).map(parse).transpose()
    }
}

/// Plays a script on stores of a case, each store that it makes a fresh one.
pub(crate) async fn play(fixture: &Fixture, script: &str) -> Check {
    let steps = steps(script);
    if steps.is_empty() {
        return Err(Failure::new("the script is empty"));
    }
    let mut player = commands::Player::new(fixture);
    for step in steps {
        let context = |message: &str| {
            let (line, command) = (step.line_number, step.line);
            Failure::new(format!("script line {line}, `{command}`: {message}"))
        };
        let command = parse(step.line).ok_or_else(|| context("does not parse"))?;
        let answer = player.run(&command).await;
        let answer = answer.map_err(|failure| context(failure.message()))?;
        let expected = shown::recorded(fixture.door(), &command, &step.answer)?;
        let answer = shown::found(fixture.door(), &command, answer)?;
        if answer != expected {
            let (expected, found) = (expected.join("\n  "), answer.join("\n  "));
            return Err(context(&format!(
                "Swift says\n  {expected}\nbut found\n  {found}"
            )));
        }
    }
    Ok(())
}

fn steps(script: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (index, line) in script.lines().enumerate() {
        if let Some(line) = line.strip_prefix("> ") {
            steps.push(Step {
                line_number: index + 1,
                line,
                answer: Vec::new(),
            });
        } else if let Some(step) = steps.last_mut()
            && !line.is_empty()
            && !line.starts_with('#')
        {
            step.answer.push(line);
        }
    }
    steps
}

/// `word key="json" key=word flag …`
fn parse(line: &str) -> Option<Command> {
    let (word, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut arguments = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(Command {
                word: word.to_owned(),
                arguments,
            });
        }
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let key = rest[..end].to_owned();
        rest = &rest[end..];
        let Some(value) = rest.strip_prefix('=') else {
            arguments.push((key, String::new()));
            continue;
        };
        let end = match value.starts_with('"') {
            true => end_of_json_text(value)?,
            false => value.find(' ').unwrap_or(value.len()),
        };
        let (value, after) = value.split_at(end);
        let value = match value.starts_with('"') {
            true => serde_json::from_str(value).ok()?,
            false => value.to_owned(),
        };
        arguments.push((key, value));
        rest = after;
    }
}

fn end_of_json_text(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_hold_words_texts_and_flags() {
        let command = parse(r#"names marker="a \" \u0000" limit=5 reverse"#).expect("it parses");
        assert_eq!(command.word, "names");
        assert_eq!(command.get("marker"), Some("a \" \0"));
        assert_eq!(command.number::<usize>("limit").ok(), Some(Some(5)));
        assert!(command.has("reverse") && !command.has("reserved"));
    }

    #[test]
    fn answers_are_the_lines_below_a_command() {
        let steps = steps("# x\n> a\n1\n2\n\n> b\n# y\n> c\n3\n");
        let found: Vec<_> = steps.iter().map(|s| (s.line, s.answer.clone())).collect();
        assert_eq!(
            found,
            [("a", vec!["1", "2"]), ("b", vec![]), ("c", vec!["3"])]
        );
    }
}
