//! How often a webhook may be sent a request: what people write, and who may send the next when.
//!
//! A limit is kept evenly: `10/s` is one request every 100 ms, and what was not used before is not
//! made up for. All workers share it, so times are reserved a little ahead from one [calendar](Calendar)
//! that they have in common. Nobody asks again for each request, and nobody is late for his time
//! because he had to ask.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// So far ahead a time can be reserved. It bounds what is lost if a worker does not use what it
/// reserved, and is long enough that a quick webhook needs few calls.
pub const AHEAD: Duration = Duration::from_millis(200);

/// The most digits of the number: 9999 an hour are less than 3 a second, so every limit can be said.
const DIGITS: usize = 4;

/// At most so many requests in a unit of time, evenly spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// A text that is no rate limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRateLimit {
    /// The text has another form.
    #[error("{0:?} is no rate limit: write 10/s, 300/min or 50/h, with a number from 1 to 9999")]
    Form(String),
    /// Nothing would ever be sent.
    #[error("a rate limit of 0 would send nothing: disable the webhook for that")]
    Zero,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }

    fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }
}

impl RateLimit {
    /// The regular expression that rate limits match, as others may check them.
    pub const PATTERN: &str = "^[1-9][0-9]{0,3}/(s|min|h)$";

    /// The time from one request to the next, in whole microseconds: never shorter than the limit
    /// says.
    pub fn apart(self) -> Duration {
        let unit = u64::from(self.unit.seconds()) * 1_000_000;
        Duration::from_micros(unit.div_ceil(u64::from(self.count)))
    }
}

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        let form = || InvalidRateLimit::Form(text.chars().take(40).collect());
        let (count, name) = text.split_once('/').ok_or_else(form)?;
        let unit = Unit::ALL.into_iter().find(|unit| unit.name() == name);
        let unit = unit.ok_or_else(form)?;
        if count == "0" {
            return Err(InvalidRateLimit::Zero);
        }
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || count.len() > DIGITS || count.starts_with('0') {
            return Err(form());
        }
        let count = count.parse().map_err(|_| form())?;
        Ok(Self { count, unit })
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit.name())
    }
}

/// Times that were reserved, or when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// How many there are.
    pub count: u32,
    /// From now to the first of them, the others follow one [apart](RateLimit::apart) each. If there
    /// are none: from now to when there may be one.
    pub first: Duration,
    /// How many all workers together have reserved, these included. Begins again at 0 when nothing
    /// was reserved for a while.
    pub in_all: u64,
}

/// Which times of a webhook are taken. The store of several workers keeps one like it, by the same
/// rule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calendar {
    /// The first time that is free.
    free: Duration,
    in_all: u64,
}

impl Calendar {
    /// Reserves up to `count` times at `now`, on whatever clock the calendar is kept by. Nobody gets
    /// more than half of those that are free: who asks next finds the other half, whoever it is.
    pub fn reserve(&mut self, limit: RateLimit, count: u32, now: Duration) -> Reserved {
        let (apart, horizon) = (limit.apart(), now + AHEAD);
        // Further than this it is only if the limit was a lower one before.
        let first = self.free.clamp(now, horizon + apart);
        let free = match horizon.checked_sub(first) {
            Some(span) => u32::try_from(span.as_nanos() / apart.as_nanos() + 1).unwrap_or(u32::MAX),
            None => 0,
        };
        let given = count.min(free.div_ceil(2));
        self.free = first + apart * given;
        self.in_all += u64::from(given);
        Reserved {
            count: given,
            first: match given {
                0 => first.saturating_sub(horizon),
                _ => first - now,
            },
            in_all: self.in_all,
        }
    }

