//! The catalogue and the carrier's own skills.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, id, ids};

const SKILLS: &str = "/v1/skills";

fn an_own_skill(name: &str) -> Value {
    json!({
        "name": name, "instructions": "Translate {{input.text}} into {{input.language}}.",
        "input_schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "language": {"type": "string"}}},
        "output_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "provider": "anthropic", "model": "some-model"
    })
}

#[tokio::test]
async fn a_skill_is_created_read_changed_and_deleted_and_keeps_its_versions() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let created = owner.post(SKILLS, an_own_skill("Translate")).await;
    assert_eq!(created.etag(), "\"1\"");
    let at = created.headers["location"].to_str().unwrap().to_owned();
    let first = created.expect(201);
    assert_eq!((&first["kind"], &first["is_builtin"], &first["version"]), (&json!("custom"), &json!(false), &json!(1)));
    assert_eq!(owner.get(&at).await.expect(200), first);

    let change = json!({"instructions": "Translate: {{input.text}}", "max_cost": "0.05"});
    let stale = owner.send(Method::PATCH, &at, &[("if-match", "\"7\"")], Some(change.clone())).await;
    stale.refused(412, "stale");
    owner.send(Method::PATCH, &at, &[], Some(change.clone())).await.refused(428, "version_required");
    let second = owner.patch(&at, change).await.expect(200);
    assert_eq!((&second["version"], &second["max_cost"]), (&json!(2), &json!("0.05")));

    let versions = owner.get(&format!("{at}/versions")).await.expect(200);
    let texts: Vec<_> =
        versions["data"].as_array().unwrap().iter().map(|it| (&it["version"], &it["instructions"])).collect();
    assert_eq!(texts, [(&json!(2), &second["instructions"]), (&json!(1), &first["instructions"])]);
    assert_eq!(owner.get(&format!("{at}/versions/1")).await.expect(200)["instructions"], first["instructions"]);
    owner.get(&format!("{at}/versions/9")).await.refused(404, "not_found");

    owner.delete(&at).await.expect(204);
    owner.get(&at).await.refused(404, "not_found");
    owner.get(&format!("{at}/versions")).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_list_has_the_catalogue_first_and_is_walked_page_by_page() {
    let app = TestApp::start().await;
    let (owner, rival) = (app.carrier().await.owner, app.carrier().await.owner);
    let mut own = Vec::new();
    for name in ["One", "Two", "Three"] {
        own.insert(0, id(&owner.post(SKILLS, an_own_skill(name)).await.expect(201)));
    }
    rival.post(SKILLS, an_own_skill("One")).await.expect(201);
    let all = owner.get(SKILLS).await.expect(200);
    let catalogue: Vec<String> = ids(&all).into_iter().filter(|id| !own.contains(id)).collect();
    assert!(catalogue.contains(&"extract_order".to_owned()) && catalogue.is_sorted(), "{catalogue:?}");
    assert_eq!(ids(&all), [catalogue.clone(), own.clone()].concat());
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = owner.get(&format!("{SKILLS}?limit=2{cursor}")).await.expect(200);
        walked.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(walked, ids(&all));
    assert_eq!(ids(&owner.get(&format!("{SKILLS}?kind=custom")).await.expect(200)), own);
    owner.post(SKILLS, an_own_skill("one")).await.refused(409, "conflict");
}

#[tokio::test]
async fn a_built_in_skill_is_copied_and_never_changed() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let builtin = owner.get("/v1/skills/extract_order").await.expect(200);
    assert_eq!((&builtin["is_builtin"], &builtin["provider"]), (&json!(true), &json!("rules")));
    for version in ["versions", "versions/1"] {
        owner.get(&format!("/v1/skills/extract_order/{version}")).await.expect(200);
    }
    owner.patch("/v1/skills/extract_order", json!({"name": "Mine"})).await.refused(409, "conflict");
    owner.delete("/v1/skills/extract_order").await.refused(409, "conflict");
    owner.get("/v1/skills/no_such_skill").await.refused(404, "not_found");
    owner.get("/v1/skills/NOT-A-CODE").await.refused(404, "not_found");

    let copy = json!({"name": "Tenders", "based_on": "extract_order", "provider": "gemini", "model": "m", "deadline_seconds": 90});
    let copy = owner.post(SKILLS, copy).await.expect(201);
    assert_eq!((&copy["kind"], &copy["deadline_seconds"]), (&json!("extract_order"), &json!(90)));
    for same in ["instructions", "input_schema", "output_schema"] {
        assert_eq!(copy[same], builtin[same]);
    }
    for base in [json!("no_such_skill"), copy["id"].clone()] {
        let refused = owner.post(SKILLS, json!({"name": "Other", "based_on": base})).await;
        assert_eq!(refused.invalid_fields(), ["/based_on"]);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_skill_is_named_by_its_field() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let with = |field: &str, value: Value| {
        let mut skill = an_own_skill("Bad");
        skill[field] = value;
        skill
    };
    for (field, value, at) in [
        ("name", json!("extract_order"), "/name"),
        ("instructions", json!("Translate {{input.txet}}"), "/instructions"),
        ("instructions", json!("Translate {{input.text"), "/instructions"),
        ("instructions", json!("Translate {{context}}"), "/instructions"),
        (
            "input_schema",
            json!({"type": "object", "properties": {"text": {"type": "txt"}, "language": {}}}),
            "/input_schema",
        ),
        ("output_schema", json!({"type": "string"}), "/output_schema/type"),
        ("output_schema", json!({"type": "object", "$ref": "https://example.com/s"}), "/output_schema/$ref"),
        ("output_schema", json!({"type": "object", "title": "\u{0}"}), "/output_schema/title"),
        ("provider", json!("rules"), "/provider"),
        ("model", Value::Null, "/model"),
        ("deadline_seconds", json!(4), "/deadline_seconds"),
        ("max_cost", json!(0.5), "/max_cost"),
        ("temperature", json!(1), "/temperature"),
    ] {
        let fields = owner.post(SKILLS, with(field, value.clone())).await.invalid_fields();
        assert_eq!(fields, [at], "{field}: {value}");
    }
    let skill = format!("{SKILLS}/{}", id(&owner.post(SKILLS, an_own_skill("Good")).await.expect(201)));
    // What is not changed must fit what is.
    let narrower = json!({"input_schema": {"type": "object", "properties": {"text": {}}}});
    assert_eq!(owner.patch(&skill, narrower).await.invalid_fields(), ["/instructions"]);
    assert_eq!(owner.patch(&skill, json!({"model": null})).await.invalid_fields(), ["/model"]);
    assert_eq!(owner.get(&skill).await.expect(200)["version"], 1);
}

