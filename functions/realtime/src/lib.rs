//! The function without the Lambda runtime: connections come and go, say what they hear, and are pushed to.
//!
//! Nothing is answered to the gateway but a status: what a client is to read is posted to its connection.

mod event;
mod message;

use carhaul_core::base::error::{Error, Result};
use carhaul_core::events::After;
use carhaul_core::platform::db::Db;
use carhaul_core::platform::queue::Queue;
use carhaul_core::platform::sockets::{Sockets, Undelivered};
use carhaul_core::realtime::connection;
use carhaul_core::realtime::nudge::Nudge;
use carhaul_core::realtime::push::{self, Rest};
use carhaul_core::realtime::topic::Subscription;
use carhaul_http::problem::Failure;
use serde_json::{Value, json};

pub use self::event::Event;
use self::event::{EventType, SocketEvent};
use self::message::{Reply, Request};

/// What one function instance has.
pub struct Realtime {
    pub db: Db,
    pub sockets: Sockets,
    pub queue: Queue,
}

impl Realtime {
    /// The function's answer: the messages that come again, or a status for the gateway.
    pub async fn handle(&self, event: Event) -> Value {
        let event = match event {
            Event::Queue(batch) => return json!(batch.work(async |nudge: &Nudge| self.push(*nudge).await).await),
            Event::Socket(event) => event,
        };
        let context = &event.request_context;
        let (id, request_id) = (&context.connection_id, &context.request_id);
        let done = match context.event_type {
            EventType::Connect => self.connect(id, event.query_string_parameters.and_then(|query| query.ticket)).await,
            EventType::Disconnect => connection::close(&self.db, id).await.map(|()| 200),
            EventType::Message => self.message(&event).await.map(|()| 200),
        };
        let status = done.unwrap_or_else(|error| {
            tracing::error!(connection = id, request_id, %error, "failed");
            if matches!(error, Error::Unavailable { .. }) { 503 } else { 500 }
        });
        tracing::info!(connection = id, request_id, event = ?context.event_type, status, "socket");
        json!({"statusCode": status})
    }

    /// Opens the socket, or refuses the handshake. Nothing can be posted before this has returned.
    async fn connect(&self, id: &str, ticket: Option<String>) -> Result<u16> {
        let Some(ticket) = ticket.filter(|ticket| !ticket.is_empty()) else { return Ok(401) };
        match connection::open(&self.db, &ticket, id).await {
            Ok(opened) => Ok(if opened { 200 } else { 401 }),
            // Whoever asks for the next ticket is told in words.
            Err(Error::OverLimit(_)) => Ok(402),
            Err(other) => Err(other),
        }
    }

    async fn message(&self, event: &SocketEvent) -> Result<()> {
        let context = &event.request_context;
        let id = &context.connection_id;
        match self.answer(id, event.body.as_deref().unwrap_or_default()).await {
            Ok(()) => Ok(()),
            Err(Failure::Refused(refusal)) => {
                if let Some(cause) = &refusal.cause {
                    tracing::error!(connection = id, request_id = context.request_id, cause, "failed");
                }
                self.reply(id, &Reply::error(refusal.problem, &context.request_id)).await
            }
            Err(Failure::AnsweredBefore(_)) => Err(Error::internal("a message has no idempotency key")),
        }
    }

    async fn answer(&self, id: &str, text: &str) -> Result<(), Failure> {
        let (topics, after, add) = match Request::parse(text)? {
            Request::Ping {} => return Ok(self.reply(id, &Reply::Pong).await?),
            Request::Subscribe { topics, after } => (topics, after, true),
            Request::Unsubscribe { topics } => (topics, None, false),
        };
        let topics = Subscription::parse_all(&topics)?;
        let after = after
            .map(|after| After::parse(Some(&after)))
            .transpose()
            .map_err(|_| Error::invalid("/after", "is no cursor of an event and not \"now\""))?;
        let owner = connection::owner(&self.db, id).await?;
        let Some((tenant_id, grant)) = owner.and_then(|owner| Some((owner.tenant_id, owner.grant?))) else {
            return Ok(self.close(id).await?);
        };
        let reply = if add {
            connection::subscribe(&self.db, id, &grant, &topics, after).await.map(Reply::subscribed)?
        } else {
            connection::unsubscribe(&self.db, id, &topics).await.map(Reply::unsubscribed)?
        };
        self.reply(id, &reply).await?;
        // What was missed comes at once, not with the next change.
        let nudge = Nudge::new(tenant_id);
        if self.push(nudge).await.is_err() {
            self.queue.send(&nudge).await?;
        }
        Ok(())
    }

    /// Pushes what is due to a carrier, and sees to what has to wait.
    async fn push(&self, nudge: Nudge) -> Result<()> {
        let pushed = push::push(&self.db, &self.sockets, nudge.tenant_id).await?;
        tracing::info!(tenant_id = %nudge.tenant_id, looks = nudge.looks, ?pushed, "pushed");
        match pushed.rest {
            Rest::Nothing => Ok(()),
            Rest::Later => nudge.put_off(&self.queue).await,
            Rest::More => self.queue.send(&Nudge::new(nudge.tenant_id)).await,
        }
    }

    async fn reply(&self, id: &str, reply: &Reply) -> Result<()> {
        let text = serde_json::to_string(reply).map_err(Error::internal)?;
        match self.sockets.post(id, &text).await {
            Err(Undelivered::Gone) => connection::close(&self.db, id).await,
            // The client asks again, or connects anew.
            Ok(()) | Err(Undelivered::Failed) => Ok(()),
        }
    }

    /// Ends the socket of somebody who may hear nothing, or whom we do not know.
    async fn close(&self, id: &str) -> Result<()> {
        let closed = self.sockets.close(id).await;
        // One that could not be closed is, with the next push.
        if closed.is_ok() { connection::close(&self.db, id).await } else { Ok(()) }
    }
}
