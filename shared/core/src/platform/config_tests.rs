use std::collections::HashMap;

use super::*;

const COMPLETE: [(&str, &str); 26] = [
    ("ENVIRONMENT", "local"),
    ("DATABASE_HOST", "127.0.0.1"),
    ("DATABASE_PORT", "6432"),
    ("DATABASE_NAME", "carhaul"),
    ("DATABASE_TLS", "disable"),
    ("DATABASE_SECRET", "api-secret"),
    ("DATABASE_ADMIN_SECRET", "admin-secret"),
    ("DATABASE_OWNER_SECRET", "owner-secret"),
    ("ROLE_SECRETS", "carhaul_api=arn:aws:secretsmanager:eu-west-1:1:secret:a, carhaul_ai=b"),
    ("OIDC_ISSUER", "https://issuer.example.com/"),
    ("OIDC_AUDIENCE", "carhaul, carhaul-mobile"),
    ("OIDC_DISCOVERY_URL", ""),
    ("CORS_ORIGINS", ""),
    ("PROVIDER_KEYS_KMS_KEY", "arn:aws:kms:eu-west-1:1:key/k"),
    ("DOCUMENTS_URL", "https://documents.s3.us-east-1.amazonaws.com"),
    ("STRIPE_SECRET", ""),
    ("STRIPE_WEBHOOK_SECRET", "webhook-secret"),
    ("STRIPE_LIVEMODE", ""),
    ("BILLING_QUEUE_URL", "http://127.0.0.1:4566/000000000000/billing"),
    ("CHORES_QUEUE_URL", "http://127.0.0.1:4566/000000000000/chores"),
    ("REALTIME_URL", "ws://127.0.0.1:4566/live"),
    ("REALTIME_ENDPOINT", "http://127.0.0.1:4566/live"),
    ("REALTIME_QUEUE_URL", "http://127.0.0.1:4566/000000000000/realtime"),
    ("AI_QUEUE_URL", "http://127.0.0.1:4566/000000000000/ai"),
    ("AI_DEAD_LETTER_QUEUE_URL", "http://127.0.0.1:4566/000000000000/ai-dead-letters"),
    ("AI_WORKER_SLOTS", "50"),
];

/// Reads a complete environment in which some variables are replaced.
fn read<T>(changes: &[(&str, &str)], read: impl Fn(&Variables) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
    let variables: HashMap<&str, &str> = COMPLETE.iter().chain(changes).copied().collect();
    read(&Variables(&|name| variables.get(name).map(|value| (*value).to_owned())))
}

fn error<T>(result: Result<T, ConfigError>) -> String {
    result.map(drop).unwrap_err().to_string()
}

#[test]
fn a_complete_environment_is_read() {
    let config = read(&[], ApiConfig::read).unwrap();
    assert_eq!(config.function.environment, Environment::Local);
    assert_eq!(config.function.log_level, "info");
    assert_eq!(config.function.database.port, 6432);
    assert_eq!(config.function.database_secret, "api-secret");
    assert_eq!(config.oidc.audiences, ["carhaul", "carhaul-mobile"]);
    assert_eq!(config.oidc.discovery_url, None, "an empty variable is one that is not set");
    assert_eq!(config.oidc.algorithms, [SigningAlgorithm::Rs256]);
    assert!(config.cors_origins.is_empty());
}

#[test]
fn providers_are_asked_at_their_own_addresses_and_only_development_knows_private_ones() {
    let providers = |changes: &[(&str, &str)]| read(changes, ApiConfig::read).map(|config| config.providers);
    let local = providers(&[("OPENAI_API_BASE", "http://127.0.0.1:9000/v1/")]).unwrap();
    assert_eq!(local.anthropic_api_base, "https://api.anthropic.com");
    assert_eq!(local.gemini_api_base, "https://generativelanguage.googleapis.com");
    assert_eq!(local.openai_api_base, "http://127.0.0.1:9000/v1");
    assert!(local.allow_private_base_urls);
    let staging = [("ENVIRONMENT", "staging"), ("DATABASE_TLS", "verify-full")];
    assert!(!providers(&staging).unwrap().allow_private_base_urls);
    for name in ["ANTHROPIC_API_BASE", "GEMINI_API_BASE", "OPENAI_API_BASE", "DOCUMENTS_URL"] {
        let bare = [&staging[..], &[(name, "http://models.example.com")]].concat();
        assert!(error(providers(&bare)).starts_with(&format!("the environment variable {name} is not valid")));
    }
    let missing = read(&[("PROVIDER_KEYS_KMS_KEY", "")], ApiConfig::read);
    assert_eq!(error(missing), "the environment variable PROVIDER_KEYS_KMS_KEY is not set");
}

