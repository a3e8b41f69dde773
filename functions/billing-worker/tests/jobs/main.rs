//! Jobs of the billing queue, as the worker does them.

mod events;
mod grace;
mod present_state;
mod process;
mod support;
