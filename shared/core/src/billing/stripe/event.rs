//! An event, as Stripe delivers it: <https://docs.stripe.com/api/events/object>.

use chrono::serde::ts_seconds;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What events tell us of, as few as tell it all: Stripe filters by twenty types at most. Others that arrive are recorded;
/// those of subscriptions and invoices are applied as well.
pub const TYPES: &[&str] = &[
    "checkout.session.completed",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.updated",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.sent",
    "invoice.updated",
    "invoice.voided",
];
const _: () = assert!(TYPES.len() <= 20, "Stripe would refuse to filter by so many");

/// An event, strict on what every event has and blind to what its object is.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    pub id: String,
    pub r#type: String,
    #[serde(default)]
    pub api_version: Option<String>,
    pub livemode: bool,
    #[serde(with = "ts_seconds")]
    pub created: DateTime<Utc>,
    pub data: Data,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Data {
    pub object: Map<String, Value>,
}

/// Not an event. Says what is missing, and nothing of what is there.
#[derive(Debug, thiserror::Error)]
#[error("the body is not an event of Stripe's: {0}")]
pub struct NotAnEvent(String);

impl Event {
    /// # Errors
    /// [`NotAnEvent`].
    pub fn parse(body: &[u8]) -> Result<Self, NotAnEvent> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let event: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, cause) = (error.path().to_string(), error.inner().to_string());
            // Other causes quote what is there.
            let missing = cause.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
            NotAnEvent(match (path.as_str(), missing) {
                (".", None) => "it cannot be read".to_owned(),
                (".", Some(field)) => format!("{field} is missing"),
                (path, Some(field)) => format!("{path}.{field} is missing"),
                (path, None) => format!("{path} is wrong"),
            })
        })?;
        json.end().map_err(|_| NotAnEvent("something follows it".to_owned()))?;
        // What becomes a key of a table; Stripe's ids are shorter than 255 characters.
        let is_id = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        match () {
            () if !is_id(&event.id) => Err(NotAnEvent("id is missing or wrong".to_owned())),
            () if !is_id(&event.r#type) => Err(NotAnEvent("type is missing or wrong".to_owned())),
            () => Ok(event),
        }
    }

    /// The object that it is about: of a checkout the subscription that was bought, otherwise the object itself.
    pub fn object_id(&self) -> Option<&str> {
        self.text(if self.r#type.starts_with("checkout.session.") { "subscription" } else { "id" })
    }

    /// The customer that it is about.
    pub fn customer_id(&self) -> Option<&str> {
        let is_customer = self.data.object.get("object").is_some_and(|name| name == "customer");
        self.text(if is_customer { "id" } else { "customer" })
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.data.object.get(field)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(r#type: &str, object: &Value) -> Value {
        json!({"id": "evt_1", "object": "event", "api_version": "2025-09-30.clover", "created": 1_800_000_000,
               "livemode": false, "type": r#type, "data": {"object": object}})
    }

    fn parse(event: &Value) -> Result<Event, NotAnEvent> {
        Event::parse(event.to_string().as_bytes())
    }

    #[test]
    fn it_tells_whose_and_what_it_is_about() {
        let ids = |r#type: &str, object: Value| {
            let event = parse(&event(r#type, &object)).unwrap();
            (event.object_id().map(str::to_owned), event.customer_id().map(str::to_owned))
        };
        let some = |object: &str, customer: &str| (Some(object.to_owned()), Some(customer.to_owned()));
        let subscription = json!({"object": "subscription", "id": "sub_1", "customer": "cus_1"});
        assert_eq!(ids("customer.subscription.updated", subscription), some("sub_1", "cus_1"));
        let checkout =
            json!({"object": "checkout.session", "id": "cs_1", "customer": "cus_1", "subscription": "sub_1"});
        assert_eq!(ids("checkout.session.completed", checkout), some("sub_1", "cus_1"));
        assert_eq!(ids("customer.deleted", json!({"object": "customer", "id": "cus_1"})), some("cus_1", "cus_1"));
        assert_eq!(ids("ping", json!({"customer": {"id": "cus_1"}})), (None, None));
    }

    #[test]
    fn what_is_no_event_is_refused_without_being_quoted() {
        let good = event("ping", &json!({"secret": "hunter2"}));
        parse(&good).unwrap();
        for field in ["id", "type", "created", "livemode", "data"] {
            let mut bad = good.clone();
            bad[field] = json!({"secret": "hunter2"});
            let error = parse(&bad).unwrap_err().to_string();
            assert!(error.contains(field) && !error.contains("hunter2"), "{error}");
            bad.as_object_mut().unwrap().remove(field);
            assert!(parse(&bad).unwrap_err().to_string().contains(field));
        }
        for id in [json!(""), json!("evt 1"), json!("evt_\u{0}"), json!("e".repeat(256))] {
            let mut bad = good.clone();
            bad["id"] = id;
            parse(&bad).unwrap_err();
        }
        for body in ["", "[]", "null", "{", "{}{}", "\u{feff}{}"] {
            Event::parse(body.as_bytes()).unwrap_err();
        }
        Event::parse(format!("{good} {good}").as_bytes()).unwrap_err();
        Event::parse(b"\xff\xfe").unwrap_err();
    }
}
