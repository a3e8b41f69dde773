//! Chat completions, as OpenAI and others serve them.
//!
//! - <https://platform.openai.com/docs/api-reference/chat/create>
//! - <https://platform.openai.com/docs/guides/error-codes>

use reqwest::Url;
use serde_json::{Value, json};

use super::dialect::{Dialect, Draft, Said, below, number, text};
use super::error::ErrorCode;
use super::{CompletionRequest, Stop, Usage};

pub struct ChatCompletions {
    /// What bounds the answer: OpenAI's newer models refuse `max_tokens`, many others know nothing else.
    limit: &'static str,
}

pub const OPENAI: ChatCompletions = ChatCompletions { limit: "max_completion_tokens" };
pub const COMPATIBLE: ChatCompletions = ChatCompletions { limit: "max_tokens" };

impl Dialect for ChatCompletions {
    fn authorization(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn completion_url(&self, base: &Url, _: &CompletionRequest) -> Url {
        below(base, ["chat", "completions"])
    }

    fn question(&self, request: &CompletionRequest) -> Value {
        let mut messages = vec![json!({"role": "user", "content": request.user})];
        if !request.system.is_empty() {
            messages.insert(0, json!({"role": "system", "content": request.system}));
        }
        let mut body = json!({
            "model": request.model,
            "messages": messages,
            self.limit: request.max_output_tokens,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if let Some(temperature) = request.temperature {
            body["temperature"] = json!(temperature);
        }
        if let Some(schema) = &request.output_schema {
            // Strict mode knows only schemas in which every member is required.
            let schema = json!({"name": "answer", "strict": false, "schema": schema});
            body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
        }
        body
    }

    fn models_url(&self, base: &Url) -> Url {
        below(base, ["models"])
    }

    fn read(&self, event: &Value, draft: &mut Draft) -> Result<(), Said> {
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Err(self.explain(event));
        }
        if let Some(model) = event["model"].as_str() {
            model.clone_into(&mut draft.model);
        }
        // The last event has it, with no choice in it.
        if let Some(input_tokens) = number(event, "/usage/prompt_tokens") {
            let output_tokens = number(event, "/usage/completion_tokens").unwrap_or_default();
            draft.usage = Some(Usage { input_tokens, output_tokens });
        }
        let choice = &event["choices"][0];
        // Who does not stream sends the whole message at once.
        for part in [&choice["delta"], &choice["message"]] {
            draft.text.push_str(text(part, "/content"));
            if let Some(refusal) = part["refusal"].as_str() {
                draft.refusal.get_or_insert_default().push_str(refusal);
            }
        }
        match text(choice, "/finish_reason") {
            "" => {}
            "length" => draft.stop = Some(Stop::MaxTokens),
            "content_filter" => draft.refusal = Some("the answer was filtered".to_owned()),
            _ => draft.stop = Some(Stop::End),
        }
        Ok(())
    }

    fn explain(&self, body: &Value) -> Said {
        let code = match text(body, "/error/code") {
            "insufficient_quota" => Some(ErrorCode::OutOfCredit),
            "invalid_api_key" => Some(ErrorCode::InvalidKey),
            "model_not_found" => Some(ErrorCode::NotFound),
            "rate_limit_exceeded" => Some(ErrorCode::RateLimited),
            _ => None,
        };
        // `{"error": ".."}` is how some of the others say it.
        let message = body["error"].as_str().unwrap_or_else(|| text(body, "/error/message"));
        Said { code, message: message.to_owned(), retry_after: None }
    }
}
