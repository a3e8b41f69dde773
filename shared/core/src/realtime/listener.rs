//! Who is connected, and what they hear.

use std::collections::BTreeSet;

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::connection::grant;
use super::topic::{Subscription, name};
use crate::events::Topic;
use crate::identity::permissions::Grant;

/// A place in the event log: `(xid, seq)`.
pub type Position = (i64, i64);

/// What of the log somebody hears. Connections that hear the same get the same messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    /// Names of topics, and of topics with a subject.
    topics: BTreeSet<String>,
    /// The driver whose events alone are heard.
    driver: Option<Uuid>,
}

impl View {
    /// Of the topics that were asked for, those that may be heard now.
    fn new(grant: &Grant, topics: &[String], driver: Option<Uuid>) -> Self {
        let allowed = |name: &&String| Subscription::parse(name).is_some_and(|s| grant.allows(s.topic.read()));
        Self { topics: topics.iter().filter(allowed).cloned().collect(), driver }
    }

    /// One read of the log serves all connections, so the rule of the policy `driver_scope` is here as well: a driver hears
    /// what names them.
    pub fn hears(&self, topic: Topic, subject: Option<Uuid>, driver: Option<Uuid>) -> bool {
        (self.driver.is_none() || self.driver == driver)
            && (self.topics.contains(&name(topic, None))
                || subject.is_some() && self.topics.contains(&name(topic, subject)))
    }

    /// The topics of the log that it has to do with.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|name| name.split_once('/').map_or(name.as_str(), |(topic, _)| topic))
    }
}

/// A connection whose next post is due.
#[derive(Debug, Clone)]
pub struct Listener {
    pub id: String,
    pub cursor: Position,
    /// None for one that may hear nothing any more: its socket is to be closed.
    pub view: Option<View>,
}

impl FromRow<'_, PgRow> for Listener {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let topics: Vec<String> = row.try_get("topics")?;
        let driver: Option<Uuid> = row.try_get("driver_id")?;
        Ok(Self {
            id: row.try_get("id")?,
            cursor: (row.try_get("xid")?, row.try_get("seq")?),
            view: grant(row)?.map(|grant| View::new(&grant, &topics, driver)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::permissions::Role;

    fn view(role: Role, topics: &[&str], driver: Option<Uuid>) -> View {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        View::new(&Grant::Role(role), &topics, driver)
    }

    #[test]
    fn a_topic_is_heard_only_by_whom_it_was_asked_for_and_may_be_read() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let view = view(Role::Dispatcher, &["orders", "api_keys", &format!("trucks/{one}")], None);
        assert!(view.hears(Topic::Orders, Some(one), None) && view.hears(Topic::Orders, None, Some(other)));
        assert!(view.hears(Topic::Trucks, Some(one), None));
        assert!(!view.hears(Topic::Trucks, Some(other), None) && !view.hears(Topic::Trucks, None, None));
        assert!(!view.hears(Topic::ApiKeys, Some(one), None), "a dispatcher reads no keys");
        assert_eq!(view.topics().collect::<Vec<_>>(), ["orders", "trucks"]);
    }

    #[test]
    fn a_driver_hears_what_names_them() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let view = view(Role::Driver, &["orders"], Some(me));
        assert!(view.hears(Topic::Orders, Some(other), Some(me)));
        assert!(!view.hears(Topic::Orders, Some(me), Some(other)) && !view.hears(Topic::Orders, Some(me), None));
    }
}
