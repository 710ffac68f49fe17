//! Calendar arithmetic in UTC, for `Date` headers and log lines.

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const SECONDS_PER_DAY: u64 = 86400;

/// A second of UTC, as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: u64,
    /// 1 to 12.
    pub(crate) month: u64,
    /// 1 to 31.
    pub(crate) day: u64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
    /// 0 is Sunday.
    pub(crate) weekday: u64,
    /// 1 to 366.
    pub(crate) day_of_year: u64,
}

impl Civil {
    /// Returns the date of so many seconds since 1970.
    pub(crate) fn at(seconds: u64) -> Self {
        let days = seconds / SECONDS_PER_DAY;
        let of_day = seconds % SECONDS_PER_DAY;
        // Years begin in March here, so that a leap day is a year's last day, and days are counted
        // from 1 March of the year 0; 400 years have 146097 days.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let january_first = if month > 2 { 59 + u64::from(leap) } else { 0 };
        Self {
            year,
            month,
            day: of_year - (153 * march_month + 2) / 5 + 1,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            weekday: (days + 4) % 7,
            day_of_year: 1 + if month > 2 {
                january_first + of_year
            } else {
                of_year - 306
            },
        }
    }

    pub(crate) fn weekday_name(&self) -> &'static str {
        name(&DAYS, self.weekday)
    }

    pub(crate) fn month_name(&self) -> &'static str {
        name(&MONTHS, self.month - 1)
    }
}

fn name(names: &'static [&'static str], index: u64) -> &'static str {
    usize::try_from(index)
        .ok()
        .and_then(|index| names.get(index))
        .copied()
        .unwrap_or("?")
}

/// The text of a `Date` header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpDate(u64);

impl HttpDate {
    pub(crate) fn at(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Bytes that [`write`](Self::write) appends.
    pub(crate) const LENGTH: usize = 29;

    /// Appends it, such as `Tue, 14 Nov 2023 22:13:21 GMT`. From 1970 to 9999.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let date = Civil::at(self.0);
        let mut text = *b"___, 00 ___ 0000 00:00:00 GMT";
        text[..3].copy_from_slice(&date.weekday_name().as_bytes()[..3]);
        text[8..11].copy_from_slice(&date.month_name().as_bytes()[..3]);
        let numbers = [
            (5..7, date.day),
            (12..16, date.year),
            (17..19, date.hour),
            (20..22, date.minute),
            (23..25, date.second),
        ];
        for (place, number) in numbers {
            write_digits(&mut text[place], number);
        }
        out.extend_from_slice(&text);
    }
}

/// Writes the last digits of a number over zeros.
pub(crate) fn write_digits(zeros: &mut [u8], mut number: u64) {
    for place in zeros.iter_mut().rev() {
        *place += (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrong calendar would show in every response and log line.
    #[test]
    fn dates_are_right_around_leap_days() {
        let text = |seconds| {
            let mut out = Vec::new();
            HttpDate::at(seconds).write(&mut out);
            assert_eq!(out.len(), HttpDate::LENGTH);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(text(1_700_000_001), "Tue, 14 Nov 2023 22:13:21 GMT");
        assert_eq!(text(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
        assert_eq!(text(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    }

    /// Each day follows the one before it.
    #[test]
    fn days_of_four_centuries_follow_one_another() {
        let mut before = Civil::at(0);
        assert_eq!(before.day_of_year, 1);
        for day in 1..146_100 {
            let date = Civil::at(day * SECONDS_PER_DAY);
            let same_year = date.year == before.year;
            let expected = if same_year { before.day_of_year + 1 } else { 1 };
            assert_eq!(date.day_of_year, expected, "{date:?}");
            assert_eq!(date.day == 1, date.month != before.month, "{date:?}");
            before = date;
        }
    }
}
