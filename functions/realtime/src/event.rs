//! What invokes the function: a batch of the queue, or a route of the WebSocket API. A few fields are read, for which a crate
//! of all events of Lambda would bring many others.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html>

use carhaul_core::platform::batch::Batch;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Event {
    Queue(Batch),
    Socket(SocketEvent),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEvent {
    pub request_context: RequestContext,
    pub query_string_parameters: Option<Query>,
    pub body: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    pub event_type: EventType,
    pub connection_id: String,
    /// Finds the line in the log.
    pub request_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    Connect,
    Message,
    Disconnect,
}

#[derive(Debug, Deserialize)]
pub struct Query {
    pub ticket: Option<String>,
}
