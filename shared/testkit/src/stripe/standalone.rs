//! The stand-in as a process of its own, for a local stack: `testkit-stripe <settings.json>`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use super::account::Account;
use super::deliveries::{Endpoint, deliver};
use super::price::Price;
use super::server::{Shared, serve};

#[derive(Deserialize)]
struct Settings {
    /// On the loopback address.
    port: u16,
    api_key: String,
    webhook_url: String,
    /// Read anew for each delivery.
    signing_secrets: Vec<String>,
    /// What is sold, as `migrate` is invoked with it.
    prices: PathBuf,
    /// Where the account is kept.
    account: PathBuf,
}

#[derive(Deserialize)]
struct PriceList {
    prices: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    stripe_price_id: String,
    name: String,
    interval: String,
    amount: Decimal,
    is_current: bool,
}

/// Serves and delivers until the process is ended.
///
/// # Errors
/// A sentence that names the file that is wrong, or the port that is taken.
pub async fn run(settings_file: PathBuf) -> Result<(), String> {
    let settings: Settings = read(&settings_file)?;
    let mut account = if settings.account.exists() { read(&settings.account)? } else { Account::default() };
    for listed in read::<PriceList>(&settings.prices)?.prices {
        let cents = (listed.amount * Decimal::ONE_HUNDRED).to_i64();
        let amount = cents.ok_or_else(|| format!("{} has an amount that is too large", settings.prices.display()))?;
        let Listed { stripe_price_id, name, interval, is_current, .. } = listed;
        account.add_price(Price {
            id: stripe_price_id,
            amount,
            interval,
            nickname: Some(name),
            is_offered: is_current,
        });
    }
    let address = ("127.0.0.1", settings.port);
    let listener = TcpListener::bind(address).await.map_err(|error| format!("port {}: {error}", settings.port))?;
    let url = format!("http://127.0.0.1:{}", settings.port);
    let shared = Shared::new(url, settings.api_key, account, Some(settings.account));
    let secrets = move || match read::<Settings>(&settings_file) {
        Ok(settings) => settings.signing_secrets,
        // It is just being written.
        Err(_) => settings.signing_secrets.clone(),
    };
    let endpoint = Endpoint { url: settings.webhook_url, secrets: Box::new(secrets) };
    tokio::spawn(deliver(Arc::clone(&shared), endpoint));
    serve(listener, shared).await;
    Ok(())
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, String> {
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
}