    /// Whether nothing is lost by forgetting it.
    pub fn is_over(&self, now: Duration) -> bool {
        self.free <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(text: &str) -> RateLimit {
        text.parse().unwrap()
    }

    #[test]
    fn a_limit_is_read_and_written_in_one_form() {
        for (text, apart) in [
            ("10/s", Duration::from_millis(100)),
            ("300/min", Duration::from_millis(200)),
            ("50/h", Duration::from_secs(72)),
            ("3/s", Duration::from_micros(333_334)),
            ("9999/s", Duration::from_micros(101)),
        ] {
            assert_eq!(limit(text).apart(), apart, "{text}");
            assert_eq!(limit(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_limit_is_refused_with_the_mend() {
        for (text, said) in [
            ("10", "write 10/s"),
            ("10/day", "write 10/s"),
            ("-1/s", "write 10/s"),
            ("+1/s", "write 10/s"),
            ("1.5/s", "write 10/s"),
            ("/s", "write 10/s"),
            ("", "write 10/s"),
            ("0/s", "disable the webhook"),
            ("010/s", "1 to 9999"),
            (" 10/s", "1 to 9999"),
            ("10000/s", "1 to 9999"),
            ("99999999999/h", "1 to 9999"),
        ] {
            let error = text.parse::<RateLimit>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn times_are_given_ahead_but_not_far() {
        let mut calendar = Calendar::default();
        let now = Duration::from_secs(1000);
        let reserved = calendar.reserve(limit("10/s"), 50, now);
        assert_eq!((reserved.count, reserved.first), (2, Duration::ZERO));
        assert_eq!(calendar.reserve(limit("10/s"), 50, now).count, 1);
        let refused = calendar.reserve(limit("10/s"), 1, now);
        assert_eq!((refused.count, refused.in_all), (0, 3));
        let later = calendar.reserve(limit("10/s"), 1, now + refused.first);
        assert_eq!((later.count, later.first), (1, AHEAD));
    }

    #[test]
    fn a_higher_limit_does_not_wait_for_the_time_of_the_lower_one() {
        let mut calendar = Calendar::default();
        let now = Duration::from_secs(1000);
        calendar.reserve(limit("1/h"), 1, now);
        assert_eq!(calendar.reserve(limit("1/h"), 1, now).count, 0);
        let refused = calendar.reserve(limit("10/s"), 1, now);
        assert_eq!(refused.first, Duration::from_millis(100));
        assert_eq!(
            calendar
                .reserve(limit("10/s"), 1, now + refused.first)
                .count,
            1
        );
    }

    proptest! {
        #[test]
        fn the_pattern_says_what_is_taken(text in "[0-2]{0,5}/?(s|min|h|d|)|[ 1+/smin-]{0,5}") {
            let matches = regex::Regex::new(RateLimit::PATTERN).unwrap().is_match(&text);
            prop_assert_eq!(matches, text.parse::<RateLimit>().is_ok());
        }

        /// Whoever asks, and whenever: what is given is one apart from the next, at least.
        #[test]
        fn no_two_times_are_closer_than_the_limit(
            asks in prop::collection::vec((0_u64..400_000, 0_u32..20), 1..100),
            count in 1_u32..500,
        ) {
            let limit = limit(&format!("{count}/s"));
            let mut calendar = Calendar::default();
            let mut now = Duration::from_secs(1);
            let mut last: Option<Duration> = None;
            let mut in_all = 0;
            for (wait, wanted) in asks {
                now += Duration::from_micros(wait);
                let reserved = calendar.reserve(limit, wanted, now);
                prop_assert!(reserved.count <= wanted);
                in_all += u64::from(reserved.count);
                prop_assert_eq!(reserved.in_all, in_all);
                for n in 0..reserved.count {
                    let at = now + reserved.first + limit.apart() * n;
                    prop_assert!(at <= now + AHEAD);
                    prop_assert!(last.is_none_or(|last| at >= last + limit.apart()));
                    last = Some(at);
                }
                if wanted > 0 && reserved.count == 0 {
                    let mut same = calendar;
                    prop_assert_eq!(same.reserve(limit, 1, now + reserved.first).count, 1);
                }
            }
        }
    }
}