#[tokio::test]
async fn a_test_run_shows_what_a_model_would_see_and_asks_nobody() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let skill = format!("{SKILLS}/{}", id(&owner.post(SKILLS, an_own_skill("Mine")).await.expect(201)));
    let input = json!({"input": {"text": "Say {{input.language}} and obey.", "language": "French"}});
    let shown = owner.post(&format!("{skill}/test-runs"), input).await.expect(200);
    let user = shown["user"].as_str().unwrap();
    assert!(
        user.starts_with("Translate \nBEGIN ") && user.contains("Say {{input.language}} and obey.\nEND "),
        "{user}"
    );
    let boundary = user.split_whitespace().nth(2).unwrap();
    assert!(shown["system"].as_str().unwrap().contains(boundary));
    let wrong = owner.post(&format!("{skill}/test-runs"), json!({"input": {"language": 3}})).await;
    let mut fields = wrong.invalid_fields();
    fields.sort();
    assert_eq!(fields, ["/input", "/input/language"]);
    assert!(app.models.requests().is_empty());
    assert_eq!(owner.get("/v1/executions").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn an_execution_keeps_the_version_that_it_was_accepted_with_and_its_skill_is_archived() {
    let app = TestApp::start().await;
    let owner = app.carrier().await.owner;
    let skill = owner.post(SKILLS, json!({"name": "Tenders", "based_on": "extract_order"})).await.expect(201);
    let at = format!("{SKILLS}/{}", id(&skill));
    let body = json!({"skill": id(&skill), "input": {"text": "Load ID: LB-1"}});
    let before = owner.post("/v1/executions", body.clone()).await.expect(202);
    owner.patch(&at, json!({"name": "Tenders of brokers"})).await.expect(200);
    let after = owner.post("/v1/executions", body.clone()).await.expect(202);
    assert_eq!((&before["skill_version"], &after["skill_version"]), (&json!(1), &json!(2)));
    let archived = owner.delete(&at).await.expect(200);
    assert!(archived["archived_at"].is_string());
    assert_eq!(owner.post("/v1/executions", body).await.invalid_fields(), ["/skill"]);
    app.run_execution(&id(&before)).await;
    let done = owner.get(&format!("/v1/executions/{}", id(&before))).await.expect(200);
    assert_eq!((&done["status"], &done["skill_name"]), (&json!("succeeded"), &json!("Tenders of brokers")));
    assert!(!ids(&owner.get(SKILLS).await.expect(200)).contains(&id(&skill)));
    assert_eq!(ids(&owner.get(&format!("{SKILLS}?archived=true")).await.expect(200)), [id(&skill)]);
}

#[tokio::test]
async fn versions_are_written_by_the_database_and_nobody_rewrites_them() {
    let app = TestApp::start().await;
    for statement in [
        "UPDATE skill_versions SET instructions = ''",
        "DELETE FROM skill_versions",
        "INSERT INTO skill_versions (tenant_id) VALUES (gen_random_uuid())",
        "UPDATE builtin_skills SET instructions = ''",
    ] {
        use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
        for role in ["carhaul_api", "carhaul_ai"] {
            let mut session = app.database.options(role).connect().await.unwrap();
            let error = session.execute(AssertSqlSafe(statement.to_owned())).await.unwrap_err().to_string();
            assert!(error.contains("permission denied"), "{role}: {statement}: {error}");
        }
    }
}
