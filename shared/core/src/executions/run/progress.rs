//! Tells what a model has said so far, while it goes on: pieces of text in the event log, at a bounded rate. Nobody waits for
//! that, and nothing of it that fails is the execution's failure.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use sqlx::Row;
use sqlx::types::Json;
use tokio::time::{Instant, sleep};

use super::Runner;
use super::claim::Claim;
use super::texts::Texts;
use crate::base::error::{Error, Result};
use crate::providers::OnText;
use crate::realtime::nudge;

/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(500);
/// Of the time that an answer takes already, the part that a pause takes at least: the longest that a skill may take has
/// some ninety pieces.
const PART_OF_THE_TIME: u32 = 20;

/// Tells of one attempt.
pub struct Progress<'a> {
    runner: &'a Runner,
    claim: &'a Claim,
    /// Answers that the model was asked for: the second takes the place of a first that did not fit.
    draft: i32,
    /// Of all drafts.
    parts: i32,
}

/// A piece that is not known to be written.
struct Part {
    number: i32,
    text: BTreeMap<String, String>,
}

impl<'a> Progress<'a> {
    pub fn new(runner: &'a Runner, claim: &'a Claim) -> Self {
        Self { runner, claim, draft: 0, parts: 0 }
    }

    /// Makes a call and tells what comes of it until it is over.
    pub async fn of<T>(&mut self, call: impl AsyncFnOnce(OnText<'_>) -> T) -> T {
        let claim = self.claim;
        if !claim.skill.kind.is_for_reading() {
            return call(&mut |_| {}).await;
        }
        self.draft += 1;
        let texts = Mutex::new(Texts::new(&claim.skill.output_schema));
        let mut on_text = |piece: &str| lock(&texts).push(piece);
        tokio::select! {
            biased;
            answer = call(&mut on_text) => answer,
            never = self.tell(&texts) => match never {},
        }
    }

    /// Without an end: whoever has the answer drops this, also in the midst of a statement.
    async fn tell(&mut self, texts: &Mutex<Texts<'_>>) -> Infallible {
        let begun = Instant::now();
        let mut unsaid: Option<Part> = None;
        loop {
            sleep(PAUSE.max(begun.elapsed() / PART_OF_THE_TIME)).await;
            // What may have been written is said again as it was, and then is not written twice.
            if unsaid.is_none() {
                let text = lock(texts).take();
                if text.is_empty() {
                    continue;
                }
                self.parts += 1;
                unsaid = Some(Part { number: self.parts, text });
            }
            let Some(part) = &unsaid else { continue };
            match self.write(part).await {
                Ok(None) => {}
                Ok(Some(is_heard)) => {
                    unsaid = None;
                    if is_heard {
                        nudge::send(&self.runner.nudges, [self.claim.tenant_id].into()).await;
                    }
                }
                Err(error) => tracing::warn!(execution_id = %self.claim.id, %error, "progress was not written"),
            }
        }
    }

    /// Whether somebody is connected to hear of it; None if it is not written, since the attempt is over or about to be.
    async fn write(&self, part: &Part) -> Result<Option<bool>> {
        let rows = self.runner.db.fetch(|sql| {
            sql.push("SELECT app.report_progress(");
            let mut arguments = sql.separated(", ");
            arguments
                .push_bind(self.claim.id)
                .push_bind(self.claim.attempt)
                .push_bind(self.draft)
                .push_bind(part.number)
                .push_bind(Json(part.text.clone()));
            sql.push(") AS is_heard");
        });
        let rows = rows.await?;
        rows.first().map_or(Ok(None), |row| row.try_get("is_heard")).map_err(Error::internal)
    }
}

fn lock<'a, 'b>(texts: &'a Mutex<Texts<'b>>) -> MutexGuard<'a, Texts<'b>> {
    texts.lock().expect("nobody panics while they hold this lock")
}
