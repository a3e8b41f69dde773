//! What has changed, in the order in which it became visible: for clients that follow a carrier without a socket.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::error::{Error, Result};
use crate::base::page::{self, Limit};
use crate::base::words::Word;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::{Db, Sql, Ways};

/// Events of one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Events {
    pub data: Vec<Event>,
    /// Pass it as `after` to get what follows, now or later; there always is one.
    pub next_cursor: String,
}

/// Something that has changed in the carrier.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Where this event stands; pass it as `after` to continue behind it.
    pub cursor: String,
    /// What kind of thing it is about.
    pub topic: Topic,
    #[schema(value_type = EventType)]
    pub r#type: String,
    /// What it is about, such as the order's id.
    #[schema(required)]
    pub subject_id: Option<Uuid>,
    pub at: DateTime<Utc>,
    /// The id, and as far as it has them the version, number and status of the subject, and the names of the columns that
    /// have changed. Of `document.uploaded` and the like, whose subject is the order: `document_id`, `kind`, and `vehicle_id` if it is
    /// about one. Of `execution.progress`: `attempt`, `draft`, `part`, and `text`, what is to be put behind each text of the
    /// draft; such an event is gone once the attempt is over.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

/// What has happened: a kind of thing, and what it is now or what was done to it: its new status, or `created`, `updated`,
/// `deleted`, `archived`, `restored`, `unassigned` for the driver who has lost it. There will be more of them: pass over one that you
/// do not know.
#[derive(ToSchema)]
#[schema(
    pattern = "^[a-z_]+\\.[a-z_]+$",
    examples(
        "order.assigned",
        "order.updated",
        "trip.in_progress",
        "document.uploaded",
        "execution.progress",
        "customer.created"
    )
)]
pub struct EventType(#[allow(dead_code, reason = "for the API document")] String);

macro_rules! topics {
    ($($topic:ident $name:tt: $read:ident;)*) => {
        /// What an event is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub enum Topic {
            $(#[serde(rename = $name)] $topic,)*
        }

        $crate::text_column!(Topic);

        impl Topic {
            pub const ALL: &[Self] = &[$(Self::$topic),*];

            /// Who may read the thing may hear of it.
            pub fn read(self) -> Action {
                match self { $(Self::$topic => Action::$read),* }
            }
        }
    };
}

topics! {
    Tenants "tenants": TenantRead;
    Members "members": MembersRead;
    Invitations "invitations": MembersRead;
    ApiKeys "api_keys": ApiKeysManage;
    Customers "customers": CustomersRead;
    Locations "locations": LocationsRead;
    Trucks "trucks": EquipmentRead;
    Trailers "trailers": EquipmentRead;
    Drivers "drivers": DriversRead;
    Orders "orders": OrdersRead;
    Trips "trips": TripsRead;
    Skills "skills": SkillsRead;
    Executions "executions": ExecutionsRead;
    CustomStatuses "custom_statuses": LookupsRead;
    Tags "tags": LookupsRead;
    ExpenseCategories "expense_categories": LookupsRead;
    CancelReasons "cancel_reasons": LookupsRead;
}

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// With the oldest event that is kept.
    Nothing,
    /// With what happens from now on.
    Now,
    Position(i64, i64),
}

impl After {
    /// Reads a cursor, or the word `now`.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `after`.
    pub fn parse(after: Option<&str>) -> Result<Self> {
        match after {
            None => Ok(Self::Nothing),
            Some("now") => Ok(Self::Now),
            cursor => match page::decode::<(i64, i64)>(cursor) {
                Ok(Some((xid, seq))) => Ok(Self::Position(xid, seq)),
                _ => Err(Error::invalid("after", "is no cursor of this list and not \"now\"")),
            },
        }
    }
}

