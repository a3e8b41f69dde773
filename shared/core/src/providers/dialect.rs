//! What differs between providers: addresses, headers, the form of questions, answers and errors.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use super::error::{ErrorCode, ProviderError};
use super::{Completion, CompletionRequest, Content, Stop, Usage};

pub trait Dialect: Sync {
    /// The header that the key goes into, and what it then says.
    fn authorization(&self, key: &str) -> (&'static str, String);

    /// Headers that are always the same.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Where the question goes.
    fn completion_url(&self, base: &Url, request: &CompletionRequest) -> Url;

    fn question(&self, request: &CompletionRequest) -> Value;

    /// Where the list of models is.
    fn models_url(&self, base: &Url) -> Url;

    /// Takes one event of an answer.
    ///
    /// # Errors
    /// What the event says has gone wrong.
    fn read(&self, event: &Value, draft: &mut Draft) -> Result<(), Said>;

    /// What the body of an error says beyond its status.
    fn explain(&self, body: &Value) -> Said;
}

/// What a provider says of an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// If it is more than the status says.
    pub code: Option<ErrorCode>,
    pub message: String,
    pub retry_after: Option<Duration>,
}

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub struct Draft {
    pub text: String,
    pub usage: Option<Usage>,
    pub model: String,
    pub stop: Option<Stop>,
    /// Why there is none: it was declined.
    pub refusal: Option<String>,
    /// Nothing that matters can follow.
    pub has_ended: bool,
}

impl Draft {
    /// Whether it is all there, as far as one can tell.
    pub fn is_whole(&self) -> bool {
        self.refusal.is_some() || self.stop.is_some() && self.usage.is_some()
    }

    /// # Errors
    /// [`ErrorCode::Refused`]; [`ErrorCode::Unavailable`] when it broke off.
    pub fn finish(self, request: &CompletionRequest) -> Result<Completion, ProviderError> {
        let usage = self.usage.unwrap_or_default();
        if let Some(detail) = self.refusal {
            return Err(ErrorCode::Refused.because(detail).having_used(usage));
        }
        let broke_off = || ErrorCode::Unavailable.because("the answer broke off").having_used(usage);
        let stop = self.stop.ok_or_else(broke_off)?;
        let json = request.output_schema.as_ref().and_then(|_| serde_json::from_str(&self.text).ok());
        let content = json.map_or(Content::Text(self.text), Content::Json);
        let model = if self.model.is_empty() { request.model.clone() } else { self.model };
        Ok(Completion { content, usage, model, stop })
    }
}

/// The base with more segments; a slash within one is escaped.
pub fn below<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A member that is text, or nothing.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}
