//! Anthropic's Messages.
//!
//! - <https://platform.claude.com/docs/en/api/messages>
//! - <https://platform.claude.com/docs/en/build-with-claude/streaming>
//! - <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>: `output_config.format`, since the newest
//!   models refuse a forced tool call
//! - <https://platform.claude.com/docs/en/api/errors>

use reqwest::Url;
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, Draft, Said, below, number, text};
use super::error::ErrorCode;
use super::{CompletionRequest, Stop};

pub struct Anthropic;

impl Dialect for Anthropic {
    fn authorization(&self, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn completion_url(&self, base: &Url, _: &CompletionRequest) -> Url {
        below(base, ["v1", "messages"])
    }

    fn question(&self, request: &CompletionRequest) -> Value {
        let mut body = json!({
            "model": request.model,
            "max_tokens": request.max_output_tokens,
            "stream": true,
            "messages": [{"role": "user", "content": request.user}],
        });
        if !request.system.is_empty() {
            body["system"] = json!(request.system);
        }
        if let Some(temperature) = request.temperature {
            body["temperature"] = json!(temperature);
        }
        if let Some(schema) = &request.output_schema {
            body["output_config"] = json!({"format": {"type": "json_schema", "schema": supported(schema)}});
        }
        body
    }

    fn models_url(&self, base: &Url) -> Url {
        let mut url = below(base, ["v1", "models"]);
        url.set_query(Some("limit=1"));
        url
    }

    fn read(&self, event: &Value, draft: &mut Draft) -> Result<(), Said> {
        match text(event, "/type") {
            "message_start" => {
                text(event, "/message/model").clone_into(&mut draft.model);
                count(&event["message"]["usage"], draft);
            }
            // Thinking comes in deltas of other types, and is not the answer.
            "content_block_delta" if text(event, "/delta/type") == "text_delta" => {
                draft.text.push_str(text(event, "/delta/text"));
            }
            "message_delta" => {
                count(&event["usage"], draft);
                match text(event, "/delta/stop_reason") {
                    "" => {}
                    "max_tokens" | "model_context_window_exceeded" => draft.stop = Some(Stop::MaxTokens),
                    "refusal" => draft.refusal = Some("the model declined to answer".to_owned()),
                    _ => draft.stop = Some(Stop::End),
                }
            }
            "message_stop" => draft.has_ended = true,
            "error" => return Err(self.explain(event)),
            _ => {}
        }
        Ok(())
    }

    fn explain(&self, body: &Value) -> Said {
        let code = match text(body, "/error/type") {
            // It goes on with the next month, not with the next attempt.
            _ if text(body, "/error/details/error_code") == "enforced_spend_limit_reached" => {
                Some(ErrorCode::OutOfCredit)
            }
            "authentication_error" => Some(ErrorCode::InvalidKey),
            "billing_error" => Some(ErrorCode::OutOfCredit),
            "permission_error" => Some(ErrorCode::NotPermitted),
            "not_found_error" => Some(ErrorCode::NotFound),
            "request_too_large" => Some(ErrorCode::RequestTooLarge),
            "rate_limit_error" => Some(ErrorCode::RateLimited),
            "timeout_error" => Some(ErrorCode::Timeout),
            "api_error" => Some(ErrorCode::Unavailable),
            "overloaded_error" => Some(ErrorCode::Overloaded),
            _ => None,
        };
        Said { code, message: text(body, "/error/message").to_owned(), retry_after: None }
    }
}

/// The start tells of the input, the end of the whole: counts are running totals.
fn count(usage: &Value, draft: &mut Draft) {
    let known = draft.usage.get_or_insert_default();
    if let Some(input) = number(usage, "/input_tokens") {
        // What went through the provider's cache is counted apart.
        let cached = ["/cache_creation_input_tokens", "/cache_read_input_tokens"];
        known.input_tokens = input + cached.iter().filter_map(|it| number(usage, it)).sum::<u64>();
    }
    known.output_tokens = number(usage, "/output_tokens").unwrap_or(known.output_tokens);
}

/// The part of a schema that structured outputs know; others they refuse. Who asked checks the answer by the whole schema.
fn supported(schema: &Value) -> Value {
    const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "uuid"];
    let Value::Object(schema) = schema else { return schema.clone() };
    let each = |members: &Value| -> Value {
        let members = members.as_object().into_iter().flatten();
        Value::Object(members.map(|(name, member)| (name.clone(), supported(member))).collect())
    };
    let list = |schemas: &Value| Value::Array(schemas.as_array().into_iter().flatten().map(supported).collect());
    let mut known = Map::new();
    for (keyword, value) in schema {
        let (keyword, value) = match keyword.as_str() {
            "type" | "enum" | "const" | "$ref" | "required" | "title" | "description" | "default" => {
                (keyword.as_str(), value.clone())
            }
            "properties" | "$defs" | "definitions" => (keyword.as_str(), each(value)),
            "items" => ("items", supported(value)),
            "anyOf" | "allOf" => (keyword.as_str(), list(value)),
            // Of one that holds, another rarely holds as well.
            "oneOf" => ("anyOf", list(value)),
            "format" if FORMATS.iter().any(|format| value == format) => ("format", value.clone()),
            "minItems" if value.as_u64().is_some_and(|least| least > 0) => ("minItems", json!(1)),
            _ => continue,
        };
        known.insert(keyword.to_owned(), value);
    }
    let is_object = |kind: &Value| *kind == "object" || kind.as_array().is_some_and(|of| of.contains(&json!("object")));
    if schema.contains_key("properties") || schema.get("type").is_some_and(is_object) {
        known.insert("additionalProperties".to_owned(), json!(false));
    }
    Value::Object(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_narrowed_to_what_structured_outputs_know() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["vin"],
            "additionalProperties": true,
            "properties": {
                "vin": {"type": "string", "minLength": 17, "pattern": "^.{17}$", "description": "17 characters"},
                "on": {"type": "string", "format": "date"},
                "odd": {"type": "string", "format": "vin"},
                "stops": {"type": "array", "minItems": 2, "maxItems": 9, "items": {"type": "object"}},
                "price": {"oneOf": [{"type": "number", "minimum": 0}, {"type": "null"}]}
            }
        });
        assert_eq!(
            supported(&schema),
            json!({
                "type": "object",
                "required": ["vin"],
                "additionalProperties": false,
                "properties": {
                    "vin": {"type": "string", "description": "17 characters"},
                    "on": {"type": "string", "format": "date"},
                    "odd": {"type": "string"},
                    "stops": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": false}},
                    "price": {"anyOf": [{"type": "number"}, {"type": "null"}]}
                }
            })
        );
    }
}
