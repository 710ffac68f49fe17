//! Python pickles of the one shape that pending files hold: a tuple of texts, numbers and nothings.
//!
//! The writer makes the plain subset of protocol 2 that Swift reads:
//!
//! ```text
//! 80 02                     protocol 2
//! 28                        mark
//! 58 <u32 length> <UTF-8>   text
//! 4b <u8> | 4d <u16> | 4a <i32> | 8a <length> <bytes>    whole number
//! 4e                        nothing
//! 74                        tuple of everything since the mark
//! 2e                        stop
//! ```
//!
//! The reader is a closed machine: it knows the instructions that protocols 0 to 5 use for such
//! tuples, evaluates nothing, needs memory in proportion to its input, and refuses everything else.
//! The one function call that it understands is the idiom by which Python 3 spells bytes.

use std::collections::HashMap;
use std::rc::Rc;

/// How deep tuples and lists may lie in each other.
const MAX_DEPTH: u8 = 8;

/// How long a list may become by appending; no field of a record is a list.
const MAX_LIST: usize = 256;

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PickleError {
    #[error("the pickle ends too early")]
    Truncated,
    #[error("instruction {0:#04x} is not supported")]
    Unsupported(u8),
    #[error("malformed pickle: {0}")]
    Malformed(&'static str),
}

use PickleError::{Malformed, Truncated, Unsupported};

type Read<T> = Result<T, PickleError>;

/// A value of a pickle. Texts given as bytes are texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    /// A tuple or a list, and how deep it is.
    Sequence(Rc<[Value]>, u8),
    /// The function `_codecs.encode`.
    Encode,
}

/// Reads a pickled tuple or list and gives its items.
pub(crate) fn read(bytes: &[u8]) -> Read<Vec<Value>> {
    let mut machine = Machine {
        input: bytes,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    match machine.run()? {
        Value::Sequence(items, _) => Ok(items.to_vec()),
        _ => Err(Malformed("not a tuple")),
    }
}

struct Machine<'a> {
    input: &'a [u8],
    stack: Vec<Value>,
    marks: Vec<usize>,
    /// `None` stands for a list, which may have grown since.
    memo: HashMap<u32, Option<Value>>,
}

