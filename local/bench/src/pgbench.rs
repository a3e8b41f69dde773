//! The same statements from `pgbench`, a client in C that does nothing else.

use std::time::Duration;

use tokio::process::Command;
use uuid::Uuid;

use crate::Outcome;
use crate::database::{Database, password};
use crate::function::Latencies;
use crate::settings::Settings;
use crate::statement::{Statement, quoted, split};

pub struct Script {
    text: String,
    variables: Vec<(String, String)>,
}

impl Script {
    /// A round trip is a pipeline where it holds several statements. `fresh` are texts of the recorded request that must
    /// differ from one transaction to the next: ids, which become other UUIDs.
    pub fn of(statements: &[Statement], fresh: &[String]) -> Self {
        let mut script = Self { text: "\\set fresh random(1, 100000000000000)\n".to_owned(), variables: Vec::new() };
        for statement in statements {
            let parts = if statement.simple { split(&statement.sql) } else { vec![script.bind(statement, fresh)] };
            let pipeline = parts.len() > 1;
            if pipeline {
                script.text += "\\startpipeline\n";
            }
            for part in parts {
                let part = if statement.simple { renew(&without_variables(&part), fresh) } else { part };
                script.text += &format!("{};\n", part.replace('\n', " "));
            }
            if pipeline {
                script.text += "\\endpipeline\n";
            }
        }
        script
    }

    fn bind(&mut self, statement: &Statement, fresh: &[String]) -> String {
        let first = self.variables.len();
        let values = statement.parameters.iter().zip(first..);
        let values = values.filter_map(|(parameter, n)| Some((format!("p{n}"), parameter.value.clone()?)));
        self.variables.extend(values.collect::<Vec<_>>());
        // A value that is NULL has no variable; its number stays unused.
        statement.with_parameters(|n, parameter| {
            let Some(value) = &parameter.value else { return format!("NULL::{}", parameter.of_type) };
            let mut variable = format!(":p{}", first + n - 1);
            for (text, number) in fresh.iter().zip(0..) {
                if value.contains(text) {
                    variable = format!("replace({variable}::text, {}, {})", quoted(text), fresh_uuid(number));
                }
            }
            format!("{variable}::{}", parameter.of_type)
        })
    }

    /// Latencies of one client that runs the script for so long, as `role`, through the pooler.
    pub async fn run(
        &self,
        settings: &Settings,
        database: &Database,
        role: &str,
        span: Duration,
    ) -> Outcome<Latencies> {
        let name = settings.work.join(format!("pgbench-{}", Uuid::now_v7()));
        tokio::fs::write(&name, &self.text).await?;
        let (host, port) = settings.pooler.rsplit_once(':').ok_or("the pooler reads host:port")?;
        let mut command = Command::new(&settings.pgbench);
        command.args(["-n", "-c", "1", "-M", "prepared", "-h", host, "-p", port, "-U", role, "--log"]);
        command.arg(format!("--log-prefix={}.log", name.display())).arg("-f").arg(&name);
        command.args(["-T", &span.as_secs().max(1).to_string()]);
        for (variable, value) in &self.variables {
            command.arg("-D").arg(format!("{variable}={value}"));
        }
        command.arg(&database.name).env("PGPASSWORD", password(role)).current_dir(&settings.work);
        let output = command.kill_on_drop(true).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || said.contains("ERROR") {
            return Err(format!("pgbench failed: {said}\n{}", self.text).into());
        }
        read_log(settings, &name.file_name().unwrap_or_default().to_string_lossy())
    }
}

fn read_log(settings: &Settings, name: &str) -> Outcome<Latencies> {
    let mut milliseconds = Vec::new();
    for entry in std::fs::read_dir(&settings.work)? {
        let file = entry?;
        let file_name = file.file_name().to_string_lossy().into_owned();
        if !file_name.starts_with(name) {
            continue;
        }
        if file_name != name {
            let log = std::fs::read_to_string(file.path())?;
            // client, transaction, microseconds, script, time
            let times = log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok());
            milliseconds.extend(times.map(|microseconds| microseconds / 1000.0));
        }
        std::fs::remove_file(file.path())?;
    }
    Ok(Latencies::of(milliseconds))
}

/// Puts other ids into a statement whose values are literals.
fn renew(sql: &str, fresh: &[String]) -> String {
    fresh.iter().zip(0..).fold(sql.to_owned(), |sql, (text, number)| {
        sql.replace(&format!("'{text}'"), &format!("({})", fresh_uuid(number)))
    })
}

/// SQL for a text that is another UUID in each transaction.
fn fresh_uuid(number: usize) -> String {
    format!("('0199{number:04x}-0000-7000-8000-' || lpad(to_hex(:fresh::bigint), 12, '0'))")
}

/// pgbench takes `:name` for a variable, also inside a text such as stored JSON; `::` is a cast to it.
fn without_variables(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut characters = sql.chars().peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        out.push(character);
        let name_follows = characters.peek().is_some_and(|next| next.is_ascii_alphabetic() || *next == '_');
        if character == ':' && before != ':' && name_follows {
            out.push(' ');
        }
        before = character;
    }
    out
}
