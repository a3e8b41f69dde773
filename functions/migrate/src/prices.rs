//! The price list of an environment: which price at Stripe sells which plan, under the name that code and clients know.

use std::collections::{BTreeMap, BTreeSet};

use carhaul_core::base::money::Amount;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection};

use crate::error::MigrateError;

/// A price, as `migrate` is invoked with it: `{"prices": [{..}, ..]}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, FromRow)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub stripe_price_id: String,
    pub name: String,
    pub plan: String,
    pub interval: String,
    pub currency: String,
    pub amount: Amount,
    /// Whether new subscriptions are sold at it; of the prices of one name at most one is.
    #[serde(default = "yes")]
    pub is_current: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    prices: Vec<Price>,
}

/// What loading has changed, by Stripe's ids, or by provider, model and day.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    /// No longer sold, since another price has the name now.
    pub retired: Vec<String>,
}

/// Reads what `migrate` was invoked with; None if it is about no prices.
///
/// # Errors
/// [`MigrateError::Invalid`], which names each wrong field.
pub fn parse(event: &Value) -> Option<Result<Vec<Price>, MigrateError>> {
    event.get("prices")?;
    let request = serde_path_to_error::deserialize(event)
        .map_err(|error| MigrateError::Invalid(vec![format!("{}: {}", error.path(), error.inner())]));
    Some(request.and_then(|Request { prices }| check(&prices).map(|()| prices)))
}

fn check(prices: &[Price]) -> Result<(), MigrateError> {
    let mut wrong = Vec::new();
    let (mut ids, mut sold) = (BTreeSet::new(), BTreeSet::new());
    for (n, price) in prices.iter().enumerate() {
        let mut require = |holds: bool, field: &str, rule: &str| {
            if !holds {
                wrong.push(format!("prices[{n}].{field}: {rule}"));
            }
        };
        let is_id = (1..=255).contains(&price.stripe_price_id.len())
            && price.stripe_price_id.bytes().all(|byte| byte.is_ascii_graphic());
        require(is_id, "stripe_price_id", "must be the id of a price at Stripe");
        require(ids.insert(&price.stripe_price_id), "stripe_price_id", "stands here twice");
        let is_name = price.name.starts_with(|letter: char| letter.is_ascii_uppercase())
            && price.name.len() <= 63
            && price.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        require(is_name, "name", "must be capital letters, digits and _, such as STARTER_MONTHLY");
        require(!price.is_current || sold.insert(&price.name), "is_current", "another price of this name is current");
        require(matches!(price.interval.as_str(), "month" | "year"), "interval", "must be month or year");
        let is_currency = price.currency.len() == 3 && price.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        require(is_currency, "currency", "must be three capital letters, such as USD");
    }
    if wrong.is_empty() { Ok(()) } else { Err(MigrateError::Invalid(wrong)) }
}

