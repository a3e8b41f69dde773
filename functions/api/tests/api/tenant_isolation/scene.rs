//! A carrier with one of everything, made with the examples.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use carhaul_testkit::StripeServer;
use serde_json::{Value, json};
use uuid::Uuid;

use super::document::Operation;
use super::examples::{Example, examples};
use crate::support::{Carrier, Client, Reply, TestApp, id};

/// What `create` makes of it, in an order in which everything exists that the next one names.
const COLLECTIONS: [(&str, &str); 18] = [
    ("customers", "create_customer"),
    ("locations", "create_location"),
    ("trucks", "create_truck"),
    ("trailers", "create_trailer"),
    ("drivers", "create_driver"),
    ("custom-statuses", "create_custom_status"),
    ("tags", "create_tag"),
    ("expense-categories", "create_expense_category"),
    ("cancel-reasons", "create_cancel_reason"),
    ("invitations", "create_invitation"),
    ("api-keys", "create_api_key"),
    ("provider-keys", "create_provider_key"),
    ("orders", "create_order"),
    ("documents", "create_order_document"),
    ("trips", "create_trip"),
    ("skills", "create_skill"),
    ("executions", "create_execution"),
    ("exports", "create_export"),
];

pub struct Scene {
    pub carrier: Carrier,
    /// The newest id of each collection.
    ids: BTreeMap<String, String>,
    /// All ids, and the word that stands in all names.
    pub secrets: Vec<String>,
    pub api_key: String,
    word: String,
    words: AtomicUsize,
    providers: AtomicUsize,
}

impl Scene {
    /// With another one of everything, so that its lists have a second page.
    pub async fn with_two_pages(app: &TestApp, stripe: &StripeServer) -> Self {
        let mut scene = Self::set(app, stripe).await;
        for (collection, create) in COLLECTIONS {
            scene.create(collection, create).await;
            if collection == "drivers" {
                scene.add_member(app, "newcomers", "driver").await;
            }
        }
        scene.finish_executions(app).await;
        scene.finish_export(app).await;
        scene
    }

    pub async fn set(app: &TestApp, stripe: &StripeServer) -> Self {
        let carrier = app.carrier().await;
        let word = Uuid::now_v7().simple().to_string()[20..].to_owned();
        let secrets = vec![carrier.id.to_string(), word.clone()];
        let api_key = String::new();
        let mut scene = Self {
            carrier,
            ids: BTreeMap::new(),
            secrets,
            api_key,
            word,
            words: AtomicUsize::new(0),
            providers: AtomicUsize::new(0),
        };
        scene.add_member(app, "members", "dispatcher").await;
        for (collection, create) in COLLECTIONS {
            if collection == "drivers" {
                scene.add_member(app, "newcomers", "driver").await;
            }
            scene.create(collection, create).await;
        }
        scene.finish_order().await;
        scene.finish_document(app).await;
        scene.finish_export(app).await;
        scene.subscribe(app, stripe).await;
        scene.finish_executions(app).await;
        scene.add_member(app, "newcomers", "driver").await;
        scene
    }

    pub fn owner(&self) -> &Client {
        &self.carrier.owner
    }

    pub fn id(&self, collection: &str) -> String {
        self.ids.get(collection).unwrap_or_else(|| panic!("no carrier of this test has {collection}")).clone()
    }

    /// Sends an example as the owner, with ids of this carrier.
    pub async fn send(&self, operation: &Operation, example: &Example) -> Reply {
        let path = operation.path_with(|collection| self.id(collection));
        send(self.owner(), operation, &path, example.query, self.fill(&example.body, |at| self.id(at))).await
    }

    /// The body with an id for each `$collection`, a new word for each `$word`, and another provider for each `$word provider`.
    pub fn fill(&self, body: &Value, id: impl Fn(&str) -> String) -> Value {
        self.fill_member(body, &id)
    }

