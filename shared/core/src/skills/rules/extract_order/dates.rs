//! Days, times and windows. A day without a year is counted from the day on which the tender arrived, never from today.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};
use regex::{Captures, Regex};

use super::draft::{LocalTime, Told};
use super::source::{pattern, told};

/// What the label or the sentence says of a single day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// "Ready", "available": the window opens.
    From,
    /// "By", "before": the window closes.
    To,
    Both,
}

const YEARS: Range<i32> = 2000..2100;

/// When a stop is to be made.
#[derive(Debug, Default)]
pub struct Window {
    pub from: Option<Told<LocalTime>>,
    pub to: Option<Told<LocalTime>>,
}

/// What a text tells of the days that it names in part.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    pub received: Option<NaiveDate>,
    /// That it tells beside any day.
    pub years: BTreeSet<i32>,
    /// Whether its numbers begin with the day, where one of them tells.
    pub day_first: Option<bool>,
}

impl Calendar {
    pub fn new<'a>(received: Option<NaiveDate>, texts: impl Iterator<Item = &'a str>) -> Self {
        let mut calendar = Self { received, ..Self::default() };
        let mut orders = BTreeSet::new();
        for captures in texts.flat_map(|text| DAY.captures_iter(text)) {
            calendar.years.extend(year(&captures).filter(|year| YEARS.contains(year)));
            if captures.name("us").is_some() {
                let (first, second) = (number(&captures, &["m2"]), number(&captures, &["d2"]));
                let is_day = |number: Option<u32>| number.is_some_and(|number| (13..=31).contains(&number));
                let is_month = |number: Option<u32>| number.is_some_and(|number| (1..=12).contains(&number));
                orders.extend((is_day(first) && is_month(second)).then_some(true));
                orders.extend((is_month(first) && is_day(second)).then_some(false));
            }
        }
        calendar.day_first = orders.first().copied().filter(|_| orders.len() == 1);
        calendar
    }

    /// Whether a tender that arrived then may mean this day.
    fn expects(&self, day: NaiveDate) -> bool {
        self.received.is_none_or(|received| (received..=received + Days::new(366)).contains(&day))
    }
}

/// A day in a text.
#[derive(Debug, Clone, Copy)]
struct Found {
    first: NaiveDate,
    last: NaiveDate,
    start: usize,
    end: usize,
    confidence: f64,
}

macro_rules! month {
    () => {
        r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
    };
}

static DAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?P<iso>(?P<y1>\d{4})-(?P<m1>\d{1,2})-(?P<d1>\d{1,2}))",
        r"|(?P<us>(?P<m2>\d{1,2})[/.-](?P<d2>\d{1,2})[/.-](?P<y2>\d{4}|\d{2}))",
        r"|(?P<short>(?P<m3>\d{1,2})/(?P<d3>\d{1,2}))",
        r"|\b(?P<m4>",
        month!(),
        r")\.?\s+(?P<d4>\d{1,2})(?:st|nd|rd|th)?(?:\s*[-–]\s*(?P<e4>\d{1,2})(?:st|nd|rd|th)?)?(?:,?\s+(?P<y4>20\d{2}))?\b",
        r"|\b(?P<d5>\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m5>",
        month!(),
        r")\b\.?(?:,?\s+(?P<y5>20\d{2})\b)?",
        r"|\b(?P<weekday>(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri)(?:day)?|saturday|sunday)\b",
        r"|\b(?P<relative>today|tomorrow)\b",
    ))
});

static TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?P<h1>\d{1,2})(?::(?P<n1>\d{2}))?\s*(?P<half>[ap])\.?m\b",
        r"|\b(?P<h2>[01]?\d|2[0-3]):(?P<n2>[0-5]\d)\b",
        r"|\b(?P<h3>[01]\d|2[0-3])(?P<n3>[0-5]\d)\s*(?:-|–|to)\s*(?P<h4>[01]\d|2[0-3])(?P<n4>[0-5]\d)\b",
        r"|\b(?P<h5>\d{1,2})\s*[-–]\s*(?P<h6>\d{1,2})\s*(?P<half6>[ap])\.?m\b",
        r"|\b(?P<noon>noon)\b",
    ))
});

static CLOSES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:by|before|no later than|not later than|latest|deadline|until|due)\W*(?:\w+day,?\s*)?$")
});

