//! What models cost, against a real Postgres, as its owner; and that the function of workers reads what was loaded.

use carhaul_migrate::MigrateError;
use carhaul_migrate::ai_prices;
use carhaul_migrate::prices::Loaded;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};

use crate::support::Setup;

async fn owner(setup: &Setup) -> PgConnectOptions {
    setup.migrate().await.unwrap();
    setup.database.clone().username(&setup.owner.username).password(setup.owner.password.expose())
}

fn price(model: &str, valid_from: &str, input: &str, output: &str) -> Value {
    json!({"provider": "anthropic", "model": model, "valid_from": valid_from, "input_price": input, "output_price": output})
}

async fn load(owner: &PgConnectOptions, prices: &[Value]) -> Result<Loaded, MigrateError> {
    let prices = ai_prices::parse(&json!({"ai_prices": prices})).unwrap()?;
    ai_prices::load(owner, &prices).await
}

async fn table(login: &PgConnectOptions) -> Vec<String> {
    let mut connection = login.connect().await.unwrap();
    let query = "SELECT concat_ws(' ', provider, model, extract(year FROM valid_from), input_price, output_price) FROM ai_prices ORDER BY 1";
    let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn loaded(added: &[&str], changed: &[&str]) -> Loaded {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Loaded { added: names(added), changed: names(changed), retired: Vec::new() }
}

#[tokio::test]
async fn a_list_is_loaded_once_a_second_time_changes_nothing_and_what_it_lacks_stays() {
    let setup = Setup::new().await;
    let owner = owner(&setup).await;
    let list = [price("a", "2026-01-01T00:00:00Z", "0.25", "1.5"), price("b", "2026-01-01T00:00:00Z", "1", "2")];
    let both = loaded(&["anthropic a 2026-01-01T00:00:00Z", "anthropic b 2026-01-01T00:00:00Z"], &[]);
    assert_eq!(load(&owner, &list).await.unwrap(), both);
    assert_eq!(load(&owner, &list).await.unwrap(), Loaded::default());
    // A new price from later on, and a mistake that is mended.
    let list =
        [price("a", "2027-01-01T00:00:00Z", "0.5", "3"), price("b", "2026-01-01T00:00:00+00:00", "1", "2.000001")];
    assert_eq!(
        load(&owner, &list).await.unwrap(),
        loaded(&["anthropic a 2027-01-01T00:00:00Z"], &["anthropic b 2026-01-01T00:00:00Z"])
    );
    let known = [
        "anthropic a 2026 0.250000 1.500000",
        "anthropic a 2027 0.500000 3.000000",
        "anthropic b 2026 1.000000 2.000001",
    ];
    assert_eq!(table(&owner).await, known);
    // Whoever runs executions reads it, and changes nothing of it.
    let ai = setup.roles.iter().find(|role| role.username == "carhaul_ai").unwrap();
    let ai = setup.database.clone().username(&ai.username).password(ai.password.expose());
    assert_eq!(table(&ai).await, known);
    assert!(load(&ai, &[price("c", "2026-01-01T00:00:00Z", "0", "0")]).await.is_err());
    setup.clean_up().await;
}

#[tokio::test]
async fn a_list_with_one_wrong_price_changes_nothing() {
    let setup = Setup::new().await;
    let owner = owner(&setup).await;
    let list = [price("a", "2026-01-01T00:00:00Z", "1", "2"), price("a", "2026-01-01T00:00:00Z", "3", "4")];
    let error = load(&owner, &list).await.unwrap_err().to_string();
    assert_eq!(error, "ai_prices[1].valid_from: this model has another price from then on");
    assert!(table(&owner).await.is_empty());
    setup.clean_up().await;
}
