//! Medians, and ratios over rounds.

use serde_json::{Value, json};

/// The middle value; of an even number, the lower of the two; not a number of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

/// A ratio of rates: the median, the least and the greatest over the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// Of all rounds.
    pub median: f64,
    /// In the worst round.
    pub least: f64,
    /// In the best round.
    pub greatest: f64,
}

impl Ratio {
    /// Of rates to others, round by round.
    pub fn between(
        rates: impl IntoIterator<Item = f64>,
        others: impl IntoIterator<Item = f64>,
    ) -> Self {
        let rounds = rates.into_iter().zip(others);
        let ratios: Vec<f64> = rounds.map(|(one, other)| one / other).collect();
        Self {
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios),
        }
    }

    /// As an object of three numbers.
    pub fn as_json(&self) -> Value {
        json!({"median": self.median, "min": self.least, "max": self.greatest})
    }
}
