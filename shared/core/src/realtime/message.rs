//! Events as clients get them: several in a message, as many as API Gateway takes at once.

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::listener::Position;
use crate::base::error::{Error, Result};
use crate::base::page;
use crate::events::{self, Event};

/// API Gateway takes 128 KB; the rest is for what is around the events.
const MOST_BYTES: usize = 120 * 1024;

/// A message, and where the stream stands once it has arrived.
#[derive(Debug)]
pub struct Message {
    pub text: String,
    pub end: Position,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    data: &'a [Box<RawValue>],
    next_cursor: String,
}

/// The messages for some events of a page that ends at `end`; none for none.
pub fn messages<'a>(events: impl Iterator<Item = &'a events::Position>, end: Position) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    let (mut batch, mut bytes, mut last) = (Vec::new(), 0, end);
    for event in events {
        let text = raw(&event.event)?;
        let length = text.get().len();
        if !batch.is_empty() && bytes + length > MOST_BYTES {
            messages.push(message(&batch, last)?);
            batch.clear();
            bytes = 0;
        }
        batch.push(text);
        bytes += length + 1;
        last = (event.xid, event.seq);
    }
    if !batch.is_empty() {
        messages.push(message(&batch, end)?);
    }
    Ok(messages)
}

fn message(batch: &[Box<RawValue>], end: Position) -> Result<Message> {
    let body = Body { r#type: "events", data: batch, next_cursor: page::encode(&end) };
    Ok(Message { text: serde_json::to_string(&body).map_err(Error::internal)?, end })
}

/// One that fits into no message comes without its data: whoever needs them reads the subject.
fn raw(event: &Event) -> Result<Box<RawValue>> {
    let text = serde_json::value::to_raw_value(event).map_err(Error::internal)?;
    if text.get().len() <= MOST_BYTES {
        return Ok(text);
    }
    let mut short = serde_json::to_value(event).map_err(Error::internal)?;
    short["data"] = json!({"truncated": true});
    serde_json::value::to_raw_value(&short).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::events::Topic;

    fn event(seq: i64, bytes: usize) -> events::Position {
        let event = Event {
            cursor: page::encode(&(7, seq)),
            topic: Topic::Orders,
            r#type: "order.created".into(),
            subject_id: Some(Uuid::nil()),
            at: chrono::DateTime::UNIX_EPOCH,
            data: json!({"note": "x".repeat(bytes)}),
        };
        events::Position { xid: 7, seq, event }
    }

    fn write(events: &[events::Position]) -> Vec<(Value, usize, Position)> {
        let messages = messages(events.iter(), (9, 0)).unwrap();
        messages.iter().map(|m| (serde_json::from_str(&m.text).unwrap(), m.text.len(), m.end)).collect()
    }

    #[test]
    fn a_message_is_filled_and_no_more_than_that() {
        let events: Vec<_> = (1..=5).map(|seq| event(seq, 50_000)).collect();
        let messages = write(&events);
        let sizes: Vec<usize> = messages.iter().map(|(m, _, _)| m["data"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert!(messages.iter().all(|(_, bytes, _)| *bytes < 128 * 1024));
        assert_eq!(messages.iter().map(|(_, _, end)| *end).collect::<Vec<_>>(), [(7, 2), (7, 4), (9, 0)]);
        assert_eq!(messages[0].0["next_cursor"], messages[0].0["data"][1]["cursor"]);
        assert!(write(&[]).is_empty());
    }

    #[test]
    fn an_event_that_is_too_large_comes_without_its_data() {
        let messages = write(&[event(1, 10), event(2, 200_000), event(3, 10)]);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].0["data"][1]["data"], json!({"truncated": true}));
        assert_eq!(messages[0].0["data"][1]["cursor"], page::encode(&(7, 2)));
    }
}
