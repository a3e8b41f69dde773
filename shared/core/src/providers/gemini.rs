//! Google's Gemini.
//!
//! - <https://ai.google.dev/api/generate-content>
//! - <https://ai.google.dev/gemini-api/docs/structured-output>
//! - <https://ai.google.dev/gemini-api/docs/troubleshooting>

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};

use super::dialect::{Dialect, Draft, Said, below, number, text};
use super::error::ErrorCode;
use super::{CompletionRequest, Stop, Usage};

pub struct Gemini;

impl Dialect for Gemini {
    fn authorization(&self, key: &str) -> (&'static str, String) {
        ("x-goog-api-key", key.to_owned())
    }

    fn completion_url(&self, base: &Url, request: &CompletionRequest) -> Url {
        // Google's lists of models say `models/` before each.
        let model = request.model.strip_prefix("models/").unwrap_or(&request.model);
        let mut url = below(base, ["v1beta", "models", &format!("{model}:streamGenerateContent")]);
        url.set_query(Some("alt=sse"));
        url
    }

    fn question(&self, request: &CompletionRequest) -> Value {
        let mut config = json!({"maxOutputTokens": request.max_output_tokens});
        if let Some(temperature) = request.temperature {
            config["temperature"] = json!(temperature);
        }
        if let Some(schema) = &request.output_schema {
            config["responseMimeType"] = json!("application/json");
            config["responseJsonSchema"] = schema.clone();
        }
        let mut body = json!({
            "contents": [{"role": "user", "parts": [{"text": request.user}]}],
            "generationConfig": config,
        });
        if !request.system.is_empty() {
            body["systemInstruction"] = json!({"parts": [{"text": request.system}]});
        }
        body
    }

    fn models_url(&self, base: &Url) -> Url {
        let mut url = below(base, ["v1beta", "models"]);
        url.set_query(Some("pageSize=1"));
        url
    }

    fn read(&self, event: &Value, draft: &mut Draft) -> Result<(), Said> {
        if event.get("error").is_some() {
            return Err(self.explain(event));
        }
        if let Some(model) = event["modelVersion"].as_str() {
            model.clone_into(&mut draft.model);
        }
        let usage = &event["usageMetadata"];
        if let Some(input_tokens) = number(usage, "/promptTokenCount") {
            let output = ["/candidatesTokenCount", "/thoughtsTokenCount"];
            let output_tokens = output.iter().filter_map(|it| number(usage, it)).sum();
            draft.usage = Some(Usage { input_tokens, output_tokens });
        }
        if let Some(reason) = event.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
            draft.refusal = Some(format!("the prompt was blocked: {reason}"));
        }
        for part in event.pointer("/candidates/0/content/parts").and_then(Value::as_array).into_iter().flatten() {
            if part["thought"] != true {
                draft.text.push_str(text(part, "/text"));
            }
        }
        match text(event, "/candidates/0/finishReason") {
            "" => {}
            "STOP" => draft.stop = Some(Stop::End),
            "MAX_TOKENS" => draft.stop = Some(Stop::MaxTokens),
            // SAFETY, RECITATION, PROHIBITED_CONTENT and what else may come to be declined.
            reason => draft.refusal = Some(format!("the model did not answer: {reason}")),
        }
        draft.has_ended = draft.is_whole();
        Ok(())
    }

    fn explain(&self, body: &Value) -> Said {
        let details = || body.pointer("/error/details").and_then(Value::as_array).into_iter().flatten();
        let is_bad_key = details().any(|it| text(it, "/reason") == "API_KEY_INVALID");
        let code = match text(body, "/error/status") {
            _ if is_bad_key => Some(ErrorCode::InvalidKey),
            "UNAUTHENTICATED" => Some(ErrorCode::InvalidKey),
            "PERMISSION_DENIED" => Some(ErrorCode::NotPermitted),
            "NOT_FOUND" => Some(ErrorCode::NotFound),
            "RESOURCE_EXHAUSTED" => Some(ErrorCode::RateLimited),
            "UNAVAILABLE" => Some(ErrorCode::Overloaded),
            "INTERNAL" => Some(ErrorCode::Unavailable),
            "DEADLINE_EXCEEDED" => Some(ErrorCode::Timeout),
            _ => None,
        };
        // `{"@type": "..RetryInfo", "retryDelay": "37.5s"}`
        let seconds = details().find_map(|it| it["retryDelay"].as_str()?.strip_suffix('s')?.parse::<f64>().ok());
        let retry_after = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Said { code, message: text(body, "/error/message").to_owned(), retry_after }
    }
}
