//! The wording. Each fact that is put into words is noted.

use chrono::NaiveDateTime;

use super::data::{Input, Intent, Stop};

/// Facts in words, and which were used.
pub struct Words<'a> {
    input: &'a Input,
    used: Vec<String>,
}

impl<'a> Words<'a> {
    pub fn new(input: &'a Input) -> Self {
        Self { input, used: Vec::new() }
    }

    pub fn used(self) -> Vec<String> {
        self.used
    }

    fn note(&mut self, pointer: &str) {
        if !self.used.iter().any(|used| used == pointer) {
            self.used.push(pointer.to_owned());
        }
    }

    /// "order 1042 (your reference LB-48213)"
    fn order(&mut self) -> String {
        self.note("/order/number");
        let number = self.input.order.number;
        match &self.input.order.reference {
            Some(reference) => {
                self.note("/order/reference");
                format!("order {number} (your reference {reference})")
            }
            None => format!("order {number}"),
        }
    }

    /// The customer's number, or ours.
    fn short_number(&mut self) -> String {
        match &self.input.order.reference {
            Some(reference) => {
                self.note("/order/reference");
                reference.to_string()
            }
            None => {
                self.note("/order/number");
                format!("order {}", self.input.order.number)
            }
        }
    }

    fn route(&mut self) -> String {
        let order = &self.input.order;
        let (from, to) = (self.stop("/order/pickup", &order.pickup), self.stop("/order/delivery", &order.delivery));
        format!("{from} to {to}")
    }

    fn stop(&mut self, at: &str, stop: &Stop) -> String {
        self.note(&format!("{at}/city"));
        self.note(&format!("{at}/state"));
        format!("{}, {}", stop.city, stop.state)
    }

