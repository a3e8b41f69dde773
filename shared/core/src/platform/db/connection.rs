//! The one connection of a function instance.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Executor, PgConnection};

use super::error::{is_disconnect, unavailable};
use crate::base::error::{Error, Result};
use crate::platform::config::{DatabaseConfig, Tls};
use crate::platform::secrets::{Credentials, Secrets};

/// Longer than a pooler's wait for a free server connection under load, shorter than the gateway's 30 s.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

pub enum Source {
    Secret { config: DatabaseConfig, secret: String },
    Options(Box<PgConnectOptions>),
}

/// Holds the connection, if there is one, and knows whether a transaction was left open on it.
pub struct Slot {
    source: Source,
    secrets: Secrets,
    connection: Option<PgConnection>,
    pub in_transaction: bool,
}

impl Slot {
    pub fn new(source: Source) -> Self {
        Self { source, secrets: Secrets::new(), connection: None, in_transaction: false }
    }

    /// A connection with no transaction open on it.
    pub async fn clean_connection(&mut self) -> Result<&mut PgConnection> {
        self.settle().await;
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?);
        }
        self.open_connection()
    }

    /// The connection that a transaction runs on.
    pub fn open_connection(&mut self) -> Result<&mut PgConnection> {
        self.connection.as_mut().ok_or_else(unavailable)
    }

    pub async fn settle(&mut self) {
        if !std::mem::take(&mut self.in_transaction) {
            return;
        }
        if let Some(connection) = &mut self.connection
            && connection.execute("ROLLBACK").await.is_err()
        {
            self.connection = None;
        }
    }

    /// Decides after a failed statement: Ok to try again on a fresh connection, else what to tell the caller.
    pub fn after_error(&mut self, error: &sqlx::Error, last: bool) -> Result<()> {
        if is_disconnect(error) {
            self.connection = None;
            self.in_transaction = false;
            if !last {
                return Ok(());
            }
        }
        Err(super::error::classify(error))
    }

    async fn connect(&self) -> Result<PgConnection> {
        match &self.source {
            Source::Options(options) => log_in(options).await.map_err(|e| {
                tracing::warn!(error = %e, "cannot connect to the database");
                unavailable()
            }),
            Source::Secret { config, secret } => {
                let known = self.secrets.credentials(secret).await.map_err(Error::internal)?;
                let refused = match log_in(&options(config, &known)).await {
                    Ok(connection) => return Ok(connection),
                    Err(refused) => refused,
                };
                tracing::warn!(error = %refused, "cannot connect to the database");
                // The password may have been rotated since it was read.
                let present = self.secrets.refresh(secret).await.map_err(Error::internal)?;
                if present == known {
                    return Err(unavailable());
                }
                log_in(&options(config, &present)).await.map_err(|_| unavailable())
            }
        }
    }
}

async fn log_in(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match tokio::time::timeout(CONNECT_DEADLINE, options.connect()).await {
        Ok(connected) => connected,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

fn options(config: &DatabaseConfig, login: &Credentials) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.name)
        .username(&login.username)
        .password(login.password.expose())
        // A setting in the startup message pins the session in RDS Proxy; we read no floats.
        .extra_float_digits(None)
        .ssl_mode(match config.tls {
            Tls::VerifyFull => PgSslMode::VerifyFull,
            Tls::Disable => PgSslMode::Disable,
        })
}
