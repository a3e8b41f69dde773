//! How every provider is spoken to: one request, its deadlines and bounds, and what its failures mean.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::dialect::{Dialect, Draft, Said};
use super::error::{ErrorCode, ProviderError};
use super::public_addresses::NotPublic;
use super::sse::Events;
use super::{Completion, CompletionRequest, OnText};
use crate::base::clock::Clock;
use crate::platform::http::{self, ReadError};
use crate::platform::secrets::Secret;

/// The longest answers have some hundred thousand tokens, each of which comes in an event of some hundred bytes.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// Of the text that is kept of it.
const TEXT_MAX: usize = 4 * 1024 * 1024;
/// Of an error, and of a list of models.
const SMALL_ANSWER_MAX: usize = 2 * 1024 * 1024;
/// Of what a provider says of an error, in characters.
const DETAIL_MAX: usize = 300;

/// How long a call may stand still.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until the next bytes come. Models that think say nothing meanwhile.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { idle: Duration::from_secs(90) }
    }
}

pub struct Transport {
    http: Client,
    base: Url,
    key: Secret,
    clock: Clock,
    patience: Patience,
}

impl Transport {
    pub fn new(http: Client, base: &str, key: Secret, clock: Clock, patience: Patience) -> Result<Self, ProviderError> {
        let base = Url::parse(base).ok().filter(|url| !url.cannot_be_a_base());
        let base = base.ok_or_else(|| ErrorCode::BadRequest.because("its address is not a URL"))?;
        Ok(Self { http, base, key, clock, patience })
    }

    pub async fn complete(
        &self,
        dialect: &dyn Dialect,
        request: &CompletionRequest,
        deadline: Instant,
        on_text: OnText<'_>,
    ) -> Result<Completion, ProviderError> {
        let mut draft = Draft::default();
        let heard = in_time(deadline, async {
            let url = dialect.completion_url(&self.base, request);
            let asked = self.request(dialect, Method::POST, url)?.json(&dialect.question(request));
            let response = self.send(dialect, asked).await?;
            self.listen(dialect, response, &mut draft, on_text).await
        });
        match heard.await {
            Ok(()) => draft.finish(request),
            // What had begun is billed, however it ended.
            Err(error) => Err(error.having_used(draft.usage.unwrap_or_default())),
        }
    }

    pub async fn test(&self, dialect: &dyn Dialect, deadline: Instant) -> Result<(), ProviderError> {
        in_time(deadline, async {
            let asked = self.request(dialect, Method::GET, dialect.models_url(&self.base))?;
            let response = self.send(dialect, asked).await?;
            let body = http::read(response, SMALL_ANSWER_MAX).await;
            match body.map(|body| serde_json::from_slice(&body)) {
                // A list, as all three have it in an object.
                Ok(Ok(Value::Object(_))) | Err(ReadError::TooLarge(_)) => Ok(()),
                Ok(_) => Err(ErrorCode::Junk.because("it did not send a list of models")),
                Err(error) => Err(self.unavailable(&error.to_string())),
            }
        })
        .await
    }

    fn request(&self, dialect: &dyn Dialect, method: Method, url: Url) -> Result<RequestBuilder, ProviderError> {
        let (name, value) = dialect.authorization(self.key.expose());
        let value = http::sensitive(&value);
        let value = value.ok_or_else(|| ErrorCode::InvalidKey.because("the key has characters that no key has"))?;
        let request =
            self.http.request(method, url).header(name, value).header("accept", "text/event-stream, application/json");
        Ok(dialect.headers().iter().fold(request, |request, (name, value)| request.header(*name, *value)))
    }

    /// The answer, if its status is 200.
    async fn send(&self, dialect: &dyn Dialect, request: RequestBuilder) -> Result<Response, ProviderError> {
        let response = self.while_it_moves(request.send()).await?.map_err(|error| self.broken(error))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        // Half an error is still one.
        let body = self.while_it_moves(http::read(response, SMALL_ANSWER_MAX)).await?.unwrap_or_default();
        Err(self.refused(dialect, status, &headers, &body))
    }

