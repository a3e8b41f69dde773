//! Configuration: the only place that reads environment variables. Each function has one struct and reads it once, at
//! start, so that a missing variable stops the function with its name instead of failing the first request.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// The value itself is left out: it may be a secret pasted into the wrong variable.
    #[error("the environment variable {name} is not valid: {expected}")]
    Invalid { name: &'static str, expected: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    Local,
    Staging,
    Production,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "local" => Ok(Self::Local),
            "staging" => Ok(Self::Staging),
            "production" => Ok(Self::Production),
            _ => Err("expected local, staging or production"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    VerifyFull,
    /// For a database on the same machine.
    Disable,
}

impl FromStr for Tls {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "verify-full" => Ok(Self::VerifyFull),
            "disable" => Ok(Self::Disable),
            _ => Err("expected verify-full or disable"),
        }
    }
}

/// Where a database is; who logs in there is in a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    pub host: String,
    pub port: u16,
    pub name: String,
    pub tls: Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Es256,
}

impl FromStr for SigningAlgorithm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            _ => Err("expected a list of RS256 and ES256"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// Exactly as tokens name it, with or without a slash at the end.
    pub issuer: String,
    /// Where the discovery document is, if not below the issuer.
    pub discovery_url: Option<String>,
    /// A token's `aud`, or Cognito's `client_id`, must be one of these.
    pub audiences: Vec<String>,
    pub algorithms: Vec<SigningAlgorithm>,
}

/// What every function is told that works on tenants' data.
#[derive(Debug, Clone)]
pub struct FunctionConfig {
    pub environment: Environment,
    pub log_level: String,
    pub database: DatabaseConfig,
    /// The secret of the role that this function logs in as.
    pub database_secret: String,
}

#[derive(Debug, Clone)]
pub struct ApiConfig {
    pub function: FunctionConfig,
    pub oidc: OidcConfig,
    /// Origins of browsers that may call, to which the pages of Stripe may return; empty for none.
    pub cors_origins: Vec<String>,
    pub stripe: Option<StripeConfig>,
    pub providers: ProvidersConfig,
    /// The key in KMS that encrypts the tenants' provider keys.
    pub provider_keys_kms_key: String,
    /// The bucket of documents, as its URL.
    pub documents_url: String,
    /// Where clients open their WebSocket.
    pub realtime_url: String,
    pub realtime_queue_url: String,
    pub chores_queue_url: String,
}

/// Where model providers are asked, unless a tenant's key names an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvidersConfig {
    pub anthropic_api_base: String,
    pub gemini_api_base: String,
    /// Up to what comes before `/chat/completions`.
    pub openai_api_base: String,
    /// Whether a tenant's own address may be of this network, and without TLS: for development.
    pub allow_private_base_urls: bool,
}

#[derive(Debug, Clone)]
pub struct AiDispatchConfig {
    pub function: FunctionConfig,
    pub oidc: OidcConfig,
    /// Where permits to run executions go.
    pub realtime_queue_url: String,
    pub ai_queue_url: String,
}

#[derive(Debug, Clone)]
pub struct AiWorkerConfig {
    pub function: FunctionConfig,
    pub realtime_queue_url: String,
    pub ai_queue_url: String,
    /// Where the ids of executions go that failed for good.
    pub ai_dead_letter_queue_url: String,
    /// Executions that all workers together run at the same time.
    pub slots: i32,
    pub providers: ProvidersConfig,
    pub provider_keys_kms_key: String,
}

/// Where Stripe is, and the secret with our key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeConfig {
    pub api_base: String,
    pub secret: String,
}

#[derive(Debug, Clone)]
pub struct StripeWebhookConfig {
    pub function: FunctionConfig,
    /// The secret with the endpoint's signing secrets.
    pub webhook_secret: String,
    /// Whether events of real money count here; those of the other mode are recorded and change nothing.
    pub livemode: bool,
    pub billing_queue_url: String,
}

#[derive(Debug, Clone)]
pub struct BillingWorkerConfig {
    pub function: FunctionConfig,
    pub stripe: Option<StripeConfig>,
}

#[derive(Debug, Clone)]
pub struct RealtimeConfig {
    pub function: FunctionConfig,
    /// The management API of the WebSocket API, with the stage: what an event names is not reachable everywhere.
    pub endpoint: String,
    pub queue_url: String,
}

#[derive(Debug, Clone)]
pub struct MigrateConfig {
    pub environment: Environment,
    pub log_level: String,
    /// The direct endpoint, not the pooler's.
    pub database: DatabaseConfig,
    pub admin_secret: String,
    pub owner_secret: String,
    pub role_secrets: Vec<RoleSecret>,
}

/// A database role and the secret that holds its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSecret {
    pub role: String,
    pub secret: String,
}

