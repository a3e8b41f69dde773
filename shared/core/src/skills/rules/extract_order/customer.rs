//! For whom: the broker, dealer or auction that sends the tender.

use std::sync::LazyLock;

use regex::Regex;

use super::contacts::{self, is_company, is_greeting, is_person, is_title};
use super::draft::Customer;
use super::labels::{Label, Part};
use super::parts::parts;
use super::places;
use super::reader::{Origin, Piece};
use super::source::{Slot, is_listed, offset, pattern, told, trim};
use super::transport;
use crate::base::strings::{Email, McNumber, Phone, UsdotNumber};
use crate::base::text::Name;

static MC: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bmc\s*(?:#|no\.?|number)?\s*:?\s*(?P<n>\d{4,8})\b"));
static DOT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:us\s?)?dot\s*(?:#|no\.?|number)?\s*:?\s*(?P<n>\d{4,8})\b"));

/// "This is Carla with Juniper Lane Auto Sales."
static THIS_IS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?i:this is|my name is)\s+(?P<who>\w[\w'’-]*(?:\s[A-Z][\w'’-]*)?)\s+(?i:with|from|at|of)\s+(?P<name>[A-Z][^,;.!?()\n]{2,60})",
    )
});
static SENDER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:^|[\s,])"?(?P<who>[A-Z][^"<>,\d:]*?)"?\s*<(?P<email>[^<>\s]+@[^<>\s]+)>"#));

/// What is no part of a name at the end of a letterhead or of an introduction.
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\s+(?:here|(?:mc|usdot|dot|ph|phone|tel|cell|fax)\b.*)$|\W+(?:load|rate|dispatch)\s(?:confirmation|sheet|tender)$",
    )
});

/// A message that ends in a name and a number.
static SIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\W*(?P<who>[A-Za-z][\w'-]+(?: [A-Za-z][\w'-]+)?)\W+\(?\d{3}\)?[\s.-]?\d{3}[\s.-]\d{4}\W*$")
});

#[derive(Default)]
struct Reader {
    name: Slot<Name>,
    contact_name: Slot<Name>,
    phone: Slot<Phone>,
    email: Slot<Email>,
    mc_number: Slot<McNumber>,
    usdot: Slot<UsdotNumber>,
}