static OPENS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:after|from|available|avail|ready|starting|as of|earliest|beginning)(?: (?:on|from|as of|after|date))?\W*(?:\w+day,?\s*)?$",
    )
});

static JOINS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\s*(?:\d{1,2}(?::\d{2})?\s*(?:[ap]\.?m\.?)?\s*)?(?:-|–|—|to|thru|through|and|or|until|till)\s*(?:\w{3,9}day,?\s*)?$",
    )
});

/// Reads the window that a text tells.
pub fn window(text: &str, calendar: &Calendar, bound: Bound) -> Window {
    let found = days(text, calendar);
    let Some(first) = found.first().copied() else { return Window::default() };
    let second = found.get(1).filter(|second| JOINS.is_match(&text[first.end..second.start]));
    let last = second.copied().unwrap_or(first);
    let before = &text[..first.start];
    let clock = &text[first.end..];
    let times = times(clock);
    let quote = &text[first.start..times.last().map_or(last.end, |time| (first.end + time.1).max(last.end))];
    // Times far from the day are those of something else.
    let (open, close) = hours(clock, &times, quote.len() < 80);
    let bound = match bound {
        Bound::Both if CLOSES.is_match(before) => Bound::To,
        Bound::Both if second.is_none() && first.first == first.last && OPENS.is_match(before) => Bound::From,
        bound => bound,
    };
    let quote = if quote.len() < 80 { quote } else { &text[first.start..last.end] };
    let confidence = first.confidence.min(last.confidence);
    let from = LocalTime { date: first.first, time: open };
    let to = LocalTime { date: last.last, time: close };
    let ranged = from.date != to.date;
    match bound {
        // "After noon" is when the window of that day opens.
        Bound::Both if !ranged && open.is_some() && close.is_none() && opens_at(clock) => {
            Window { from: Some(told(from, confidence, quote)), to: None }
        }
        Bound::Both => Window { from: Some(told(from, confidence, quote)), to: Some(told(to, confidence, quote)) },
        Bound::From => {
            let to = ranged.then(|| told(to, confidence, quote));
            Window { from: Some(told(from, confidence, quote)), to }
        }
        Bound::To => Window {
            from: ranged.then(|| told(from, confidence, quote)),
            to: Some(told(LocalTime { date: last.last, time: close.or(open) }, confidence, quote)),
        },
    }
}

fn opens_at(clock: &str) -> bool {
    static AFTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\W*(?:any ?time )?(?:after|from)\b"));
    AFTER.is_match(clock)
}

/// The day that a text names, if it names one: a mail's header.
pub fn day(text: &str, received: Option<NaiveDate>) -> Option<NaiveDate> {
    let calendar = Calendar { received, ..Calendar::default() };
    days(text, &calendar).first().map(|found| found.first)
}

/// The other day that a quote may name where it names this one: "05/12/2026" is in May or in December.
pub fn other_reading(quote: &str, told: NaiveDate, calendar: &Calendar) -> Option<NaiveDate> {
    let unsettled = DAY.captures_iter(quote).filter(|found| calendar.day_first.is_none() && found.name("us").is_some());
    let pairs = unsettled.filter_map(|found| {
        let day = |day_first| Some(as_written(&found, calendar.received, None, day_first)?.0);
        Some((day(false)?, day(true)?))
    });
    pairs
        .filter(|(american, other)| american != other && calendar.expects(*other))
        .find_map(|(american, other)| (told == american).then_some(other).or((told == other).then_some(american)))
}

/// Whether a quote names this day, and this time of it: the year may stand elsewhere in its text.
pub fn names(quote: &str, told: LocalTime, calendar: &Calendar) -> bool {
    DAY.captures_iter(quote).any(|captures| {
        let years = std::iter::once(None).chain(calendar.years.iter().copied().map(Some));
        let orders: &[bool] = match calendar.day_first {
            Some(true) => &[true],
            None if captures.name("us").is_some() => &[false, true],
            _ => &[false],
        };
        let readings = years.flat_map(|year| orders.iter().map(move |&day_first| (year, day_first)));
        let mut days =
            readings.filter_map(|(year, day_first)| as_written(&captures, calendar.received, year, day_first));
        // "Next Monday" may be the one after.
        let week = Days::new(if captures.name("weekday").is_some() { 7 } else { 0 });
        let is_day = days.any(|(first, last, _)| {
            (first..=last).contains(&told.date) || first.checked_add_days(week) == Some(told.date)
        });
        let day = captures.get(0).map_or(0..0, |day| day.range());
        let is_time = |time| [&quote[..day.start], &quote[day.end..]].iter().any(|clock| named_at(clock, time));
        is_day && told.time.is_none_or(is_time)
    })
}

