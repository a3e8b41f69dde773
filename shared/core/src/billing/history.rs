//! What is known of one of Stripe's objects: what its events tell, in the order in which it happened, what Stripe answered
//! when it was asked, and what we have stored of it; and which of these is the last word.
//!
//! Events arrive in any order, and their time has whole seconds: within a second the order is found by what each event says
//! was before it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::FromRow;

use super::stripe::objects::{self, Object};

/// More events of one object in one second than this are taken in the order of their progress: there are 2 ^ n ways to
/// begin to order n of them.
const MOST_OF_A_SECOND: usize = 10;

/// An event as the inbox has it.
#[derive(Debug, Clone, FromRow)]
pub struct StoredEvent {
    pub id: String,
    pub r#type: String,
    /// Stripe's `created`.
    pub created_at: DateTime<Utc>,
    /// Stripe's `data`: the object after the event, and the values that what has changed had before.
    pub data: Value,
}

/// What Stripe said when it was asked.
#[derive(Debug, Clone)]
pub struct Reading {
    pub object: Value,
    /// When we began to ask, by the database's clock.
    pub at: DateTime<Utc>,
}

/// A state of an object, and the event that told it.
#[derive(Debug)]
pub struct Snapshot<T> {
    pub id: String,
    pub at: DateTime<Utc>,
    pub object: T,
    step: Step,
    /// The state before the event, if its object and previous attributes tell it.
    before: Option<T>,
    raw: Value,
    previous: Map<String, Value>,
}

/// What every object goes through in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Created,
    Changed,
    Deleted,
}

/// The states that these events tell of the object, the first that happened first. It is the same for the same events,
/// in whatever order and however often they come. An event that cannot be read tells nothing: its own job fails of it.
pub fn history<T: Object>(events: &[StoredEvent]) -> Vec<Snapshot<T>> {
    let mut snapshots: Vec<Snapshot<T>> = events.iter().filter_map(Snapshot::read).collect();
    snapshots.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    snapshots.dedup_by(|a, b| a.id == b.id);
    let mut start = 0;
    while start < snapshots.len() {
        let second = (snapshots[start].at, snapshots[start].step);
        let length = snapshots[start..].iter().take_while(|s| (s.at, s.step) == second).count();
        if (2..=MOST_OF_A_SECOND).contains(&length) {
            let order = order_of_a_second(&snapshots[..start + length], start);
            let mut second: Vec<_> = snapshots.drain(start..start + length).map(Some).collect();
            let ordered: Vec<_> = order.into_iter().filter_map(|n| second[n].take()).collect();
            snapshots.splice(start..start, ordered);
        }
        start += length;
    }
    snapshots
}

impl<T: Object> Snapshot<T> {
    /// Whether the event says that the object is gone.
    pub fn is_deleted(&self) -> bool {
        self.step == Step::Deleted
    }

    fn read(event: &StoredEvent) -> Option<Self> {
        let raw = &event.data["object"];
        if !objects::is::<T>(raw) {
            return None;
        }
        let previous = event.data["previous_attributes"].as_object().cloned().unwrap_or_default();
        let step = match event.r#type.rsplit('.').next() {
            Some("created") => Step::Created,
            Some("deleted") => Step::Deleted,
            _ => Step::Changed,
        };
        Some(Self {
            id: event.id.clone(),
            at: event.created_at,
            object: objects::read(raw).ok()?,
            step,
            before: objects::read(&with(raw, &previous)).ok(),
            raw: raw.clone(),
            previous,
        })
    }

    /// The order, as far as it can be told without looking at what was before each.
    fn sort_key(&self) -> (DateTime<Utc>, Step, T::Progress, &str) {
        (self.at, self.step, self.object.progress(), &self.id)
    }

    /// How well this state fits right after another: what it changed had the values that it says, and all else that we use
    /// is as it was.
    fn fit_after(&self, earlier: &Self) -> usize {
        let changed = !self.previous.is_empty() && holds_all(&earlier.raw, &self.previous);
        let all_else = self.before.as_ref() == Some(&earlier.object);
        usize::from(changed) + usize::from(all_else)
    }
}

