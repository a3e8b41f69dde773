//! What a client subscribes to: a topic, alone or for one subject, as `orders` and `orders/{id}`.

use uuid::Uuid;

use crate::base::error::{Error, Result, Violations};
use crate::base::words::{self, Word};
use crate::events::Topic;
use crate::identity::permissions::Grant;

/// The most that one connection hears; the table checks the sum.
pub const MAX: usize = 100;

/// A topic that there is, or one subject of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub topic: Topic,
    pub subject: Option<Uuid>,
}

impl Subscription {
    /// Reads the topics of a message.
    ///
    /// # Errors
    /// [`Error::Invalid`] on each that is none.
    pub fn parse_all(names: &[String]) -> Result<Vec<Self>> {
        let mut bad = Violations::default();
        bad.add_unless((1..=MAX).contains(&names.len()), "/topics", format!("name 1 to {MAX} topics"));
        let mut found = Vec::new();
        for (n, name) in names.iter().enumerate().take(MAX) {
            match Self::parse(name) {
                Some(subscription) => found.push(subscription),
                None => bad.add(format!("/topics/{n}"), "is no topic, nor a topic and an id as in orders/{id}"),
            }
        }
        bad.into_result()?;
        Ok(found)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let (topic, subject) = match name.split_once('/') {
            None => (name, None),
            Some((topic, subject)) => (topic, Some(Uuid::try_parse(subject).ok()?)),
        };
        Some(Self { topic: words::parse(topic).ok()?, subject })
    }

    /// The name in its one form.
    pub fn name(&self) -> String {
        name(self.topic, self.subject)
    }
}

pub(super) fn name(topic: Topic, subject: Option<Uuid>) -> String {
    subject.map_or_else(|| Word(&topic).to_string(), |subject| format!("{}/{subject}", Word(&topic)))
}

/// # Errors
/// [`Error::Forbidden`] that names the first topic that may not be heard.
pub fn require(grant: &Grant, subscriptions: &[Subscription]) -> Result<()> {
    for subscription in subscriptions {
        grant.require(subscription.topic.read()).map_err(|refused| match refused {
            Error::Forbidden(why) => Error::Forbidden(format!("{}: {why}", subscription.name()).into()),
            other => other,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Vec<String>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(Subscription::parse_all(&names)?.iter().map(Subscription::name).collect())
    }

    #[test]
    fn a_topic_is_heard_whole_or_for_one_subject() {
        let id = "0192D3A4-0000-7000-8000-000000000001";
        let names = parse(&["orders", "api_keys", &format!("orders/{id}")]).unwrap();
        assert_eq!(names, ["orders", "api_keys", &format!("orders/{}", id.to_lowercase())]);
    }

    #[test]
    fn each_bad_topic_is_named() {
        let Err(Error::Invalid(errors)) = parse(&["orders", "secrets", "orders/", "orders/7", "/", "Orders"]) else {
            panic!("it was taken")
        };
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/topics/1", "/topics/2", "/topics/3", "/topics/4", "/topics/5"]);
        assert!(parse(&[]).is_err());
        assert!(parse(&["orders"; MAX + 1]).is_err());
    }
}
