//! What model providers charge: of each model, from when on. Figures are an operator's, from the providers' own price lists.

use std::collections::{BTreeMap, BTreeSet};

use carhaul_core::base::moment::Moment;
use carhaul_core::base::money::Cost;
use carhaul_core::base::words::Word;
use carhaul_core::providers::ProviderName;
use serde::Deserialize;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, FromRow};

use crate::error::MigrateError;
use crate::prices::Loaded;

/// A price, as `migrate` is invoked with it: `{"ai_prices": [{..}, ..]}`. It holds until a later one of the same model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, FromRow)]
#[serde(deny_unknown_fields)]
pub struct AiPrice {
    pub provider: ProviderName,
    /// As skills name it.
    pub model: String,
    pub valid_from: Moment,
    /// In US dollars, for a million tokens.
    pub input_price: Cost,
    pub output_price: Cost,
}

impl AiPrice {
    fn key(&self) -> (String, &str, Moment) {
        (Word(&self.provider).to_string(), &self.model, self.valid_from)
    }

    fn name(&self) -> String {
        let (provider, model, valid_from) = self.key();
        format!("{provider} {model} {}", valid_from.0.format("%FT%TZ"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    ai_prices: Vec<AiPrice>,
}

/// Reads what `migrate` was invoked with; None if it is about no prices of models.
///
/// # Errors
/// [`MigrateError::Invalid`], which names each wrong field.
pub fn parse(event: &Value) -> Option<Result<Vec<AiPrice>, MigrateError>> {
    event.get("ai_prices")?;
    let request = serde_path_to_error::deserialize(event)
        .map_err(|error| MigrateError::Invalid(vec![format!("{}: {}", error.path(), error.inner())]));
    Some(request.and_then(|Request { ai_prices }| check(&ai_prices).map(|()| ai_prices)))
}

fn check(prices: &[AiPrice]) -> Result<(), MigrateError> {
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for (n, price) in prices.iter().enumerate() {
        let is_model = (1..=200).contains(&price.model.chars().count()) && price.model.trim() == price.model;
        if !is_model {
            wrong.push(format!("ai_prices[{n}].model: must be the name of a model"));
        }
        if !known.insert(price.key()) {
            wrong.push(format!("ai_prices[{n}].valid_from: this model has another price from then on"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(MigrateError::Invalid(wrong)) }
}

/// Brings the table to what the list says, all or nothing. A price that is not in the list stays: it was charged once. What was
/// booked stays as it was booked.
///
/// # Errors
/// What the database refuses.
pub async fn load(owner: &PgConnectOptions, prices: &[AiPrice]) -> Result<Loaded, MigrateError> {
    let mut connection = owner.connect().await?;
    let mut tx = connection.begin().await?;
    // Two that load at once do so one after the other; readers do not wait.
    sqlx::query("LOCK TABLE ai_prices IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
    let before: Vec<AiPrice> =
        sqlx::query_as("SELECT provider, model, valid_from, input_price, output_price FROM ai_prices")
            .fetch_all(&mut *tx)
            .await?;
    let before: BTreeMap<_, _> = before.iter().map(|price| (price.key(), price)).collect();
    let mut loaded = Loaded::default();
    for price in prices {
        match before.get(&price.key()) {
            Some(known) if *known == price => continue,
            Some(_) => loaded.changed.push(price.name()),
            None => loaded.added.push(price.name()),
        }
        let query = sqlx::query(
            "INSERT INTO ai_prices (provider, model, valid_from, input_price, output_price) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (provider, model, valid_from) DO UPDATE SET input_price = $4, output_price = $5",
        );
        let query = query.bind(price.provider).bind(&price.model).bind(price.valid_from);
        query.bind(price.input_price).bind(price.output_price).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    connection.close().await?;
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn price() -> Value {
        json!({"provider": "gemini", "model": "m-1", "valid_from": "2026-01-01T00:00:00Z", "input_price": "0.25",
               "output_price": "1.5"})
    }

    fn refusal(prices: Value) -> String {
        parse(&json!({"ai_prices": prices})).unwrap().unwrap_err().to_string()
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (field, value) in [
            ("provider", json!("rules")),
            ("provider", json!("")),
            ("model", json!("")),
            ("model", json!(" m")),
            ("model", json!("m".repeat(201))),
            ("valid_from", json!("2026-01-01")),
            ("valid_from", json!(null)),
            ("input_price", json!(0.25)),
            ("input_price", json!("-1")),
            ("output_price", json!("0.0000001")),
            ("output_price", json!("1000000")),
            ("currency", json!("USD")),
        ] {
            let mut wrong = price();
            wrong["model"] = json!("m-2");
            wrong[field] = value.clone();
            let said = refusal(json!([price(), wrong]));
            assert!(said.contains("ai_prices[1]") && said.contains(field), "{field} {value}: {said}");
        }
        for field in ["provider", "model", "valid_from", "input_price", "output_price"] {
            let mut wrong = price();
            wrong.as_object_mut().unwrap().remove(field);
            assert!(refusal(json!([wrong])).contains(field), "{field}");
        }
        assert!(refusal(json!([price(), price()])).contains("ai_prices[1].valid_from: this model has another price"));
        assert!(refusal(json!("none")).contains("ai_prices"));
        assert!(parse(&json!({"ai_prices": [], "prices": []})).unwrap().is_err());
    }

    #[test]
    fn other_requests_are_about_no_prices_of_models() {
        for event in [json!({}), json!({"prices": []}), json!({"Step": "createSecret"}), json!(null), json!([])] {
            assert!(parse(&event).is_none(), "{event}");
        }
    }
}