impl Machine<'_> {
    fn run(&mut self) -> Read<Value> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                0x2e => return self.pop(),
                0x80 => drop(self.byte()?),
                0x95 => drop(self.take(8)?),
                0x28 => self.marks.push(self.stack.len()),
                b'I' | b'L' | b'F' | b'S' | b'V' => self.line_value(opcode)?,
                b'p' | b'q' | b'r' | 0x94 => self.store(opcode)?,
                b'g' | b'h' | b'j' => self.fetch(opcode)?,
                b't' | b'l' | b')' | b']' | 0x85..=0x87 => self.build(opcode)?,
                b'a' | b'e' => self.append(opcode)?,
                b'c' => self.global()?,
                b'R' => self.call()?,
                _ => {
                    let value = self.scalar(opcode)?;
                    self.stack.push(value);
                }
            }
        }
    }

    fn scalar(&mut self, opcode: u8) -> Read<Value> {
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            0x8a => {
                let length = self.byte()?.into();
                Value::Int(long(self.take(length)?)?)
            }
            0x8b => {
                let length = self.length()?;
                Value::Int(long(self.take(length)?)?)
            }
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            b'U' | b'C' | 0x8c => {
                let length = self.byte()?.into();
                self.text(length)?
            }
            b'X' | b'T' | b'B' => {
                let length = self.length()?;
                self.text(length)?
            }
            0x8d | 0x8e => {
                let length = u64::from_le_bytes(self.array()?);
                self.text(usize::try_from(length).map_err(|_| Truncated)?)?
            }
            _ => return Err(Unsupported(opcode)),
        })
    }

    /// Values that protocol 0 writes as a line of text.
    fn line_value(&mut self, opcode: u8) -> Read<()> {
        let line = self.line()?;
        let number = |text: &[u8]| {
            let text = std::str::from_utf8(text).unwrap_or_default();
            text.parse().map_err(|_| Malformed("not a whole number"))
        };
        let value = match (opcode, line) {
            (b'I', b"00") => Value::Bool(false),
            (b'I', b"01") => Value::Bool(true),
            (b'I', digits) => Value::Int(number(digits)?),
            (b'L', digits) => Value::Int(number(digits.strip_suffix(b"L").unwrap_or(digits))?),
            (b'F', digits) => {
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                Value::Float(digits.parse().map_err(|_| Malformed("not a number"))?)
            }
            (b'S', quoted) => utf8(&unquote(quoted)?)?,
            (_, escaped) => Value::Text(unescape(escaped)?.into()),
        };
        self.stack.push(value);
        Ok(())
    }

    fn store(&mut self, opcode: u8) -> Read<()> {
        let index = match opcode {
            0x94 => u32::try_from(self.memo.len()).map_err(|_| Malformed("memo too large"))?,
            _ => self.memo_index(opcode - b'p' + b'g')?,
        };
        let value = self.stack.last().ok_or(Malformed("nothing to store"))?;
        let kept = match value {
            Value::Sequence(items, _) if items.is_empty() => None,
            value => Some(value.clone()),
        };
        self.memo.insert(index, kept);
        Ok(())
    }

    fn fetch(&mut self, opcode: u8) -> Read<()> {
        let index = self.memo_index(opcode)?;
        match self.memo.get(&index) {
            Some(Some(value)) => self.stack.push(value.clone()),
            Some(None) => return Err(Malformed("a list is fetched again")),
            None => return Err(Malformed("nothing stored under this number")),
        }
        Ok(())
    }

    fn memo_index(&mut self, opcode: u8) -> Read<u32> {
        match opcode {
            b'g' => {
                let line = std::str::from_utf8(self.line()?).unwrap_or_default();
                line.parse().map_err(|_| Malformed("not a memo number"))
            }
            b'h' => Ok(self.byte()?.into()),
            _ => Ok(u32::from_le_bytes(self.array()?)),
        }
    }

    fn build(&mut self, opcode: u8) -> Read<()> {
        let items = match opcode {
            b')' | b']' => Vec::new(),
            b't' | b'l' => self.pop_mark()?,
            _ => {
                let at = self.stack.len().checked_sub((opcode - 0x84).into());
                self.split_off(at.ok_or(Malformed("too few items"))?)?
            }
        };
        let value = sequence(items)?;
        self.stack.push(value);
        Ok(())
    }

    fn append(&mut self, opcode: u8) -> Read<()> {
        let new = match opcode {
            b'a' => vec![self.pop()?],
            _ => self.pop_mark()?,
        };
        let Value::Sequence(old, _) = self.pop()? else {
            return Err(Malformed("no list to append to"));
        };
        // Each piece copies the list: it must stay short for the whole to stay cheap.
        if old.len() + new.len() > MAX_LIST {
            return Err(Malformed("a long list"));
        }
        let value = sequence(old.iter().cloned().chain(new).collect())?;
        self.stack.push(value);
        Ok(())
    }

    fn global(&mut self) -> Read<()> {
        let known = self.line()? == b"_codecs" && self.line()? == b"encode";
        match known {
            true => self.stack.push(Value::Encode),
            false => return Err(Malformed("a function that is not known")),
        }
        Ok(())
    }

    /// `_codecs.encode(text, 'latin1')`: bytes, given as text of one character for each.
    fn call(&mut self) -> Read<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Sequence(arguments, _), Value::Encode) = (arguments, function) else {
            return Err(Malformed("not the known call"));
        };
        let [Value::Text(text), Value::Text(coding)] = &*arguments else {
            return Err(Malformed("not the known call"));
        };
        if !matches!(&**coding, "latin1" | "latin-1") {
            return Err(Malformed("not the known call"));
        }
        let bytes = text
            .chars()
            .map(u8::try_from)
            .collect::<Result<Vec<_>, _>>();
        let bytes = bytes.map_err(|_| Malformed("bytes above 255"))?;
        self.stack.push(utf8(&bytes)?);
        Ok(())
    }

    fn text(&mut self, length: usize) -> Read<Value> {
        utf8(self.take(length)?)
    }

    fn pop(&mut self) -> Read<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(Malformed("too few items"));
        }
        self.stack.pop().ok_or(Malformed("too few items"))
    }

    fn pop_mark(&mut self) -> Read<Vec<Value>> {
        let at = self.marks.pop().ok_or(Malformed("no mark"))?;
        self.split_off(at)
    }

    fn split_off(&mut self, at: usize) -> Read<Vec<Value>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if at < floor || at > self.stack.len() {
            return Err(Malformed("too few items"));
        }
        Ok(self.stack.split_off(at))
    }

    fn byte(&mut self) -> Read<u8> {
        let (first, rest) = self.input.split_first().ok_or(Truncated)?;
        self.input = rest;
        Ok(*first)
    }

    fn length(&mut self) -> Read<usize> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| Truncated)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (first, rest) = self.input.split_first_chunk().ok_or(Truncated)?;
        self.input = rest;
        Ok(*first)
    }
}

