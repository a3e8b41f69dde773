//! Ends the wait for uploads: by S3's word that an object has come, and by looking for those of which no word came. Then what is
//! superfluous goes from the bucket. Everything here can be done twice, late, and by two at once.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::{DocumentId, DocumentStatus, key};
use crate::base::error::Result;
use crate::base::ids::TenantId;
use crate::platform::bucket::{Bucket, Content};
use crate::platform::db::Db;

/// S3's word gets so long.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(5);

/// What S3 sends.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Notification {
    /// Objects have come.
    Arrivals {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    /// It tries out a queue.
    Trial {
        #[serde(rename = "Event")]
        event: TrialEvent,
    },
}

#[derive(Debug, Deserialize)]
pub enum TrialEvent {
    #[serde(rename = "s3:TestEvent")]
    Test,
}

impl Notification {
    pub fn records(&self) -> &[Record] {
        match self {
            Self::Arrivals { records } => records,
            Self::Trial { event: TrialEvent::Test } => &[],
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct Record {
    pub s3: Entity,
}

#[derive(Debug, Deserialize)]
pub struct Entity {
    pub object: Object,
}

#[derive(Debug, Deserialize)]
pub struct Object {
    /// Encoded as a URL's; ours look the same either way.
    pub key: String,
}

/// Whose object it is, as its key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Place {
    pub tenant_id: TenantId,
    #[sqlx(rename = "id")]
    pub document_id: DocumentId,
}

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    Refused,
    Expired,
    /// There was nothing to decide.
    Unchanged,
}

impl Place {
    /// None for a key that is not one of ours.
    pub fn of_key(text: &str) -> Option<Self> {
        let mut ids = text.split('/').map(|part| Uuid::try_parse(part).ok());
        let place = Self { tenant_id: TenantId(ids.next()??), document_id: DocumentId(ids.next()??) };
        // Others might read as the same ids, and name another object.
        (ids.next().is_none() && place.key() == text).then_some(place)
    }

