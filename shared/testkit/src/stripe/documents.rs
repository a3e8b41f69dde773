//! Bodies of what the stand-in makes beside subscriptions: customers, pages, the lines of invoices. In the present shape.

use serde_json::{Value, json};

use super::price::{PRODUCT, Price};

pub(super) fn customer(id: &str, name: Option<&str>, email: Option<&str>, metadata: Value, at: i64) -> Value {
    json!({
        "id": id, "object": "customer", "address": null, "balance": 0, "created": at, "currency": null,
        "customer_account": null, "default_source": null, "delinquent": false, "description": null, "discount": null,
        "email": email, "invoice_prefix": id.trim_start_matches("cus_")[..8].to_uppercase(),
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
        },
        "livemode": false, "metadata": metadata, "name": name, "next_invoice_sequence": 1, "phone": null,
        "preferred_locales": [], "shipping": null, "tax_exempt": "none", "test_clock": null,
    })
}

/// What is sold on the page, to whom, and where the browser goes afterwards.
pub(super) struct Checkout<'a> {
    pub customer: &'a Value,
    pub reference: Option<String>,
    pub metadata: Value,
    pub success_url: String,
    pub cancel_url: Option<String>,
    pub amount: i64,
}

pub(super) fn checkout_session(id: &str, url: &str, checkout: Checkout<'_>, at: i64) -> Value {
    json!({
        "id": id, "object": "checkout.session", "adaptive_pricing": {"enabled": false}, "after_expiration": null,
        "allow_promotion_codes": null, "amount_subtotal": checkout.amount, "amount_total": checkout.amount,
        "automatic_tax": {"enabled": false, "liability": null, "provider": null, "status": null},
        "billing_address_collection": null, "cancel_url": checkout.cancel_url,
        "client_reference_id": checkout.reference, "client_secret": null, "consent": null,
        "consent_collection": null, "created": at, "currency": "usd", "currency_conversion": null,
        "custom_fields": [], "custom_text": {
            "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null,
        },
        "customer": checkout.customer["id"], "customer_account": null, "customer_creation": null,
        "customer_details": null, "customer_email": null, "discounts": [], "expires_at": at + DAY, "invoice": null,
        "invoice_creation": null, "livemode": false, "locale": null, "metadata": checkout.metadata,
        "mode": "subscription", "origin_context": null, "payment_intent": null, "payment_link": null,
        "payment_method_collection": "always", "payment_method_configuration_details": null,
        "payment_method_options": {}, "payment_method_types": ["card"], "payment_status": "unpaid",
        "permissions": null, "phone_number_collection": {"enabled": false}, "recovered_from": null,
        "saved_payment_method_options": null, "setup_intent": null, "shipping_address_collection": null,
        "shipping_cost": null, "shipping_options": [], "status": "open", "submit_type": null, "subscription": null,
        "success_url": checkout.success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}, "ui_mode": "hosted",
        "url": url, "wallet_options": null,
    })
}

const DAY: i64 = 24 * 3600;

pub(super) fn portal_session(id: &str, url: &str, customer: &str, return_url: Option<String>, at: i64) -> Value {
    json!({
        "id": id, "object": "billing_portal.session", "configuration": "bpc_carhaul", "created": at,
        "customer": customer, "customer_account": null, "flow": null, "livemode": false, "locale": null,
        "on_behalf_of": null, "return_url": return_url, "url": url,
    })
}

/// A line of an invoice: a price for a period, or for what is left of one.
pub(super) struct Line {
    pub price: Price,
    pub quantity: i64,
    /// In cents.
    pub amount: i64,
    pub start: i64,
    pub end: i64,
    pub is_proration: bool,
}

impl Line {
    pub(super) fn object(&self, id: &str, invoice: &str, subscription: &Value) -> Value {
        let Self { price, quantity, amount, .. } = self;
        let name = price.nickname.as_deref().unwrap_or(&price.id);
        let description = match (self.is_proration, *amount < 0) {
            (true, true) => format!("Unused time on {name}"),
            (true, false) => format!("Remaining time on {name}"),
            (false, _) => format!("{quantity} × {name}"),
        };
        json!({
            "id": id, "object": "line_item", "amount": amount, "currency": "usd", "description": description,
            "discount_amounts": [], "discountable": !self.is_proration, "discounts": [], "invoice": invoice,
            "livemode": false, "metadata": {},
            "parent": {
                "invoice_item_details": null, "type": "subscription_item_details",
                "subscription_item_details": {
                    "invoice_item": null, "proration": self.is_proration,
                    "proration_details": {"credited_items": null}, "subscription": subscription["id"],
                    "subscription_item": subscription["items"]["data"][0]["id"],
                },
            },
            "period": {"start": self.start, "end": self.end}, "pretax_credit_amounts": [],
            "pricing": {
                "price_details": {"price": price.id, "product": PRODUCT}, "type": "price_details",
                "unit_amount_decimal": price.amount.to_string(),
            },
            "quantity": quantity, "taxes": [],
        })
    }
}