/// Brings the table to what the list says, all or nothing. A price that is not in the list stays as it is, but for being sold no
/// longer when the list has another one of its name: somebody may still pay it.
///
/// # Errors
/// [`MigrateError::Invalid`] for a plan that there is not; what the database refuses.
pub async fn load(owner: &PgConnectOptions, prices: &[Price]) -> Result<Loaded, MigrateError> {
    let mut connection = owner.connect().await?;
    let mut tx = connection.begin().await?;
    // Two that load at once do so one after the other; readers do not wait.
    sqlx::query("LOCK TABLE prices IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
    let plans: Vec<String> = sqlx::query_scalar("SELECT code FROM plans ORDER BY code").fetch_all(&mut *tx).await?;
    let unknown = prices.iter().enumerate().filter(|(_, price)| !plans.contains(&price.plan));
    let unknown: Vec<String> =
        unknown.map(|(n, _)| format!("prices[{n}].plan: must be one of {}", plans.join(", "))).collect();
    if !unknown.is_empty() {
        return Err(MigrateError::Invalid(unknown));
    }
    let before: Vec<Price> = sqlx::query_as(
        "SELECT stripe_price_id, name, plan, interval, currency, amount, is_current FROM prices ORDER BY stripe_price_id",
    )
    .fetch_all(&mut *tx)
    .await?;
    let (rows, loaded) = difference(&before, prices);
    let ids: Vec<&str> = rows.iter().map(|price| price.stripe_price_id.as_str()).collect();
    // First, so that two prices can exchange their names.
    sqlx::query("UPDATE prices SET is_current = false WHERE is_current AND stripe_price_id = ANY ($1)")
        .bind(ids)
        .execute(&mut *tx)
        .await?;
    for price in &rows {
        write(&mut tx, price).await?;
    }
    tx.commit().await?;
    connection.close().await?;
    Ok(loaded)
}

/// The rows that become others, as they will be.
fn difference(before: &[Price], wanted: &[Price]) -> (Vec<Price>, Loaded) {
    let known: BTreeMap<&str, &Price> = before.iter().map(|price| (price.stripe_price_id.as_str(), price)).collect();
    let (mut rows, mut loaded) = (Vec::new(), Loaded::default());
    for price in wanted {
        match known.get(price.stripe_price_id.as_str()) {
            Some(known) if *known == price => continue,
            Some(_) => loaded.changed.push(price.stripe_price_id.clone()),
            None => loaded.added.push(price.stripe_price_id.clone()),
        }
        rows.push(price.clone());
    }
    let listed = |id: &str| wanted.iter().any(|price| price.stripe_price_id == id);
    let sold_anew = |name: &str| wanted.iter().any(|price| price.is_current && price.name == name);
    for price in before.iter().filter(|price| price.is_current && !listed(&price.stripe_price_id)) {
        if sold_anew(&price.name) {
            loaded.retired.push(price.stripe_price_id.clone());
            rows.push(Price { is_current: false, ..price.clone() });
        }
    }
    (rows, loaded)
}

async fn write(connection: &mut PgConnection, price: &Price) -> Result<(), MigrateError> {
    let query = sqlx::query(
        "INSERT INTO prices (stripe_price_id, name, plan, interval, currency, amount, is_current) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (stripe_price_id) DO UPDATE SET name = $2, plan = $3, interval = $4, currency = $5, amount = $6, \
             is_current = $7",
    );
    let query = query.bind(&price.stripe_price_id).bind(&price.name).bind(&price.plan).bind(&price.interval);
    query.bind(&price.currency).bind(price.amount).bind(price.is_current).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn starter() -> Value {
        json!({"stripe_price_id": "price_1", "name": "STARTER_MONTHLY", "plan": "starter", "interval": "month",
               "currency": "USD", "amount": "49.00", "is_current": true})
    }

    fn refusal(prices: Value) -> String {
        parse(&json!({"prices": prices})).unwrap().unwrap_err().to_string()
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (field, value) in [
            ("stripe_price_id", json!("")),
            ("stripe_price_id", json!("price 1")),
            ("stripe_price_id", json!(7)),
            ("name", json!("starter_monthly")),
            ("name", json!("")),
            ("name", json!("S".repeat(64))),
            ("interval", json!("week")),
            ("currency", json!("usd")),
            ("amount", json!(49.0)),
            ("amount", json!("-1")),
            ("amount", json!("49.001")),
            ("is_current", json!("yes")),
            ("colour", json!("red")),
        ] {
            let mut wrong = starter();
            wrong[field] = value.clone();
            let said = refusal(json!([starter(), wrong]));
            assert!(said.contains("prices[1]") && said.contains(field), "{field} {value}: {said}");
        }
        for field in ["stripe_price_id", "name", "plan", "interval", "currency", "amount"] {
            let mut wrong = starter();
            wrong.as_object_mut().unwrap().remove(field);
            assert!(refusal(json!([wrong])).contains(field), "{field}");
        }
        assert!(refusal(json!("none")).contains("prices"));
        let both = refusal(
            json!([{"stripe_price_id": "", "name": "", "plan": "p", "interval": "", "currency": "", "amount": "1"}]),
        );
        assert!(["id", "name", "interval", "currency"].iter().all(|field| both.contains(field)), "{both}");
    }

    #[test]
    fn a_price_stands_there_once_and_a_name_is_sold_at_one() {
        assert!(refusal(json!([starter(), starter()])).contains("prices[1].stripe_price_id: stands here twice"));
        let mut another = starter();
        another["stripe_price_id"] = json!("price_2");
        assert!(refusal(json!([starter(), another])).contains("prices[1].is_current"));
        another["is_current"] = json!(false);
        let prices = parse(&json!({"prices": [starter(), another]})).unwrap().unwrap();
        assert_eq!(prices.len(), 2);
    }

    #[test]
    fn other_requests_are_about_no_prices() {
        for event in [json!({}), json!({"Step": "createSecret"}), json!(null), json!([])] {
            assert!(parse(&event).is_none(), "{event}");
        }
    }
}
