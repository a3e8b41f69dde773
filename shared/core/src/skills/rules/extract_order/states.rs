//! States and provinces.

use std::sync::LazyLock;

use super::source::clean;

/// Codes with the names in full.
const STATES: &str = "\
    AL alabama, AK alaska, AZ arizona, AR arkansas, CA california, CO colorado, CT connecticut, DE delaware, FL \
    florida, GA georgia, HI hawaii, ID idaho, IL illinois, IN indiana, IA iowa, KS kansas, KY kentucky, LA \
    louisiana, ME maine, MD maryland, MA massachusetts, MI michigan, MN minnesota, MS mississippi, MO missouri, MT \
    montana, NE nebraska, NV nevada, NH new hampshire, NJ new jersey, NM new mexico, NY new york, NC north \
    carolina, ND north dakota, OH ohio, OK oklahoma, OR oregon, PA pennsylvania, RI rhode island, SC south \
    carolina, SD south dakota, TN tennessee, TX texas, UT utah, VT vermont, VA virginia, WA washington, WV west \
    virginia, WI wisconsin, WY wyoming, DC district of columbia, AB alberta, BC british columbia, MB manitoba, NB \
    new brunswick, NL newfoundland, NS nova scotia, ON ontario, PE prince edward island, QC quebec, QC québec, SK \
    saskatchewan";

fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    STATES.split(", ").filter_map(|state| state.split_once(' '))
}

/// The names in full as alternatives of a pattern, longer ones first.
pub static PATTERN: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = all().map(|(_, name)| name).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.join("|")
});

/// The code of a state or province that is written as a code or in full.
pub fn code(raw: &str) -> Option<&'static str> {
    let raw = clean(raw).trim_end_matches('.').to_lowercase();
    all().find(|(code, name)| *name == raw || code.eq_ignore_ascii_case(&raw)).map(|(code, _)| code)
}

/// Whether a quote names the state of this code, by the code or in full.
pub fn is_named(quote: &str, code: &str) -> bool {
    let words: Vec<_> = quote.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let words = format!(" {} ", words.join(" ").to_lowercase());
    let names = all().filter(|(known, _)| *known == code).map(|(_, name)| name.to_owned());
    names.chain([code.to_lowercase()]).any(|name| words.contains(&format!(" {name} ")))
}