/// Events after a position, oldest first. Only those of transactions that are older than every running one: transactions
/// commit out of order, and a reader that went further would miss the late ones for ever.
///
/// # Errors
/// [`Error::Gone`] when some of what comes after the position has been trimmed; that the caller may not read events.
pub async fn list(db: &Db, actor: &Actor, after: After, topic: Option<Topic>, limit: Limit) -> Result<Events> {
    let (from, rows) = match after {
        After::Now => (horizon(db, actor).await?, Vec::new()),
        After::Nothing => ((0, 0), read(db, actor, None, topic, limit).await?),
        After::Position(xid, seq) => ((xid, seq), read(db, actor, Some((xid, seq)), topic, limit).await?),
    };
    let last = rows.last().map_or(from, |row| (row.xid, row.seq));
    Ok(Events { data: rows.into_iter().map(|row| row.event).collect(), next_cursor: page::encode(&last) })
}

/// The last position of which nothing more can come before.
async fn horizon(db: &Db, actor: &Actor) -> Result<(i64, i64)> {
    #[derive(FromRow)]
    struct Horizon {
        id: i64,
    }
    let (_, now) = db
        .read_one::<Horizon>(actor, Action::EventsRead, "horizon", |sql| {
            sql.push("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 AS id");
        })
        .await?;
    Ok((now.id, i64::MAX))
}

async fn read(
    db: &Db,
    actor: &Actor,
    after: Option<(i64, i64)>,
    topic: Option<Topic>,
    limit: Limit,
) -> Result<Vec<Position>> {
    let (topics, holders) = readers();
    let (xid, seq) = after.unwrap_or_default();
    let (_, rows) = db
        .read(actor, Action::EventsRead, |sql: &mut Sql| {
            let columns = "t.seq AS id, t.xid, t.seq, t.topic, t.type, t.subject_id, t.at, t.data";
            let end = format!(" ORDER BY t.xid, t.seq LIMIT {}", limit.rows());
            let driver = Some("driver_id");
            Ways { columns, table: "tenant_events", driver, rare: &[], end: &end, end_of_all: &end }.push(sql, |sql| {
                sql.push(" AND t.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AND (t.xid, t.seq) > (")
                    .push_bind(xid)
                    .push(", ")
                    .push_bind(seq)
                    // The topics as an array: joined, they would make the planner sort all that is left before it cuts off a
                    // page.
                    .push(") AND t.topic = ANY (ARRAY(SELECT r.topic FROM unnest(")
                    .push_bind(topics.clone())
                    .push("::text[], ")
                    .push_bind(holders.clone())
                    .push("::text[]) AS r (topic, holder) WHERE r.holder = e.role OR r.holder = ANY (e.scopes)))");
                if let Some(topic) = topic {
                    sql.push(" AND t.topic = ").push_bind(topic);
                }
                // Once, before the log is looked at.
                if after.is_some() {
                    sql.push(" AND (SELECT app.require_kept(").push_bind(topic).push(", ").push_bind(xid).push(", ");
                    sql.push_bind(seq).push("))");
                }
            });
        })
        .await?;
    Ok(rows)
}

/// Pairs of a topic and a role or scope that may read it, since the caller's role is known to the database alone.
fn readers() -> (Vec<String>, Vec<String>) {
    let pairs = Topic::ALL.iter().flat_map(|topic| {
        let action = topic.read();
        let roles = action.roles().iter().map(|role| Word(role).to_string());
        let scope = action.grantable_to_keys().then(|| action.name().to_owned());
        roles.chain(scope).map(|holder| (Word(topic).to_string(), holder))
    });
    pairs.unzip()
}

/// An event and where it stands in the log.
pub(crate) struct Position {
    pub xid: i64,
    pub seq: i64,
    pub event: Event,
}

impl FromRow<'_, PgRow> for Position {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (xid, seq) = (row.try_get("xid")?, row.try_get("seq")?);
        Ok(Self {
            xid,
            seq,
            event: Event {
                cursor: page::encode(&(xid, seq)),
                topic: row.try_get("topic")?,
                r#type: row.try_get("type")?,
                subject_id: row.try_get("subject_id")?,
                at: row.try_get("at")?,
                data: row.try_get("data")?,
            },
        })
    }
}
