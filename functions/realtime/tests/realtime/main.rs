//! The function as Lambda calls it, as its own database role behind the pooler, with API Gateway and SQS faked on sockets.

#![recursion_limit = "256"]

mod bad_days;
mod connecting;
mod crowd;
mod hearing;
mod support;
