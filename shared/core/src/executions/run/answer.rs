//! Asking the provider, outside of any transaction, and what is checked of its answer whoever gave it: the skill's output
//! schema, and the rules of the skill's kind.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Runner;
use super::claim::Claim;
use super::context::Context;
use super::model;
use crate::base::error::{Error, Violations};
use crate::base::money::Cost;
use crate::provider_keys::SealedKey;
use crate::skills::schema::{Compiled, check_storable};
use crate::skills::{Kind, Provider};

/// Why an attempt has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub code: String,
    pub detail: String,
    /// Whether another attempt may have better luck.
    pub may_pass: bool,
    /// How long the provider has asked to be left alone.
    pub after: Option<Duration>,
}

impl Failed {
    pub fn for_good(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into(), may_pass: false, after: None }
    }

    pub fn for_now(code: &str, detail: impl Into<String>) -> Self {
        Self { may_pass: true, ..Self::for_good(code, detail) }
    }
}

/// What an attempt has used, also if it failed.
#[derive(Debug, Default)]
pub struct Usage {
    /// As the provider names it.
    pub model: Option<String>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cost: Cost,
}

impl Usage {
    pub fn is_billed(&self) -> bool {
        self.input_tokens > 0 || self.output_tokens > 0
    }
}

pub struct Answer {
    pub result: Result<Value, Failed>,
    pub usage: Usage,
    /// A key that the provider no longer takes.
    pub refused_key: Option<SealedKey>,
}

impl Answer {
    pub fn free(result: Result<Value, Failed>) -> Self {
        Self { result, usage: Usage::default(), refused_key: None }
    }
}

/// The one place that tells providers apart: our rules, and models.
pub async fn answer(runner: &Runner, claim: &Claim, deadline: Instant) -> Answer {
    let context = match &claim.context {
        Ok(context) => context,
        Err(failed) => return Answer::free(Err(failed.clone())),
    };
    match claim.skill.provider {
        Provider::Rules => {
            let output = context.answer_by_rules(&claim.input);
            Answer::free(output.and_then(|output| check(claim, context, output)))
        }
        Provider::Anthropic | Provider::Gemini | Provider::OpenaiCompatible => {
            model::answer(runner, claim, context, deadline).await
        }
    }
}

/// The output in the form in which it is kept.
///
/// # Errors
/// Junk, with where it breaks the schema or a rule of its kind.
pub fn check(claim: &Claim, context: &Context, output: Value) -> Result<Value, Failed> {
    let schema = Compiled::new(&claim.skill.output_schema);
    let schema = schema.map_err(|detail| Failed::for_good("bad_schema", detail))?;
    let mut violations = Violations::default();
    check_storable(&output, "", &mut violations);
    schema.check(&output, "", &mut violations);
    violations.into_result().map_err(junk)?;
    match claim.skill.kind {
        Kind::Custom => Ok(output),
        _ => context.admit(&claim.input, output).map_err(junk),
    }
}

fn junk(error: Error) -> Failed {
    let detail = match error {
        Error::Invalid(fields) => {
            let told = fields.iter().take(5).map(|field| format!("{} {}", field.pointer, field.detail));
            told.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    };
    Failed::for_good("junk", detail)
}
