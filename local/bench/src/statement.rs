//! What the function really sends to Postgres for a request: text, types and values.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::Outcome;
use crate::database::{API, Database};
use crate::function::{Function, Places, Request, World};
use crate::settings::Settings;
use crate::wire::Wire;

/// One round trip.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: String,
    /// Empty for a simple query, which may hold several statements.
    pub parameters: Vec<Parameter>,
    pub simple: bool,
}

#[derive(Debug, Clone)]
pub struct Parameter {
    /// As SQL names it, e.g. `text[]`.
    pub of_type: String,
    pub value: Option<String>,
}

/// An instance that talks to Postgres directly, where each statement is logged.
pub struct Listener<'a> {
    settings: &'a Settings,
    function: Function,
    wire: Wire,
    database: String,
    superuser: PgConnection,
    types: HashMap<u32, String>,
}

impl<'a> Listener<'a> {
    pub async fn start(settings: &'a Settings, world: &World, database: &Database, carrier: u32) -> Outcome<Self> {
        let mut superuser = database.superuser().await?;
        superuser.execute(AssertSqlSafe(format!("ALTER ROLE {API} SET log_statement = 'all'"))).await?;
        superuser.execute("SET log_statement = 'all'").await?;
        let wire = Wire::start(&database.address()).await?;
        let places = Places { database: wire.address.clone(), ..world.places() };
        let mut function = world.instance_at(database, carrier, &places).await?;
        let connected = function.get("/v1/orders?limit=1").await;
        superuser.execute(AssertSqlSafe(format!("ALTER ROLE {API} RESET log_statement"))).await?;
        connected?;
        let types =
            sqlx::query_as("SELECT oid::bigint, oid::regtype::text FROM pg_type").fetch_all(&mut superuser).await?;
        let types = types.into_iter().map(|(oid, name): (i64, String)| (oid as u32, name)).collect();
        Ok(Self { settings, function, wire, database: database.name.clone(), superuser, types })
    }

    /// The statements that answer this request, and the answer.
    pub async fn statements(&mut self, request: &Request) -> Outcome<(Vec<Statement>, Value)> {
        let begin = std::fs::metadata(&self.settings.postgres_log)?.len();
        let (answer, _) = self.function.send(request).await?;
        let marker = format!("SELECT 'end of request {}'", uuid::Uuid::now_v7());
        self.superuser.execute(AssertSqlSafe(marker.clone())).await?;
        let lines = self.log_until(begin, &marker).await?;
        let (prepared, _) = self.wire.record().prepared();
        let statements = lines.iter().filter(|line| line["user"] == API && line["dbname"] == self.database.as_str());
        let statements = statements.filter_map(|line| self.statement(line, &prepared)).collect::<Outcome<Vec<_>>>()?;
        if statements.is_empty() {
            return Err(format!("{} {} sent no statement that Postgres logged", request.method, request.path).into());
        }
        Ok((statements, answer))
    }

    pub async fn close(self) -> Outcome<()> {
        Ok(self.superuser.close().await?)
    }

