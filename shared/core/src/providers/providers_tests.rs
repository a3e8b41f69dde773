//! Against servers that speak as the providers do, with everything that goes wrong on the way to them.

use std::time::Duration;

use carhaul_testkit::{ModelFault, ModelRequest, ModelServer, ModelStop};
use chrono::DateTime;
use serde_json::json;

use super::*;

const ALL: [ProviderName; 3] = [ProviderName::Anthropic, ProviderName::Gemini, ProviderName::OpenaiCompatible];
const USAGE: Usage = Usage { input_tokens: ModelServer::INPUT_TOKENS, output_tokens: ModelServer::OUTPUT_TOKENS };

fn providers(models: &ModelServer) -> Providers {
    let config = ProvidersConfig {
        anthropic_api_base: models.url().to_owned(),
        gemini_api_base: models.url().to_owned(),
        openai_api_base: models.openai_url(),
        allow_private_base_urls: false,
    };
    let noon = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap().to_utc();
    Providers::with_patience(config, Clock::fixed(noon), Patience { idle: Duration::from_millis(400) })
}

async fn provider(models: &ModelServer, name: ProviderName) -> Provider {
    providers(models).provider(name, None, Secret::new(ModelServer::KEY)).await.unwrap()
}

fn request() -> CompletionRequest {
    CompletionRequest {
        model: "some/model".into(),
        system: "You answer questions.".into(),
        user: "What is six times seven?".into(),
        output_schema: Some(json!({"type": "object", "properties": {"answer": {"type": "string"}}})),
        max_output_tokens: 500,
        temperature: None,
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// The answer, and the pieces in which it came.
async fn ask(provider: &Provider, request: &CompletionRequest) -> (Result<Completion, ProviderError>, Vec<String>) {
    let mut pieces = Vec::new();
    let answer = provider.complete(request, soon(), &mut |piece| pieces.push(piece.to_owned())).await;
    (answer, pieces)
}

/// Why there is no answer when this befalls the request.
async fn failure(models: &ModelServer, name: ProviderName, fault: ModelFault) -> ProviderError {
    models.fail_next(fault);
    ask(&provider(models, name).await, &request()).await.0.unwrap_err()
}

fn only(mut requests: Vec<ModelRequest>) -> ModelRequest {
    assert_eq!(requests.len(), 1, "{requests:#?}");
    requests.remove(0)
}

#[tokio::test]
async fn every_provider_answers_in_pieces_and_then_as_a_whole() {
    for name in ALL {
        let models = ModelServer::start().await;
        let (answer, pieces) = ask(&provider(&models, name).await, &request()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.content, Content::Json(json!({"answer": "42"})), "{name:?}");
        assert_eq!(
            (answer.usage, answer.stop, answer.model.as_str()),
            (USAGE, Stop::End, ModelServer::MODEL),
            "{name:?}"
        );
        assert_eq!(pieces, [r#"{"ans"#, r#"wer":"#, r#""42"}"#], "{name:?}");
        assert_eq!(models.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_question_is_in_the_words_of_each_provider() {
    let models = ModelServer::start().await;
    let asked = async |name| {
        let request = CompletionRequest { temperature: Some(0.0), ..request() };
        ask(&provider(&models, name).await, &request).await.0.unwrap();
        models.requests().pop().unwrap()
    };

    let anthropic = asked(ProviderName::Anthropic).await;
    assert_eq!((anthropic.method.as_str(), anthropic.path.as_str()), ("POST", "/v1/messages"));
    assert_eq!(anthropic.header("x-api-key"), Some(ModelServer::KEY));
    assert_eq!(anthropic.header("anthropic-version"), Some("2023-06-01"));
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {"answer": {"type": "string"}}});
    let expected = json!({
        "model": "some/model", "max_tokens": 500, "stream": true, "temperature": 0.0, "system": "You answer questions.",
        "messages": [{"role": "user", "content": "What is six times seven?"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    });
    assert_eq!(anthropic.body, expected);

    let gemini = asked(ProviderName::Gemini).await;
    assert_eq!(gemini.path, "/v1beta/models/some%2Fmodel:streamGenerateContent?alt=sse");
    assert_eq!(gemini.header("x-goog-api-key"), Some(ModelServer::KEY));
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "You answer questions."}]},
        "contents": [{"role": "user", "parts": [{"text": "What is six times seven?"}]}],
        "generationConfig": {"maxOutputTokens": 500, "temperature": 0.0, "responseMimeType": "application/json",
            "responseJsonSchema": request().output_schema},
    });
    assert_eq!(gemini.body, expected);

    let openai = asked(ProviderName::OpenaiCompatible).await;
    assert_eq!(openai.path, "/v1/chat/completions");
    assert_eq!(openai.header("authorization"), Some(format!("Bearer {}", ModelServer::KEY).as_str()));
    let schema = json!({"name": "answer", "strict": false, "schema": request().output_schema});
    let expected = json!({
        "model": "some/model", "max_completion_tokens": 500, "stream": true, "temperature": 0.0,
        "stream_options": {"include_usage": true},
        "messages": [{"role": "system", "content": "You answer questions."},
                     {"role": "user", "content": "What is six times seven?"}],
        "response_format": {"type": "json_schema", "json_schema": schema},
    });
    assert_eq!(openai.body, expected);
}

#[tokio::test]
async fn what_is_not_json_or_not_as_the_schema_says_is_for_the_caller_to_judge() {
    for name in ALL {
        let models = ModelServer::start().await;
        for (said, content) in [
            (r#"{"other":[1]}"#, Content::Json(json!({"other": [1]}))),
            ("I would rather not say.", Content::Text("I would rather not say.".into())),
            ("", Content::Text(String::new())),
        ] {
            models.answer_with(said, ModelStop::End);
            assert_eq!(ask(&provider(&models, name).await, &request()).await.0.unwrap().content, content, "{name:?}");
        }
        models.answer_with("[1]", ModelStop::End);
        let text = CompletionRequest { output_schema: None, ..request() };
        assert_eq!(ask(&provider(&models, name).await, &text).await.0.unwrap().content, Content::Text("[1]".into()));
    }
}

#[tokio::test]
async fn a_cut_off_answer_says_so_and_a_refusal_is_no_answer_and_has_its_price() {
    for name in ALL {
        let models = ModelServer::start().await;
        models.answer_with(r#"{"answer":"4"#, ModelStop::MaxTokens);
        let cut_off = ask(&provider(&models, name).await, &request()).await.0.unwrap();
        assert_eq!((cut_off.stop, cut_off.usage), (Stop::MaxTokens, USAGE), "{name:?}");
        assert_eq!(cut_off.content, Content::Text(r#"{"answer":"4"#.into()), "{name:?}");

        models.answer_with("", ModelStop::Refusal);
        let refused = ask(&provider(&models, name).await, &request()).await.0.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Refused, "{name:?}");
        // OpenAI tells the usage after the reason.
        assert_eq!(refused.usage(), USAGE, "{name:?}");
    }
}

#[tokio::test]
async fn a_provider_that_hangs_or_stands_still_costs_no_more_than_the_deadline() {
    for name in ALL {
        let models = ModelServer::start().await;
        for fault in [ModelFault::Hang, ModelFault::StallAfter(1)] {
            models.fail_with(Some(fault.clone()));
            let provider = provider(&models, name).await;
            let start = Instant::now();
            let idle = ask(&provider, &request()).await.0.unwrap_err();
            assert_eq!(idle.code(), ErrorCode::Timeout, "{name:?} {fault:?}: {idle}");
            assert!(start.elapsed() < Duration::from_secs(2), "{name:?} {fault:?}: {:?}", start.elapsed());

            let start = Instant::now();
            let late =
                provider.complete(&request(), start + Duration::from_millis(100), &mut |_| {}).await.unwrap_err();
            assert_eq!(late.code(), ErrorCode::Timeout, "{name:?} {fault:?}");
            assert!(start.elapsed() < Duration::from_millis(350), "{name:?} {fault:?}: {:?}", start.elapsed());
            assert!(matches!(late, ProviderError::Retryable { retry_after: None, .. }));
        }
        // Whoever keeps saying something is still bound by the deadline.
        models.fail_with(Some(ModelFault::Slow(Duration::from_millis(80))));
        let provider = provider(&models, name).await;
        let start = Instant::now();
        let mut pieces = 0;
        let deadline = start + Duration::from_millis(300);
        let late = provider.complete(&request(), deadline, &mut |_| pieces += 1).await.unwrap_err();
        assert_eq!(late.code(), ErrorCode::Timeout, "{name:?}");
        assert!(start.elapsed() < Duration::from_millis(600), "{name:?}: {:?}", start.elapsed());
    }
}

/// OpenAI says what is billed at the end, the others from the start.
#[tokio::test]
async fn a_call_that_fails_on_the_way_says_what_is_known_of_its_bill() {
    for name in ALL {
        let models = ModelServer::start().await;
        let failures = [
            (ModelFault::CutAfter(700), ErrorCode::Unavailable),
            (ModelFault::EndAfter(700), ErrorCode::Unavailable),
            (ModelFault::StallAfter(4), ErrorCode::Timeout),
            (
                ModelFault::FailMidway,
                if name == ProviderName::OpenaiCompatible { ErrorCode::Unavailable } else { ErrorCode::Overloaded },
            ),
        ];
        for (fault, code) in failures {
            let failed = failure(&models, name, fault.clone()).await;
            let known = if name == ProviderName::OpenaiCompatible { 0 } else { USAGE.input_tokens };
            assert_eq!((failed.code(), failed.usage().input_tokens), (code, known), "{name:?} {fault:?}: {failed}");
        }
        // The caller's own deadline, in the midst of the answer.
        models.fail_next(ModelFault::StallAfter(4));
        let provider = provider(&models, name).await;
        let deadline = Instant::now() + Duration::from_millis(200);
        let late = provider.complete(&request(), deadline, &mut |_| {}).await.unwrap_err();
        let known = if name == ProviderName::OpenaiCompatible { 0 } else { USAGE.input_tokens };
        assert_eq!((late.code(), late.usage().input_tokens), (ErrorCode::Timeout, known), "{name:?}: {late}");
        for fault in [ModelFault::Hang, ModelFault::Status(529, None), ModelFault::Junk] {
            assert_eq!(failure(&models, name, fault.clone()).await.usage(), Usage::default(), "{name:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_slow_stream_passes_each_piece_when_it_comes() {
    for name in ALL {
        let models = ModelServer::start().await;
        models.fail_with(Some(ModelFault::Slow(Duration::from_millis(60))));
        let provider = provider(&models, name).await;
        let (mut came, start) = (Vec::new(), Instant::now());
        let answer = provider.complete(&request(), soon(), &mut |_| came.push(start.elapsed())).await.unwrap();
        assert_eq!(answer.content, Content::Json(json!({"answer": "42"})), "{name:?}");
        assert_eq!(came.len(), 3, "{name:?}");
        assert!(came[2] - came[0] >= Duration::from_millis(90), "{name:?}: {came:?}");
    }
}

#[tokio::test]
async fn what_passes_is_told_from_what_stays_and_a_wait_is_handed_on() {
    use ErrorCode::{
        BadRequest, InvalidKey, NotFound, NotPermitted, OutOfCredit, Overloaded, RateLimited, RequestTooLarge, Timeout,
        Unavailable,
    };
    let models = ModelServer::start().await;
    for name in ALL {
        for (status, code) in [
            (400, BadRequest),
            (401, InvalidKey),
            (402, OutOfCredit),
            (403, NotPermitted),
            (404, NotFound),
            (408, Timeout),
            (413, RequestTooLarge),
            (422, BadRequest),
            (429, RateLimited),
            (500, Unavailable),
            (502, Unavailable),
            (504, Timeout),
            (529, Overloaded),
        ] {
            // Google has no such answer, and says neither of these two in a word of its own.
            let error = failure(&models, name, ModelFault::Refuse(status, json!({}))).await;
            assert_eq!(error.code(), code, "{name:?} {status}");
            let error = failure(&models, name, ModelFault::Status(status, Some("7"))).await;
            assert_eq!(error.code(), code, "{name:?} {status}");
            assert_eq!(error.retry_after(), code.is_retryable().then_some(Duration::from_secs(7)), "{name:?} {status}");
            assert!(error.to_string().contains(&format!("status {status}")), "{error}");
        }
        let dated = failure(&models, name, ModelFault::Status(503, Some("Sun, 01 Mar 2026 12:02:00 GMT"))).await;
        assert!(dated.code().is_retryable());
        assert_eq!(dated.retry_after(), Some(Duration::from_secs(120)), "{name:?}");
        let midway = failure(&models, name, ModelFault::FailMidway).await;
        assert!(matches!(midway.code(), Overloaded | Unavailable), "{name:?}: {midway}");
    }
}

#[tokio::test]
async fn what_only_the_body_says_is_heard() {
    let models = ModelServer::start().await;
    let error = |body| ModelFault::Refuse(429, json!({ "error": body }));
    let spent = json!({"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}});
    assert_eq!(failure(&models, ProviderName::Anthropic, error(spent)).await.code(), ErrorCode::OutOfCredit);
    let spent = json!({"code": "insufficient_quota", "message": "You exceeded your current quota"});
    assert_eq!(failure(&models, ProviderName::OpenaiCompatible, error(spent)).await.code(), ErrorCode::OutOfCredit);
    let wait = json!({"status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}]});
    let exhausted = failure(&models, ProviderName::Gemini, error(wait)).await;
    assert_eq!(
        (exhausted.code(), exhausted.retry_after()),
        (ErrorCode::RateLimited, Some(Duration::from_millis(37_500)))
    );
    models.fail_next(ModelFault::Refuse(200, json!({"promptFeedback": {"blockReason": "SAFETY"}})));
    let blocked = ask(&provider(&models, ProviderName::Gemini).await, &request()).await.0.unwrap_err();
    assert_eq!(blocked.code(), ErrorCode::Refused);
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_whole_or_none() {
    for name in ALL {
        let models = ModelServer::start().await;
        let provider = provider(&models, name).await;
        let whole = ask(&provider, &request()).await.0.unwrap();
        let (mut broken, mut complete) = (0, 0);
        for kind in [ModelFault::CutAfter as fn(usize) -> _, ModelFault::EndAfter as fn(usize) -> _] {
            for bytes in 0.. {
                models.fail_next(kind(bytes));
                match ask(&provider, &request()).await.0 {
                    Ok(answer) => {
                        // The last that is said is the usage; after it, what is cut off says nothing.
                        assert_eq!(answer.content, whole.content, "{name:?} {bytes}");
                        assert_eq!(answer.stop, whole.stop, "{name:?} {bytes}");
                        complete += 1;
                        if answer == whole {
                            break;
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.code(), ErrorCode::Unavailable, "{name:?} {bytes}: {error}");
                        broken += 1;
                    }
                }
                assert!(bytes < 4_000, "{name:?}: a small answer has fewer bytes");
            }
        }
        assert!(broken > 100 && complete >= 2, "{name:?}: {broken} {complete}");
    }
}

#[tokio::test]
async fn junk_is_tried_again_once_and_what_has_no_end_is_left() {
    for name in ALL {
        let models = ModelServer::start().await;
        let junk = failure(&models, name, ModelFault::Junk).await;
        assert_eq!((junk.code(), junk.code().most_retries()), (ErrorCode::Junk, Some(1)), "{name:?}");
        assert!(junk.code().is_retryable());
        let endless = failure(&models, name, ModelFault::Endless).await;
        assert_eq!(endless.code(), ErrorCode::AnswerTooLarge, "{name:?}");
    }
}

#[tokio::test]
async fn chat_completions_may_come_at_once() {
    let models = ModelServer::start().await;
    models.fail_with(Some(ModelFault::Whole));
    let (answer, pieces) = ask(&provider(&models, ProviderName::OpenaiCompatible).await, &request()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.content, answer.usage), (Content::Json(json!({"answer": "42"})), USAGE));
    assert_eq!(pieces, [r#"{"answer":"42"}"#]);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (models, elsewhere) = (ModelServer::start().await, ModelServer::start().await);
    for name in ALL {
        let error = failure(&models, name, ModelFault::Redirect(format!("{}/v1/messages", elsewhere.url()))).await;
        assert_eq!(error.code(), ErrorCode::BadRequest, "{name:?}");
        models.fail_next(ModelFault::Redirect(format!("{}/v1/models", elsewhere.url())));
        assert!(provider(&models, name).await.test(soon()).await.is_err());
    }
    assert_eq!(elsewhere.requests(), []);
}

#[tokio::test]
async fn a_key_is_tried_by_asking_for_the_list_of_models() {
    for (name, path) in ALL.into_iter().zip(["/v1/models?limit=1", "/v1beta/models?pageSize=1", "/v1/models"]) {
        let models = ModelServer::start().await;
        provider(&models, name).await.test(soon()).await.unwrap();
        let asked = only(models.requests());
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", path));
        models.revoke_keys();
        let refused = provider(&models, name).await.test(soon()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidKey, "{name:?}");
        models.fail_with(Some(ModelFault::Junk));
        assert_eq!(provider(&models, name).await.test(soon()).await.unwrap_err().code(), ErrorCode::Junk);
    }
}

#[tokio::test]
async fn no_error_shows_the_key() {
    for name in ALL {
        let models = ModelServer::start().await;
        models.revoke_keys();
        let refused = ask(&provider(&models, name).await, &request()).await.0.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidKey, "{name:?}");
        for shown in [refused.to_string(), format!("{refused:?}")] {
            assert!(shown.contains("***") && !shown.contains(ModelServer::KEY), "{shown}");
        }
    }
}

#[tokio::test]
async fn an_address_of_a_tenant_is_asked_only_in_public() {
    let models = ModelServer::start().await;
    let private = BaseUrl::parse(&models.openai_url()).unwrap();
    let providers = providers(&models);
    let name = ProviderName::OpenaiCompatible;
    assert!(providers.check(name, Some(&private)).is_err());
    let key = || Secret::new(ModelServer::KEY);
    let refused = providers.provider(name, Some(&private), key()).await.err().expect("it is of this machine");
    assert_eq!(refused.code(), ErrorCode::ForbiddenAddress);
    let public = BaseUrl::parse("https://models.example.com/v1").unwrap();
    assert!(providers.check(ProviderName::Anthropic, Some(&public)).is_err(), "only one provider has other addresses");
    providers.check(name, Some(&public)).unwrap();

    // A name that looks public and leads here: what it leads to is looked at when it is asked.
    let client = providers.client(true).await.unwrap();
    let error = client.get("https://localhost:1/v1/models").send().await.unwrap_err();
    assert!(http::causes(&error).any(|cause| cause.is::<public_addresses::NotPublic>()), "{error:?}");
    assert_eq!(models.requests(), []);
}
