//! A request's parameters, as Stripe takes them: a form with brackets, of which each name must be known.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::refusal::Refusal;

pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(form: &[u8]) -> Result<Self, Refusal> {
        let parsed = serde_html_form::from_bytes(form);
        parsed.map(Self).map_err(|_| Refusal::state("The parameters could not be parsed."))
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Takes a parameter that may be left out.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        match self.0.remove(at).1 {
            value if value.is_empty() => {
                let message = format!("You passed an empty string for '{name}'. It cannot be unset.");
                Err(Refusal::invalid(name, "parameter_invalid_empty", message))
            }
            value => Ok(Some(value)),
        }
    }

    pub(super) fn require(&mut self, name: &str) -> Result<String, Refusal> {
        let missing = || Refusal::invalid(name, "parameter_missing", format!("Missing required param: {name}."));
        self.take(name)?.ok_or_else(missing)
    }

    pub(super) fn whole(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let wrong = || Refusal::invalid(name, "parameter_invalid_integer", format!("Invalid integer: {text}"));
        number.ok_or_else(wrong).map(Some)
    }

    /// An address that a browser is sent to.
    pub(super) fn address(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let is_address = text.starts_with("https://") || text.starts_with("http://");
        let wrong = || Refusal::invalid(name, "url_invalid", "Not a valid URL");
        is_address.then_some(text).ok_or_else(wrong).map(Some)
    }

    /// All of `name[]`, at most as many as Stripe takes.
    pub(super) fn all(&mut self, name: &str, most: usize) -> Result<Vec<String>, Refusal> {
        let list = format!("{name}[]");
        let (taken, rest) = std::mem::take(&mut self.0).into_iter().partition(|(known, _)| *known == list);
        self.0 = rest;
        let taken: Vec<String> = taken.into_iter().map(|(_, value)| value).collect();
        if taken.len() > most {
            return Err(Refusal::invalid(name, "array_too_large", format!("At most {most} values are allowed.")));
        }
        Ok(taken)
    }

    /// All of `name[..]` as an object of texts.
    pub(super) fn map(&mut self, name: &str) -> Value {
        let key = |known: &str| known.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']').map(str::to_owned);
        let mut map = Map::new();
        self.0.retain(|(known, value)| match key(known) {
            Some(key) => {
                map.insert(key, Value::from(value.as_str()));
                false
            }
            None => true,
        });
        Value::Object(map)
    }

    /// What is left is nothing that Stripe, or at least its stand-in, knows.
    pub(super) fn end(self) -> Result<(), Refusal> {
        match self.0.first() {
            Some((name, _)) => {
                Err(Refusal::invalid(name, "parameter_unknown", format!("Received unknown parameter: {name}")))
            }
            None => Ok(()),
        }
    }
}