fn named_at(clock: &str, time: NaiveTime) -> bool {
    times(clock).iter().any(|(named, _)| *named == time)
}

fn days(text: &str, calendar: &Calendar) -> Vec<Found> {
    let mut found: Vec<(Found, bool)> = Vec::new();
    // A year that is told once counts for the other day of the window, too.
    let told_year = DAY.captures_iter(text).find_map(|captures| year(&captures));
    for captures in DAY.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '/' | '#'));
        let number = captures.name("iso").or(captures.name("us")).or(captures.name("short")).is_some();
        let before = text[..whole.start()].chars().next_back();
        if number && (joined(before) || joined(text[whole.end()..].chars().next().filter(|&c| c != '-'))) {
            continue;
        }
        let Some((first, last, confidence)) = read(&captures, calendar, told_year) else { continue };
        let named = captures.name("weekday").is_some();
        found.push((Found { first, last, start: whole.start(), end: whole.end(), confidence }, named));
    }
    // "Monday 11/16" is the sixteenth.
    if found.iter().any(|(_, named)| !named) {
        found.retain(|(_, named)| !named);
    }
    found.into_iter().map(|(found, _)| found).collect()
}

fn number(captures: &Captures<'_>, names: &[&str]) -> Option<u32> {
    names.iter().find_map(|name| captures.name(name))?.as_str().parse().ok()
}

fn year(captures: &Captures<'_>) -> Option<i32> {
    let year = number(captures, &["y1", "y2", "y4", "y5"])?;
    i32::try_from(if year < 100 { 2000 + year } else { year }).ok()
}

/// Numbers are read as Americans write them, unless the text's other days begin with the day; behind dots they may, too, where
/// else the day would be past or far away.
fn read(captures: &Captures<'_>, calendar: &Calendar, told_year: Option<i32>) -> Option<(NaiveDate, NaiveDate, f64)> {
    let read = |day_first| as_written(captures, calendar.received, told_year, day_first);
    let dotted = captures.name("us").is_some_and(|numbers| numbers.as_str().contains('.'));
    let american = read(false);
    if calendar.day_first == Some(false) || captures.name("us").is_none() && calendar.day_first.is_none() {
        return american;
    }
    let other = read(true);
    let expects = |reading: Option<(NaiveDate, NaiveDate, f64)>| reading.is_some_and(|(day, ..)| calendar.expects(day));
    match calendar.day_first {
        Some(_) => other,
        None if american == other || !expects(other) => american,
        None => {
            let (first, last, _) = if dotted && !expects(american) { other? } else { american? };
            Some((first, last, 0.6))
        }
    }
}

/// `day_first` is of numbers that may be read so.
fn as_written(
    captures: &Captures<'_>,
    received: Option<NaiveDate>,
    told_year: Option<i32>,
    day_first: bool,
) -> Option<(NaiveDate, NaiveDate, f64)> {
    if let Some(weekday) = captures.name("weekday") {
        let weekday: Weekday = weekday.as_str().get(..3)?.parse().ok()?;
        let received = received?;
        let ahead = weekday.days_since(received.weekday());
        let day = received.checked_add_days(Days::new(ahead.into()))?;
        return Some((day, day, 0.6));
    }
    if let Some(relative) = captures.name("relative") {
        let ahead = u64::from(relative.as_str().eq_ignore_ascii_case("tomorrow"));
        let day = received?.checked_add_days(Days::new(ahead))?;
        return Some((day, day, 0.8));
    }
    let month = match captures.name("m4").or(captures.name("m5")) {
        Some(name) => name
            .as_str()
            .parse::<chrono::Month>()
            .ok()
            .or_else(|| name.as_str().get(..3)?.parse().ok())?
            .number_from_month(),
        None => number(captures, &["m1", "m2", "m3"])?,
    };
    let day = number(captures, &["d1", "d2", "d3", "d4", "d5"])?;
    // Where the first number cannot be a month, it is the day.
    let may_swap = day <= 12 && captures.name("us").or(captures.name("short")).is_some();
    let (month, day) = if may_swap && (month > 12 || day_first) { (day, month) } else { (month, day) };
    let (first, confidence) = match year(captures).or(told_year) {
        Some(year) => (NaiveDate::from_ymd_opt(year, month, day).filter(|_| YEARS.contains(&year))?, 0.95),
        None => (nearest(month, day, received?)?, 0.85),
    };
    let last = match number(captures, &["e4"]) {
        Some(end) => first.with_day(end).filter(|last| *last >= first)?,
        None => first,
    };
    Some((first, last, confidence))
}

