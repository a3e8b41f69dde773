//! Sends what is due to the connections of a carrier. See [`super`] for how that fits together.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::listener::{Listener, Position, View};
use super::message::{self, Message};
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::events;
use crate::platform::db::Db;
use crate::platform::sockets::{POST_DEADLINE, Sockets, Undelivered};

/// Nobody else pushes for the carrier for so long, in whole seconds.
const LEASE: Duration = Duration::from_secs(30);
/// No post begins later than this, so that all are over well before the lease is.
const BUDGET: Duration = Duration::from_secs(8);
const _: () = assert!(BUDGET.as_secs() + 2 * POST_DEADLINE.as_secs() < LEASE.as_secs());
/// Posts on their way at the same time.
const AT_ONCE: usize = 64;
/// Events that are read at once.
const PAGE: usize = 200;

/// What a push has come to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Messages that arrived.
    pub posts: usize,
    /// Connections that are no more: gone, or closed since nobody may hear anything there.
    pub closed: usize,
    pub rest: Rest,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Everything is sent, or somebody else is sending it.
    #[default]
    Nothing,
    /// Something waits: for an older transaction to end, or for a connection that did not take its post.
    Later,
    /// There was more than fits into one push.
    More,
}

/// Pushes what is due, and what comes to be due meanwhile.
///
/// # Errors
/// [`Error::Unavailable`] when the database is; nothing is lost then, at most sent twice.
pub async fn push(db: &Db, sockets: &Sockets, tenant: TenantId) -> Result<Pushed> {
    let begun = Instant::now();
    let mut pushed = Pushed::default();
    while let Some(mut turn) = Turn::begin(db, tenant, begun + BUDGET).await? {
        let again = turn.run(db, sockets).await?;
        pushed.posts += turn.done.posts;
        pushed.closed += turn.done.closed;
        pushed.rest = turn.rest();
        if !again || pushed.rest == Rest::More {
            // Who has come to the end of the budget leaves the mark's work to the next push as well.
            break;
        }
    }
    Ok(pushed)
}

/// The right to push for a carrier, and what there is to do.
struct Turn {
    tenant: TenantId,
    fence: i64,
    /// The end of the log as far as it can be read.
    end: Position,
    more_to_come: bool,
    until: Instant,
    /// Those that may still get something.
    listeners: Vec<Listener>,
    /// The next page is for those that are behind most; every other one is, so that they keep nobody waiting.
    for_the_last: bool,
    done: Done,
}

#[derive(Default)]
struct Done {
    posts: usize,
    closed: usize,
    failed: usize,
}

/// What is to be written down.
#[derive(Default)]
struct Outcome {
    ids: Vec<String>,
    xids: Vec<i64>,
    seqs: Vec<i64>,
    failed: Vec<String>,
    gone: Vec<String>,
}

struct Page {
    events: Vec<LogRow>,
    /// Up to here there are no others.
    end: Position,
}

struct LogRow {
    position: events::Position,
    driver: Option<Uuid>,
}

/// What is to be posted to one connection.
struct Plan {
    listener: usize,
    id: String,
    cursor: Position,
    messages: Arc<Vec<Message>>,
}

/// What came of it.
struct Delivery {
    listener: usize,
    posts: usize,
    cursor: Position,
    end: Result<(), Undelivered>,
}

impl Turn {
    /// None: nobody is connected, or somebody else has the turn.
    async fn begin(db: &Db, tenant: TenantId, until: Instant) -> Result<Option<Self>> {
        let lease = LEASE.as_secs();
        let rows = db
            .fetch(|sql| {
                sql.push("SELECT * FROM app.begin_push(").push_bind(tenant);
                sql.push(format_args!(", interval '{lease} seconds')"));
            })
            .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let read = || -> Result<Self, sqlx::Error> {
            let horizon: i64 = first.try_get("horizon")?;
            let connected = rows.iter().filter(|row| row.try_get::<Option<&str>, _>("id").is_ok_and(|id| id.is_some()));
            Ok(Self {
                tenant,
                fence: first.try_get("fence")?,
                end: (horizon - 1, i64::MAX),
                more_to_come: first.try_get("more_to_come")?,
                until,
                listeners: connected.map(Listener::from_row).collect::<Result<_, _>>()?,
                for_the_last: false,
                done: Done::default(),
            })
        };
        read().map(Some).map_err(Error::internal)
    }