impl<'a> Machine<'a> {
    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.input.split_at_checked(length).ok_or(Truncated)?;
        self.input = rest;
        Ok(taken)
    }

    fn line(&mut self) -> Read<&'a [u8]> {
        let end = self
            .input
            .iter()
            .position(|b| *b == b'\n')
            .ok_or(Truncated)?;
        let line = self.take(end)?;
        self.byte()?;
        Ok(line)
    }
}

fn sequence(items: Vec<Value>) -> Read<Value> {
    let depth = |value: &Value| match value {
        Value::Sequence(_, depth) => *depth,
        _ => 0,
    };
    let depth = items.iter().map(depth).max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        return Err(Malformed("too deep"));
    }
    Ok(Value::Sequence(items.into(), depth))
}

fn utf8(bytes: &[u8]) -> Read<Value> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("text is not UTF-8"))?;
    Ok(Value::Text(text.into()))
}

/// A little-endian number in two's complement, of as many bytes as it needs.
fn long(bytes: &[u8]) -> Read<i64> {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut whole = [fill; 8];
    let (low, high) = bytes.split_at(bytes.len().min(8));
    whole[..low.len()].copy_from_slice(low);
    let number = i64::from_le_bytes(whole);
    let fits = high.iter().all(|byte| *byte == fill) && (number < 0) == negative;
    fits.then_some(number)
        .ok_or(Malformed("a number above 64 bits"))
}

/// The text of protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn unescape(bytes: &[u8]) -> Read<String> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digits = match (first, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                units.push(u16::from(*first));
                continue;
            }
        };
        let hex = after
            .get(1..1 + digits)
            .ok_or(Malformed("a short escape"))?;
        let code = hexadecimal(hex)?;
        rest = &after[1 + digits..];
        match u16::try_from(code) {
            Ok(unit) => units.push(unit),
            Err(_) => {
                let character = char::from_u32(code).ok_or(Malformed("not a character"))?;
                units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
            }
        }
    }
    String::from_utf16(&units).map_err(|_| Malformed("half a character"))
}

fn hexadecimal(digits: &[u8]) -> Read<u32> {
    let plain = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).unwrap_or_default();
    match u32::from_str_radix(text, 16) {
        Ok(code) if plain => Ok(code),
        _ => Err(Malformed("an escape that is not hexadecimal")),
    }
}

/// The bytes of a Python 2 string literal in quotes.
fn unquote(quoted: &[u8]) -> Read<Vec<u8>> {
    let [quote @ (b'\'' | b'"'), inner @ .., last] = quoted else {
        return Err(Malformed("a string without quotes"));
    };
    if quote != last {
        return Err(Malformed("a string without quotes"));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escape, after) = rest.split_first().ok_or(Malformed("a short escape"))?;
        rest = after;
        bytes.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let hex = rest.get(..2).ok_or(Malformed("a short escape"))?;
                rest = &rest[2..];
                u8::try_from(hexadecimal(hex)?).map_err(|_| Malformed("a bad escape"))?
            }
            b'\\' | b'\'' | b'"' => *escape,
            _ => return Err(Malformed("an escape that is not known")),
        });
    }
    Ok(bytes)
}

/// Writes one tuple into a buffer that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins a tuple.
    pub(crate) fn begin(&mut self) -> &mut Self {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0x80, 2, b'(']);
        self
    }

    /// Adds a text; only texts below 4 GiB fit, and no name comes near that.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let length = u32::try_from(text.len()).expect("a text below 4 GiB");
        self.bytes.push(b'X');
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds a text or nothing.
    pub(crate) fn optional(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => return self.text(text),
            None => self.bytes.push(b'N'),
        }
        self
    }

    /// Adds a whole number.
    pub(crate) fn integer(&mut self, number: i64) -> &mut Self {
        if let Ok(small) = u8::try_from(number) {
            self.bytes.extend_from_slice(&[b'K', small]);
        } else if let Ok(small) = u16::try_from(number) {
            self.bytes.push(b'M');
            self.bytes.extend_from_slice(&small.to_le_bytes());
        } else if let Ok(small) = i32::try_from(number) {
            self.bytes.push(b'J');
            self.bytes.extend_from_slice(&small.to_le_bytes());
        } else {
            let all = number.to_le_bytes();
            let needed = (5..8).find(|n| long(&all[..*n]) == Ok(number)).unwrap_or(8);
            self.bytes.extend_from_slice(&[0x8a, needed as u8]);
            self.bytes.extend_from_slice(&all[..needed]);
        }
        self
    }

    /// Ends the tuple and gives its pickle.
    pub(crate) fn end(&mut self) -> &[u8] {
        self.bytes.extend_from_slice(b"t.");
        &self.bytes
    }
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