    fn fill_member(&self, value: &Value, id: &dyn Fn(&str) -> String) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$') {
                None => value.clone(),
                Some("word provider") => self.next_provider().into(),
                Some(rest) => rest.strip_prefix("word").map_or_else(|| id(rest), |end| self.next_word() + end).into(),
            },
            Value::Array(items) => items.iter().map(|item| self.fill_member(item, id)).collect(),
            Value::Object(members) => {
                let members = members.iter().map(|(name, member)| (name.clone(), self.fill_member(member, id)));
                Value::Object(members.collect())
            }
            _ => value.clone(),
        }
    }

    /// Where a list's search finds this carrier's rows.
    pub fn word(&self) -> &str {
        &self.word
    }

    fn next_word(&self) -> String {
        format!("{}-{}", self.word, self.words.fetch_add(1, Ordering::Relaxed))
    }

    /// A carrier has one key for each.
    fn next_provider(&self) -> &'static str {
        let all = ["anthropic", "gemini", "openai_compatible"];
        all[self.providers.fetch_add(1, Ordering::Relaxed) % all.len()]
    }

    async fn create(&mut self, collection: &str, operation: &str) {
        let example = examples().into_iter().find(|it| it.operation == operation).expect("it has an example");
        let body = self.fill(&example.body, |at| self.id(at));
        let path = match collection {
            // They are of an order.
            "documents" => format!("/v1/orders/{}/documents", self.id("orders")),
            _ => format!("/v1/{collection}"),
        };
        let row = self.owner().post(&path, body).await;
        let row = row.expect(if ["executions", "exports"].contains(&collection) { 202 } else { 201 });
        self.add(collection, id(&row));
        for vehicle in row["vehicles"].as_array().into_iter().flatten() {
            self.add("vehicles", id(vehicle));
        }
        for stop in row["stops"].as_array().into_iter().flatten() {
            self.add("stops", id(stop));
        }
        if let Some(key) = row["key"].as_str() {
            key.clone_into(&mut self.api_key);
        }
    }

    async fn add_member(&mut self, app: &TestApp, collection: &str, role: &str) {
        let member = app.member(&self.carrier, role).await;
        self.add(collection, member.user_id.expect("a member is a person").to_string());
    }

    fn add(&mut self, collection: &str, id: String) {
        self.secrets.push(id.clone());
        self.ids.insert(collection.to_owned(), id);
    }

    /// A subscription that is over, so that another can be bought, with two pages of what it has left behind.
    async fn subscribe(&mut self, app: &TestApp, stripe: &StripeServer) {
        let (tenant, word, customer) = (self.carrier.id, self.word.clone(), stripe.create_customer());
        app.run(&format!(
            "INSERT INTO stripe_customers (tenant_id, id) VALUES ('{tenant}', '{customer}'); \
             INSERT INTO subscriptions (tenant_id, stripe_id, customer_id, status, plan, started_at, ended_at, as_of_at) \
             VALUES ('{tenant}', 'sub_{word}', '{customer}', 'canceled', 'starter', now(), now(), now()); \
             INSERT INTO billing_invoices (tenant_id, stripe_id, customer_id, number, status, currency, subtotal_amount, \
                 tax_amount, total_amount, paid_amount, remaining_amount, issued_at, url, as_of_at) \
             SELECT '{tenant}', 'in_{word}' || n, '{customer}', '{word}' || n, 'paid', 'USD', 49, 0, 49, 49, 0, now(), \
                 'https://invoice.example/{word}', now() FROM generate_series(1, 2) n; \
             INSERT INTO billing_events (tenant_id, stripe_event_id, type, stripe_object_id, outcome, plan, at) \
             SELECT '{tenant}', 'evt_{word}' || n, 'invoice.paid', 'in_{word}' || n, 'applied', 'starter', now() \
             FROM generate_series(1, 2) n"
        ))
        .await;
        self.secrets.push(customer);
    }

    /// Executions have a proposal, and belong to a batch.
    async fn finish_executions(&mut self, app: &TestApp) {
        let id = self.id("executions");
        app.run_execution(&id).await;
        let batch = Uuid::now_v7().to_string();
        app.run(&format!("UPDATE executions SET batch_id = '{batch}' WHERE id = '{id}'")).await;
        self.add("batches", batch);
        // Every skill has a first version, which is no secret.
        self.ids.insert("versions".to_owned(), "1".to_owned());
    }

    /// Its execution is a match of its order, which nobody drives yet.
    pub async fn match_drivers(&mut self, app: &TestApp) {
        let order = self.id("orders");
        self.owner().delete(&format!("/v1/trips/{}/orders/{order}", self.id("trips"))).await.expect(204);
        let body = json!({"skill": "match_driver", "input": {"order_ids": [order]}});
        let execution = id(&self.owner().post("/v1/executions", body).await.expect(202));
        app.run_execution(&execution).await;
        self.add("executions", execution);
    }

    /// What only an execution that has not ended can be asked for.
    pub async fn unfinish_execution(&self, app: &TestApp) {
        app.run(&format!(
            "UPDATE executions SET status = 'queued', review = NULL, due_at = now() + interval '1 day' WHERE id = '{}'",
            self.id("executions")
        ))
        .await;
    }

    /// Its document has been uploaded.
    async fn finish_document(&self, app: &TestApp) {
        let id = self.id("documents");
        app.run(&format!("UPDATE documents SET status = 'stored', stored_at = now() WHERE id = '{id}'")).await;
    }

    /// Its export is written, with nothing in it.
    async fn finish_export(&self, app: &TestApp) {
        let ready = "status = 'ready', finished_at = now(), expires_at = now() + interval '1 day'";
        app.run(&format!("UPDATE exports SET {ready} WHERE id = '{}'", self.id("exports"))).await;
    }

    /// Its order, which the trip has assigned, is in a status of the carrier's own, so that every filter finds one.
    async fn finish_order(&mut self) {
        let example = examples().into_iter().find(|it| it.operation == "update_order").expect("it has an example");
        let body = self.fill(&example.body, |at| self.id(at));
        self.owner().patch(&format!("/v1/orders/{}", self.id("orders")), body).await.expect(200);
    }
}

/// Sends a request of this operation, of whatever version is there.
pub async fn send(client: &Client, operation: &Operation, path: &str, query: &str, body: Value) -> Reply {
    let headers: &[(&str, &str)] = if operation.takes("header", "If-Match") { &[("if-match", "*")] } else { &[] };
    send_with(client, operation, path, query, headers, body).await
}

/// Sends it with these headers. The answer must be one of those that the document has.
pub async fn send_with(
    client: &Client,
    operation: &Operation,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Reply {
    let body = Some(body).filter(|body| !body.is_null());
    let reply = client.send(operation.method.clone(), &format!("{path}?{query}"), headers, body).await;
    operation.require_described(&reply);
    reply
}