impl FromStr for RoleSecret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((role, secret)) if !role.is_empty() && !secret.is_empty() => {
                Ok(Self { role: role.to_owned(), secret: secret.to_owned() })
            }
            _ => Err("expected role=secret,role=secret"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct HousekeepingConfig {
    pub function: FunctionConfig,
    pub stripe: Option<StripeConfig>,
    pub livemode: bool,
    pub documents_url: String,
    pub billing_queue_url: String,
    pub realtime_queue_url: String,
    pub ai_queue_url: String,
    pub chores_queue_url: String,
    /// Of the AI worker.
    pub slots: i32,
}

impl FunctionConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            environment: variables.required("ENVIRONMENT")?,
            log_level: variables.log_level()?,
            database: variables.database()?,
            database_secret: variables.required("DATABASE_SECRET")?,
        })
    }
}

macro_rules! from_env {
    ($($config:ident)*) => {$(
        impl $config {
            /// # Errors
            /// The first variable that is missing or wrong.
            pub fn from_env() -> Result<Self, ConfigError> {
                Self::read(&Variables(&environment))
            }
        }
    )*};
}

from_env! {
    ApiConfig RealtimeConfig AiDispatchConfig AiWorkerConfig StripeWebhookConfig BillingWorkerConfig MigrateConfig
    HousekeepingConfig
}

impl ApiConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            function: FunctionConfig::read(variables)?,
            oidc: OidcConfig::read(variables)?,
            cors_origins: variables.origins("CORS_ORIGINS")?,
            stripe: variables.stripe()?,
            providers: variables.providers()?,
            provider_keys_kms_key: variables.required("PROVIDER_KEYS_KMS_KEY")?,
            documents_url: variables.documents_url()?,
            realtime_url: variables.required("REALTIME_URL")?,
            realtime_queue_url: variables.required("REALTIME_QUEUE_URL")?,
            chores_queue_url: variables.required("CHORES_QUEUE_URL")?,
        })
    }
}

impl RealtimeConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            function: FunctionConfig::read(variables)?,
            endpoint: variables.required("REALTIME_ENDPOINT")?,
            queue_url: variables.required("REALTIME_QUEUE_URL")?,
        })
    }
}

impl AiDispatchConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            function: FunctionConfig::read(variables)?,
            oidc: OidcConfig::read(variables)?,
            realtime_queue_url: variables.required("REALTIME_QUEUE_URL")?,
            ai_queue_url: variables.required("AI_QUEUE_URL")?,
        })
    }
}

impl AiWorkerConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            function: FunctionConfig::read(variables)?,
            realtime_queue_url: variables.required("REALTIME_QUEUE_URL")?,
            ai_queue_url: variables.required("AI_QUEUE_URL")?,
            ai_dead_letter_queue_url: variables.required("AI_DEAD_LETTER_QUEUE_URL")?,
            slots: variables.slots()?,
            providers: variables.providers()?,
            provider_keys_kms_key: variables.required("PROVIDER_KEYS_KMS_KEY")?,
        })
    }
}

impl StripeWebhookConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            function: FunctionConfig::read(variables)?,
            webhook_secret: variables.required("STRIPE_WEBHOOK_SECRET")?,
            livemode: variables.livemode()?,
            billing_queue_url: variables.required("BILLING_QUEUE_URL")?,
        })
    }
}

impl BillingWorkerConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self { function: FunctionConfig::read(variables)?, stripe: variables.stripe()? })
    }
}

impl MigrateConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            environment: variables.required("ENVIRONMENT")?,
            log_level: variables.log_level()?,
            database: variables.database()?,
            admin_secret: variables.required("DATABASE_ADMIN_SECRET")?,
            owner_secret: variables.required("DATABASE_OWNER_SECRET")?,
            role_secrets: variables.non_empty_list("ROLE_SECRETS")?,
        })
    }
}

impl HousekeepingConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            function: FunctionConfig::read(variables)?,
            stripe: variables.stripe()?,
            livemode: variables.livemode()?,
            documents_url: variables.documents_url()?,
            billing_queue_url: variables.required("BILLING_QUEUE_URL")?,
            realtime_queue_url: variables.required("REALTIME_QUEUE_URL")?,
            ai_queue_url: variables.required("AI_QUEUE_URL")?,
            chores_queue_url: variables.required("CHORES_QUEUE_URL")?,
            slots: variables.slots()?,
        })
    }
}

