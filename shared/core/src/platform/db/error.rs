//! What the database refuses, in the words of the core. Constraints are named `table_column`, so that a violation names
//! the field.

use sqlx::postgres::PgDatabaseError;

use crate::base::error::{ConflictCode, Error, PlanLimit};

pub fn unavailable() -> Error {
    Error::Unavailable { detail: "the database cannot be reached", retry_after_seconds: 1 }
}

/// Whether the connection is gone, so that nothing after this can work on it.
pub fn is_disconnect(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            // Class 08: connection failures, also a pooler's. 57P01-57P03: the server shuts down or starts.
            // 57P05, 25P03: it ended an idle session or transaction. 26000: the pooler has lost a prepared statement.
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "26000")
        }),
        _ => false,
    }
}

/// Whether the answer did not come in time.
pub fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(e) if e.kind() == std::io::ErrorKind::TimedOut)
}

/// As a statement that only reads is refused: it changes nothing that another request could be in the way of, but may have
/// waited for one, such as for the count of its carrier's calls.
pub fn of_read(error: Error) -> Error {
    match error {
        Error::Conflict { code: ConflictCode::Busy, .. } => Error::Unavailable {
            detail: "another request of your carrier takes long; try again",
            retry_after_seconds: 1,
        },
        error => error,
    }
}

/// Turns a refusal into the core's error. Anything not foreseen is internal and told to the log alone.
pub fn classify(error: &sqlx::Error) -> Error {
    if is_disconnect(error) {
        return unavailable();
    }
    match error.as_database_error().map(|e| e.downcast_ref::<PgDatabaseError>()) {
        Some(refusal) => from_refusal(refusal),
        None => Error::internal(error.to_string()),
    }
}

fn from_refusal(refusal: &PgDatabaseError) -> Error {
    match refusal.code() {
        "CH400" => Error::invalid("Tenant-Id", "you belong to several carriers: name one with the header Tenant-Id"),
        "CH401" => Error::Unauthenticated("the API key is unknown, expired or revoked".into()),
        "CH402" => over_limit(refusal, Error::OverLimit),
        "CH429" => over_limit(refusal, Error::OverRate),
        "CH403" if refusal.detail() == Some("invitation_email") => {
            Error::Forbidden("this invitation is for another e-mail address".into())
        }
        "CH403" => Error::Forbidden("you are not a member of this carrier".into()),
        "CH404" => Error::NotFound("invitation"),
        "CH410" => {
            Error::Gone("events after this cursor are kept no longer: read anew what you show, and go on after \"now\"")
        }
        "CH409" if refusal.detail() == Some("last_owner") => {
            Error::conflict(ConflictCode::LastOwner, "a carrier needs an owner: make another member owner first")
        }
        "CH409" if refusal.detail() == Some("too_many_carriers") => {
            Error::conflict(ConflictCode::TooManyCarriers, "a person can own at most ten carriers")
        }
        "CH409" if refusal.detail() == Some("subscription_is_live") => Error::conflict(
            ConflictCode::SubscriptionIsLive,
            "its subscription is not over: cancel it first, and wait until it has ended",
        ),
        "CH409" if refusal.detail() == Some("erased") => Error::conflict(
            ConflictCode::Erased,
            "the carrier that this Idempotency-Key has made was deleted: send another one",
        ),
        // unique_violation
        "23505" => Error::conflict(
            ConflictCode::AlreadyExists,
            format!("{} is taken already", field(refusal).replace('_', " ")),
        ),
        // foreign_key_violation
        "23503" if refusal.detail().is_some_and(|d| d.contains("is still referenced")) => {
            Error::conflict(ConflictCode::InUse, "it is still in use")
        }
        "23503" => Error::invalid(format!("/{}", field(refusal)), "there is no such thing in your carrier"),
        // check_violation, not_null_violation
        "23514" | "23502" => Error::invalid(format!("/{}", field(refusal)), "is not allowed"),
        // string_data_right_truncation, numeric_value_out_of_range, datetime_field_overflow, character_not_in_repertoire,
        // untranslatable_character: the types of the core refuse such values with the field's name; this is for what
        // slips through.
        "22001" | "22003" | "22008" | "22021" | "22P05" => {
            Error::invalid("", "a value is too long, out of range or has characters that cannot be stored")
        }
        // lock_not_available (lock_timeout), deadlock_detected, serialization_failure
        "55P03" | "40P01" | "40001" => {
            Error::conflict(ConflictCode::Busy, "another request is changing the same thing; try again")
        }
        // query_canceled (statement_timeout)
        "57014" => Error::Unavailable { detail: "this takes longer than it may; try again", retry_after_seconds: 5 },
        // too_many_connections
        "53300" => unavailable(),
        code => Error::internal(format!("database error {code}: {}", refusal.message())),
    }
}

/// `customer_id` of the constraint `orders_customer_id`.
fn field(refusal: &PgDatabaseError) -> &str {
    let constraint = refusal.constraint().or(refusal.column()).unwrap_or_default();
    let table = refusal.table().unwrap_or_default();
    constraint.strip_prefix(table).and_then(|rest| rest.strip_prefix('_')).unwrap_or(constraint)
}

fn over_limit(refusal: &PgDatabaseError, error: fn(PlanLimit) -> Error) -> Error {
    match refusal.detail().map(serde_json::from_str) {
        Some(Ok(limit)) => error(limit),
        _ => Error::internal("a plan limit without its figures"),
    }
}