    /// A line for each vehicle that anything is known of.
    fn vehicles(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for (index, vehicle) in self.input.order.vehicles.iter().enumerate() {
            let at = |field: &str| format!("/order/vehicles/{index}/{field}");
            let year = vehicle.year.map(|year| year.to_string());
            let (make, model) =
                (vehicle.make.as_ref().map(ToString::to_string), vehicle.model.as_ref().map(ToString::to_string));
            let mut parts = Vec::new();
            for (field, part) in [("year", year), ("make", make), ("model", model)] {
                if let Some(part) = part {
                    self.note(&at(field));
                    parts.push(part);
                }
            }
            let mut line = parts.join(" ");
            if let Some(vin) = &vehicle.vin {
                self.note(&at("vin"));
                line = if line.is_empty() { format!("VIN {vin}") } else { format!("{line}, VIN {vin}") };
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        lines
    }

    fn time(&mut self, pointer: &str, time: Option<NaiveDateTime>) -> Option<String> {
        let time = time?;
        self.note(pointer);
        Some(time.format("%a %b %-d, %Y at %-I:%M %p").to_string())
    }

    fn short_time(&mut self, pointer: &str, time: Option<NaiveDateTime>) -> Option<String> {
        let time = time?;
        self.note(pointer);
        Some(time.format("%b %-d %-I:%M %p").to_string())
    }

    fn due(&mut self) -> (String, Option<String>) {
        let amount = self.input.amount_due.map_or(String::new(), |amount| amount.decimal().to_string());
        let currency = self.input.order.currency.as_ref().map_or(String::new(), ToString::to_string);
        self.note("/amount_due");
        self.note("/order/currency");
        let due = self.input.due_on.map(|day| {
            self.note("/due_on");
            day.format("%b %-d, %Y").to_string()
        });
        (format!("{amount} {currency}"), due)
    }

    fn reason(&mut self) -> Option<String> {
        let reason = self.input.reason.as_ref()?;
        self.note("/reason");
        Some(reason.as_str().trim_end_matches('.').to_owned())
    }

    fn sender(&mut self) -> String {
        self.note("/sender");
        self.input.sender.to_string()
    }
}

pub fn subject(words: &mut Words<'_>) -> String {
    let number = words.short_number();
    let what = match words.input.intent {
        Intent::PickupConfirmation => "Picked up",
        Intent::EtaUpdate => "Expected arrival",
        Intent::Delay => "Delay",
        Intent::DeliveryConfirmation => "Delivered",
        Intent::PaymentReminder => "Payment reminder",
    };
    format!("{what}: {number}, {}", words.route())
}

pub fn email(words: &mut Words<'_>) -> String {
    let greeting = match &words.input.recipient {
        Some(recipient) => {
            words.note("/recipient");
            format!("Hello {recipient},")
        }
        None => "Hello,".into(),
    };
    let mut paragraphs = vec![greeting, news(words)];
    let vehicles = words.vehicles();
    if !vehicles.is_empty() && words.input.intent != Intent::PaymentReminder {
        paragraphs.push(vehicles.join("\n"));
    }
    paragraphs.push(format!("Best regards,\n{}", words.sender()));
    paragraphs.join("\n\n")
}

fn news(words: &mut Words<'_>) -> String {
    let input = words.input;
    let (order, route) = (words.order(), words.route());
    match input.intent {
        Intent::PickupConfirmation => {
            let at = words.time("/order/picked_up_at", input.order.picked_up_at).unwrap_or_default();
            format!("{} was picked up on {at}. Route: {route}.", capital(&order))
        }
        Intent::EtaUpdate => {
            let eta = words.time("/eta", input.eta).unwrap_or_default();
            format!("For {order}, {route}, the driver is expected on {eta} (local time of the stop).")
        }
        Intent::Delay => {
            let mut text = format!("{}, {route}, is delayed.", capital(&order));
            if let Some(reason) = words.reason() {
                text += &format!(" Reason: {reason}.");
            }
            if let Some(eta) = words.time("/eta", input.eta) {
                text += &format!(" The driver is now expected on {eta} (local time of the stop).");
            }
            text
        }
        Intent::DeliveryConfirmation => {
            let at = words.time("/order/delivered_at", input.order.delivered_at).unwrap_or_default();
            format!("{} was delivered on {at}. Route: {route}.", capital(&order))
        }
        Intent::PaymentReminder => {
            let (amount, due) = words.due();
            let due = due.map_or(String::new(), |day| format!(" It was due on {day}."));
            format!(
                "For {order}, {route}, {amount} is still open.{due} If it has been paid in the meantime, please disregard this message."
            )
        }
    }
}

/// A text message; a brief one leaves out what is only good to know.
pub fn sms(words: &mut Words<'_>, brief: bool) -> String {
    let input = words.input;
    let (sender, number) = (words.sender(), words.short_number());
    let lead = format!("{sender}: {number}");
    let main = match input.intent {
        Intent::PickupConfirmation => {
            let at = words.short_time("/order/picked_up_at", input.order.picked_up_at).unwrap_or_default();
            format!("{lead} picked up {at}.")
        }
        Intent::EtaUpdate => {
            let eta = words.short_time("/eta", input.eta).unwrap_or_default();
            format!("{lead} ETA {eta} local time.")
        }
        Intent::Delay => {
            let eta = words.short_time("/eta", input.eta);
            // Without a new time the reason is the message.
            let reason = if brief && eta.is_some() { None } else { words.reason() };
            let eta = eta.map_or(String::new(), |eta| format!(", new ETA {eta} local time"));
            let reason = reason.map_or(String::new(), |reason| format!(" {reason}."));
            format!("{lead} is delayed{eta}.{reason}")
        }
        Intent::DeliveryConfirmation => {
            let at = words.short_time("/order/delivered_at", input.order.delivered_at).unwrap_or_default();
            format!("{lead} delivered {at}.")
        }
        Intent::PaymentReminder => {
            let (amount, due) = words.due();
            let due = due.map_or(String::new(), |day| format!(", due {day}"));
            format!("{lead}: {amount} is still open{due}.")
        }
    };
    if brief || matches!(input.intent, Intent::Delay | Intent::PaymentReminder) {
        return main;
    }
    format!("{main} {}.", words.route())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + chars.as_str())
}