/// The indexes, counted from `start`, of the states of the last second in the order in which most of them fit to the one
/// before; among equals in that in which they stand.
fn order_of_a_second<T: Object>(states: &[Snapshot<T>], start: usize) -> Vec<usize> {
    let second = &states[start..];
    let n = second.len();
    let before = start.checked_sub(1).map(|last| &states[last]);
    let first = |state: usize| before.map_or(0, |before| second[state].fit_after(before)) * n;
    let link =
        |earlier: usize, later: usize| second[later].fit_after(&second[earlier]) * n + usize::from(earlier < later);
    let links: Vec<Vec<usize>> = (0..n).map(|a| (0..n).map(|b| link(a, b)).collect()).collect();
    // best[set][last]: how well the states of a set fit in the best order of them that ends with this one, and the one
    // before it there.
    let mut best = vec![vec![None::<(usize, usize)>; n]; 1 << n];
    for last in 0..n {
        best[1 << last][last] = Some((first(last), last));
    }
    for set in 1..1_usize << n {
        for last in 0..n {
            let Some((fit, _)) = best[set][last] else { continue };
            for next in (0..n).filter(|next| set & (1 << next) == 0) {
                let fit = fit + links[last][next];
                let known = &mut best[set | (1 << next)][next];
                if known.is_none_or(|(best, _)| fit > best) {
                    *known = Some((fit, last));
                }
            }
        }
    }
    let mut set = (1 << n) - 1;
    let mut order = Vec::new();
    let mut last = (0..n).max_by_key(|&last| (best[set][last].map(|(fit, _)| fit), last));
    while let Some(state) = last {
        order.insert(0, state);
        let before = best[set][state].map(|(_, before)| before);
        set &= !(1 << state);
        last = before.filter(|_| set != 0);
    }
    order
}

/// The object as it was with these previous attributes; of a nested object only what has changed is given.
fn with(object: &Value, previous: &Map<String, Value>) -> Value {
    let mut before = object.as_object().cloned().unwrap_or_default();
    for (name, value) in previous {
        let was = match (value, before.get(name)) {
            (Value::Object(part), Some(whole @ Value::Object(_))) => with(whole, part),
            _ => value.clone(),
        };
        before.insert(name.clone(), was);
    }
    Value::Object(before)
}

/// Whether the object has all these values; what was not there was null.
fn holds_all(object: &Value, values: &Map<String, Value>) -> bool {
    values.iter().all(|(name, value)| match (value, &object[name]) {
        (Value::Object(part), whole @ Value::Object(_)) => holds_all(whole, part),
        (value, present) => value == present,
    })
}

/// What we store of an object.
pub trait State: Clone {
    fn as_of_at(&self) -> DateTime<Utc>;

    /// Whether it stays so for ever.
    fn is_over(&self) -> bool;
}

/// Who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Stored,
    Event(String),
    Reading,
}

/// The stored state among those that were told. It comes from one of them, or from one that is forgotten by now, or from
/// Stripe's answer.
#[derive(Debug)]
pub struct Timeline<S> {
    pub states: Vec<(S, Source)>,
    stored: Option<usize>,
}

impl<S: State> Timeline<S> {
    /// `told` is in its order. Stripe's answer is the last, or left out if what is stored is newer.
    pub fn new(stored: Option<S>, told: Vec<(S, Source)>) -> Self {
        let Some(stored) = stored else { return Self { states: told, stored: None } };
        let mut states = told;
        states.retain(|(state, source)| *source != Source::Reading || state.as_of_at() >= stored.as_of_at());
        let position =
            states.iter().position(|(state, _)| state.as_of_at() >= stored.as_of_at()).unwrap_or(states.len());
        states.insert(position, (stored, Source::Stored));
        Self { states, stored: Some(position) }
    }

    pub fn stored(&self) -> Option<&S> {
        self.stored.map(|stored| &self.states[stored].0)
    }

    /// Which state counts: the last that is over, else the last. What is stored counts if it is newer than all that was told;
    /// and, if `over_is_final`, if it is over.
    pub fn last_word(&self, over_is_final: bool) -> Option<usize> {
        let last = self.states.len().checked_sub(1)?;
        let over =
            |source: fn(&Source) -> bool| self.states.iter().rposition(|(state, by)| state.is_over() && source(by));
        let told_over = over(|source| *source != Source::Stored);
        let stored_over = over(|source| *source == Source::Stored);
        Some(match (told_over, stored_over) {
            (_, Some(stored)) if stored == last => stored,
            (Some(told), _) => told,
            (None, Some(stored)) if over_is_final => stored,
            (None, _) => last,
        })
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