    async fn listen(
        &self,
        dialect: &dyn Dialect,
        mut response: Response,
        draft: &mut Draft,
        on_text: OnText<'_>,
    ) -> Result<(), ProviderError> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_stream = kind.starts_with("text/event-stream");
        let (mut events, mut whole) = (Events::default(), Vec::new());
        let mut received = 0;
        while !draft.has_ended {
            let chunk = match self.while_it_moves(response.chunk()).await? {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // Only the end of what has been said is missing.
                Err(_) if draft.is_whole() => break,
                Err(error) => return Err(self.broken(error)),
            };
            received += chunk.len();
            if received > ANSWER_MAX || draft.text.len() > TEXT_MAX || whole.len() > TEXT_MAX {
                return Err(ErrorCode::AnswerTooLarge.because("the answer is longer than any that makes sense"));
            }
            if is_stream {
                for data in events.push(&chunk) {
                    self.take(dialect, &data, draft, on_text)?;
                }
            } else {
                whole.extend_from_slice(&chunk);
            }
        }
        if !is_stream {
            self.take(dialect, &String::from_utf8_lossy(&whole), draft, on_text)?;
        } else if let Some(data) = events.finish().filter(|_| !draft.has_ended)
            // What broke off within an event broke off: that it is not JSON says nothing else.
            && (data == "[DONE]" || serde_json::from_str::<Value>(&data).is_ok())
        {
            self.take(dialect, &data, draft, on_text)?;
        }
        Ok(())
    }

    fn take(
        &self,
        dialect: &dyn Dialect,
        data: &str,
        draft: &mut Draft,
        on_text: OnText<'_>,
    ) -> Result<(), ProviderError> {
        // How streams of chat completions end.
        if data.trim() == "[DONE]" {
            draft.has_ended = true;
            return Ok(());
        }
        let event: Value = match serde_json::from_str(data) {
            Ok(event @ Value::Object(_)) => event,
            _ => return Err(ErrorCode::Junk.because("it did not send JSON")),
        };
        let known = draft.text.len();
        dialect.read(&event, draft).map_err(|said| {
            let code = said.code.unwrap_or(ErrorCode::Unavailable);
            code.after(self.told(&said.message), said.retry_after)
        })?;
        if draft.text.len() > known {
            on_text(&draft.text[known..]);
        }
        Ok(())
    }

    async fn while_it_moves<T>(&self, work: impl Future<Output = T>) -> Result<T, ProviderError> {
        let late = |_| ErrorCode::Timeout.because(format!("nothing came for {} s", self.patience.idle.as_secs()));
        timeout(self.patience.idle, work).await.map_err(late)
    }

    fn refused(&self, dialect: &dyn Dialect, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        let said: Option<Said> = serde_json::from_slice(body).ok().map(|body: Value| dialect.explain(&body));
        let said = said.unwrap_or_default();
        let code = said.code.unwrap_or_else(|| ErrorCode::of_status(status.as_u16()));
        let retry_after = http::retry_after(headers, self.clock.now()).or(said.retry_after);
        let detail = match self.told(&said.message) {
            message if message.is_empty() => format!("status {}", status.as_u16()),
            message => format!("status {}: {message}", status.as_u16()),
        };
        code.after(detail, retry_after)
    }

    fn broken(&self, error: reqwest::Error) -> ProviderError {
        let error = error.without_url();
        if http::causes(&error).any(|cause| cause.is::<NotPublic>()) {
            return ErrorCode::ForbiddenAddress.because(NotPublic.to_string());
        }
        self.unavailable(&http::chain(&error))
    }

    fn unavailable(&self, reason: &str) -> ProviderError {
        ErrorCode::Unavailable.because(self.told(reason))
    }

    /// What somebody else says, without the key and of a bearable length. Providers show the ends of a wrong key at most;
    /// what sits between us and them may show more.
    fn told(&self, text: &str) -> String {
        let text = text.replace(self.key.expose(), "***");
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().filter(|c| !c.is_control()).take(DETAIL_MAX).collect()
    }
}

async fn in_time<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let late = |_| ErrorCode::Timeout.because("no answer within the deadline");
    timeout_at(deadline, work).await.map_err(late)?
}
