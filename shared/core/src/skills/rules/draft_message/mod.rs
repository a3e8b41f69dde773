//! Drafts a message about an order from what is given, and from nothing else. Nothing is sent by it.

mod data;
pub mod guard;
mod sms;
mod texts;

pub use self::data::{Asked, Channel, Input, Intent, OrderFacts, Output, Stop, Vehicle};

use self::texts::Words;
use crate::base::error::{Result, Violations};

/// Drafts a message.
///
/// # Errors
/// [`crate::base::error::Error::Invalid`] naming each fact that the intent cannot be told without.
pub fn draft(input: &Input) -> Result<Output> {
    check(input)?;
    let mut words = Words::new(input);
    let body = match input.channel {
        Channel::Email => texts::email(&mut words),
        Channel::Sms => {
            let whole = sms::letters(&texts::sms(&mut words, false));
            if sms::segments(&whole) == 1 {
                whole
            } else {
                // What is only good to know is left out before a second message is paid for.
                words = Words::new(input);
                sms::letters(&texts::sms(&mut words, true))
            }
        }
    };
    let subject = (input.channel == Channel::Email).then(|| texts::subject(&mut words));
    let segments = (input.channel == Channel::Sms).then(|| sms::segments(&body));
    Ok(Output { subject, body, segments, facts_used: words.used() })
}

/// What each intent cannot do without.
fn check(input: &Input) -> Result<()> {
    let order = &input.order;
    let mut violations = Violations::default();
    let mut need =
        |given: bool, pointer: &str, what: &str| violations.add_unless(given, pointer, format!("is needed for {what}"));
    match input.intent {
        Intent::PickupConfirmation => {
            need(order.picked_up_at.is_some(), "/order/picked_up_at", "a pickup confirmation")
        }
        Intent::EtaUpdate => need(input.eta.is_some(), "/eta", "an update of the arrival"),
        Intent::Delay => need(input.eta.is_some() || input.reason.is_some(), "/reason", "a delay without a new eta"),
        Intent::DeliveryConfirmation => {
            need(order.delivered_at.is_some(), "/order/delivered_at", "a delivery confirmation");
        }
        Intent::PaymentReminder => {
            need(input.amount_due.is_some(), "/amount_due", "a payment reminder");
            need(order.currency.is_some(), "/order/currency", "a payment reminder");
        }
    }
    violations.into_result()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