impl OidcConfig {
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let mut algorithms = variables.list("OIDC_ALGORITHMS")?;
        if algorithms.is_empty() {
            algorithms.push(SigningAlgorithm::Rs256);
        }
        Ok(Self {
            issuer: variables.required("OIDC_ISSUER")?,
            discovery_url: variables.optional("OIDC_DISCOVERY_URL"),
            // An empty list would accept the tokens of every application of the issuer.
            audiences: variables.non_empty_list("OIDC_AUDIENCE")?,
            algorithms,
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The environment, or a test's stand-in for it. A variable that is empty counts as not set, because a template
/// parameter that is left out arrives as an empty one.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn required<T: FromStr<Err: fmt::Display>>(&self, name: &'static str) -> Result<T, ConfigError> {
        parse(name, &self.optional(name).ok_or(ConfigError::Missing(name))?)
    }

    /// A comma list; blanks around its items and empty items are ignored.
    fn list<T: FromStr<Err: fmt::Display>>(&self, name: &'static str) -> Result<Vec<T>, ConfigError> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| parse(name, item)).collect()
    }

    fn non_empty_list<T: FromStr<Err: fmt::Display>>(&self, name: &'static str) -> Result<Vec<T>, ConfigError> {
        let items = self.list(name)?;
        if items.is_empty() { Err(ConfigError::Missing(name)) } else { Ok(items) }
    }

    fn origins(&self, name: &'static str) -> Result<Vec<String>, ConfigError> {
        let origins: Vec<String> = self.list(name)?;
        let is_origin = |origin: &String| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
        };
        if origins.iter().all(is_origin) {
            return Ok(origins);
        }
        Err(invalid(name, "expected origins such as https://app.example.com, without a path or a wildcard"))
    }

    /// None without a secret: then nothing is asked of Stripe.
    fn stripe(&self) -> Result<Option<StripeConfig>, ConfigError> {
        let Some(secret) = self.optional("STRIPE_SECRET") else { return Ok(None) };
        Ok(Some(StripeConfig { api_base: self.api_base("STRIPE_API_BASE", "https://api.stripe.com")?, secret }))
    }

    fn providers(&self) -> Result<ProvidersConfig, ConfigError> {
        Ok(ProvidersConfig {
            anthropic_api_base: self.api_base("ANTHROPIC_API_BASE", "https://api.anthropic.com")?,
            gemini_api_base: self.api_base("GEMINI_API_BASE", "https://generativelanguage.googleapis.com")?,
            openai_api_base: self.api_base("OPENAI_API_BASE", "https://api.openai.com/v1")?,
            allow_private_base_urls: self.required::<Environment>("ENVIRONMENT")? == Environment::Local,
        })
    }

    fn documents_url(&self) -> Result<String, ConfigError> {
        self.secure_url("DOCUMENTS_URL", self.required("DOCUMENTS_URL")?)
    }

    /// Where somebody's API is, without a slash at the end.
    fn api_base(&self, name: &'static str, default: &str) -> Result<String, ConfigError> {
        self.secure_url(name, self.optional(name).unwrap_or_else(|| default.to_owned()))
    }

    fn secure_url(&self, name: &'static str, base: String) -> Result<String, ConfigError> {
        let environment: Environment = self.required("ENVIRONMENT")?;
        if !(base.starts_with("https://") || environment == Environment::Local && base.starts_with("http://")) {
            return Err(invalid(name, "expected https://.. (http:// in the environment local alone)"));
        }
        Ok(base.trim_end_matches('/').to_owned())
    }

    /// Real money moves in production, unless told otherwise.
    fn livemode(&self) -> Result<bool, ConfigError> {
        match self.optional("STRIPE_LIVEMODE").as_deref() {
            None => Ok(self.required::<Environment>("ENVIRONMENT")? == Environment::Production),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(invalid("STRIPE_LIVEMODE", "expected true or false")),
        }
    }

    fn log_level(&self) -> Result<String, ConfigError> {
        let level = self.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        parse::<tracing_subscriber::EnvFilter>("LOG_LEVEL", &level)?;
        Ok(level)
    }

    fn slots(&self) -> Result<i32, ConfigError> {
        let slots = self.required("AI_WORKER_SLOTS")?;
        if slots < 1 { Err(invalid("AI_WORKER_SLOTS", "a number above zero")) } else { Ok(slots) }
    }

    fn database(&self) -> Result<DatabaseConfig, ConfigError> {
        let config = DatabaseConfig {
            host: self.required("DATABASE_HOST")?,
            port: self.required("DATABASE_PORT")?,
            name: self.required("DATABASE_NAME")?,
            tls: self.required("DATABASE_TLS")?,
        };
        let environment: Environment = self.required("ENVIRONMENT")?;
        if config.tls == Tls::Disable && environment != Environment::Local {
            return Err(invalid("DATABASE_TLS", "only the environment local may disable it"));
        }
        Ok(config)
    }
}

fn parse<T: FromStr<Err: fmt::Display>>(name: &'static str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|expected| invalid(name, expected))
}

fn invalid(name: &'static str, expected: impl fmt::Display) -> ConfigError {
    ConfigError::Invalid { name, expected: expected.to_string() }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
