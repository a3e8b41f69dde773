//! Search by prefix, as text ranges over an indexed table of terms: full-text operators are not leakproof and lose their
//! index under row-level security.

use crate::platform::db::{ENOUGH, Rare, Sql};

/// More words than this narrow nothing down further.
const MAX_WORDS: usize = 5;

/// Begins no term: who searches for signs alone finds nothing, and not everything.
const NO_WORD: &str = "-";

/// A word that a term must start with: lower case, letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// The words of a search text; every one must be found.
pub fn words(q: Option<&str>) -> Vec<Prefix> {
    let q = q.unwrap_or_default();
    let words = q
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(|word| Prefix(word.to_lowercase()))
        .collect::<Vec<_>>();
    let nothing_can_be_found = words.is_empty() && !q.trim().is_empty();
    if nothing_can_be_found { vec![Prefix(NO_WORD.to_owned())] } else { words }
}

/// A search text as one prefix, for a column that is searched from its beginning; its values are in lower case.
pub fn prefix(q: Option<&str>) -> Option<Prefix> {
    // Postgres takes no NUL in a text, and no name has a control character.
    let text: String = q.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let text = text.trim().to_lowercase();
    (!text.is_empty()).then_some(Prefix(text))
}

impl Prefix {
    /// Writes `column >= 'abc' AND column < 'abc..'`; the column's collation is "C".
    pub fn push_condition(&self, sql: &mut Sql, column: &str) {
        sql.push(column).push(" >= ").push_bind(self.0.clone());
        sql.push(" AND ").push(column).push(" < ").push_bind(format!("{}\u{10ffff}", self.0));
    }

    /// That a column of a table with an index for it begins so.
    pub fn begins(&self, table: &'static str, column: &'static str) -> Rare<'_> {
        let find = move |sql: &mut Sql| {
            sql.push(format_args!("SELECT s.id FROM {table} s WHERE s.tenant_id = e.tenant_id AND "));
            self.push_condition(sql, &format!("s.{column}"));
            sql.push(format_args!(" ORDER BY s.{column}")).push(ENOUGH);
        };
        Rare::new(find, move |sql| self.push_condition(sql, &format!("t.{column}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_split_into_lower_case_words() {
        let found = words(Some("  Lakeside  AUTO, VIN-118341 "));
        assert_eq!(found, ["lakeside", "auto", "vin", "118341"].map(|w| Prefix(w.into())));
        assert_eq!(words(None), []);
    }

    #[test]
    fn a_prefix_is_the_whole_text_in_lower_case() {
        assert_eq!(prefix(Some(" Lakeside AUTO\0 ")), Some(Prefix("lakeside auto".into())));
        assert_eq!(prefix(Some(" ")), None);
        assert_eq!(prefix(None), None);
    }
}