    /// Postgres writes its log before it answers, but the collector may be a moment behind.
    async fn log_until(&self, begin: u64, marker: &str) -> Outcome<Vec<Value>> {
        for _ in 0..200 {
            let log = std::fs::read(&self.settings.postgres_log)?;
            let new = String::from_utf8_lossy(log.get(begin as usize..).unwrap_or_default()).into_owned();
            if new.contains(marker) {
                return Ok(new.lines().filter_map(|line| serde_json::from_str(line).ok()).collect());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("Postgres logs no statements".into())
    }

    fn statement(&self, line: &Value, prepared: &HashMap<String, Vec<u32>>) -> Option<Outcome<Statement>> {
        let message = line["message"].as_str()?;
        if let Some(sql) = message.strip_prefix("statement: ") {
            return Some(Ok(Statement { sql: sql.to_owned(), parameters: Vec::new(), simple: true }));
        }
        let (_, sql) = message.strip_prefix("execute ")?.split_once(": ")?;
        let values = parameters(line["detail"].as_str().unwrap_or_default());
        let types = prepared.get(sql).cloned().unwrap_or_default();
        if types.len() != values.len() {
            return Some(Err(format!("{} types for {} values of: {sql}", types.len(), values.len()).into()));
        }
        let parameters = types.iter().zip(values).map(|(oid, value)| {
            let of_type = self.types.get(oid).cloned().unwrap_or_else(|| "text".into());
            Parameter { of_type, value }
        });
        Some(Ok(Statement { sql: sql.to_owned(), parameters: parameters.collect(), simple: false }))
    }
}

impl Statement {
    /// With each `$n` replaced by what `write` makes of it.
    pub fn with_parameters(&self, write: impl Fn(usize, &Parameter) -> String) -> String {
        let mut parts = self.sql.split('$');
        let mut sql = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let number: Option<usize> = part[..digits].parse().ok();
            match number.and_then(|n| Some((n, self.parameters.get(n.checked_sub(1)?)?))) {
                Some((n, parameter)) => sql += &write(n, parameter),
                None => sql += &format!("${}", &part[..digits]),
            }
            sql += &part[digits..];
        }
        sql
    }
}

impl Parameter {
    pub fn literal(&self) -> String {
        let value = self.value.as_ref().map_or("NULL".to_owned(), |value| quoted(value));
        format!("{value}::{}", self.of_type)
    }
}

pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Reads `Parameters: $1 = 'it''s', $2 = NULL`.
fn parameters(detail: &str) -> Vec<Option<String>> {
    let mut rest = detail.split_once(": ").map_or("", |(_, list)| list);
    let mut values = Vec::new();
    while let Some((_, value)) = rest.split_once(" = ") {
        let Some(text) = value.strip_prefix('\'') else {
            values.push(None);
            rest = value.strip_prefix("NULL").unwrap_or("");
            continue;
        };
        let end = closing_quote(text);
        values.push(Some(text[..end].replace("''", "'")));
        rest = text.get(end + 1..).unwrap_or("");
    }
    values
}

/// Where a quoted text ends: at a quote that is not doubled.
fn closing_quote(text: &str) -> usize {
    let mut from = 0;
    while let Some(quote) = text[from..].find('\'').map(|at| from + at) {
        if !text[quote + 1..].starts_with('\'') {
            return quote;
        }
        from = quote + 2;
    }
    text.len()
}

/// The statements of a simple query.
pub fn split(query: &str) -> Vec<String> {
    let (mut statements, mut current, mut quoted) = (Vec::new(), String::new(), false);
    for character in query.chars() {
        quoted ^= character == '\'';
        if character == ';' && !quoted {
            statements.push(std::mem::take(&mut current).trim().to_owned());
        } else {
            current.push(character);
        }
    }
    statements.push(current.trim().to_owned());
    statements.retain(|statement| !statement.is_empty());
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logged_parameters_are_read() {
        let detail = "Parameters: $1 = 'it''s = $2', $2 = NULL, $3 = '{a,b}'";
        assert_eq!(parameters(detail), [Some("it's = $2".into()), None, Some("{a,b}".into())]);
        assert_eq!(parameters(""), []);
    }

    #[test]
    fn a_simple_query_is_split_outside_its_texts() {
        assert_eq!(split("BEGIN; SELECT 'a; ''b;'; COMMIT"), ["BEGIN", "SELECT 'a; ''b;'", "COMMIT"]);
    }

    #[test]
    fn values_are_written_into_a_statement() {
        let parameter =
            |of_type: &str, value: Option<&str>| Parameter { of_type: of_type.into(), value: value.map(Into::into) };
        let parameters = vec![parameter("text", Some("it's")), parameter("uuid", None)];
        let statement = Statement { sql: "SELECT $2, $1, $10".into(), parameters, simple: false };
        assert_eq!(
            statement.with_parameters(|_, parameter| parameter.literal()),
            "SELECT NULL::uuid, 'it''s'::text, $10"
        );
    }
}
