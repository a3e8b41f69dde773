//! Which states and provinces have a border with which.

/// Each border once.
const BORDERS: &[(&str, &str)] = &[
    ("AL", "FL GA MS TN"),
    ("AR", "LA MO MS OK TN TX"),
    ("AZ", "CA CO NM NV UT"),
    ("CA", "NV OR"),
    ("CO", "KS NE NM OK UT WY"),
    ("CT", "MA NY RI"),
    ("DC", "MD VA"),
    ("DE", "MD NJ PA"),
    ("FL", "GA"),
    ("GA", "NC SC TN"),
    ("IA", "IL MN MO NE SD WI"),
    ("ID", "MT NV OR UT WA WY BC"),
    ("IL", "IN KY MO WI"),
    ("IN", "KY MI OH"),
    ("KS", "MO NE OK"),
    ("KY", "MO OH TN VA WV"),
    ("LA", "MS TX"),
    ("MA", "NH NY RI VT"),
    ("MD", "PA VA WV"),
    ("ME", "NH NB QC"),
    ("MI", "OH WI ON"),
    ("MN", "ND SD WI MB ON"),
    ("MO", "NE OK TN"),
    ("MS", "TN"),
    ("MT", "ND SD WY AB BC SK"),
    ("NC", "SC TN VA"),
    ("ND", "SD MB SK"),
    ("NE", "SD WY"),
    ("NH", "VT QC"),
    ("NJ", "NY PA"),
    ("NM", "OK TX UT"),
    ("NV", "OR UT"),
    ("NY", "PA VT ON QC"),
    ("OH", "PA WV"),
    ("OK", "TX"),
    ("OR", "WA"),
    ("PA", "WV"),
    ("SD", "WY"),
    ("TN", "VA"),
    ("UT", "WY"),
    ("VA", "WV"),
    ("VT", "QC"),
    ("WA", "BC"),
    ("AK", "BC"),
    ("AB", "BC SK"),
    ("MB", "ON SK"),
    ("NB", "NS QC"),
    ("NL", "QC"),
    ("ON", "QC"),
];

pub fn are_neighbours(one: &str, other: &str) -> bool {
    let borders = |from: &str, to: &str| {
        BORDERS.iter().any(|(state, others)| *state == from && others.split(' ').any(|o| o == to))
    };
    borders(one, other) || borders(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_has_two_sides() {
        assert!(are_neighbours("KY", "TN") && are_neighbours("TN", "KY"));
        assert!(!are_neighbours("KY", "FL") && !are_neighbours("KY", "KY"));
    }
}