/// A tender is of days to come: the day of the year that is at most a month back.
fn nearest(month: u32, day: u32, received: NaiveDate) -> Option<NaiveDate> {
    let earliest = received.checked_sub_days(Days::new(30))?;
    (received.year() - 1..=received.year() + 1)
        .filter_map(|year| NaiveDate::from_ymd_opt(year, month, day))
        .find(|date| *date >= earliest)
}

/// Times with the place where each ends.
fn times(text: &str) -> Vec<(NaiveTime, usize)> {
    let mut times = Vec::new();
    for captures in TIME.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        let mut push = |hour: Option<u32>, minute: u32, half: Option<&str>| {
            let hour = hour.and_then(|hour| on_the_clock(hour, half));
            if let Some(time) = hour.and_then(|hour| NaiveTime::from_hms_opt(hour, minute, 0)) {
                times.push((time, whole.end()));
            }
        };
        let half = |name| captures.name(name).map(|half| half.as_str());
        if captures.name("noon").is_some() {
            push(Some(12), 0, None);
        } else if let Some(hour) = number(&captures, &["h1"]) {
            push(Some(hour), number(&captures, &["n1"]).unwrap_or(0), half("half"));
        } else if let Some(hour) = number(&captures, &["h2"]) {
            push(Some(hour), number(&captures, &["n2"]).unwrap_or(0), None);
        } else if let Some(hour) = number(&captures, &["h3"]) {
            push(Some(hour), number(&captures, &["n3"]).unwrap_or(0), None);
            push(number(&captures, &["h4"]), number(&captures, &["n4"]).unwrap_or(0), None);
        } else if let (Some(open), Some(close)) = (number(&captures, &["h5"]), number(&captures, &["h6"])) {
            // "8-5pm" opens in the morning.
            let same = if open < close && open != 12 { half("half6") } else { Some("a") };
            push(Some(open), 0, same);
            push(Some(close), 0, half("half6"));
        }
    }
    times
}

fn on_the_clock(hour: u32, half: Option<&str>) -> Option<u32> {
    match half {
        None => Some(hour),
        Some(_) if !(1..=12).contains(&hour) => None,
        Some(half) if half.eq_ignore_ascii_case("p") => Some(hour % 12 + 12),
        Some(_) => Some(hour % 12),
    }
}