pub fn read(pieces: &[Piece<'_>], taken: &[bool]) -> Customer {
    let mut reader = Reader::default();
    for piece in pieces {
        match piece.part {
            Some(Part::Customer) => reader.field(piece, 0.95),
            None if piece.origin == Origin::Text && piece.label.is_some() => reader.field(piece, 0.85),
            None if piece.origin == Origin::Text => reader.introduction(piece),
            _ => {}
        }
    }
    let free: Vec<_> = pieces
        .iter()
        .zip(taken)
        .filter(|(piece, taken)| !**taken && piece.part.is_none() && piece.origin == Origin::Text)
        .map(|(piece, _)| piece)
        .collect();
    for paragraph in free.chunk_by(|a, b| a.paragraph == b.paragraph) {
        reader.signature(paragraph);
    }
    for piece in pieces.iter().filter(|piece| piece.origin == Origin::Sender) {
        reader.sender(piece);
    }
    reader.finish()
}

impl Reader {
    fn field(&mut self, piece: &Piece<'_>, confidence: f64) {
        let (text, depth) = (trim(piece.text), piece.depth);
        match piece.label {
            Some(Label::Name) => self.name.offer(depth, contacts::name(text, confidence)),
            Some(Label::Contact) => {
                let name =
                    parts(text).into_iter().find(|part| contacts::phones(part).is_empty() && !part.contains('@'));
                self.contact_name.offer(depth, name.and_then(|name| contacts::name(name, confidence)));
                self.numbers(depth, text, confidence);
            }
            Some(Label::Phone | Label::Email | Label::McNumber | Label::Usdot) => {
                self.numbers(depth, text, confidence);
                let number = text.trim_start_matches(['#', ' ']);
                match piece.label {
                    Some(Label::McNumber) => {
                        let mc = McNumber::parse(number.trim_start_matches("MC").trim_start_matches(['-', '#', ' ']));
                        self.mc_number.offer(depth, mc.ok().map(|mc| told(mc, confidence, text)));
                    }
                    Some(Label::Usdot) => {
                        self.usdot.offer(depth, UsdotNumber::parse(number).ok().map(|dot| told(dot, confidence, text)));
                    }
                    _ => {}
                }
            }
            None if piece.part == Some(Part::Customer) => {
                self.numbers(depth, text, confidence);
                let name = parts(text).into_iter().map(without_tail).find(|part| is_name(part));
                self.name.offer(depth, name.and_then(|name| contacts::name(name, confidence)));
            }
            _ => {}
        }
    }

    fn numbers(&mut self, depth: u8, text: &str, confidence: f64) {
        let phone = contacts::phones(text).into_iter().next();
        self.phone.offer(depth, phone.and_then(|phone| contacts::phone(phone, confidence)));
        let email = contacts::emails(text).into_iter().next();
        self.email.offer(depth, email.and_then(|email| contacts::email(email, confidence)));
        let find = |pattern: &Regex| {
            pattern.captures(text).and_then(|found| found.name("n")).map(|n| offset(text, n.as_str())..n.end())
        };
        if let Some(range) = find(&MC) {
            let value = McNumber::parse(&text[range.clone()]).ok();
            self.mc_number.offer(depth, value.map(|value| told(value, confidence, &text[range])));
        }
        if let Some(range) = find(&DOT) {
            let value = UsdotNumber::parse(&text[range.clone()]).ok();
            self.usdot.offer(depth, value.map(|value| told(value, confidence, &text[range])));
        }
    }

    fn introduction(&mut self, piece: &Piece<'_>) {
        let Some(found) = THIS_IS.captures(piece.text) else { return };
        let group = |name: &str| found.name(name).map_or("", |group| group.as_str());
        self.contact_name.offer(piece.depth, contacts::name(group("who"), 0.8));
        self.name.offer(piece.depth, contacts::name(without_tail(group("name")), 0.8));
    }

    /// A letterhead or a signature: lines of which one is a number or an address to answer to.
    fn signature(&mut self, paragraph: &[&Piece<'_>]) {
        let told_by = |piece: &&Piece<'_>| {
            let text = piece.text;
            !contacts::phones(text).is_empty()
                || text.contains('@')
                || MC.is_match(text)
                || matches!(piece.label, Some(Label::Phone | Label::Email | Label::McNumber))
        };
        let Some(first) = paragraph.first() else { return };
        if let Some(found) = paragraph.last().and_then(|last| SIGNED.captures(last.text)) {
            const NOBODY: &str = "me at call cell my on text us phone tel number or";
            let nobody = |who: &str| who.split_whitespace().any(|word| is_listed(NOBODY, &word.to_lowercase()));
            let who = found.name("who").map(|who| who.as_str()).filter(|who| !nobody(who));
            let who = who.and_then(|who| contacts::name(who, 0.6));
            self.contact_name.offer(first.depth, who);
        }
        if !paragraph.iter().any(told_by)
            || paragraph.iter().any(|piece| places::find(piece.text).is_some_and(|p| p.zip.is_some()))
        {
            return;
        }
        let depth = first.depth;
        let mut names: Vec<&str> = Vec::new();
        for piece in paragraph.iter().filter(|piece| piece.label.is_none()) {
            self.numbers(depth, piece.text, 0.8);
            // A sentence is no signature, unless it begins with who says it.
            let parts = parts(piece.text);
            names.extend(
                parts
                    .into_iter()
                    .map(without_tail)
                    .take_while(|part| part.split_whitespace().count() <= 6)
                    .filter(|part| is_name(part)),
            );
        }
        let company = names.iter().copied().find(|name| is_company(name));
        let person = names.iter().copied().find(|name| is_person(name) && Some(*name) != company);
        let company = company.or_else(|| names.iter().copied().find(|name| Some(*name) != person));
        self.name.offer(depth, company.and_then(|name| contacts::name(name, 0.8)));
        self.contact_name.offer(depth, person.and_then(|name| contacts::name(name, 0.8)));
    }

    /// The sender of a mail, if it is who signed, or if nobody did.
    fn sender(&mut self, piece: &Piece<'_>) {
        let Some(found) = SENDER.captures(piece.text) else { return };
        let (Some(who), Some(email)) = (found.name("who"), found.name("email")) else { return };
        // "Thu, Nov 19, 2026 at 9:12 AM Redtail Dispatch <..>" begins with when.
        let who =
            trim(who.as_str().rsplit(" AM ").next().unwrap_or_default().rsplit(" PM ").next().unwrap_or_default());
        let who = who.strip_prefix("AM ").or(who.strip_prefix("PM ")).unwrap_or(who);
        let signed = self.contact_name.get();
        if signed.is_none_or(|signed| signed.value.as_str().eq_ignore_ascii_case(who)) {
            self.contact_name.offer(piece.depth, contacts::name(who, 0.7));
            self.email.offer(piece.depth, contacts::email(email.as_str(), 0.7));
        }
    }

    fn finish(self) -> Customer {
        Customer {
            name: self.name.take(),
            contact_name: self.contact_name.take(),
            phone: self.phone.take(),
            email: self.email.take(),
            mc_number: self.mc_number.take(),
            usdot: self.usdot.take(),
        }
    }
}

fn without_tail(text: &str) -> &str {
    trim(TAIL.find(text).map_or(text, |tail| &text[..tail.start()]))
}

/// Words that may be small in a name.
const SMALL: &str = "of and the for by de la van von del y et n at";

/// Could be the name of somebody: begins with a capital, and is no greeting, number or title.
fn is_name(text: &str) -> bool {
    text.starts_with(char::is_uppercase)
        && !is_greeting(text)
        && (is_company(text) || !is_title(text))
        && contacts::phones(text).is_empty()
        && !text.contains('@')
        && !transport::is_told(text)
        && places::find(text).is_none()
        && text.split_whitespace().all(|word| !word.starts_with(char::is_lowercase) || is_listed(SMALL, word))
        && !MC.is_match(text)
        && !DOT.is_match(text)
        && text.chars().filter(char::is_ascii_digit).count() < 3
}
