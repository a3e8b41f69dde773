//! What can be bought, by the names that clients say.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use super::stripe::objects::in_currency;
use crate::base::error::Result;
use crate::base::page::Page;
use crate::identity::actor::Actor;
use crate::identity::permissions::Action;
use crate::platform::db::Db;

/// An entry of the price list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow, ToSchema)]
pub struct Price {
    #[schema(example = "STARTER_MONTHLY")]
    pub name: String,
    /// The plan that it buys.
    #[schema(example = "starter")]
    pub plan: String,
    /// For each interval, before tax, in decimals of the currency.
    #[schema(example = "49.00")]
    pub amount: Decimal,
    #[schema(example = "USD")]
    pub currency: String,
    /// How often it is paid.
    pub interval: Interval,
}

/// How often it is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Month,
    Year,
}

crate::text_column!(Interval);

impl Price {
    /// The column has more decimals than most currencies.
    pub(super) fn in_its_currency(mut self) -> Self {
        self.amount = in_currency(self.amount, &self.currency);
        self
    }
}

/// What is sold now, the smaller plan first.
pub async fn list(db: &Db, actor: &Actor) -> Result<Page<Price>> {
    let (_, prices) = db
        .read::<Price>(actor, Action::BillingRead, |sql| {
            sql.push(
                "SELECT p.name AS id, p.name, p.plan, p.amount, p.currency, p.interval \
                 FROM prices p JOIN plans ON plans.code = p.plan WHERE p.is_current \
                 ORDER BY plans.rank, p.interval, p.name",
            );
        })
        .await?;
    Ok(Page { data: prices.into_iter().map(Price::in_its_currency).collect(), next_cursor: None })
}
