//! What a client says, and what it is answered. Events themselves are written in `carhaul_core::realtime`.

use carhaul_core::base::error::{Error, Result};
use carhaul_core::realtime::connection::Listening;
use carhaul_http::problem::{Failure, Problem, Refusal};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Hear these topics as well; `after` is where the stream of the connection continues.
    Subscribe {
        topics: Vec<String>,
        after: Option<String>,
    },
    Unsubscribe {
        topics: Vec<String>,
    },
    /// Keeps the connection open: the gateway ends one that is silent for ten minutes.
    Ping {},
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// All topics that are heard now, and where the stream continues.
    Subscribed {
        topics: Vec<String>,
        cursor: String,
    },
    Unsubscribed {
        topics: Vec<String>,
        cursor: String,
    },
    Pong,
    Error {
        problem: Box<Problem>,
    },
}

impl Request {
    /// # Errors
    /// As for the body of an HTTP request.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            let detail = error.to_string();
            let detail = detail.rsplit_once(" at line ").map_or(detail.as_str(), |(detail, _)| detail);
            if error.is_data() {
                return Error::invalid("", detail).into();
            }
            Refusal::malformed(format!("the message is not JSON: {detail}")).into()
        })
    }
}

impl Reply {
    pub fn subscribed(Listening { topics, cursor }: Listening) -> Self {
        Self::Subscribed { topics, cursor }
    }

    pub fn unsubscribed(Listening { topics, cursor }: Listening) -> Self {
        Self::Unsubscribed { topics, cursor }
    }

    pub fn error(mut problem: Problem, request_id: &str) -> Self {
        problem.request_id = Some(request_id.to_owned());
        Self::Error { problem: Box::new(problem) }
    }
}

#[cfg(test)]
mod tests {
    use carhaul_http::problem::ProblemType;

    use super::*;

    fn refused(text: &str) -> Problem {
        match Request::parse(text) {
            Err(Failure::Refused(refusal)) => refusal.problem,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_message_says_what_is_wanted() {
        let wanted = Request::parse(r#"{"type": "subscribe", "topics": ["orders"], "after": "now"}"#).unwrap();
        assert_eq!(wanted, Request::Subscribe { topics: vec!["orders".into()], after: Some("now".into()) });
        assert_eq!(Request::parse(r#"{"type":"ping"}"#).unwrap(), Request::Ping {});
    }

    #[test]
    fn a_bad_message_is_a_problem_and_not_a_fault() {
        for text in ["", "x", "{", "\u{0}"] {
            assert_eq!(refused(text).r#type, ProblemType::Malformed, "{text}");
        }
        for (text, detail) in [
            ("null", "invalid type"),
            ("[]", "missing field `type`"),
            ("{}", "missing field `type`"),
            (r#"{"type":"shout"}"#, "unknown variant `shout`, expected one of `subscribe`, `unsubscribe`, `ping`"),
            (r#"{"type":"subscribe"}"#, "missing field `topics`"),
            (r#"{"type":"subscribe","topics":"orders"}"#, "expected a sequence"),
            (r#"{"type":"subscribe","topics":["orders"],"from":1}"#, "unknown field `from`"),
        ] {
            let problem = refused(text);
            assert_eq!(problem.r#type, ProblemType::Invalid, "{text}");
            assert!(problem.errors[0].detail.contains(detail), "{text}: {}", problem.errors[0].detail);
        }
    }
}
