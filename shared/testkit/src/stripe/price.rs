//! Prices, in the two forms in which subscriptions carry them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) const PRODUCT: &str = "prod_carhaul";

/// What a subscription costs, in US cents an interval (`month` or `year`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Price {
    pub id: String,
    pub amount: i64,
    pub interval: String,
    /// What people call it.
    pub nickname: Option<String>,
    /// Whether the portal offers it.
    pub is_offered: bool,
}

impl Price {
    pub(super) fn monthly(id: &str) -> Self {
        Self { id: id.to_owned(), amount: 4900, interval: "month".to_owned(), nickname: None, is_offered: true }
    }

    /// For people: its name, and what it costs.
    pub(super) fn label(&self) -> String {
        let name = self.nickname.as_deref().unwrap_or(&self.id);
        format!("{name}, {} a {}", dollars(self.amount), self.interval)
    }

    pub(super) fn object(&self, at: i64) -> Value {
        json!({
            "id": self.id, "object": "price", "active": true, "billing_scheme": "per_unit", "created": at,
            "currency": "usd", "custom_unit_amount": null, "livemode": false, "lookup_key": null, "metadata": {},
            "nickname": self.nickname, "product": PRODUCT,
            "recurring": {
                "interval": self.interval, "interval_count": 1, "meter": null, "trial_period_days": null,
                "usage_type": "licensed",
            },
            "tax_behavior": "unspecified", "tiers_mode": null, "transform_quantity": null, "type": "recurring",
            "unit_amount": self.amount, "unit_amount_decimal": self.amount.to_string(),
        })
    }

    /// What items had before prices, and still carry.
    pub(super) fn plan(&self, at: i64) -> Value {
        json!({
            "id": self.id, "object": "plan", "active": true, "amount": self.amount,
            "amount_decimal": self.amount.to_string(), "billing_scheme": "per_unit", "created": at, "currency": "usd",
            "interval": self.interval, "interval_count": 1, "livemode": false, "metadata": {}, "meter": null,
            "nickname": self.nickname, "product": PRODUCT, "tiers_mode": null, "transform_usage": null,
            "trial_period_days": null, "usage_type": "licensed",
        })
    }
}

pub(super) fn dollars(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}${}.{:02}", cents.abs() / 100, cents.abs() % 100)
}
