//! Asking a model: with the carrier's own key, within its budget, and once more with what was wrong if the answer does not
//! fit.

use rust_decimal::Decimal;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{Answer, Failed, Usage, check};
use super::claim::Claim;
use super::context::Context;
use super::progress::Progress;
use super::{Runner, budget};
use crate::base::money::Cost;
use crate::base::words::Word;
use crate::platform::envelope::EnvelopeError;
use crate::provider_keys::OpenError;
use crate::providers::price::{Price, cost};
use crate::providers::{self, Completion, CompletionRequest, Content, ErrorCode, OnText, ProviderError, Stop};
use crate::skills::prompt;

/// No text has more tokens than that many bytes make, whatever its language.
const BYTES_A_TOKEN: u64 = 2;

pub async fn answer(runner: &Runner, claim: &Claim, context: &Context, deadline: Instant) -> Answer {
    let Some(key) = &claim.money.key else {
        let provider = Word(&claim.skill.provider);
        return Answer::free(Err(Failed::for_good("no_key", format!("there is no key for the provider {provider}"))));
    };
    let provider = match runner.vault.open(claim.tenant_id, key).await {
        Ok(provider) => provider,
        Err(OpenError::Envelope(EnvelopeError::Unavailable(detail))) => {
            tracing::error!(detail, "a provider key cannot be opened");
            return Answer::free(Err(Failed::for_now("unavailable", "the key service cannot be reached")));
        }
        Err(OpenError::Envelope(EnvelopeError::Closed)) => {
            return Answer::free(Err(Failed::for_good(
                "invalid_key",
                "the key that is kept cannot be opened: rotate it",
            )));
        }
        Err(OpenError::Provider(error)) => return Answer::free(Err(failed(&error, claim))),
    };
    let mut asking = Asking {
        runner,
        provider,
        claim,
        context,
        deadline,
        progress: Progress::new(runner, claim),
        usage: Usage::default(),
        invalid_key: false,
    };
    let result = asking.ask().await;
    Answer { result, refused_key: asking.invalid_key.then(|| key.clone()), usage: asking.usage }
}

struct Asking<'a> {
    runner: &'a Runner,
    provider: providers::Provider,
    claim: &'a Claim,
    context: &'a Context,
    deadline: Instant,
    progress: Progress<'a>,
    /// Of all calls so far.
    usage: Usage,
    invalid_key: bool,
}

impl Asking<'_> {
    async fn ask(&mut self) -> Result<Value, Failed> {
        let prompt = prompt::render(&self.claim.skill, &self.claim.input, self.context.shown().as_ref());
        let mut request = CompletionRequest {
            model: self.claim.skill.model.clone().unwrap_or_default(),
            system: prompt.system,
            user: prompt.user,
            output_schema: Some(self.claim.skill.output_schema.clone()),
            max_output_tokens: u32::try_from(self.claim.skill.max_output_tokens).unwrap_or(1),
            temperature: None,
        };
        let (said, wrong) = match self.call(&request).await? {
            Ok(output) => return Ok(output),
            Err(wrong) => wrong,
        };
        // What a model said of a text from outside is as untrusted as the text.
        request.user.push_str(&prompt::render_repair(&said, &wrong.detail));
        self.call(&request).await?.map_err(|(_, wrong)| wrong)
    }

    /// Calls once. The inner error is an answer that does not fit, with what is wrong.
    async fn call(&mut self, request: &CompletionRequest) -> Result<Result<Value, (String, Failed)>, Failed> {
        self.require_budget(request).await?;
        let (provider, deadline) = (&self.provider, self.deadline);
        let call = async |on_text: OnText<'_>| provider.complete(request, deadline, on_text).await;
        let completion = match self.progress.of(call).await {
            Ok(completion) => completion,
            Err(error) => {
                self.book(error.usage());
                self.invalid_key |= error.code() == ErrorCode::InvalidKey;
                return Err(failed(&error, self.claim));
            }
        };
        let Completion { content, usage, model, stop } = completion;
        self.book(usage);
        self.usage.model = Some(model);
        let cut = || Failed::for_good("cut_off", "the answer is longer than max_output_tokens");
        Ok(match content {
            Content::Json(output) => {
                let said = output.to_string();
                check(self.claim, self.context, output).map_err(|wrong| (said, wrong))
            }
            Content::Text(_) if stop == Stop::MaxTokens => return Err(cut()),
            Content::Text(said) => Err((said, Failed::for_good("junk", "the answer is not JSON"))),
        })
    }

    /// Before the call, what it may cost at the most is held; a carrier's own server costs us nothing.
    async fn require_budget(&self, request: &CompletionRequest) -> Result<(), Failed> {
        let money = &self.claim.money;
        let Some(price) = money.price else {
            let is_own = money.key.as_ref().is_some_and(|key| key.base_url.is_some());
            if (money.has_budget || self.claim.skill.max_cost.is_some()) && !is_own {
                return Err(Failed::for_good(
                    "no_price",
                    format!("there is a budget and no price of {}", request.model),
                ));
            }
            return Ok(());
        };
        let spent = self.usage.cost.decimal();
        let bytes = request.system.len() + request.user.len() + self.claim.skill.output_schema.to_string().len();
        let most = providers::Usage {
            input_tokens: bytes as u64 / BYTES_A_TOKEN + 1,
            output_tokens: u64::from(request.max_output_tokens),
        };
        let most = cost(most, price).unwrap_or(Decimal::MAX);
        let allowed = self.claim.skill.max_cost.map(|max| max.decimal() - money.spent.decimal() - spent);
        if allowed.is_some_and(|allowed| most > allowed) {
            return Err(Failed::for_good("too_costly", "it may cost more than the skill's max_cost"));
        }
        if money.has_budget {
            budget::reserve(&self.runner.db, self.claim, most.saturating_add(spent)).await?;
        }
        Ok(())
    }

    fn book(&mut self, used: providers::Usage) {
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.usage.input_tokens = self.usage.input_tokens.saturating_add(tokens(used.input_tokens));
        self.usage.output_tokens = self.usage.output_tokens.saturating_add(tokens(used.output_tokens));
        let price = self.claim.money.price.unwrap_or(Price { input: Decimal::ZERO, output: Decimal::ZERO });
        let sum = cost(used, price).map(|cost| cost + self.usage.cost.decimal());
        // Beyond what a column holds is beyond any bill; the budget is gone either way.
        self.usage.cost = sum.and_then(|sum| Cost::new(sum).ok()).unwrap_or(self.usage.cost);
    }
}

fn failed(error: &ProviderError, claim: &Claim) -> Failed {
    let code = error.code();
    let retries = u32::try_from(claim.attempt - 1).unwrap_or(0);
    let detail = match error {
        ProviderError::Retryable { detail, .. } | ProviderError::Permanent { detail, .. } => detail.clone(),
    };
    Failed {
        code: Word(&code).to_string(),
        detail,
        may_pass: code.most_retries().is_none_or(|most| retries < most),
        after: error.retry_after(),
    }
}