/// When it opens and closes.
fn hours(clock: &str, times: &[(NaiveTime, usize)], near: bool) -> (Option<NaiveTime>, Option<NaiveTime>) {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\W*(?:any ?time )?(?:by|before|until)\b"));
    match times {
        [] => (None, None),
        _ if !near => (None, None),
        [(time, _)] if BEFORE.is_match(clock) => (None, Some(*time)),
        [(time, _)] if opens_at(clock) => (Some(*time), None),
        [(time, _)] => (Some(*time), Some(*time)),
        [(open, _), .., (close, _)] => (Some(*open), Some(*close)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_on(received: &str, text: &str) -> (Option<String>, Option<String>) {
        let calendar = Calendar::new(received.parse().ok(), std::iter::once(text));
        let window = window(text, &calendar, Bound::Both);
        (window.from.map(|told| told.value.to_string()), window.to.map(|told| told.value.to_string()))
    }

    #[test]
    fn windows_are_told_in_many_ways() {
        for (text, from, to) in [
            ("11/23/2026 - 11/24/2026", Some("2026-11-23"), Some("2026-11-24")),
            ("Aug 5 – Aug 6, 2027", Some("2027-08-05"), Some("2027-08-06")),
            ("any day May 11-15", Some("2027-05-11"), Some("2027-05-15")),
            ("12/3/26", Some("2026-12-03"), Some("2026-12-03")),
            ("first available November 27th", Some("2026-11-27"), None),
            ("no later than December 1st", None, Some("2026-12-01")),
            ("by Monday 5pm", None, Some("2026-11-23T17:00")),
            ("tomorrow after noon", Some("2026-11-21T12:00"), None),
            ("11/14/2026 9:00 AM - 4:00 PM", Some("2026-11-14T09:00"), Some("2026-11-14T16:00")),
            ("01/14/2026 0800-1500", Some("2026-01-14T08:00"), Some("2026-01-14T15:00")),
            ("01/15/2026 10:00 to 01/16/2026 14:00", Some("2026-01-15T10:00"), Some("2026-01-16T14:00")),
            ("Monday 11/16 between 8am and 5pm", Some("2026-11-16T08:00"), Some("2026-11-16T17:00")),
            ("11/30 8-5pm", Some("2026-11-30T08:00"), Some("2026-11-30T17:00")),
            ("16/11/2026", Some("2026-11-16"), Some("2026-11-16")),
            ("05.12.2026", Some("2026-12-05"), Some("2026-12-05")),
            ("12.05.2026", Some("2026-12-05"), Some("2026-12-05")),
            ("02.03.2027", Some("2027-02-03"), Some("2027-02-03")),
            ("05.04.2024", Some("2024-05-04"), Some("2024-05-04")),
            ("05/12/2026", Some("2026-05-12"), Some("2026-05-12")),
            ("10/12/2026 - 14/12/2026", Some("2026-12-10"), Some("2026-12-14")),
            ("1/5", Some("2027-01-05"), Some("2027-01-05")),
            ("401-555-0166, 02/30/2026, 13/13/26", None, None),
        ] {
            let expected = (from.map(str::to_owned), to.map(str::to_owned));
            assert_eq!(read_on("2026-11-20", text), expected, "{text}");
        }
    }

    #[test]
    fn a_quote_names_its_days_and_times_and_no_other() {
        let named_in = |day_first: Option<bool>, quote: &str, told: &str, received: &str, years: &[i32]| {
            let years = years.iter().copied().collect();
            names(quote, told.parse().unwrap(), &Calendar { received: received.parse().ok(), years, day_first })
        };
        let named =
            |quote: &str, told: &str, received: &str, years: &[i32]| named_in(None, quote, told, received, years);
        for (quote, told) in [
            ("8am-5pm on 11/23/2026", "2026-11-23T17:00"),
            ("May 11-15, 2027", "2027-05-13"),
            ("11/27", "2026-11-27"),
            ("next Monday", "2026-11-30"),
            ("Monday", "2026-11-23"),
            ("tomorrow noon", "2026-11-21T12:00"),
        ] {
            assert!(named(quote, told, "2026-11-20", &[]), "{quote}");
        }
        for (quote, told) in [
            ("8am-5pm on 11/23/2026", "2026-11-23T09:00"),
            ("11/23/2026", "2026-11-23T11:00"),
            ("May 11-15, 2027", "2027-05-16"),
            ("11/27", "2027-11-27"),
            ("Monday", "2026-11-24"),
            ("tomorrow", "2026-11-20"),
            ("soon", "2026-11-20"),
        ] {
            assert!(!named(quote, told, "2026-11-20", &[]), "{quote}");
        }
        // Either order, unless the text tells which.
        for (day, orders) in [("2026-05-12", [None, Some(false)]), ("2026-12-05", [None, Some(true)])] {
            for order in [None, Some(false), Some(true)] {
                assert_eq!(
                    named_in(order, "5/12/2026", day, "2026-11-20", &[]),
                    orders.contains(&order),
                    "{day} {order:?}"
                );
            }
        }
        assert!(!named("12/3", "2027-03-12", "2026-11-20", &[]));
        assert!(named("11/27", "2027-11-27", "", &[2027]) && !named("11/27", "2027-11-27", "", &[]));
    }

    #[test]
    fn without_a_day_of_arrival_a_day_without_a_year_is_not_guessed() {
        for text in ["11/23", "Monday", "tomorrow", "Nov 3"] {
            assert_eq!(read_on("", text), (None, None), "{text}");
        }
    }
}