#[test]
fn stripe_is_asked_only_if_there_is_a_key_and_only_over_tls() {
    assert_eq!(read(&[], ApiConfig::read).unwrap().stripe, None);
    let stripe = |changes: &[(&str, &str)]| {
        read(&[&[("STRIPE_SECRET", "stripe")], changes].concat(), BillingWorkerConfig::read)
            .map(|c| c.stripe.unwrap().api_base)
    };
    assert_eq!(stripe(&[]).unwrap(), "https://api.stripe.com");
    assert_eq!(stripe(&[("STRIPE_API_BASE", "http://127.0.0.1:12111/")]).unwrap(), "http://127.0.0.1:12111");
    let staging = [("ENVIRONMENT", "staging"), ("DATABASE_TLS", "verify-full")];
    stripe(&staging).unwrap();
    let bare = [&staging[..], &[("STRIPE_API_BASE", "http://stripe.example.com")]].concat();
    assert!(error(stripe(&bare)).starts_with("the environment variable STRIPE_API_BASE is not valid"));
}

#[test]
fn real_money_moves_in_production_unless_told_otherwise() {
    let livemode = |changes: &[(&str, &str)]| read(changes, StripeWebhookConfig::read).map(|config| config.livemode);
    let production = [("ENVIRONMENT", "production"), ("DATABASE_TLS", "verify-full")];
    assert!(!livemode(&[]).unwrap());
    assert!(livemode(&production).unwrap());
    assert!(!livemode(&[&production[..], &[("STRIPE_LIVEMODE", "false")]].concat()).unwrap());
    assert!(livemode(&[("STRIPE_LIVEMODE", "true")]).unwrap());
    assert!(error(livemode(&[("STRIPE_LIVEMODE", "yes")])).contains("STRIPE_LIVEMODE"));
}

#[test]
fn a_missing_variable_is_named() {
    for name in ["ENVIRONMENT", "DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_TLS", "DATABASE_SECRET"] {
        let expected = format!("the environment variable {name} is not set");
        assert_eq!(error(read(&[(name, " ")], ApiConfig::read)), expected);
        assert_eq!(error(read(&[(name, "")], HousekeepingConfig::read)), expected);
    }
    assert!(error(read(&[("DOCUMENTS_URL", "")], HousekeepingConfig::read)).contains("DOCUMENTS_URL"));
    assert!(error(read(&[("CHORES_QUEUE_URL", "")], HousekeepingConfig::read)).contains("CHORES_QUEUE_URL"));
    for name in
        ["OIDC_ISSUER", "OIDC_AUDIENCE", "DOCUMENTS_URL", "REALTIME_URL", "REALTIME_QUEUE_URL", "CHORES_QUEUE_URL"]
    {
        assert!(error(read(&[(name, "")], ApiConfig::read)).contains(name));
    }
    for name in ["REALTIME_ENDPOINT", "REALTIME_QUEUE_URL"] {
        assert!(error(read(&[(name, "")], RealtimeConfig::read)).contains(name));
    }
    for name in ["DATABASE_ADMIN_SECRET", "DATABASE_OWNER_SECRET", "ROLE_SECRETS"] {
        assert!(error(read(&[(name, "")], MigrateConfig::read)).contains(name));
    }
}

#[test]
fn a_bad_value_is_refused_without_being_shown() {
    for (name, value) in [
        ("ENVIRONMENT", "hunter2"),
        ("DATABASE_PORT", "hunter2"),
        ("DATABASE_TLS", "hunter2"),
        ("OIDC_ALGORITHMS", "RS256,HS256"),
        ("OIDC_ALGORITHMS", "none"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://*.hunter2.example"),
        ("CORS_ORIGINS", "https://hunter2.example/path"),
        ("CORS_ORIGINS", "null"),
        ("LOG_LEVEL", "carhaul=hunter2"),
    ] {
        let message = error(read(&[(name, value)], ApiConfig::read));
        assert!(message.contains(name) && !message.contains("hunter2"), "{message}");
    }
    for value in ["0", "-1", "many"] {
        let slots = [("AI_WORKER_SLOTS", value)];
        assert!(error(read(&slots, AiWorkerConfig::read)).contains("AI_WORKER_SLOTS"), "{value}");
        assert!(error(read(&slots, HousekeepingConfig::read)).contains("AI_WORKER_SLOTS"), "{value}");
    }
    assert!(error(read(&[("ROLE_SECRETS", "carhaul_api")], MigrateConfig::read)).contains("ROLE_SECRETS"));
}

#[test]
fn role_secrets_are_pairs() {
    let config = read(&[], MigrateConfig::read).unwrap();
    let pair = |role: &str, secret: &str| RoleSecret { role: role.to_owned(), secret: secret.to_owned() };
    let expected = [pair("carhaul_api", "arn:aws:secretsmanager:eu-west-1:1:secret:a"), pair("carhaul_ai", "b")];
    assert_eq!(config.role_secrets, expected);
}

#[test]
fn only_the_local_environment_may_do_without_tls() {
    let message = error(read(&[("ENVIRONMENT", "production")], ApiConfig::read));
    assert!(message.contains("DATABASE_TLS"), "{message}");
    assert!(read(&[("ENVIRONMENT", "production"), ("DATABASE_TLS", "verify-full")], ApiConfig::read).is_ok());
}