    pub fn key(self) -> String {
        key(self.tenant_id, self.document_id)
    }
}

#[derive(FromRow)]
struct Awaited {
    content_type: String,
    size: i32,
    sha256: String,
}

#[derive(FromRow)]
struct Known {
    status: DocumentStatus,
    #[sqlx(flatten)]
    awaited: Awaited,
}

#[derive(FromRow)]
struct Overdue {
    #[sqlx(flatten)]
    place: Place,
    #[sqlx(flatten)]
    awaited: Awaited,
}

impl Awaited {
    fn is(&self, found: &Content) -> bool {
        let Self { content_type, size, sha256 } = self;
        (content_type, i64::from(*size), Some(sha256)) == (&found.content_type, found.size, found.sha256.as_ref())
    }
}

/// An object has come. Only what the bucket itself says of it counts. One that nobody awaits any more is deleted.
///
/// # Errors
/// [`Error::Unavailable`](crate::base::error::Error::Unavailable) when database or bucket are.
pub async fn arrived(db: &Db, bucket: &Bucket, place: Place) -> Result<Outcome> {
    let Place { tenant_id, document_id } = place;
    let found = db.fetch_all::<Known>(|sql| {
        sql.push("SELECT status, content_type, size, sha256 FROM app.awaited_upload(").push_bind(tenant_id);
        sql.push(", ").push_bind(document_id).push(")");
    });
    match found.await?.pop() {
        Some(Known { status: DocumentStatus::Pending, awaited }) => look(db, bucket, place, &awaited).await,
        Some(Known { status: DocumentStatus::Stored, .. }) => Ok(Outcome::Unchanged),
        _ => {
            bucket.delete(&place.key()).await?;
            Ok(Outcome::Unchanged)
        }
    }
}

/// One page of the uploads that should have ended by now, from behind `after` on; the outcomes, and where the next page begins.
///
/// # Errors
/// As [`arrived`].
pub async fn look_for_overdue(
    db: &Db,
    bucket: &Bucket,
    now: DateTime<Utc>,
    after: Option<DocumentId>,
    limit: i32,
) -> Result<(Vec<(TenantId, Outcome)>, Option<DocumentId>)> {
    let page = db
        .fetch_all::<Overdue>(|sql| {
            sql.push("SELECT tenant_id, id, content_type, size, sha256 FROM app.overdue_uploads(");
            sql.push_bind(now - ON_ITS_WAY)
                .push(", ")
                .push_bind(after.map_or(Uuid::nil(), |id| id.0))
                .push(", ")
                .push_bind(limit)
                .push(")");
        })
        .await?;
    let next = page.last().map(|last| last.place.document_id);
    let mut outcomes = Vec::new();
    for Overdue { place, awaited } in page {
        outcomes.push((place.tenant_id, look(db, bucket, place, &awaited).await?));
    }
    Ok((outcomes, next))
}

async fn look(db: &Db, bucket: &Bucket, place: Place, awaited: &Awaited) -> Result<Outcome> {
    let outcome = match bucket.head(&place.key()).await? {
        None => Outcome::Expired,
        Some(found) if awaited.is(&found) => Outcome::Stored,
        Some(found) => {
            tracing::warn!(key = %place.key(), ?found, "an object is not what was announced");
            Outcome::Refused
        }
    };
    let status = match outcome {
        Outcome::Stored => DocumentStatus::Stored,
        Outcome::Refused => DocumentStatus::Refused,
        Outcome::Expired | Outcome::Unchanged => DocumentStatus::Expired,
    };
    let settled = db.fetch_all::<(bool,)>(|sql| {
        sql.push("SELECT app.settle_upload(").push_bind(place.tenant_id).push(", ").push_bind(place.document_id);
        sql.push(", ").push_bind(status).push(")");
    });
    let has_ended = settled.await?.pop().is_some_and(|(ended,)| ended);
    if outcome == Outcome::Refused {
        bucket.delete(&place.key()).await?;
    }
    Ok(if has_ended { outcome } else { Outcome::Unchanged })
}

/// Deletes objects that are superfluous, at most so many; how many it were.
///
/// # Errors
/// As [`arrived`].
pub async fn delete_superfluous(db: &Db, bucket: &Bucket, limit: i32) -> Result<usize> {
    let due = db
        .fetch_all::<Place>(|sql| {
            sql.push("SELECT tenant_id, document_id AS id FROM app.due_object_deletions(").push_bind(limit).push(")");
        })
        .await?;
    for place in &due {
        bucket.delete(&place.key()).await?;
        db.fetch_all::<()>(|sql| {
            sql.push("SELECT app.record_object_deletion(").push_bind(place.tenant_id).push(", ");
            sql.push_bind(place.document_id).push(")::text");
        })
        .await?;
    }
    Ok(due.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_of_ours_names_a_document() {
        let (tenant, document) = ("01978f00-0000-7000-8000-0000000000a1", "01978f00-0000-7000-8000-0000000000c1");
        let ours = format!("{tenant}/{document}");
        assert_eq!(Place::of_key(&ours).map(Place::key), Some(ours.clone()));
        for other in [
            String::new(),
            tenant.to_owned(),
            format!("{ours}/"),
            format!("/{ours}"),
            format!("{ours}/{document}"),
            format!("{tenant}/../{document}"),
            ours.to_uppercase(),
            ours.replace('-', ""),
            format!("{tenant}%2F{document}"),
        ] {
            assert_eq!(Place::of_key(&other), None, "{other}");
        }
    }

    #[test]
    fn the_message_that_tries_out_a_queue_has_no_records() {
        let test: Notification = serde_json::from_str(r#"{"Service": "Amazon S3", "Event": "s3:TestEvent"}"#).unwrap();
        assert!(test.records().is_empty());
    }

    #[test]
    fn content_is_as_announced_in_every_point() {
        let awaited = Awaited { content_type: "image/png".into(), size: 5, sha256: "ab".into() };
        let found = Content { content_type: "image/png".into(), size: 5, sha256: Some("ab".into()) };
        assert!(awaited.is(&found));
        for other in [
            Content { content_type: "image/jpeg".into(), ..found.clone() },
            Content { size: 6, ..found.clone() },
            Content { sha256: Some("ac".into()), ..found.clone() },
            Content { sha256: None, ..found.clone() },
        ] {
            assert!(!awaited.is(&other), "{other:?}");
        }
    }
}
