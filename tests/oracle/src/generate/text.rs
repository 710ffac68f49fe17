//! Hostile names, markers, times and content types.

use crate::rng::Rng;
use broker_api::{ObjectTimestamps, Timestamp};

/// Characters at the borders of everything that orders, encodes or quotes text.
const CHARS: [char; 24] = [
    'a',
    'a',
    'b',
    '-',
    '-',
    '/',
    '/',
    '.',
    '0',
    ' ',
    '"',
    '\'',
    '%',
    '_',
    '\\',
    '\u{0}',
    '\u{1}',
    '\u{7f}',
    'é',
    '\u{301}',
    '\u{D7FF}',
    '\u{E000}',
    '\u{FFFF}',
    '\u{10FFFF}',
];
const SEGMENTS: [&str; 9] = ["a", "b", "aa", "a-b", ".", "é", "☃", "", "~"];
const DELIMITERS: [&str; 16] = [
    "/", "/", "/", "/", "/", "-", "-", "--", "a", "\u{0}", "é", "☃", "a/", "/a", "0", "\u{E000}",
];
const KEYS: [&str; 12] = [
    "X-Account-Meta-A",
    "x-account-meta-a",
    "X-Container-Meta-\u{e9}\u{2603}",
    "X-CONTAINER-META-Long-Name-Of-A-Key",
    "X-Container-Meta-\u{130}",
    "X-Account-Meta-",
    "X-Container-Sysmeta-Other",
    "X-Container-Read",
    "x-container-sysmeta-sharding",
    "",
    "k\u{0}",
    "plain",
];
const TYPES: [&str; 12] = [
    "text/plain",
    "text/html;swift_bytes=7",
    "text/plain; charset=UTF-8; swift_bytes=9; x",
    "a;b;c=d;swift_bytes=",
    "",
    ";",
    "x; a=\"q;r\\\"s\"; swift_bytes = 12 ;b",
    "t;swift_bytes=1;swift_bytes=2",
    "é;à=☃;k=v",
    "application/deleted",
    "t; =v; k",
    "t;k=\"open",
];
const TYPE_CHARS: [char; 22] = [
    ';', ';', ';', '=', '=', ' ', ' ', '"', '\\', 'a', 'b', '/', ',', '(', '{', '\t', '\u{0}',
    '\u{a0}', 'é', '\u{2028}', '\u{1f}', '\u{85}',
];

/// The pools that one history draws from.
pub(super) struct Texts {
    /// Names of records.
    pub(super) names: Vec<String>,
    times: Vec<Timestamp>,
}

impl Texts {
    /// Draws pools: from three to fifty names, and about a dozen times.
    pub(super) fn new(rng: &mut Rng) -> Self {
        let count = 3 + rng.below(48);
        let as_paths = rng.chance(50);
        // Path listings need names without 0 forward, and without a final / in reverse.
        let may_end_in_slash = rng.chance(50);
        let name = |rng: &mut Rng| match as_paths {
            true => path_name(rng, may_end_in_slash),
            false => random_name(rng),
        };
        let names = (0..count).map(|_| name(rng)).collect();
        let offsets = [0, 0, 0, 0, 1, 10, 0xff, u64::MAX];
        let time = |rng: &mut Rng| {
            let raw = 170_000_000_000_000 + rng.between(0, 12) as u64 * *rng.pick(&[1, 5, 100_000]);
            Timestamp::new(raw, *rng.pick(&offsets)).unwrap_or_default()
        };
        let times = (0..12).map(|_| time(rng)).collect();
        Self { names, times }
    }

    /// A time; rarely one that is far away.
    pub(super) fn time(&self, rng: &mut Rng) -> Timestamp {
        match rng.below(60) {
            0 => Timestamp::ZERO,
            1 => Timestamp::from_seconds(9_999_999_999),
            _ => *rng.pick(&self.times),
        }
    }

    /// A time without offset, in units.
    pub(super) fn raw(&self, rng: &mut Rng) -> u64 {
        rng.pick(&self.times).raw() + rng.between(0, 1) as u64
    }

