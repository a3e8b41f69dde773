use carhaul_core::platform::secrets::SecretsError;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// The tenants' data would be open to it.
    #[error("the database role {0} may bypass row-level security or is a superuser")]
    Privileged(String),
    #[error("{0:?} is not the name of a database role of ours")]
    UnknownRole(String),
    /// What `migrate` was invoked with: a sentence for each wrong field.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    #[error("rotation: {0}")]
    Rotation(String),
}

impl MigrateError {
    /// The SQLSTATE, if it was the database that refused.
    pub(crate) fn sql_state(&self) -> Option<String> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.code().map(|code| code.into_owned()),
            _ => None,
        }
    }
}
