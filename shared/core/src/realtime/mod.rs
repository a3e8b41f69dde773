//! Events by push. A client takes a one-minute ticket over HTTP, opens a WebSocket with it, says which topics it hears, and
//! gets every event of them that it may see, in the order of the event log, each with a cursor to continue behind.
//!
//! - A connection is one stream: a row with topics and one cursor, behind which nothing has been sent yet. The cursor moves
//!   once a post has succeeded. So a worker that dies between the two repeats a message and never loses one, and a client
//!   drops what it has by the cursor of each event.
//! - Whoever commits a change for a carrier with connections sends a [`nudge`]. It names the carrier and nothing else: what is
//!   to be sent, the log says.
//! - [`push`] sends. One worker at a time has the turn for a carrier (a lease with a fencing number); who comes meanwhile
//!   leaves a mark, and the worker begins once more. What a client has asked for meanwhile counts from there on.
//! - The log is read up to the oldest running transaction, as by [`crate::events`]. What has been committed beyond that is
//!   looked for again a second later.
//! - What somebody may hear is read with each push: the socket of a member who was removed is closed.

pub mod connection;
mod listener;
mod message;
pub mod nudge;
pub mod push;
pub mod ticket;
pub mod topic;