    /// A text that stands for a time, not always in the usual spelling.
    pub(super) fn time_text(&self, rng: &mut Rng) -> String {
        let at = self.time(rng);
        match rng.below(20) {
            0 | 1 => "0".into(),
            2 => at.short(),
            3 => format!("{}.{:05}", at.raw() / 100_000, at.raw() % 100_000),
            4 => (at.raw() / 100_000).to_string(),
            5 => format!("{}_0", at.normal()),
            _ => at.internal(),
        }
    }

    /// Three times in one `created_at`, in spellings that Swift writes and some that it only reads.
    pub(super) fn encoded_times(&self, rng: &mut Rng) -> String {
        let data = self.time(rng);
        if rng.chance(50) {
            return data.internal();
        }
        let near = |rng: &mut Rng| match rng.chance(40) {
            true => data,
            false => *rng.pick(&self.times),
        };
        let times = ObjectTimestamps {
            data,
            content_type: near(rng),
            metadata: near(rng),
        };
        match rng.below(10) {
            0 => format!("{}+0+0", data.short()),
            1 => format!("{}+0", data.internal()),
            2 => format!("{}-0+A", data.short()),
            _ => times.encode(),
        }
    }

    /// A path for path mode, with none, one or too many slashes.
    pub(super) fn path(&self, rng: &mut Rng) -> String {
        let name = rng.pick(&self.names);
        let cut = match rng.below(3) {
            0 => String::new(),
            1 => name.clone(),
            _ => name.split('/').next().unwrap_or_default().to_owned(),
        };
        let slashes = ["", "", "/", "//"];
        format!("{cut}{}", rng.pick(&slashes))
    }

    /// A delimiter, often one that is in the names.
    pub(super) fn delimiter(&self, rng: &mut Rng) -> String {
        match rng.chance(70) {
            true => (*rng.pick(&DELIMITERS)).into(),
            false => {
                let name: Vec<char> = rng.pick(&self.names).chars().collect();
                let from = rng.below(name.len() + 1);
                name[from..].iter().take(1 + rng.below(3)).collect()
            }
        }
    }
}

fn path_name(rng: &mut Rng, may_end_in_slash: bool) -> String {
    let depth = 1 + rng.below(4);
    let segments: Vec<&str> = (0..depth).map(|_| *rng.pick(&SEGMENTS)).collect();
    let name = segments.join("/");
    match may_end_in_slash {
        true => name,
        false => format!("{}x", name.trim_end_matches('/')),
    }
}

fn random_name(rng: &mut Rng) -> String {
    let length = rng.below(7);
    let mut name: String = (0..length).map(|_| *rng.pick(&CHARS)).collect();
    if rng.chance(3) {
        name.push_str(&"long-".repeat(1 + rng.below(400)));
    }
    name
}

/// A text that is close to a name: itself, a part of it, or a little more.
pub(super) fn near(rng: &mut Rng, name: &str) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    match rng.below(4) {
        0 => {}
        1 => chars.push(*rng.pick(&CHARS)),
        2 => chars.truncate(rng.below(chars.len() + 1)),
        _ => chars.truncate(1),
    }
    chars.into_iter().collect()
}

/// A content type: one with a known trap, or characters that parsers of parameters stumble over.
pub(super) fn content_type(rng: &mut Rng) -> String {
    match rng.chance(60) {
        true => (*rng.pick(&TYPES)).into(),
        false => {
            let count = rng.below(12);
            let tail: String = (0..count).map(|_| *rng.pick(&TYPE_CHARS)).collect();
            let swift_bytes = *rng.pick(&["", "", ";swift_bytes=3", ";swift_bytes=\"4\""]);
            format!("t/x{tail}{swift_bytes}")
        }
    }
}

/// A metadata key.
pub(super) fn metadata_key(rng: &mut Rng) -> String {
    (*rng.pick(&KEYS)).into()
}