    /// Whether to begin once more, since something has come meanwhile.
    async fn run(&mut self, db: &Db, sockets: &Sockets) -> Result<bool> {
        let mut outcome = self.close_those_without_rights(sockets).await;
        while let Some(from) = self.next_page() {
            let Some(page) = self.read(db, from).await? else { return Ok(false) };
            self.deliver(sockets, from, &page, &mut outcome).await?;
            if self.next_page().is_some() && self.record(db, std::mem::take(&mut outcome), false).await?.is_none() {
                return Ok(false);
            }
            self.for_the_last = !self.for_the_last;
        }
        Ok(self.record(db, outcome, true).await? == Some(true))
    }

    fn rest(&self) -> Rest {
        if self.listeners.iter().any(|listener| listener.cursor < self.end) {
            Rest::More
        } else if self.more_to_come || self.done.failed > 0 {
            Rest::Later
        } else {
            Rest::Nothing
        }
    }

    async fn close_those_without_rights(&mut self, sockets: &Sockets) -> Outcome {
        let (listeners, unwanted) = std::mem::take(&mut self.listeners).into_iter().partition(|l| l.view.is_some());
        self.listeners = listeners;
        let unwanted: Vec<Listener> = unwanted;
        let until = self.until;
        let closing = stream::iter(unwanted).map(async |Listener { id, .. }| {
            let in_time = Instant::now() < until;
            (if in_time { sockets.close(&id).await } else { Err(Undelivered::Failed) }, id)
        });
        let closed: Vec<_> = closing.buffer_unordered(AT_ONCE).collect().await;
        let mut outcome = Outcome::default();
        for (closed, id) in closed {
            self.note(closed, id, &mut outcome);
        }
        outcome
    }

    /// Where the next page begins; None when all is read, or the time is up.
    fn next_page(&self) -> Option<Position> {
        let behind = self.listeners.iter().map(|listener| listener.cursor).filter(|cursor| *cursor < self.end);
        let from = if self.for_the_last { behind.min() } else { behind.max() };
        from.filter(|_| Instant::now() < self.until)
    }

    /// A page of what anybody hears; None when the turn is over.
    async fn read(&self, db: &Db, (xid, seq): Position) -> Result<Option<Page>> {
        let views = self.listeners.iter().filter_map(|listener| listener.view.as_ref());
        let topics: BTreeSet<&str> = views.flat_map(View::topics).collect();
        if topics.is_empty() {
            return Ok(Some(Page { events: Vec::new(), end: self.end }));
        }
        let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
        let rows = db
            .fetch(|sql| {
                // The outer join tells a turn that is over from a log in which there is nothing.
                sql.push("SELECT l.* FROM app.enter_push(").push_bind(self.tenant).push(", ").push_bind(self.fence);
                sql.push(
                    ") e LEFT JOIN LATERAL (SELECT t.xid, t.seq, t.topic, t.type, t.subject_id, t.driver_id, t.at, t.data \
                     FROM tenant_events t WHERE t.tenant_id = e.tenant_id AND t.xid <= ",
                )
                .push_bind(self.end.0)
                .push(" AND (t.xid, t.seq) > (")
                .push_bind(xid)
                .push(", ")
                .push_bind(seq)
                .push(") AND t.topic = ANY (")
                .push_bind(topics.clone())
                .push(format_args!(") ORDER BY t.xid, t.seq LIMIT {PAGE}) l ON true ORDER BY l.xid, l.seq"));
            })
            .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let is_empty = first.try_get::<Option<i64>, _>("xid").map_err(Error::internal)?.is_none();
        let events = if is_empty { &[] } else { &rows[..] };
        let events: Vec<LogRow> =
            events.iter().map(LogRow::from_row).collect::<Result<_, _>>().map_err(Error::internal)?;
        let end = if events.len() < PAGE { self.end } else { events.last().map_or(self.end, LogRow::place) };
        Ok(Some(Page { events, end }))
    }

