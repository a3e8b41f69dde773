//! What holds for every resource that is created, changed and deleted by id, written once. A resource's own file says what
//! it is about and runs these.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, id, ids};

/// A resource by its example.
pub struct Resource {
    pub path: &'static str,
    /// A body that creates one.
    pub example: Value,
    /// A patch of it, which must show in the answer as it is written here.
    pub change: Value,
    /// Columns of an order that refer to it.
    pub order_columns: &'static [&'static str],
}

impl Resource {
    pub async fn is_created_read_changed_and_deleted(&self) {
        let app = TestApp::start().await;
        let owner = app.carrier().await.owner;

        let created = owner.post(self.path, self.example.clone()).await;
        assert_eq!(created.etag(), "\"1\"");
        let at = created.headers["location"].to_str().expect("a path").to_owned();
        let row = created.expect(201);
        assert_eq!(at, format!("{}/{}", self.path, id(&row)));
        assert_contains(&row, &self.example);
        assert_eq!(owner.get(&at).await.expect(200), row);
        assert_eq!(ids(&owner.get(self.path).await.expect(200)), [id(&row)]);

        let changed =
            owner.send(Method::PATCH, &at, &[("if-match", "\"1\"")], Some(self.change.clone())).await.expect(200);
        assert_contains(&changed, &self.change);
        assert_eq!(changed["version"], 2);
        assert_eq!(owner.get(&at).await.expect(200), changed);

        owner.delete(&at).await.expect(204);
        owner.get(&at).await.refused(404, "not_found");
        owner.delete(&at).await.refused(404, "not_found");
    }

    pub async fn is_invisible_to_another_carrier(&self) {
        let app = TestApp::start().await;
        let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
        let row = owner.post(self.path, self.example.clone()).await.expect(201);
        let at = format!("{}/{}", self.path, id(&row));

        rival.get(&at).await.refused(404, "not_found");
        rival.patch(&at, self.change.clone()).await.refused(404, "not_found");
        rival.delete(&at).await.refused(404, "not_found");
        assert_eq!(rival.get(self.path).await.expect(200)["data"], json!([]));
        let intruder = rival.clone().of(owner.tenant.expect("an owner names the carrier"));
        intruder.get(&at).await.refused(403, "forbidden");
        intruder.post(self.path, self.example.clone()).await.refused(403, "forbidden");
        assert_eq!(owner.get(&at).await.expect(200), row);
    }

    pub async fn changes_only_in_the_version_that_was_seen(&self) {
        let app = TestApp::start().await;
        let owner = app.carrier().await.owner;
        let row = owner.post(self.path, self.example.clone()).await.expect(201);
        let at = format!("{}/{}", self.path, id(&row));
        owner.patch(&at, self.change.clone()).await.expect(200);

        let stale = [("if-match", "\"1\"")];
        owner.send(Method::PATCH, &at, &stale, Some(self.change.clone())).await.refused(412, "stale");
        owner.send(Method::DELETE, &at, &stale, None).await.refused(412, "stale");
        owner.send(Method::PATCH, &at, &[], Some(self.change.clone())).await.refused(428, "version_required");
        owner.send(Method::DELETE, &at, &[], None).await.refused(428, "version_required");
        owner.send(Method::DELETE, &at, &[("if-match", "\"2\"")], None).await.expect(204);
    }

    /// Each case is a member of the body, the value it gets, and the field that the refusal names.
    pub async fn names_the_field_of(&self, cases: &[(&str, Value)]) {
        let app = TestApp::start().await;
        let owner = app.carrier().await.owner;
        let row = owner.post(self.path, self.example.clone()).await.expect(201);
        let at = format!("{}/{}", self.path, id(&row));
        for (member, value) in cases {
            let pointer = format!("/{member}");
            let mut body = self.example.clone();
            body[*member] = value.clone();
            assert_eq!(owner.post(self.path, body).await.invalid_fields(), [pointer.as_str()], "{member}: {value}");
            let patch = json!({ *member: value });
            assert_eq!(owner.patch(&at, patch).await.invalid_fields(), [pointer.as_str()], "{member}: {value}");
        }
        assert_eq!(owner.get(&at).await.expect(200), row);
        for member in ["limit", "cursor", "colour", "archived"] {
            assert_eq!(owner.get(&format!("{}?{member}=%00", self.path)).await.invalid_fields(), [member]);
        }
    }

    pub async fn is_written_by(&self, writers: &[&str]) {
        let app = TestApp::start().await;
        let carrier = app.carrier().await;
        let row = carrier.owner.post(self.path, self.example.clone()).await.expect(201);
        let at = format!("{}/{}", self.path, id(&row));
        for role in ["owner", "admin", "dispatcher", "accountant", "driver"] {
            let member = app.member(&carrier, role).await;
            if writers.contains(&role) {
                member.patch(&at, self.change.clone()).await.expect(200);
            } else {
                member.post(self.path, self.example.clone()).await.refused(403, "forbidden");
                member.patch(&at, self.change.clone()).await.refused(403, "forbidden");
                member.delete(&at).await.refused(403, "forbidden");
            }
        }
    }

    /// Reading, in the roles that may not.
    pub async fn is_hidden_from(&self, role: &str) {
        let app = TestApp::start().await;
        let carrier = app.carrier().await;
        let row = carrier.owner.post(self.path, self.example.clone()).await.expect(201);
        let member = app.member(&carrier, role).await;
        member.get(self.path).await.refused(403, "forbidden");
        member.get(&format!("{}/{}", self.path, id(&row))).await.refused(403, "forbidden");
    }

    pub async fn is_archived_when_an_order_refers_to_it(&self) {
        let app = TestApp::start().await;
        let carrier = app.carrier().await;
        for &column in self.order_columns {
            let row = carrier.owner.post(self.path, self.example.clone()).await.expect(201);
            let at = format!("{}/{}", self.path, id(&row));
            app.order_with(&carrier, column, &id(&row)).await;

            let archived = carrier.owner.delete(&at).await.expect(200);
            assert!(archived["archived_at"].is_string(), "{archived}");
            assert_eq!(carrier.owner.get(&at).await.expect(200), archived);
            let lists = |archived| format!("{}?archived={archived}", self.path);
            assert!(!ids(&carrier.owner.get(&lists(false)).await.expect(200)).contains(&id(&row)));
            assert!(ids(&carrier.owner.get(&lists(true)).await.expect(200)).contains(&id(&row)));

            let restored = carrier.owner.patch(&at, json!({"archived": false})).await.expect(200);
            assert_eq!(restored["archived_at"], json!(null));
            carrier.owner.patch(&at, json!({"archived": true})).await.expect(200);
        }
    }
}

#[track_caller]
fn assert_contains(row: &Value, members: &Value) {
    for (name, value) in members.as_object().expect("a body is an object") {
        assert_eq!(&row[name], value, "{name}");
    }
}
