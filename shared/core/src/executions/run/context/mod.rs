//! The rows that a skill is about, read as the worker's own role inside the carrier: an id of the input that is not there, or
//! is somebody else's, names nothing. And the rules that go with each kind.

mod billing;
mod matching;
mod message;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::answer::Failed;
use crate::base::error::{Error, Result};
use crate::orders::OrderId;
use crate::platform::db::{Sql, SystemTx};
use crate::skills::Kind;
use crate::skills::rules::{audit_billing, draft_message, extract_order, match_driver};

/// What a run is given beside its input.
pub struct Context {
    /// The orders that the result is about, with their versions.
    pub targets: Vec<(OrderId, i64)>,
    about: About,
}

enum About {
    /// A text, which is the input itself.
    Tender,
    Match(match_driver::Input),
    Message(Box<draft_message::Input>),
    Billing(Box<audit_billing::OrderFacts>),
    /// Of a carrier's own skill.
    Input,
}

/// An outcome of this execution, inside one of the database.
type Found<T> = std::result::Result<T, Failed>;

/// # Errors
/// What the database refuses. The inner error: what the input names is not there.
pub async fn load(tx: &mut SystemTx, kind: Kind, input: &Value) -> Result<Found<Context>> {
    match kind {
        Kind::ExtractOrder => Ok(Ok(Context { targets: Vec::new(), about: About::Tender })),
        Kind::Custom => Ok(Ok(Context { targets: Vec::new(), about: About::Input })),
        Kind::MatchDriver => matching::load(tx, input).await,
        Kind::DraftMessage => message::load(tx, input).await,
        Kind::AuditBilling => billing::load(tx, input).await,
    }
}

impl Context {
    /// What the rules make of the input.
    pub fn answer_by_rules(&self, input: &Value) -> Found<Value> {
        match &self.about {
            About::Tender => to_value(&extract_order::extract(&read(input)?)),
            About::Match(data) => to_value(&match_driver::rank(data).map_err(unfit)?),
            About::Message(data) => to_value(&draft_message::draft(data).map_err(unfit)?),
            About::Billing(order) => to_value(&audit_billing::audit(order)),
            About::Input => Err(Failed::for_good("no_rules", "the rules know no skill of this kind")),
        }
    }

    /// The rows as a model is shown them.
    pub fn shown(&self) -> Option<Value> {
        let shown = match &self.about {
            About::Tender | About::Input => return None,
            About::Match(data) => serde_json::to_value((data, match_driver::rank(data).ok())),
            About::Message(data) => serde_json::to_value(data),
            About::Billing(order) => serde_json::to_value(order),
        };
        shown.ok()
    }

    /// Checks an output, whoever gave it, and completes it with what follows from the rows: that is computed anew, not
    /// believed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a pointer for each place that breaks a rule.
    pub fn admit(&self, input: &Value, output: Value) -> Result<Value> {
        let admitted = match &self.about {
            About::Tender => {
                let input: extract_order::draft::Input = parse(input.clone())?;
                serde_json::to_value(extract_order::guard::admit(&input, output)?)
            }
            About::Match(data) => serde_json::to_value(match_driver::guard::admit(data, parse(output)?)?),
            About::Message(data) => serde_json::to_value(draft_message::guard::admit(data, parse(output)?)?),
            About::Billing(order) => serde_json::to_value(audit_billing::guard::admit(order, parse(output)?)?),
            About::Input => return Ok(output),
        };
        admitted.map_err(Error::internal)
    }
}

/// A row of the carrier as JSON, with what a result must recheck of it.
#[derive(FromRow)]
struct Facts {
    id: OrderId,
    version: i64,
    facts: Json<Value>,
}

/// The orders of these ids in their order. `facts` is an SQL expression over an order `t`.
async fn orders(tx: &mut SystemTx, facts: &str, ids: &[OrderId], at: &str) -> Result<Found<Vec<Facts>>> {
    let mut sql = Sql::new("SELECT t.id, t.version, ");
    sql.push(facts).push(" AS facts FROM orders t WHERE t.tenant_id = app.tenant_id() AND t.id = ANY (");
    sql.push_bind(ids.to_vec()).push(")");
    let mut rows: Vec<Facts> = tx.fetch_all(sql).await?;
    if let Some(n) = ids.iter().position(|id| !rows.iter().any(|row| row.id == *id)) {
        let place = if ids.len() > 1 || at.ends_with("ids") { format!("{at}/{n}") } else { at.to_owned() };
        let detail = format!("{place}: there is no order {} in your carrier", ids[n]);
        return Ok(Err(Failed::for_good("unknown_reference", detail)));
    }
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    Ok(Ok(rows))
}

fn targets(rows: &[Facts]) -> Vec<(OrderId, i64)> {
    rows.iter().map(|row| (row.id, row.version)).collect()
}

/// The input of a copy may have another schema than the built-in one.
fn read<T: DeserializeOwned>(input: &Value) -> Found<T> {
    serde_json::from_value(input.clone()).map_err(|error| Failed::for_good("bad_input", error.to_string()))
}

fn to_value(output: &impl Serialize) -> Found<Value> {
    serde_json::to_value(output).map_err(|error| Failed::for_good("junk", error.to_string()))
}

fn parse<T: DeserializeOwned>(output: Value) -> Result<T> {
    serde_path_to_error::deserialize(output).map_err(|error| {
        let pointer = format!("/{}", error.path().to_string().replace(['.', '['], "/").replace(']', ""));
        Error::invalid(pointer, error.inner().to_string())
    })
}

/// What the rows lack for the rules.
fn unfit(error: Error) -> Failed {
    let Error::Invalid(fields) = error else { return Failed::for_good("unfit", error.to_string()) };
    let told = fields.iter().map(|field| format!("{} {}", field.pointer, field.detail));
    Failed::for_good("unfit", told.collect::<Vec<_>>().join("; "))
}
