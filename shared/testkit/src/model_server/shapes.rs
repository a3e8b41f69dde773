//! How each API words its answers.
//!
//! - <https://platform.claude.com/docs/en/build-with-claude/streaming>, <https://platform.claude.com/docs/en/api/errors>
//! - <https://ai.google.dev/api/generate-content>, <https://cloud.google.com/apis/design/errors>
//! - <https://platform.openai.com/docs/api-reference/chat-streaming>, <https://platform.openai.com/docs/guides/error-codes>

use serde_json::{Value, json};

use super::{ModelRequest, ModelServer, ModelStop};

const MODEL: &str = ModelServer::MODEL;
const INPUT: u64 = ModelServer::INPUT_TOKENS;
const OUTPUT: u64 = ModelServer::OUTPUT_TOKENS;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Anthropic,
    Gemini,
    OpenAi,
}

impl Api {
    pub fn of(request: &ModelRequest) -> Option<Self> {
        let path = request.path.split('?').next().unwrap_or_default();
        match path {
            "/v1/messages" => Some(Self::Anthropic),
            "/v1/models" if request.header("x-api-key").is_some() => Some(Self::Anthropic),
            "/v1/models" | "/v1/chat/completions" => Some(Self::OpenAi),
            path if path.starts_with("/v1beta/models") => Some(Self::Gemini),
            _ => None,
        }
    }

    pub fn key(self, request: &ModelRequest) -> Option<&str> {
        match self {
            Self::Anthropic => request.header("x-api-key"),
            Self::Gemini => request.header("x-goog-api-key"),
            Self::OpenAi => request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
        }
    }

    pub fn status_of_a_wrong_key(self) -> u16 {
        if self == Self::Gemini { 400 } else { 401 }
    }

    /// It says the key, which real ones only partly do: whoever reads it must show nothing of it.
    pub fn wrong_key(self, key: &str) -> Value {
        match self {
            Self::Anthropic => json!({"type": "error", "request_id": "req_1",
                "error": {"type": "authentication_error", "message": format!("invalid x-api-key: {key}")}}),
            Self::Gemini => json!({"error": {"code": 400, "status": "INVALID_ARGUMENT",
                "message": format!("API key not valid: {key}"),
                "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com"}]}}),
            Self::OpenAi => json!({"error": {"message": format!("Incorrect API key provided: {key}."),
                "type": "invalid_request_error", "param": null, "code": "invalid_api_key"}}),
        }
    }

    pub fn error(self, status: u16) -> Value {
        let message = format!("refused with {status}");
        match self {
            Self::Anthropic => {
                let kind = match status {
                    401 => "authentication_error",
                    402 => "billing_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    413 => "request_too_large",
                    429 => "rate_limit_error",
                    504 => "timeout_error",
                    529 => "overloaded_error",
                    500.. => "api_error",
                    _ => "invalid_request_error",
                };
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
            }
            Self::Gemini => {
                let kind = match status {
                    401 => "UNAUTHENTICATED",
                    403 => "PERMISSION_DENIED",
                    404 => "NOT_FOUND",
                    429 => "RESOURCE_EXHAUSTED",
                    500 => "INTERNAL",
                    503 => "UNAVAILABLE",
                    504 => "DEADLINE_EXCEEDED",
                    _ => "INVALID_ARGUMENT",
                };
                json!({"error": {"code": status, "message": message, "status": kind}})
            }
            Self::OpenAi => {
                let (kind, code) = match status {
                    429 => ("requests", json!("rate_limit_exceeded")),
                    500.. => ("server_error", Value::Null),
                    _ => ("invalid_request_error", Value::Null),
                };
                json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
            }
        }
    }

    pub fn models(self) -> Value {
        match self {
            Self::Anthropic => json!({"data": [{"type": "model", "id": MODEL}], "has_more": true}),
            Self::Gemini => json!({"models": [{"name": format!("models/{MODEL}")}]}),
            Self::OpenAi => json!({"object": "list", "data": [{"id": MODEL, "object": "model"}]}),
        }
    }

    pub fn error_event(self) -> String {
        let body = match self {
            Self::Anthropic => {
                let body = self.error(529);
                return format!("event: error\ndata: {body}\n\n");
            }
            Self::Gemini => self.error(503),
            Self::OpenAi => self.error(500),
        };
        format!("data: {body}\n\n")
    }

    /// A stream of the text in three pieces, with what stands around it.
    pub fn events(self, text: &str, stop: ModelStop) -> Vec<String> {
        let said = if stop == ModelStop::Refusal { "" } else { text };
        let pieces = pieces(said);
        match self {
            Self::Anthropic => anthropic(&pieces, stop),
            Self::Gemini => gemini(&pieces, stop),
            Self::OpenAi => openai(&pieces, stop),
        }
    }

    /// What comes without a stream.
    pub fn whole(self, text: &str, stop: ModelStop) -> Value {
        match self {
            Self::Anthropic => json!({"type": "message", "role": "assistant", "model": MODEL,
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}),
            Self::Gemini => gemini_chunk(text, Some(stop)),
            Self::OpenAi => json!({"object": "chat.completion", "model": MODEL,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                             "finish_reason": finish_reason(stop)}],
                "usage": {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}}),
        }
    }
}

fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(chars.len().div_ceil(3).max(1)).map(|piece| piece.iter().collect()).collect()
}

fn anthropic(pieces: &[String], stop: ModelStop) -> Vec<String> {
    let event = |body: Value| format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap_or_default());
    let delta = |delta: Value| event(json!({"type": "content_block_delta", "index": 1, "delta": delta}));
    let reason = match stop {
        ModelStop::End => "end_turn",
        ModelStop::MaxTokens => "max_tokens",
        ModelStop::Refusal => "refusal",
    };
    let mut events = vec![
        event(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "content": [], "model": MODEL, "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": INPUT - 10, "cache_read_input_tokens": 10, "output_tokens": 1}}})),
        event(
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        ),
        event(json!({"type": "ping"})),
        event(json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "What is six times seven?"}})),
        event(json!({"type": "content_block_stop", "index": 0})),
        event(json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}})),
    ];
    events.extend(pieces.iter().map(|piece| delta(json!({"type": "text_delta", "text": piece}))));
    events.extend([
        event(json!({"type": "content_block_stop", "index": 1})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": OUTPUT}})),
        event(json!({"type": "message_stop"})),
    ]);
    events
}

fn gemini(pieces: &[String], stop: ModelStop) -> Vec<String> {
    let event = |body: Value| format!("data: {body}\r\n\r\n");
    let mut events = vec![event(json!({"candidates": [{"index": 0, "content": {"role": "model",
        "parts": [{"text": "Six times seven", "thought": true}]}}], "modelVersion": MODEL,
        "usageMetadata": {"promptTokenCount": INPUT, "totalTokenCount": INPUT}}))];
    events.extend(pieces.iter().map(|piece| event(gemini_chunk(piece, None))));
    events.push(event(gemini_chunk("", Some(stop))));
    events
}

fn gemini_chunk(text: &str, stop: Option<ModelStop>) -> Value {
    let mut chunk = json!({
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}],
        "modelVersion": MODEL,
        "usageMetadata": {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT - 5, "thoughtsTokenCount": 5,
            "totalTokenCount": INPUT + OUTPUT},
    });
    if let Some(stop) = stop {
        chunk["candidates"][0]["finishReason"] = json!(match stop {
            ModelStop::End => "STOP",
            ModelStop::MaxTokens => "MAX_TOKENS",
            ModelStop::Refusal => "SAFETY",
        });
    }
    chunk
}

fn finish_reason(stop: ModelStop) -> &'static str {
    match stop {
        ModelStop::End => "stop",
        ModelStop::MaxTokens => "length",
        ModelStop::Refusal => "content_filter",
    }
}

fn openai(pieces: &[String], stop: ModelStop) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
            "choices": choices, "usage": usage});
        format!("data: {body}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    let mut events = vec![
        ": keep-alive\n\n".to_owned(),
        delta(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null),
    ];
    events.extend(pieces.iter().map(|piece| delta(json!({"content": piece}), Value::Null)));
    events.push(delta(json!({}), json!(finish_reason(stop))));
    let usage = json!({"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT});
    events.extend([chunk(json!([]), usage), "data: [DONE]\n\n".to_owned()]);
    events
}
