//! The price list against a real Postgres, as its owner.

use carhaul_core::base::money::Amount;
use carhaul_migrate::MigrateError;
use carhaul_migrate::prices::{self, Loaded, Price};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};

use crate::support::Setup;

async fn owner(setup: &Setup) -> PgConnectOptions {
    setup.migrate().await.unwrap();
    setup.database.clone().username(&setup.owner.username).password(setup.owner.password.expose())
}

fn price(id: &str, name: &str, plan: &str, amount: &str) -> Value {
    json!({"stripe_price_id": id, "name": name, "plan": plan, "interval": "month", "currency": "USD", "amount": amount})
}

async fn load(owner: &PgConnectOptions, prices: &[Value]) -> Result<Loaded, MigrateError> {
    let prices = prices::parse(&json!({"prices": prices})).unwrap().unwrap();
    prices::load(owner, &prices).await
}

/// Name, plan, amount and whether it is sold, by Stripe's id.
async fn table(owner: &PgConnectOptions) -> Vec<String> {
    let mut connection = owner.connect().await.unwrap();
    let query = "SELECT concat_ws(' ', stripe_price_id, name, plan, amount, is_current) FROM prices ORDER BY 1";
    let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn loaded(added: &[&str], changed: &[&str], retired: &[&str]) -> Loaded {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Loaded { added: ids(added), changed: ids(changed), retired: ids(retired) }
}

#[tokio::test]
async fn a_list_is_loaded_once_and_a_second_time_changes_nothing() {
    let setup = Setup::new().await;
    let owner = owner(&setup).await;
    let list = [price("price_1", "STARTER_MONTHLY", "starter", "49.00"), price("price_2", "PRO_MONTHLY", "pro", "149")];
    assert_eq!(load(&owner, &list).await.unwrap(), loaded(&["price_1", "price_2"], &[], &[]));
    let once = table(&owner).await;
    assert_eq!(once, ["price_1 STARTER_MONTHLY starter 49.000 t", "price_2 PRO_MONTHLY pro 149.000 t"]);
    assert_eq!(load(&owner, &list).await.unwrap(), Loaded::default());
    assert_eq!(load(&owner, &[]).await.unwrap(), Loaded::default());
    assert_eq!(table(&owner).await, once);
    setup.clean_up().await;
}

#[tokio::test]
async fn the_former_price_of_a_name_is_kept_and_sold_no_longer() {
    let setup = Setup::new().await;
    let owner = owner(&setup).await;
    let old = price("price_old", "STARTER_MONTHLY", "starter", "49.00");
    load(&owner, &[old.clone(), price("price_pro", "PRO_MONTHLY", "pro", "149.00")]).await.unwrap();
    let new = price("price_new", "STARTER_MONTHLY", "starter", "59.00");
    assert_eq!(load(&owner, &[new]).await.unwrap(), loaded(&["price_new"], &[], &["price_old"]));
    assert_eq!(
        table(&owner).await,
        [
            "price_new STARTER_MONTHLY starter 59.000 t",
            "price_old STARTER_MONTHLY starter 49.000 f",
            "price_pro PRO_MONTHLY pro 149.000 t"
        ]
    );
    // Back again, and two names exchanged, in one list.
    let swapped =
        [price("price_old", "PRO_MONTHLY", "pro", "49.00"), price("price_pro", "STARTER_MONTHLY", "starter", "149")];
    let outcome = load(&owner, &swapped).await.unwrap();
    assert_eq!(outcome, loaded(&[], &["price_old", "price_pro"], &["price_new"]));
    load(&owner, &[old]).await.unwrap();
    assert_eq!(
        table(&owner).await,
        [
            "price_new STARTER_MONTHLY starter 59.000 f",
            "price_old STARTER_MONTHLY starter 49.000 t",
            "price_pro STARTER_MONTHLY starter 149.000 f"
        ]
    );
    setup.clean_up().await;
}

#[tokio::test]
async fn a_list_with_a_plan_that_there_is_not_changes_nothing() {
    let setup = Setup::new().await;
    let owner = owner(&setup).await;
    let list = [price("price_1", "STARTER_MONTHLY", "starter", "49.00"), price("price_2", "GOLD_MONTHLY", "gold", "1")];
    let error = load(&owner, &list).await.unwrap_err().to_string();
    assert_eq!(error, "prices[1].plan: must be one of free, pro, starter");
    assert!(table(&owner).await.is_empty());
    setup.clean_up().await;
}

#[tokio::test]
async fn of_lists_that_are_loaded_at_once_one_counts_and_no_name_is_sold_twice() {
    let setup = Setup::new().await;
    let owner = owner(&setup).await;
    let sell = |id: &str| Price {
        stripe_price_id: id.to_owned(),
        name: "PRO_MONTHLY".to_owned(),
        plan: "pro".to_owned(),
        interval: "month".to_owned(),
        currency: "USD".to_owned(),
        amount: Amount::ZERO,
        is_current: true,
    };
    let lists: Vec<_> = (0..8).map(|n| [sell(&format!("price_{n}"))]).collect();
    let loads = lists.iter().map(|list| prices::load(&owner, list));
    for outcome in futures_util::future::join_all(loads).await {
        assert_eq!(outcome.unwrap().added.len(), 1);
    }
    assert_eq!(table(&owner).await.iter().filter(|row| row.ends_with(" t")).count(), 1);
    setup.clean_up().await;
}