    /// Posts a page to those that are between its beginning and its end.
    async fn deliver(&mut self, sockets: &Sockets, from: Position, page: &Page, outcome: &mut Outcome) -> Result<()> {
        let planned = self.plan(from, page)?;
        let until = self.until;
        let deliveries = stream::iter(planned)
            .map(async |plan| post(sockets, until, plan, page.end).await)
            .buffer_unordered(AT_ONCE);
        let mut over = BTreeSet::new();
        for delivery in deliveries.collect::<Vec<_>>().await {
            self.done.posts += delivery.posts;
            let listener = &mut self.listeners[delivery.listener];
            if delivery.cursor > listener.cursor {
                listener.cursor = delivery.cursor;
                outcome.moved(listener);
            }
            if delivery.end.is_err() {
                over.insert(delivery.listener);
                let id = listener.id.clone();
                self.note(delivery.end, id, outcome);
            }
        }
        let mut n = 0..;
        self.listeners.retain(|_| !n.next().is_some_and(|n| over.contains(&n)));
        Ok(())
    }

    /// The messages for each of them; those that hear the same share theirs.
    fn plan(&self, from: Position, page: &Page) -> Result<Vec<Plan>> {
        let mut written: HashMap<(&View, usize), Arc<Vec<Message>>> = HashMap::new();
        let mut planned = Vec::new();
        for (n, listener) in self.listeners.iter().enumerate() {
            let Some(view) = listener.view.as_ref().filter(|_| (from..page.end).contains(&listener.cursor)) else {
                continue;
            };
            let start = page.events.partition_point(|event| event.place() <= listener.cursor);
            let messages = match written.get(&(view, start)) {
                Some(messages) => Arc::clone(messages),
                None => {
                    let heard = page.events[start..].iter().filter(|event| event.is_heard_by(view));
                    let messages = Arc::new(message::messages(heard.map(|event| &event.position), page.end)?);
                    written.insert((view, start), Arc::clone(&messages));
                    messages
                }
            };
            planned.push(Plan { listener: n, id: listener.id.clone(), cursor: listener.cursor, messages });
        }
        Ok(planned)
    }

    /// Of a connection that is no more, or did not take what it was sent.
    fn note(&mut self, end: Result<(), Undelivered>, id: String, outcome: &mut Outcome) {
        if end == Err(Undelivered::Failed) {
            self.done.failed += 1;
            outcome.failed.push(id);
        } else {
            self.done.closed += 1;
            outcome.gone.push(id);
        }
    }

    /// Whether to begin once more; None when the turn was over.
    async fn record(&self, db: &Db, outcome: Outcome, done: bool) -> Result<Option<bool>> {
        let rows = db
            .fetch(|sql| {
                sql.push("SELECT app.record_push(");
                let mut arguments = sql.separated(", ");
                arguments
                    .push_bind(self.tenant)
                    .push_bind(self.fence)
                    .push_bind(outcome.ids.clone())
                    .push_bind(outcome.xids.clone())
                    .push_bind(outcome.seqs.clone())
                    .push_bind(outcome.failed.clone())
                    .push_bind(outcome.gone.clone())
                    .push_bind(done);
                sql.push(") AS again");
            })
            .await?;
        rows.first().ok_or(sqlx::Error::RowNotFound).and_then(|row| row.try_get("again")).map_err(Error::internal)
    }
}

impl Outcome {
    fn moved(&mut self, listener: &Listener) {
        self.ids.push(listener.id.clone());
        self.xids.push(listener.cursor.0);
        self.seqs.push(listener.cursor.1);
    }
}

impl LogRow {
    fn place(&self) -> Position {
        (self.position.xid, self.position.seq)
    }

    fn is_heard_by(&self, view: &View) -> bool {
        view.hears(self.position.event.topic, self.position.event.subject_id, self.driver)
    }
}

impl FromRow<'_, PgRow> for LogRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { position: events::Position::from_row(row)?, driver: row.try_get("driver_id")? })
    }
}

/// Posts messages one after another; the connection stands where the last one that arrived has brought it.
async fn post(sockets: &Sockets, until: Instant, plan: Plan, page_end: Position) -> Delivery {
    let Plan { listener, id, mut cursor, messages } = plan;
    let mut posts = 0;
    for message in messages.iter() {
        // The next push goes on from here.
        if Instant::now() >= until {
            return Delivery { listener, posts, cursor, end: Ok(()) };
        }
        if let Err(undelivered) = sockets.post(&id, &message.text).await {
            return Delivery { listener, posts, cursor, end: Err(undelivered) };
        }
        posts += 1;
        cursor = message.end;
    }
    Delivery { listener, posts, cursor: page_end, end: Ok(()) }
}
