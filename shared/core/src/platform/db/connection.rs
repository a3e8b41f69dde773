//! The one connection of a function instance.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Executor, PgConnection};

use super::error::{classify, is_disconnect, is_timeout, unavailable};
use crate::base::error::{Error, Result};
use crate::base::ids::TenantId;
use crate::platform::config::{DatabaseConfig, Tls};
use crate::platform::secrets::{Credentials, Secrets, SecretsError};

/// Longer than a pooler's wait for a free server connection under load, shorter than the gateway's 30 s.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A round trip takes milliseconds, or as long as the role's statement_timeout lets it; what is silent for longer is gone.
const TRIP_DEADLINE: Duration = Duration::from_secs(10);

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
    pub listening: Listening,
}

/// Carriers for which something was committed while somebody was connected to hear of it.
#[derive(Clone, Default)]
pub struct Listening(Arc<Mutex<BTreeSet<TenantId>>>);

impl Listening {
    pub fn add(&self, tenant: TenantId) {
        self.lock().insert(tenant);
    }

    pub fn take(&self) -> BTreeSet<TenantId> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<TenantId>> {
        self.0.lock().expect("nobody panics while they hold this lock")
    }
}

impl Slot {
    pub fn new(source: Source) -> Self {
        Self {
            source,
            secrets: Secrets::new(),
            connection: None,
            in_transaction: false,
            listening: Listening::default(),
        }
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

    /// Rolls back what was left open. The flag falls last: this may be dropped half-way.
    pub async fn settle(&mut self) {
        if self.in_transaction
            && let Some(connection) = &mut self.connection
            && in_time(connection.execute("ROLLBACK")).await.is_err()
        {
            self.connection = None;
        }
        self.in_transaction = false;
    }

    /// Decides after a failed statement: Ok to try again on a fresh connection, else what to tell the caller. What took
    /// too long is not tried again: the caller has waited enough.
    pub fn after_error(&mut self, error: &sqlx::Error, last: bool) -> Result<()> {
        if is_disconnect(error) {
            self.connection = None;
            self.in_transaction = false;
            if !last && !is_timeout(error) {
                return Ok(());
            }
        }
        Err(classify(error))
    }

    async fn connect(&self) -> Result<PgConnection> {
        match &self.source {
            Source::Options(options) => log_in(options).await.map_err(refused),
            Source::Secret { config, secret } => {
                let known = self.secrets.read::<Credentials>(secret).await.map_err(unreadable)?;
                match log_in(&options(config, &known)).await {
                    // The password may have been rotated since it was read.
                    Err(sqlx::Error::Database(e)) if e.code().is_some_and(|code| code.starts_with("28")) => {
                        let present = self.secrets.refresh(secret).await.map_err(unreadable)?;
                        log_in(&options(config, &present)).await.map_err(refused)
                    }
                    connected => connected.map_err(refused),
                }
            }
        }
    }
}

/// Ends a trip that takes too long. The connection is then of no use any more.
pub async fn in_time<T>(trip: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    within(TRIP_DEADLINE, trip).await
}

async fn log_in(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    within(CONNECT_DEADLINE, options.connect()).await
}

async fn within<T>(deadline: Duration, trip: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(deadline, trip).await.unwrap_or_else(late)
}

fn refused(error: sqlx::Error) -> Error {
    tracing::warn!(%error, "cannot connect to the database");
    unavailable()
}

fn unreadable(error: SecretsError) -> Error {
    tracing::warn!(%error, "cannot read the database's secret");
    unavailable()
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
