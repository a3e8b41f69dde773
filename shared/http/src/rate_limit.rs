//! What is left of the plan's calls, in the headers that client libraries know (`RateLimit-Limit`, `-Remaining`, `-Reset`,
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/03/>).

use carhaul_core::platform::db::Calls;
use http::{HeaderMap, HeaderName, HeaderValue};

pub const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// In seconds.
pub const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
/// Both limits, where the other three tell of one.
pub const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Tells of the limit that is nearer to its end, the second's or the month's. Says nothing on an unlimited plan.
pub fn tell(headers: &mut HeaderMap, calls: &Calls) {
    let second = calls.second.max.map(|max| (max, calls.second.remaining().unwrap_or_default(), 1));
    let month = calls.month.max.map(|max| (max, calls.month.remaining().unwrap_or_default(), calls.month_ends_in));
    let Some((limit, remaining, reset)) = second.into_iter().chain(month).min_by_key(|(_, remaining, _)| *remaining)
    else {
        return;
    };
    // A refusal has told of its own limit.
    headers.entry(LIMIT).or_insert(limit.into());
    headers.entry(REMAINING).or_insert(remaining.into());
    headers.entry(RESET).or_insert(reset.into());
    let policies =
        [calls.second.max.map(|max| format!("{max};w=1")), calls.month.max.map(|max| format!("{max};w=2592000"))];
    let policies: Vec<_> = policies.into_iter().flatten().collect();
    if let Ok(policy) = HeaderValue::from_str(&policies.join(", ")) {
        headers.insert(POLICY, policy);
    }
}
