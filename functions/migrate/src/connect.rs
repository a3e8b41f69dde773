use carhaul_core::platform::config::{DatabaseConfig, Tls};
use carhaul_core::platform::secrets::Credentials;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

const RDS_CA: &[u8] = include_bytes!("../rds-ca.pem");

/// How to connect past the pooler, to a cluster whose certificate RDS has signed itself.
pub fn direct(database: &DatabaseConfig, credentials: &Credentials) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&database.host)
        .port(database.port)
        .database(&database.name)
        .username(&credentials.username)
        .password(credentials.password.expose())
        .application_name("carhaul-migrate")
        // "already granted", "already exists": every run says so.
        .options([("client_min_messages", "warning")]);
    match database.tls {
        Tls::VerifyFull => options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(RDS_CA.to_vec()),
        Tls::Disable => options.ssl_mode(PgSslMode::Disable),
    }
}
